/* hdf5_finder.h -- what the searches of a chunk index share. */
#ifndef KW_READ_HDF5_FINDER_H
#define KW_READ_HDF5_FINDER_H

#include "read/hdf5_index.h"

/* Everything that one search needs. */
typedef struct kw_finder {
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
} kw_finder;

static inline uint64_t kw_divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

/* Notes the chunk at `place` (coordinates in chunks); one outside the present
 * shape is left over from a greater one.  `at` is the entry.  0, or -1. */
int kw_finder_add(kw_finder *f, const uint64_t *place, uint64_t off, uint64_t len, uint32_t mask, uint64_t at,
                  kw_error *err);

/* Reads an element: address, and when filtered its length and mask.  False for a
 * chunk that is not stored. */
bool kw_element_take(const kw_finder *f, kw_cursor *c, unsigned len_width, uint64_t *off, uint64_t *len,
                     uint32_t *mask);

/* The width of an element's length when the element has `element_len` bytes, 0
 * when it cannot have. */
unsigned kw_element_length_width(const kw_finder *f, size_t element_len);

/* Chunks of a dataset that cannot grow, and of one that can in one dimension.  0, or -1. */
int kw_fixed_array_find(kw_finder *f, kw_error *err);
int kw_extensible_array_find(kw_finder *f, kw_error *err);

#endif
