/* hdf5_index.c -- the six ways in which HDF5 notes where chunks lie.
 *
 *     B-tree v1         TREE ... key | child | key | child | ... | key
 *                       key: stored length (4), filter mask (4), offset per dimension + 1 (8 each)
 *     single            the layout message itself
 *     implicit          chunk 0 | chunk 1 | chunk 2 ...      no filters, all allocated
 *     fixed array       FAHD --> FADB: elements, or pages of them
 *     extensible array  EAHD --> EAIB: elements, --> EADB ..., --> EASB --> EADB ...
 *     B-tree v2         BTHD ..., records: element, then coordinates in chunks (8 each)
 *
 *     element           address | stored length (1..8), filter mask (4): when filtered
 *
 * Arrays are numbered by the grid of the greatest shape; in an extensible array
 * the unlimited dimension is the slowest.
 *
 * HDF5 File Format Specification v3.0: III.A.1 (B-tree v1), III.A.2 (v2),
 * VII.A to VII.E (single, implicit, fixed array, extensible array, B-tree v2).
 */
#include "read/hdf5_index.h"

#include <stdlib.h>

#include "read/hdf5_btree.h"
#include "read/hdf5_checksum.h"

enum { SIGNATURE_LEN = 4, CHECKSUM_LEN = 4, MASK_LEN = 4 };

/* Everything that one search needs. */
typedef struct finder {
    kw_hdf5 *hdf5;
    const kw_dataset *dataset;
    const struct kw_layout_info *info;
    const kw_hdf5_sizes *sizes;
    const kw_grid *grid;
    kw_ledger *ledger;
    kw_chunk *items;
    size_t count, capacity;
    unsigned order[KW_RANK_MAX]; /* arrays: dimensions from the slowest on */
    unsigned element_len;        /* arrays: bytes of one element */
} finder;

/* An extensible array's numbers, as its header gives them. */
typedef struct extensible {
    uint8_t max_bits, page_bits;
    unsigned index_count;     /* elements in the index block */
    uint64_t block_min;       /* elements of the smallest data block */
    unsigned block_min_bits;  /* log2 of it */
    uint64_t pointers_min;    /* data blocks of the smallest super block */
    unsigned offset_len;      /* bytes of a block's own offset */
    unsigned super_count;     /* levels of data blocks */
    unsigned direct_count;    /* of them without a super block */
} extensible;

/* A row of data blocks of one level, with the pages that were written. */
typedef struct level {
    uint64_t block_count;
    uint64_t element_count; /* of each */
    uint64_t page_count;    /* of each; 0: not paged */
} level;

static uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

static bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

static unsigned log2_of(uint64_t x) { return (unsigned)(63 - __builtin_clzll(x)); }

int kw_grid_make(const kw_dataset *dataset, kw_grid *grid, kw_error *err) {
    const struct kw_layout_info *info = dataset->info;
    uint64_t nbytes = info->element_len;
    bool fits = true;
    *grid = (kw_grid){.rank = dataset->rank, .shape = dataset->shape, .chunk = info->chunk, .total = 1,
                      .chunk_len = info->element_len};
    if (dataset->rank == 0 || dataset->rank > KW_RANK_MAX || info->chunk_rank != dataset->rank) {
        return kw_fail(err, KW_CORRUPT, info->index_at, "chunks of rank %u for a dataset of rank %u",
                       (unsigned)info->chunk_rank, (unsigned)dataset->rank);
    }
    for (unsigned d = 0; d < grid->rank && fits; d++) {
        uint64_t shape = dataset->shape[d], chunk = info->chunk[d], most = info->max_shape[d];
        if (chunk == 0 || most < shape) {
            return kw_fail(err, KW_CORRUPT, info->index_at,
                           "dimension %u: %llu elements in chunks of %llu, at most %llu", d,
                           (unsigned long long)shape, (unsigned long long)chunk, (unsigned long long)most);
        }
        grid->counts[d] = divide_up(shape, chunk);
        grid->max_counts[d] = most == UINT64_MAX ? UINT64_MAX : divide_up(most, chunk);
        fits = kw_mul(nbytes, shape, &nbytes) && kw_mul(grid->chunk_len, chunk, &grid->chunk_len) &&
               kw_mul(grid->total, grid->counts[d], &grid->total);
    }
    if (!fits || nbytes != dataset->nbytes || grid->chunk_len == 0 || grid->chunk_len > UINT32_MAX) {
        return kw_fail(err, KW_CORRUPT, info->index_at, "chunks do not fit the shape and type of the dataset");
    }
    return 0;
}

