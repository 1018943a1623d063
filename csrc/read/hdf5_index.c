/* hdf5_index.c -- the six ways in which HDF5 notes where chunks lie.
 *
 *     B-tree v1         TREE ... key | child | key | child | ... | key
 *                       key: stored length (4), filter mask (4), offset per dimension + 1 (8 each)
 *     single            the layout message itself
 *     implicit          chunk 0 | chunk 1 | chunk 2 ...      no filters, all allocated
 *     fixed array       hdf5_array.c
 *     extensible array  hdf5_array.c
 *     B-tree v2         BTHD ..., records: element, then coordinates in chunks (8 each)
 *
 *     element           address | stored length (1..8), filter mask (4): when filtered
 *
 * HDF5 File Format Specification v3.0: III.A.1 (B-tree v1), III.A.2 (v2),
 * VII.A to VII.E (single, implicit, fixed array, extensible array, B-tree v2).
 */
#include <stdlib.h>

#include "read/hdf5_btree.h"
#include "read/hdf5_finder.h"

enum { MASK_LEN = 4 };

int kw_finder_add(kw_finder *f, const uint64_t *place, uint64_t off, uint64_t len, uint32_t mask, uint64_t at,
                  kw_error *err) {
    const kw_grid *grid = f->grid;
    uint64_t number = 0, size = kw_source_size(f->hdf5->source);
    bool inside = true;
    for (unsigned d = 0; d < grid->rank; d++) {
        if (place[d] >= grid->max_counts[d]) return kw_fail(err, KW_CORRUPT, at, "a chunk lies outside the dataset");
        if (place[d] >= grid->counts[d]) inside = false;
        if (inside) number = number * grid->counts[d] + place[d];
    }
    if (!inside) return 0;
    if (len == 0 || (!kw_chunk_is_filtered(f->dataset, grid, place) && len != grid->chunk_len)) {
        return kw_fail(err, KW_CORRUPT, at, "a chunk of %llu bytes is stored in %llu",
                       (unsigned long long)grid->chunk_len, (unsigned long long)len);
    }
    if (!kw_in_range(off, len, size)) {
        return kw_fail(err, f->hdf5->truncated ? KW_TRUNCATED : KW_CORRUPT, off > size ? off : size,
                       "a chunk lies past the end of the file");
    }
    if (f->count >= grid->total) return kw_fail(err, KW_CORRUPT, at, "more chunks than the dataset has");
    if (KW_GROW(f->items, f->count, f->capacity, err) != 0) return -1;
    f->items[f->count++] = (kw_chunk){number, off, len, mask};
    return 0;
}

/* A leaf entry of a version 1 B-tree. */
static int add_btree1(void *context, kw_view key, kw_view next_key, uint64_t child, kw_error *err) {
    kw_finder *f = context;
    kw_cursor c = kw_cursor_of(key);
    uint64_t place[KW_RANK_MAX], len = kw_cursor_u32(&c);
    uint32_t mask = kw_cursor_u32(&c);
    (void)next_key;
    for (unsigned d = 0; d < f->grid->rank; d++) {
        uint64_t off = kw_cursor_u64(&c);
        if (off % f->grid->chunk[d] != 0) return kw_fail(err, KW_CORRUPT, key.off, "a chunk lies beside the grid");
        place[d] = off / f->grid->chunk[d];
    }
    if (kw_cursor_u64(&c) != 0 || c.short_) return kw_fail(err, KW_CORRUPT, key.off, "chunk key");
    if (child == KW_NOWHERE) return kw_fail(err, KW_CORRUPT, key.off, "a chunk without an address");
    return kw_finder_add(f, place, child, len, mask, key.off, err);
}

bool kw_element_take(const kw_finder *f, kw_cursor *c, unsigned len_width, uint64_t *off, uint64_t *len,
                     uint32_t *mask) {
    *off = kw_cursor_address(c, f->sizes);
    *len = f->grid->chunk_len;
    *mask = 0;
    if (f->info->filter_count > 0) {
        *len = kw_cursor_uint(c, len_width);
        *mask = kw_cursor_u32(c);
    }
    return *off != KW_NOWHERE;
}

unsigned kw_element_length_width(const kw_finder *f, size_t element_len) {
    size_t fixed = (size_t)f->sizes->offset_len + MASK_LEN;
    return element_len > fixed && element_len - fixed <= 8 ? (unsigned)(element_len - fixed) : 0;
}

/* A record of a version 2 B-tree: element, coordinates in chunks. */
static int add_btree2(void *context, kw_view record, kw_error *err) {
    kw_finder *f = context;
    kw_cursor c = kw_cursor_of(record);
    size_t place_len = 8u * f->grid->rank;
    uint64_t place[KW_RANK_MAX], off, len;
    uint32_t mask;
    unsigned width = record.len > place_len ? kw_element_length_width(f, record.len - place_len) : 0;
    bool filtered = f->info->filter_count > 0;
    if (filtered ? width == 0 : record.len != f->sizes->offset_len + place_len) {
        return kw_fail(err, KW_CORRUPT, record.off, "chunk record of %zu bytes", record.len);
    }
    bool stored = kw_element_take(f, &c, width, &off, &len, &mask);
    for (unsigned d = 0; d < f->grid->rank; d++) place[d] = kw_cursor_u64(&c);
    if (c.short_) return kw_fail(err, KW_CORRUPT, record.off, "chunk record");
    return stored ? kw_finder_add(f, place, off, len, mask, record.off, err) : 0;
}

