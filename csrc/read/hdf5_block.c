/* hdf5_block.c -- loading a block of metadata, and counting what is kept of it.
 *
 *     source  ....|###### block ######|....      claimed in the ledger,
 *     block       |###### copy  ######|          looked at through a view
 *
 * HDF5 File Format Specification v3.0, I (addresses are relative to the base;
 * all bits set means undefined).
 */
#include <stdlib.h>
#include <string.h>

#include "read/hdf5_private.h"

/* What a file's metadata may cost: so many times its size, and so much more.  An object or a link, of which each has
 * bytes of its own in the file, costs two to three times as much when decoded; paths below many nested models, and
 * tables that are nothing but links, more. */
#define TIMES 8
#define ALLOWANCE ((uint64_t)8 << 20)

/* 0 with room for len bytes in the block, or KW_MEMORY. */
static int reserve(kw_block *block, size_t len, kw_error *err) {
    if (len <= block->capacity) return 0;
    size_t capacity = block->capacity * 2 > len ? block->capacity * 2 : len;
    if (capacity < 1024) capacity = 1024;
    free(block->data);
    block->data = malloc(capacity);
    block->capacity = block->data != NULL ? capacity : 0;
    return block->data != NULL ? 0 : kw_fail_memory(err);
}

int kw_block_load(kw_hdf5 *hdf5, kw_ledger *ledger, kw_block *block, uint64_t off, uint64_t len, kw_view *out,
                  kw_error *err) {
    uint64_t size = kw_source_size(hdf5->source);
    *out = (kw_view){.data = NULL, .len = 0, .off = off};
    if (off == KW_NOWHERE) return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "undefined address");
    if (off >= size && !hdf5->truncated)
        return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "address past the end of the file");
    if (!kw_in_range(off, len, size))
        return kw_fail(err, KW_TRUNCATED, off < size ? size : off, "metadata past the end of the file");
    if (ledger != NULL && kw_ledger_claim(ledger, off, len, err) != 0) return -1;
    const uint8_t *bytes = kw_source_peek(hdf5->source, off, (size_t)len);
    if (bytes != NULL) {
        *out = (kw_view){.data = bytes, .len = (size_t)len, .off = off};
        return 0;
    }
    if (reserve(block, (size_t)len, err) != 0) return -1;
    if (kw_source_read(hdf5->source, off, block->data, (size_t)len, err) != 0) return -1;
    *out = (kw_view){.data = block->data, .len = (size_t)len, .off = off};
    return 0;
}

int kw_block_peek(kw_hdf5 *hdf5, kw_block *block, uint64_t off, uint64_t head_len, kw_view *out, kw_error *err) {
    enum { LIKELY_LEN = 336 }; /* an object header or symbol table node as libhdf5 makes them */
    uint64_t size = kw_source_size(hdf5->source), len = head_len > LIKELY_LEN ? head_len : LIKELY_LEN;
    if (off < size && len > size - off) len = head_len > size - off ? head_len : size - off;
    return kw_block_load(hdf5, NULL, block, off, len, out, err);
}

int kw_block_extend(kw_hdf5 *hdf5, kw_ledger *ledger, kw_block *block, uint64_t len, kw_view *view, kw_error *err) {
    if (len > view->len) return kw_block_load(hdf5, ledger, block, view->off, len, view, err);
    if (ledger != NULL && kw_ledger_claim(ledger, view->off, len, err) != 0) return -1;
    view->len = (size_t)len;
    return 0;
}

void kw_block_free(kw_block *block) {
    free(block->data);
    *block = KW_BLOCK_EMPTY;
}

uint64_t kw_cursor_address(kw_cursor *c, const kw_hdf5_sizes *sizes) {
    uint64_t raw = kw_cursor_uint(c, sizes->offset_len), off;
    uint64_t undefined = sizes->offset_len >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * sizes->offset_len)) - 1;
    if (raw == undefined) return KW_NOWHERE;
    return kw_add(raw, sizes->base, &off) && off != KW_NOWHERE ? off : KW_NOWHERE - 1;
}

unsigned kw_width_of(uint64_t limit) {
    return limit == 0 ? 1 : (63u - (unsigned)__builtin_clzll(limit)) / 8 + 1;
}

int kw_hdf5_spend(kw_hdf5 *hdf5, uint64_t len, kw_error *err) {
    uint64_t size = kw_source_size(hdf5->source), limit, spent;
    if (!kw_mul(size, TIMES, &limit) || !kw_add(limit, ALLOWANCE, &limit)) limit = UINT64_MAX;
    if (!kw_add(hdf5->more->spent, len, &spent) || spent > limit)
        return kw_fail(err, KW_BOMB, KW_NOWHERE, "names and attributes unfold to more than the file holds");
    hdf5->more->spent = spent;
    return 0;
}

bool kw_error_is_fatal(const kw_error *err) {
    return err->code == KW_MEMORY || err->code == KW_CHANGED || (err->code >= 100 && err->code < 200);
}

int kw_hdf5_note(kw_hdf5 *hdf5, kw_fault *fault, const kw_error *cause, kw_error *err) {
    if (kw_error_is_fatal(cause)) {
        *err = *cause;
        return -1;
    }
    hdf5->more->noted = true;
    if (fault->code != KW_OK) return 0;
    char *detail = kw_arena_text(&hdf5->arena, cause->detail, strlen(cause->detail));
    if (detail == NULL) return kw_fail_memory(err);
    *fault = (kw_fault){.code = cause->code, .at = cause->at, .detail = detail};
    return 0;
}