void kw_grid_place(const kw_grid *grid, uint64_t number, uint64_t *place) {
    for (unsigned d = grid->rank; d > 0; d--) {
        place[d - 1] = number % grid->counts[d - 1];
        number /= grid->counts[d - 1];
    }
}

bool kw_chunk_is_filtered(const kw_dataset *dataset, const kw_grid *grid, const uint64_t *place) {
    enum { EDGE_UNFILTERED = 1 };
    if (dataset->info->filter_count == 0) return false;
    if (!(dataset->info->chunk_flags & EDGE_UNFILTERED)) return true;
    for (unsigned d = 0; d < grid->rank; d++) {
        if (place[d] == grid->counts[d] - 1 && grid->shape[d] % grid->chunk[d] != 0) return false;
    }
    return true;
}

/* Notes the chunk at `place` (coordinates in chunks); one outside the present
 * shape is left over from a greater one.  `at` is the entry.  0, or -1. */
static int add(finder *f, const uint64_t *place, uint64_t off, uint64_t len, uint32_t mask, uint64_t at,
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
    finder *f = context;
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
    return add(f, place, child, len, mask, key.off, err);
}

/* Reads an element: address, and when filtered its length and mask.  False for a
 * chunk that is not stored. */
static bool take_element(const finder *f, kw_cursor *c, unsigned len_width, uint64_t *off, uint64_t *len,
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

/* The width of an element's length when the element has `element_len` bytes, 0
 * when it cannot have. */
static unsigned length_width(const finder *f, size_t element_len) {
    size_t fixed = (size_t)f->sizes->offset_len + MASK_LEN;
    return element_len > fixed && element_len - fixed <= 8 ? (unsigned)(element_len - fixed) : 0;
}

/* A record of a version 2 B-tree: element, coordinates in chunks. */
static int add_btree2(void *context, kw_view record, kw_error *err) {
    finder *f = context;
    kw_cursor c = kw_cursor_of(record);
    size_t place_len = 8u * f->grid->rank;
    uint64_t place[KW_RANK_MAX], off, len;
    uint32_t mask;
    unsigned width = record.len > place_len ? length_width(f, record.len - place_len) : 0;
    bool filtered = f->info->filter_count > 0;
    if (filtered ? width == 0 : record.len != f->sizes->offset_len + place_len) {
        return kw_fail(err, KW_CORRUPT, record.off, "chunk record of %zu bytes", record.len);
    }
    bool stored = take_element(f, &c, width, &off, &len, &mask);
    for (unsigned d = 0; d < f->grid->rank; d++) place[d] = kw_cursor_u64(&c);
    if (c.short_) return kw_fail(err, KW_CORRUPT, record.off, "chunk record");
    return stored ? add(f, place, off, len, mask, record.off, err) : 0;
}

/* Takes `count` elements, the first of which has the number `index` in the
 * array.  0, or -1. */
static int add_elements(finder *f, kw_cursor *c, uint64_t index, uint64_t count, kw_error *err) {
    const kw_grid *grid = f->grid;
    unsigned width = length_width(f, f->element_len);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place[KW_RANK_MAX], off, len, rest = index + i, at = kw_cursor_at(c);
        uint32_t mask;
        bool stored = take_element(f, c, width, &off, &len, &mask);
        if (c->short_) return kw_fail(err, KW_CORRUPT, at, "array of chunks is cut short");
        if (!stored) continue;
        for (unsigned k = grid->rank - 1; k > 0; k--) {
            uint64_t most = grid->max_counts[f->order[k]];
            place[f->order[k]] = rest % most;
            rest /= most;
        }
        place[f->order[0]] = rest;
        if (add(f, place, off, len, mask, at, err) != 0) return -1;
    }
    return 0;
}

