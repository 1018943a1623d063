/* hdf5_array.c -- chunks in an array: by number, in the grid of the greatest shape.
 *
 *     fixed array       FAHD --> FADB: elements, or pages of them
 *     extensible array  EAHD --> EAIB: elements, --> EADB ..., --> EASB --> EADB ...
 *                       the unlimited dimension is the slowest
 *
 * HDF5 File Format Specification v3.0: VII.C (fixed array), VII.D (extensible array).
 */
#include "read/hdf5_checksum.h"
#include "read/hdf5_finder.h"

enum { SIGNATURE_LEN = 4, CHECKSUM_LEN = 4 };

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

static bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

static unsigned log2_of(uint64_t x) { return (unsigned)(63 - __builtin_clzll(x)); }

/* Takes `count` elements, the first of which has the number `index` in the
 * array.  0, or -1. */
static int add_elements(kw_finder *f, kw_cursor *c, uint64_t index, uint64_t count, kw_error *err) {
    const kw_grid *grid = f->grid;
    unsigned width = kw_element_length_width(f, f->element_len);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place[KW_RANK_MAX], off, len, rest = index + i, at = kw_cursor_at(c);
        uint32_t mask;
        bool stored = kw_element_take(f, c, width, &off, &len, &mask);
        if (c->short_) return kw_fail(err, KW_CORRUPT, at, "array of chunks is cut short");
        if (!stored) continue;
        for (unsigned k = grid->rank - 1; k > 0; k--) {
            uint64_t most = grid->max_counts[f->order[k]];
            place[f->order[k]] = rest % most;
            rest /= most;
        }
        place[f->order[0]] = rest;
        if (kw_finder_add(f, place, off, len, mask, at, err) != 0) return -1;
    }
    return 0;
}

/* Opens a block of an array: signature, version 0, client (1 when filtered).
 * The checksum at its end must be right.  0, or -1. */
static int open_array_block(const kw_finder *f, kw_view view, const char *signature, kw_cursor *c, kw_error *err) {
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
static int load_array_block(kw_finder *f, kw_block *block, uint64_t at, uint64_t len, const char *signature,
                            kw_cursor *c, kw_error *err) {
    kw_view view;
    if (kw_block_load(f->hdf5, f->ledger, block, at, len, &view, err) != 0) return -1;
    if (open_array_block(f, view, signature, c, err) != 0) return -1;
    if (kw_cursor_address(c, f->sizes) != f->info->index_at) {
        return kw_fail(err, KW_CORRUPT, at, "%s belongs to another array", signature);
    }
    return 0;
}

/* Notes the length of an array's elements; 0, or -1 when it cannot be. */
static int set_element_len(kw_finder *f, unsigned len, uint64_t at, kw_error *err) {
    f->element_len = len;
    if (f->info->filter_count > 0 ? kw_element_length_width(f, len) == 0 : len != f->sizes->offset_len) {
        return kw_fail(err, KW_CORRUPT, at, "array elements of %u bytes", len);
    }
    return 0;
}

/* The bit of page `i`, the first being the highest of its byte. */
static bool page_is_written(const uint8_t *bits, uint64_t i) { return bits[i / 8] & (0x80u >> (i % 8)); }

/* Takes a page: `count` elements and their checksum.  0, or -1. */
static int add_page(kw_finder *f, kw_block *block, uint64_t at, uint64_t index, uint64_t count, kw_error *err) {
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
static int add_pages(kw_finder *f, uint64_t at, uint64_t index, uint64_t count, unsigned page_bits, const uint8_t *bits,
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
static int add_fixed_block(kw_finder *f, uint64_t at, uint64_t count, unsigned page_bits, kw_error *err) {
    bool paged = count > UINT64_C(1) << page_bits;
    uint64_t pages = paged ? kw_divide_up(count, UINT64_C(1) << page_bits) : 0;
    uint64_t len = SIGNATURE_LEN + 2 + f->sizes->offset_len + CHECKSUM_LEN, body = kw_divide_up(pages, 8);
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

int kw_fixed_array_find(kw_finder *f, kw_error *err) {
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
static int add_extensible_block(kw_finder *f, const extensible *e, level l, uint64_t at, uint64_t index,
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
static int add_level(kw_finder *f, const extensible *e, level l, kw_cursor *c, uint64_t index, const uint8_t *bits,
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
static int add_super_block(kw_finder *f, const extensible *e, level l, uint64_t at, uint64_t index, kw_error *err) {
    uint64_t len = SIGNATURE_LEN + 2u + f->sizes->offset_len + e->offset_len + CHECKSUM_LEN;
    uint64_t bits_len = l.block_count * kw_divide_up(l.page_count, 8), addresses_len;
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
static int add_index_block(kw_finder *f, const extensible *e, uint64_t at, kw_error *err) {
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
static bool order_dimensions(kw_finder *f) {
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

int kw_extensible_array_find(kw_finder *f, kw_error *err) {
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
