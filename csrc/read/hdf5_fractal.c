/* hdf5_fractal.c -- the fractal heap: small objects in blocks of growing size.
 *
 *   FRHP   |ver|ID length|..|flags|..| huge: |B-tree| ..| table: |width|start|max direct|bits|..|root|rows|
 *   FHIB   rows of blocks, `width` in each: row 0 and 1 of the start size, then twice as large with each row;
 *          rows too large for direct blocks hold indirect ones
 *   FHDB   |ver|heap|offset|checksum?| objects ...      offsets in the heap count this head, too
 *   ID     |managed: offset, length|   |huge: address, length or key|   |tiny: the object itself|
 *
 * All indirect blocks are read when the heap is opened, a direct one at its
 * first use; each is claimed once.
 *
 * HDF5 File Format Specification v3.0, III.G.
 */
#include <stdlib.h>
#include <string.h>

#include "read/hdf5_btree.h"
#include "read/hdf5_checksum.h"
#include "read/hdf5_heap.h"

enum { ID_MANAGED = 0, ID_HUGE = 1, ID_TINY = 2, HEAP_CHECKED = 2, ROWS_MAX = 66 };

/* A direct block. */
typedef struct piece {
    uint64_t off, len; /* in the heap */
    uint64_t address;
    uint8_t *data; /* NULL until it is used */
    int failed;    /* KW_OK, or the code with which reading it failed */
} piece;

/* An indirect block that is to be read. */
typedef struct branch {
    uint64_t off, address;
    unsigned rows;
} branch;

typedef struct huge {
    uint64_t key, address, len;
} huge;

struct kw_fractal_heap {
    kw_hdf5 *hdf5;
    kw_arena arena; /* blocks that were used */
    uint16_t id_len;
    uint8_t flags;
    uint64_t address, huge_tree_at;
    uint64_t width, start_len, direct_max, root_at;
    unsigned bits, rows, direct_rows, offset_width, length_width;
    piece *pieces; /* by offset */
    size_t piece_count, piece_capacity;
    branch *branches;
    size_t branch_count, branch_capacity;
    huge *huges; /* by key, when IDs do not hold the address; read at the first use */
    size_t huge_count, huge_capacity;
    bool huges_read;
};

static bool is_power(uint64_t v) { return v != 0 && (v & (v - 1)) == 0; }
static unsigned log2_of(uint64_t v) { return 63u - (unsigned)__builtin_clzll(v); }

/* Size of the blocks of a row; UINT64_MAX when that does not fit. */
static uint64_t row_len(const kw_fractal_heap *heap, unsigned row) {
    unsigned shift = row == 0 ? 0 : row - 1;
    return shift < 64 && heap->start_len <= UINT64_MAX >> shift ? heap->start_len << shift : UINT64_MAX;
}

/* Checks the header's numbers and works out what follows from them. */
static int measure(kw_fractal_heap *heap, uint64_t object_max, kw_error *err) {
    if (!is_power(heap->width) || !is_power(heap->start_len) || !is_power(heap->direct_max) ||
        heap->start_len > heap->direct_max || heap->bits == 0 || heap->bits > 64 || heap->rows >= ROWS_MAX)
        return kw_fail(err, KW_CORRUPT, heap->address, "fractal heap geometry");
    heap->direct_rows = log2_of(heap->direct_max) - log2_of(heap->start_len) + 2;
    heap->offset_width = (heap->bits + 7) / 8;
    unsigned a = kw_width_of(heap->direct_max), b = kw_width_of(object_max);
    heap->length_width = a < b ? a : b;
    return 0;
}