/* Opens a block of an array: signature, version 0, client (1 when filtered).
 * The checksum at its end must be right.  0, or -1. */
static int open_array_block(const finder *f, kw_view view, const char *signature, kw_cursor *c, kw_error *err) {
    *c = kw_cursor_of(view);
    if (!kw_view_starts(view, signature, SIGNATURE_LEN)) {
        return kw_fail(err, KW_CORRUPT, view.off, "signature %s expected", signature);
    }
    if (kw_hdf5_checksum_verify(view, signature, err) != 0) return -1;
    kw_cursor_skip(c, SIGNATURE_LEN);
    unsigned version = kw_cursor_u8(c), client = kw_cursor_u8(c);
    if (version != 0) return kw_fail(err, KW_UNSUPPORTED, view.off, "%s of version %u", signature, version);
    if (client != (f->info->filter_count > 0)) {
        return kw_fail(err, KW_CORRUPT, view.off, "%s is for other chunks (client %u)", signature, client);
    }
    return 0;
}

/* Loads and opens a block that belongs to the array's header.  0, or -1. */
static int load_array_block(finder *f, kw_block *block, uint64_t at, uint64_t len, const char *signature, kw_cursor *c,
                            kw_error *err) {
    kw_view view;
    if (kw_block_load(f->hdf5, f->ledger, block, at, len, &view, err) != 0) return -1;
    if (open_array_block(f, view, signature, c, err) != 0) return -1;
    if (kw_cursor_address(c, f->sizes) != f->info->index_at) {
        return kw_fail(err, KW_CORRUPT, at, "%s belongs to another array", signature);
    }
    return 0;
}

/* Notes the length of an array's elements; 0, or -1 when it cannot be. */
static int set_element_len(finder *f, unsigned len, uint64_t at, kw_error *err) {
    f->element_len = len;
    if (f->info->filter_count > 0 ? length_width(f, len) == 0 : len != f->sizes->offset_len) {
        return kw_fail(err, KW_CORRUPT, at, "array elements of %u bytes", len);
    }
    return 0;
}

/* The bit of page `i`, the first being the highest of its byte. */
static bool page_is_written(const uint8_t *bits, uint64_t i) { return bits[i / 8] & (0x80u >> (i % 8)); }

/* Takes a page: `count` elements and their checksum.  0, or -1. */
static int add_page(finder *f, kw_block *block, uint64_t at, uint64_t index, uint64_t count, kw_error *err) {
    kw_view view;
    uint64_t len;
    if (!kw_mul(count, f->element_len, &len) || !kw_add(len, CHECKSUM_LEN, &len)) len = UINT64_MAX;
    if (kw_block_load(f->hdf5, f->ledger, block, at, len, &view, err) != 0) return -1;
    if (kw_hdf5_checksum_verify(view, "page of chunk addresses", err) != 0) return -1;
    kw_cursor c = kw_cursor_of(view);
    return add_elements(f, &c, index, count, err);
}

/* Takes the pages of a data block of `count` elements that starts with `index`;
 * the first page lies at `at`.  `bits` tells, from `bit` on, which were written.
 * 0, or -1. */
static int add_pages(finder *f, uint64_t at, uint64_t index, uint64_t count, unsigned page_bits, const uint8_t *bits,
                     uint64_t bit, kw_error *err) {
    uint64_t most = UINT64_C(1) << page_bits, page_len;
    kw_block page = KW_BLOCK_EMPTY;
    int result = 0;
    if (!kw_mul(most, f->element_len, &page_len) || !kw_add(page_len, CHECKSUM_LEN, &page_len)) {
        return kw_fail(err, KW_CORRUPT, at, "pages of 2^%u chunk addresses", page_bits);
    }
    for (uint64_t done = 0; done < count && result == 0; done += most, bit++) {
        uint64_t here = count - done < most ? count - done : most;
        if (page_is_written(bits, bit)) result = add_page(f, &page, at, index + done, here, err);
        if (!kw_add(at, page_len, &at)) at = KW_NOWHERE;
    }
    kw_block_free(&page);
    return result;
}