/* The one chunk, which the layout message describes itself. */
static int find_single(kw_finder *f, kw_error *err) {
    enum { SINGLE_FILTERED = 2 };
    uint64_t place[KW_RANK_MAX] = {0};
    bool filtered = f->info->chunk_flags & SINGLE_FILTERED;
    return kw_finder_add(f, place, f->info->index_at, filtered ? f->info->single_len : f->grid->chunk_len,
               filtered ? f->info->single_mask : 0, f->info->index_at, err);
}

/* The number of chunk `place` in the grid of the greatest shape; false when
 * numbers get too great. */
static bool implicit_number(const kw_grid *grid, const uint64_t *place, uint64_t *number) {
    *number = 0;
    for (unsigned d = 0; d < grid->rank; d++) {
        uint64_t most = d == 0 ? 1 : grid->max_counts[d];
        if (!kw_mul(*number, most, number) || !kw_add(*number, place[d], number)) return false;
    }
    return true;
}

/* All chunks lie one after the other: only the last must be tried. */
static int find_implicit(const kw_finder *f, kw_chunks *out, kw_error *err) {
    uint64_t place[KW_RANK_MAX], last, end, at = f->info->index_at, size = kw_source_size(f->hdf5->source);
    if (f->info->filter_count > 0) return kw_fail(err, KW_CORRUPT, at, "filtered chunks without an index");
    kw_grid_place(f->grid, f->grid->total - 1, place);
    if (!implicit_number(f->grid, place, &last) || !kw_add(last, 1, &end) || !kw_mul(end, f->grid->chunk_len, &end) ||
        !kw_in_range(at, end, size)) {
        return kw_fail(err, f->hdf5->truncated ? KW_TRUNCATED : KW_CORRUPT, at > size ? at : size,
                       "chunks lie past the end of the file");
    }
    *out = (kw_chunks){.count = (size_t)f->grid->total, .implicit_at = at};
    return 0;
}

static int compare_numbers(const void *a, const void *b) {
    const kw_chunk *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int compare_offsets(const void *a, const void *b) {
    const kw_chunk *x = a, *y = b;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* Puts the chunks in the order of the file.  None may be there twice, and no two
 * may share bytes: what is read stays linear in the file.  0, or -1. */
static int put_in_order(kw_finder *f, kw_error *err) {
    if (f->count < 2) return 0;
    qsort(f->items, f->count, sizeof *f->items, compare_numbers);
    for (size_t i = 1; i < f->count; i++) {
        if (f->items[i].number == f->items[i - 1].number) {
            return kw_fail(err, KW_CORRUPT, f->items[i].off, "chunk %llu is there twice",
                           (unsigned long long)f->items[i].number);
        }
    }
    qsort(f->items, f->count, sizeof *f->items, compare_offsets);
    for (size_t i = 1; i < f->count; i++) {
        if (f->items[i].off - f->items[i - 1].off < f->items[i - 1].len) {
            return kw_fail(err, KW_OVERLAP, f->items[i].off, "two chunks share bytes");
        }
    }
    return 0;
}

/* Walks the index that the layout names; 0, or -1. */
static int find(kw_finder *f, kw_chunks *out, kw_error *err) {
    enum { RECORD_PLAIN = 10, RECORD_FILTERED = 11 };
    uint64_t at = f->info->index_at;
    switch (f->info->index) {
    case KW_CHUNK_BTREE1:
        return kw_btree1_walk(f->hdf5, f->ledger, at, 1, 8 + 8 * ((size_t)f->grid->rank + 1), add_btree1, f, err);
    case KW_CHUNK_SINGLE:
        return find_single(f, err);
    case KW_CHUNK_IMPLICIT:
        return find_implicit(f, out, err);
    case KW_CHUNK_FIXED_ARRAY:
        return kw_fixed_array_find(f, err);
    case KW_CHUNK_EXTENSIBLE_ARRAY:
        return kw_extensible_array_find(f, err);
    case KW_CHUNK_BTREE2:
    default: /* others were refused where the layout was read */
        return kw_btree2_walk(f->hdf5, f->ledger, at, f->info->filter_count > 0 ? RECORD_FILTERED : RECORD_PLAIN, 0,
                              add_btree2, f, err);
    }
}

int kw_chunks_find(kw_hdf5 *hdf5, const kw_dataset *dataset, const kw_grid *grid, kw_ledger *ledger, kw_chunks *out,
                   kw_error *err) {
    kw_ledger own = KW_LEDGER_EMPTY;
    kw_finder f = {.hdf5 = hdf5, .dataset = dataset, .info = dataset->info, .sizes = &hdf5->more->sizes, .grid = grid};
    f.ledger = ledger != NULL ? ledger : &own;
    *out = (kw_chunks){NULL, 0, KW_NOWHERE};
    if (f.info->index_at == KW_NOWHERE) return 0;
    int result = find(&f, out, err);
    kw_ledger_free(&own);
    if (result == 0) result = put_in_order(&f, err);
    if (result != 0) {
        free(f.items);
        return -1;
    }
    if (out->implicit_at == KW_NOWHERE) {
        out->items = f.items;
        out->count = f.count;
    }
    return 0;
}

kw_chunk kw_chunks_get(const kw_chunks *chunks, const kw_grid *grid, size_t i) {
    uint64_t place[KW_RANK_MAX], number = 0;
    if (chunks->implicit_at == KW_NOWHERE) return chunks->items[i];
    kw_grid_place(grid, i, place);
    (void)implicit_number(grid, place, &number);
    return (kw_chunk){i, chunks->implicit_at + number * grid->chunk_len, grid->chunk_len, 0};
}

void kw_chunks_free(kw_chunks *chunks) {
    free(chunks->items);
    chunks->items = NULL;
}