/* Reads the header; 0 or -1. */
static int read_header(kw_fractal_heap *heap, kw_block *block, kw_error *err) {
    const kw_hdf5_sizes *sizes = &heap->hdf5->more->sizes;
    uint64_t len = 26 + 3ull * sizes->offset_len + 12ull * sizes->length_len;
    kw_view view;
    if (kw_block_load(heap->hdf5, &heap->hdf5->more->ledger, block, heap->address, len, &view, err) != 0) return -1;
    if (!kw_view_starts(view, "FRHP", 4)) return kw_fail(err, KW_CORRUPT, heap->address, "fractal heap signature");
    kw_cursor c = kw_cursor_of(view);
    kw_cursor_skip(&c, 4);
    if (kw_cursor_u8(&c) != 0) return kw_fail(err, KW_UNSUPPORTED, heap->address + 4, "fractal heap version");
    heap->id_len = kw_cursor_u16(&c);
    if (kw_cursor_u16(&c) != 0) return kw_fail(err, KW_UNSUPPORTED, heap->address + 7, "fractal heap with filters");
    if (kw_hdf5_checksum_verify(view, "fractal heap header", err) != 0) return -1;
    heap->flags = kw_cursor_u8(&c);
    uint64_t object_max = kw_cursor_u32(&c);
    kw_cursor_skip(&c, sizes->length_len);
    heap->huge_tree_at = kw_cursor_address(&c, sizes);
    kw_cursor_skip(&c, 9u * sizes->length_len + sizes->offset_len);
    heap->width = kw_cursor_u16(&c);
    heap->start_len = kw_cursor_length(&c, sizes);
    heap->direct_max = kw_cursor_length(&c, sizes);
    heap->bits = kw_cursor_u16(&c);
    kw_cursor_skip(&c, 2);
    heap->root_at = kw_cursor_address(&c, sizes);
    heap->rows = kw_cursor_u16(&c);
    return measure(heap, object_max, err);
}

/* ---- blocks ---- */

static int add_piece(kw_fractal_heap *heap, uint64_t off, uint64_t len, uint64_t address, kw_error *err) {
    if (kw_hdf5_spend(heap->hdf5, sizeof(piece), err) != 0) return -1;
    if (KW_GROW(heap->pieces, heap->piece_count, heap->piece_capacity, err) != 0) return -1;
    heap->pieces[heap->piece_count++] = (piece){.off = off, .len = len, .address = address};
    return 0;
}

static int add_branch(kw_fractal_heap *heap, branch b, kw_error *err) {
    if (KW_GROW(heap->branches, heap->branch_count, heap->branch_capacity, err) != 0) return -1;
    heap->branches[heap->branch_count++] = b;
    return 0;
}

/* Lists the blocks of one row of an indirect block; *off moves on. */
static int read_row(kw_fractal_heap *heap, kw_cursor *c, unsigned row, uint64_t *off, kw_error *err) {
    uint64_t len = row_len(heap, row), rows_log = log2_of(heap->start_len) + log2_of(heap->width);
    for (uint64_t i = 0; i < heap->width; i++) {
        uint64_t address = kw_cursor_address(c, &heap->hdf5->more->sizes);
        if (address != KW_NOWHERE && row < heap->direct_rows) {
            if (add_piece(heap, *off, len, address, err) != 0) return -1;
        } else if (address != KW_NOWHERE) {
            if (log2_of(len) < rows_log) return kw_fail(err, KW_CORRUPT, kw_cursor_at(c), "fractal heap row");
            branch b = {.off = *off, .address = address, .rows = (unsigned)(log2_of(len) - rows_log) + 1};
            if (add_branch(heap, b, err) != 0) return -1;
        }
        if (!kw_add(*off, len, off)) return kw_fail(err, KW_CORRUPT, kw_cursor_at(c), "fractal heap offset");
    }
    return 0;
}

/* Reads one indirect block. */
static int read_indirect(kw_fractal_heap *heap, branch b, kw_block *block, kw_error *err) {
    const kw_hdf5_sizes *sizes = &heap->hdf5->more->sizes;
    size_t head_len = 5u + sizes->offset_len + heap->offset_width;
    uint64_t len = head_len + b.rows * heap->width * sizes->offset_len + 4;
    kw_view view;
    if (kw_block_load(heap->hdf5, &heap->hdf5->more->ledger, block, b.address, len, &view, err) != 0) return -1;
    if (!kw_view_starts(view, "FHIB", 4))
        return kw_fail(err, KW_CORRUPT, b.address, "fractal heap indirect block signature");
    if (kw_hdf5_checksum_verify(view, "fractal heap indirect block", err) != 0) return -1;
    kw_cursor c = kw_cursor_of(view);
    kw_cursor_skip(&c, head_len);
    uint64_t off = b.off;
    for (unsigned row = 0; row < b.rows; row++)
        if (read_row(heap, &c, row, &off, err) != 0) return -1;
    return 0;
}

static int compare_pieces(const void *a, const void *b) {
    uint64_t x = ((const piece *)a)->off, y = ((const piece *)b)->off;
    return (x > y) - (x < y);
}