/* The fixed array's data block: elements, or a bit map of pages and the pages. */
static int add_fixed_block(finder *f, uint64_t at, uint64_t count, unsigned page_bits, kw_error *err) {
    bool paged = count > UINT64_C(1) << page_bits;
    uint64_t pages = paged ? divide_up(count, UINT64_C(1) << page_bits) : 0;
    uint64_t len = SIGNATURE_LEN + 2 + f->sizes->offset_len + CHECKSUM_LEN, body = divide_up(pages, 8);
    kw_block block = KW_BLOCK_EMPTY;
    kw_cursor c;
    int result = -1;
    if (!paged && !kw_mul(count, f->element_len, &body)) body = UINT64_MAX;
    if (!kw_add(len, body, &len)) len = UINT64_MAX;
    if (load_array_block(f, &block, at, len, "FADB", &c, err) != 0) goto done;
    if (paged) {
        const uint8_t *bits = kw_cursor_take(&c, (size_t)body);
        result = bits == NULL ? kw_fail(err, KW_CORRUPT, at, "FADB")
                              : add_pages(f, at + len, 0, count, page_bits, bits, 0, err);
    } else {
        result = add_elements(f, &c, 0, count, err);
    }
done:
    kw_block_free(&block);
    return result;
}

/* Chunks of a dataset that cannot grow. */
static int find_fixed(finder *f, kw_error *err) {
    uint64_t at = f->info->index_at, most = 1;
    uint64_t len = SIGNATURE_LEN + 4u + f->sizes->length_len + f->sizes->offset_len + CHECKSUM_LEN;
    kw_block block = KW_BLOCK_EMPTY;
    kw_view view;
    kw_cursor c;
    int result = -1;
    for (unsigned d = 0; d < f->grid->rank; d++) {
        f->order[d] = d;
        if (!kw_mul(most, f->grid->max_counts[d], &most)) return kw_fail(err, KW_CORRUPT, at, "fixed array too great");
    }
    if (kw_block_load(f->hdf5, f->ledger, &block, at, len, &view, err) != 0) goto done;
    if (open_array_block(f, view, "FAHD", &c, err) != 0) goto done;
    if (set_element_len(f, kw_cursor_u8(&c), at, err) != 0) goto done;
    unsigned page_bits = kw_cursor_u8(&c);
    uint64_t count = kw_cursor_length(&c, f->sizes), block_at = kw_cursor_address(&c, f->sizes);
    if (c.short_ || page_bits > 63 || count != most) {
        (void)kw_fail(err, KW_CORRUPT, at, "fixed array of %llu chunks for a grid of %llu", (unsigned long long)count,
                      (unsigned long long)most);
        goto done;
    }
    result = block_at == KW_NOWHERE ? 0 : add_fixed_block(f, block_at, count, page_bits, err);
done:
    kw_block_free(&block);
    return result;
}

/* The data blocks of level `i`: twice as many, or twice as great, as before. */
static level level_of(const extensible *e, unsigned i) {
    level l = {UINT64_C(1) << (i / 2), e->block_min << ((i + 1) / 2), 0};
    uint64_t page = UINT64_C(1) << e->page_bits;
    if (l.element_count > page) l.page_count = l.element_count / page;
    return l;
}

/* One data block; `bits` (with `bit` the first) tells which pages were written.
 * 0, or -1. */
static int add_extensible_block(finder *f, const extensible *e, level l, uint64_t at, uint64_t index,
                                const uint8_t *bits, uint64_t bit, kw_error *err) {
    uint64_t len = SIGNATURE_LEN + 2u + f->sizes->offset_len + e->offset_len + CHECKSUM_LEN, body = 0;
    kw_block block = KW_BLOCK_EMPTY;
    kw_cursor c;
    int result = -1;
    if (l.page_count == 0 && !kw_mul(l.element_count, f->element_len, &body)) body = UINT64_MAX;
    if (!kw_add(len, body, &len)) len = UINT64_MAX;
    if (load_array_block(f, &block, at, len, "EADB", &c, err) != 0) goto done;
    kw_cursor_skip(&c, e->offset_len);
    result = l.page_count == 0 ? add_elements(f, &c, index, l.element_count, err)
                               : add_pages(f, at + len, index, l.element_count, e->page_bits, bits, bit, err);
done:
    kw_block_free(&block);
    return result;
}

