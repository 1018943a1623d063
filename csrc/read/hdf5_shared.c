/* hdf5_shared.c -- the table of shared messages.
 *
 *   SMTB | |0|list|message types|least size|limits ...|messages|index address|heap address| ... |checksum|
 *
 * The index is for writers; a reader needs the heap that holds a message type.
 *
 * HDF5 File Format Specification v3.0, IV.A.2.p and III.H.
 */
#include "read/hdf5_shared.h"

#include <stdlib.h>

#include "read/hdf5_checksum.h"

enum { INDEX_MAX = 8 };

/* A heap with the message types it holds. */
typedef struct shared_index {
    uint16_t types; /* bit 1 << type */
    uint64_t heap_at;
    kw_fractal_heap *heap; /* opened at its first use */
    kw_error failed;       /* or why it could not be */
} shared_index;

struct kw_shared_table {
    unsigned count;
    shared_index indexes[INDEX_MAX];
};

int kw_shared_open(kw_walk *walk, uint64_t address, unsigned count, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    if (count > INDEX_MAX) return kw_fail(err, KW_CORRUPT, address, "%u indexes of shared messages", count);
    uint64_t len = 8 + count * (14ull + 2 * sizes->offset_len);
    kw_block block = KW_BLOCK_EMPTY;
    kw_view view;
    int result = kw_block_load(hdf5, &hdf5->more->ledger, &block, address, len, &view, err);
    if (result == 0 && !kw_view_starts(view, "SMTB", 4))
        result = kw_fail(err, KW_CORRUPT, address, "shared message table signature");
    if (result == 0) result = kw_hdf5_checksum_verify(view, "shared message table", err);
    if (result == 0 && (walk->shared = calloc(1, sizeof *walk->shared)) == NULL) result = kw_fail_memory(err);
    if (result == 0) {
        kw_cursor c = kw_cursor_of(view);
        kw_cursor_skip(&c, 4);
        walk->shared->count = count;
        for (unsigned i = 0; i < count; i++) {
            kw_cursor_skip(&c, 2); /* version, kind of index */
            walk->shared->indexes[i].types = kw_cursor_u16(&c);
            kw_cursor_skip(&c, 10 + (size_t)sizes->offset_len);
            walk->shared->indexes[i].heap_at = kw_cursor_address(&c, sizes);
        }
    }
    kw_block_free(&block);
    return result;
}

int kw_shared_load(kw_walk *walk, unsigned type, kw_view id, kw_view *out, kw_error *err) {
    for (unsigned i = 0; walk->shared != NULL && type < 16 && i < walk->shared->count; i++) {
        shared_index *index = &walk->shared->indexes[i];
        if (!(index->types >> type & 1)) continue;
        if (index->heap == NULL && index->failed.code == KW_OK)
            (void)kw_fractal_heap_open(walk->hdf5, index->heap_at, &index->heap, &index->failed);
        if (index->heap != NULL) return kw_fractal_heap_find(index->heap, id, out, err);
        *err = index->failed;
        return -1;
    }
    return kw_fail(err, KW_CORRUPT, id.off, "no heap of shared messages of type %u", type);
}

void kw_shared_close(kw_walk *walk) {
    for (unsigned i = 0; walk->shared != NULL && i < walk->shared->count; i++)
        kw_fractal_heap_close(walk->shared->indexes[i].heap);
    free(walk->shared);
    walk->shared = NULL;
}