/* Lists all direct blocks; a damaged branch leaves out its own. */
static int list_pieces(kw_fractal_heap *heap, kw_block *block, kw_error *err) {
    if (heap->root_at == KW_NOWHERE) return 0;
    if (heap->rows == 0) return add_piece(heap, 0, heap->start_len, heap->root_at, err);
    int result = add_branch(heap, (branch){.address = heap->root_at, .rows = heap->rows}, err);
    while (result == 0 && heap->branch_count > 0) {
        kw_error cause;
        if (read_indirect(heap, heap->branches[--heap->branch_count], block, &cause) == 0) continue;
        if (!kw_error_is_fatal(&cause)) continue; /* objects in it will be missed by those who look for them */
        *err = cause;
        result = -1;
    }
    if (heap->piece_count > 1) qsort(heap->pieces, heap->piece_count, sizeof *heap->pieces, compare_pieces);
    return result;
}

int kw_fractal_heap_open(kw_hdf5 *hdf5, uint64_t address, kw_fractal_heap **out, kw_error *err) {
    kw_block block = KW_BLOCK_EMPTY;
    kw_fractal_heap *heap = calloc(1, sizeof *heap);
    *out = NULL;
    if (heap == NULL) return kw_fail_memory(err);
    heap->hdf5 = hdf5;
    heap->address = address;
    int result = read_header(heap, &block, err);
    if (result == 0) result = list_pieces(heap, &block, err);
    kw_block_free(&block);
    if (result == 0) *out = heap;
    else kw_fractal_heap_close(heap);
    return result;
}

void kw_fractal_heap_close(kw_fractal_heap *heap) {
    if (heap == NULL) return;
    free(heap->pieces);
    free(heap->branches);
    free(heap->huges);
    kw_arena_free(&heap->arena);
    free(heap);
}

/* ---- objects ---- */

/* Reads [address, address + len) into the heap's arena, claimed. */
static uint8_t *keep_block(kw_fractal_heap *heap, uint64_t address, uint64_t len, kw_error *err) {
    kw_block block = KW_BLOCK_EMPTY;
    kw_view view;
    uint8_t *data = NULL;
    if (kw_block_load(heap->hdf5, &heap->hdf5->more->ledger, &block, address, len, &view, err) == 0) {
        data = kw_arena_alloc(&heap->arena, view.len);
        if (data != NULL) memcpy(data, view.data, view.len);
        else kw_fail_memory(err);
    }
    kw_block_free(&block);
    return data;
}

/* Reads a direct block; 0 or -1. */
static int load_piece(kw_fractal_heap *heap, piece *p, kw_error *err) {
    size_t head_len = 5u + heap->hdf5->more->sizes.offset_len + heap->offset_width;
    uint8_t *data = keep_block(heap, p->address, p->len, err);
    if (data == NULL) return -1;
    kw_view view = {.data = data, .len = (size_t)p->len, .off = p->address};
    if (!kw_view_starts(view, "FHDB", 4) || view.len < head_len + 4)
        return kw_fail(err, KW_CORRUPT, p->address, "fractal heap direct block signature");
    if (heap->flags & HEAP_CHECKED) {
        kw_cursor c = kw_cursor_of(view);
        kw_cursor_skip(&c, head_len);
        uint32_t stored = kw_cursor_u32(&c);
        memset(data + head_len, 0, 4); /* the checksum counts itself as zero */
        if (kw_hdf5_checksum(data, view.len) != stored)
            return kw_fail(err, KW_CHECKSUM, p->address, "fractal heap direct block");
    }
    p->data = data;
    return 0;
}

/* The direct block with the offset `off`, or NULL. */
static piece *find_piece(kw_fractal_heap *heap, uint64_t off) {
    size_t low = 0, high = heap->piece_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heap->pieces[middle].off <= off) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return NULL;
    piece *p = &heap->pieces[low - 1];
    return off - p->off < p->len ? p : NULL;
}

static int find_managed(kw_fractal_heap *heap, kw_cursor *c, uint64_t at, kw_view *out, kw_error *err) {
    uint64_t off = kw_cursor_uint(c, heap->offset_width), len = kw_cursor_uint(c, heap->length_width);
    piece *p = c->short_ ? NULL : find_piece(heap, off);
    if (p == NULL) return kw_fail(err, KW_CORRUPT, at, "fractal heap has no object there");
    if (p->failed != KW_OK) return kw_fail(err, p->failed, p->address, "fractal heap block of the object");
    if (p->data == NULL && load_piece(heap, p, err) != 0) {
        p->failed = err->code;
        return -1;
    }
    if (!kw_in_range(off - p->off, len, p->len)) return kw_fail(err, KW_CORRUPT, at, "fractal heap object is cut");
    *out = (kw_view){.data = p->data + (off - p->off), .len = (size_t)len, .off = p->address + (off - p->off)};
    return 0;
}