/* The data blocks of one level, whose addresses come next in `c`; `bits` is NULL
 * where no page can be.  0, or -1. */
static int add_level(finder *f, const extensible *e, level l, kw_cursor *c, uint64_t index, const uint8_t *bits,
                     kw_error *err) {
    for (uint64_t b = 0; b < l.block_count; b++) {
        uint64_t entry = kw_cursor_at(c), at = kw_cursor_address(c, f->sizes);
        if (c->short_) return kw_fail(err, KW_CORRUPT, entry, "addresses of data blocks are cut short");
        if (at == KW_NOWHERE) continue;
        if (l.page_count > 0 && bits == NULL) return kw_fail(err, KW_CORRUPT, entry, "pages in the index block");
        uint64_t first = index + b * l.element_count;
        if (add_extensible_block(f, e, l, at, first, bits, b * l.page_count, err) != 0) return -1;
    }
    return 0;
}

/* A super block: the written pages and the addresses of one level.  0, or -1. */
static int add_super_block(finder *f, const extensible *e, level l, uint64_t at, uint64_t index, kw_error *err) {
    uint64_t len = SIGNATURE_LEN + 2u + f->sizes->offset_len + e->offset_len + CHECKSUM_LEN;
    uint64_t bits_len = l.block_count * divide_up(l.page_count, 8), addresses_len;
    kw_block block = KW_BLOCK_EMPTY;
    kw_cursor c;
    int result = -1;
    if (!kw_mul(l.block_count, f->sizes->offset_len, &addresses_len) || !kw_add(len, bits_len, &len) ||
        !kw_add(len, addresses_len, &len)) {
        len = UINT64_MAX;
    }
    if (load_array_block(f, &block, at, len, "EASB", &c, err) != 0) goto done;
    kw_cursor_skip(&c, e->offset_len);
    const uint8_t *bits = kw_cursor_take(&c, (size_t)bits_len);
    result = add_level(f, e, l, &c, index, bits, err);
done:
    kw_block_free(&block);
    return result;
}

/* The index block: the first elements, then the levels.  0, or -1. */
static int add_index_block(finder *f, const extensible *e, uint64_t at, kw_error *err) {
    uint64_t direct = 2 * (e->pointers_min - 1), index = e->index_count;
    uint64_t len = SIGNATURE_LEN + 2u + f->sizes->offset_len + (uint64_t)e->index_count * f->element_len +
                   (direct + e->super_count - e->direct_count) * f->sizes->offset_len + CHECKSUM_LEN;
    kw_block block = KW_BLOCK_EMPTY;
    kw_cursor c;
    int result = load_array_block(f, &block, at, len, "EAIB", &c, err);
    if (result == 0) result = add_elements(f, &c, 0, e->index_count, err);
    for (unsigned i = 0; i < e->super_count && result == 0; i++) {
        level l = level_of(e, i);
        if (i < e->direct_count) {
            result = add_level(f, e, l, &c, index, NULL, err);
        } else {
            uint64_t entry = kw_cursor_at(&c), super_at = kw_cursor_address(&c, f->sizes);
            if (c.short_) result = kw_fail(err, KW_CORRUPT, entry, "addresses of super blocks are cut short");
            else if (super_at != KW_NOWHERE) result = add_super_block(f, e, l, super_at, index, err);
        }
        index += l.block_count * l.element_count;
    }
    kw_block_free(&block);
    return result;
}

/* Reads the numbers of the header and what follows from them.  False when they
 * cannot be. */
