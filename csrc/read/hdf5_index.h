/* hdf5_index.h -- where the chunks of a dataset lie: one list, whichever of the
 * six indexes the file has.
 */
#ifndef KW_READ_HDF5_INDEX_H
#define KW_READ_HDF5_INDEX_H

#include "read/hdf5_private.h"

/* The dataset cut into chunks. */
typedef struct kw_grid {
    unsigned rank;
    const uint64_t *shape;            /* elements, per dimension */
    const uint64_t *chunk;            /* elements a chunk, per dimension */
    uint64_t counts[KW_RANK_MAX];     /* chunks that the shape has, per dimension */
    uint64_t max_counts[KW_RANK_MAX]; /* and that the greatest shape has; UINT64_MAX unlimited */
    uint64_t total;                   /* product of counts */
    uint64_t chunk_len;               /* bytes of a chunk before its filters */
} kw_grid;

typedef struct kw_chunk {
    uint64_t number; /* in the grid, in C order */
    uint64_t off, len; /* stored bytes: in the source, checked */
    uint32_t mask;   /* filters that were left out */
} kw_chunk;

typedef struct kw_chunks {
    kw_chunk *items;     /* by offset, none twice, none overlapping; NULL for an implicit index */
    size_t count;
    uint64_t implicit_at; /* an implicit index: chunks lie one after the other from here */
} kw_chunks;

/* Cuts a chunked dataset of more than 0 bytes.  KW_CORRUPT when the layout does
 * not fit the dataset's shape and type. */
int kw_grid_make(const kw_dataset *dataset, kw_grid *grid, kw_error *err);

/* The coordinates, in chunks, of chunk `number`. */
void kw_grid_place(const kw_grid *grid, uint64_t number, uint64_t *place);

/* Finds every chunk that is stored; the blocks of the index are claimed in `ledger` (NULL: in one of the call's own).
 * 0 with *out to be freed by
 * kw_chunks_free; or -1: KW_CORRUPT, KW_CHECKSUM, KW_TRUNCATED, KW_OVERLAP, KW_MEMORY, KW1xx. */
int kw_chunks_find(kw_hdf5 *hdf5, const kw_dataset *dataset, const kw_grid *grid, kw_ledger *ledger, kw_chunks *out,
                   kw_error *err);
kw_chunk kw_chunks_get(const kw_chunks *chunks, const kw_grid *grid, size_t i);
void kw_chunks_free(kw_chunks *chunks);

/* True when the filters apply to this chunk: an option leaves out the chunks
 * that reach over the edge of the dataset. */
bool kw_chunk_is_filtered(const kw_dataset *dataset, const kw_grid *grid, const uint64_t *place);

#endif