/* One record of the tree of huge objects: address, length, key. */
static int take_huge(void *context, kw_view record, kw_error *err) {
    kw_fractal_heap *heap = context;
    const kw_hdf5_sizes *sizes = &heap->hdf5->more->sizes;
    kw_cursor c = kw_cursor_of(record);
    if (KW_GROW(heap->huges, heap->huge_count, heap->huge_capacity, err) != 0) return -1;
    huge *h = &heap->huges[heap->huge_count++];
    h->address = kw_cursor_address(&c, sizes);
    h->len = kw_cursor_length(&c, sizes);
    h->key = kw_cursor_length(&c, sizes);
    return 0;
}

static int compare_huges(const void *a, const void *b) {
    uint64_t x = ((const huge *)a)->key, y = ((const huge *)b)->key;
    return (x > y) - (x < y);
}

/* Looks up a huge object by its key. */
static int find_by_key(kw_fractal_heap *heap, uint64_t key, uint64_t at, huge *out, kw_error *err) {
    const kw_hdf5_sizes *sizes = &heap->hdf5->more->sizes;
    if (!heap->huges_read) {
        heap->huges_read = true;
        if (kw_btree2_walk(heap->hdf5, &heap->hdf5->more->ledger, heap->huge_tree_at, 1,
                           sizes->offset_len + 2u * sizes->length_len, take_huge, heap, err) != 0)
            return -1;
        if (heap->huge_count > 1) qsort(heap->huges, heap->huge_count, sizeof *heap->huges, compare_huges);
    }
    huge wanted = {.key = key};
    const huge *found = NULL;
    if (heap->huge_count > 0)
        found = bsearch(&wanted, heap->huges, heap->huge_count, sizeof wanted, compare_huges);
    if (found == NULL) return kw_fail(err, KW_CORRUPT, at, "fractal heap has no huge object of that key");
    *out = *found;
    return 0;
}

static int find_huge(kw_fractal_heap *heap, kw_cursor *c, uint64_t at, kw_view *out, kw_error *err) {
    const kw_hdf5_sizes *sizes = &heap->hdf5->more->sizes;
    huge h = {0};
    if (heap->id_len > (unsigned)sizes->offset_len + sizes->length_len) { /* the ID has room for the place itself */
        h.address = kw_cursor_address(c, sizes);
        h.len = kw_cursor_length(c, sizes);
    } else {
        unsigned width = heap->id_len - 1u < 8u ? heap->id_len - 1u : 8u;
        uint64_t key = kw_cursor_uint(c, width);
        if (c->short_) return kw_fail(err, KW_CORRUPT, at, "fractal heap ID is cut");
        if (find_by_key(heap, key, at, &h, err) != 0) return -1;
    }
    if (c->short_) return kw_fail(err, KW_CORRUPT, at, "fractal heap ID is cut");
    uint8_t *data = keep_block(heap, h.address, h.len, err);
    if (data == NULL) return -1;
    *out = (kw_view){.data = data, .len = (size_t)h.len, .off = h.address};
    return 0;
}

static int find_tiny(kw_fractal_heap *heap, kw_cursor *c, uint8_t first, uint64_t at, kw_view *out, kw_error *err) {
    size_t len = first & 15u;
    if (heap->id_len > 17) len = len << 8 | kw_cursor_u8(c);
    kw_view view = kw_cursor_view(c, len + 1);
    if (c->short_) return kw_fail(err, KW_CORRUPT, at, "fractal heap ID is cut");
    uint8_t *data = kw_arena_alloc(&heap->arena, view.len);
    if (data == NULL) return kw_fail_memory(err);
    memcpy(data, view.data, view.len);
    *out = (kw_view){.data = data, .len = view.len, .off = view.off};
    return 0;
}

int kw_fractal_heap_find(kw_fractal_heap *heap, kw_view id, kw_view *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(id);
    uint8_t first = kw_cursor_u8(&c);
    if (first >> 6 != 0 || heap->id_len == 0) return kw_fail(err, KW_CORRUPT, id.off, "fractal heap ID version");
    switch (first >> 4 & 3) {
    case ID_MANAGED: return find_managed(heap, &c, id.off, out, err);
    case ID_HUGE: return find_huge(heap, &c, id.off, out, err);
    case ID_TINY: return find_tiny(heap, &c, first, id.off, out, err);
    default: return kw_fail(err, KW_CORRUPT, id.off, "fractal heap ID type");
    }
}