static bool take_extensible(kw_cursor *c, extensible *e) {
    e->max_bits = kw_cursor_u8(c);
    e->index_count = kw_cursor_u8(c);
    e->block_min = kw_cursor_u8(c);
    e->pointers_min = kw_cursor_u8(c);
    e->page_bits = kw_cursor_u8(c);
    if (c->short_ || !is_power_of_two(e->block_min) || !is_power_of_two(e->pointers_min)) return false;
    e->block_min_bits = log2_of(e->block_min);
    /* Numbers of elements then stay below 2^64. */
    if (e->pointers_min < 2 || e->max_bits > 62 || e->max_bits < e->block_min_bits || e->page_bits > 62) return false;
    e->offset_len = (e->max_bits + 7u) / 8;
    e->super_count = 1 + e->max_bits - e->block_min_bits;
    e->direct_count = 2 * log2_of(e->pointers_min);
    return e->direct_count <= e->super_count;
}

/* The order of dimensions in an extensible array: the one that is unlimited is
 * the slowest.  False unless there is exactly one. */
static bool order_dimensions(finder *f) {
    unsigned next = 1, unlimited = 0;
    for (unsigned d = 0; d < f->grid->rank; d++) {
        if (f->grid->max_counts[d] == UINT64_MAX) {
            f->order[0] = d;
            unlimited++;
        } else if (next < KW_RANK_MAX) {
            f->order[next++] = d;
        }
    }
    return unlimited == 1;
}

/* Chunks of a dataset that can grow in one dimension. */
static int find_extensible(finder *f, kw_error *err) {
    enum { STATISTICS = 6 };
    uint64_t at = f->info->index_at;
    uint64_t len = SIGNATURE_LEN + 8u + CHECKSUM_LEN + f->sizes->offset_len;
    kw_block block = KW_BLOCK_EMPTY;
    kw_view view;
    kw_cursor c;
    extensible e;
    int result = -1;
    len += (uint64_t)STATISTICS * f->sizes->length_len;
    if (!order_dimensions(f)) return kw_fail(err, KW_CORRUPT, at, "extensible array, but not one unlimited dimension");
    if (kw_block_load(f->hdf5, f->ledger, &block, at, len, &view, err) != 0) goto done;
    if (open_array_block(f, view, "EAHD", &c, err) != 0) goto done;
    if (set_element_len(f, kw_cursor_u8(&c), at, err) != 0) goto done;
    if (!take_extensible(&c, &e)) {
        (void)kw_fail(err, KW_CORRUPT, at, "numbers of the extensible array");
        goto done;
    }
    kw_cursor_skip(&c, (size_t)STATISTICS * f->sizes->length_len);
    uint64_t index_block = kw_cursor_address(&c, f->sizes);
    result = index_block == KW_NOWHERE ? 0 : add_index_block(f, &e, index_block, err);
done:
    kw_block_free(&block);
    return result;
}

/* The one chunk, which the layout message describes itself. */
static int find_single(finder *f, kw_error *err) {
    enum { SINGLE_FILTERED = 2 };
    uint64_t place[KW_RANK_MAX] = {0};
    bool filtered = f->info->chunk_flags & SINGLE_FILTERED;
    return add(f, place, f->info->index_at, filtered ? f->info->single_len : f->grid->chunk_len,
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
static int find_implicit(const finder *f, kw_chunks *out, kw_error *err) {
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
static int put_in_order(finder *f, kw_error *err) {
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
static int find(finder *f, kw_chunks *out, kw_error *err) {
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
        return find_fixed(f, err);
    case KW_CHUNK_EXTENSIBLE_ARRAY:
        return find_extensible(f, err);
    case KW_CHUNK_BTREE2:
    default: /* others were refused where the layout was read */
        return kw_btree2_walk(f->hdf5, f->ledger, at, f->info->filter_count > 0 ? RECORD_FILTERED : RECORD_PLAIN, 0,
                              add_btree2, f, err);
    }
}

int kw_chunks_find(kw_hdf5 *hdf5, const kw_dataset *dataset, const kw_grid *grid, kw_ledger *ledger, kw_chunks *out,
                   kw_error *err) {
    kw_ledger own = KW_LEDGER_EMPTY;
    finder f = {.hdf5 = hdf5, .dataset = dataset, .info = dataset->info, .sizes = &hdf5->more->sizes, .grid = grid};
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
