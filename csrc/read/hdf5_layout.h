/* hdf5_layout.h -- what the object header says about a dataset's storage:
 * filled by hdf5_object (the messages), used by hdf5_chunk (finding the bytes).
 *
 * Specification IV.A.2.i (Data Layout), IV.A.2.l (Filter Pipeline),
 * IV.A.2.f (Fill Value).
 */
#ifndef KW_READ_HDF5_LAYOUT_H
#define KW_READ_HDF5_LAYOUT_H

#include "base/view.h"
#include "read/hdf5.h"

#define KW_RANK_MAX 32
#define KW_FILTERS_MAX 32

typedef struct kw_filter {
    uint16_t id;
    uint16_t flags;
    uint32_t value_count;
    const uint32_t *values; /* client data, in the arena */
    const char *name;       /* NULL when not stored */
} kw_filter;

typedef enum kw_chunk_index {
    KW_CHUNK_BTREE1 = 0, /* layout v1 to v3 */
    KW_CHUNK_SINGLE = 1, /* layout v4: the numbers of the specification */
    KW_CHUNK_IMPLICIT = 2,
    KW_CHUNK_FIXED_ARRAY = 3,
    KW_CHUNK_EXTENSIBLE_ARRAY = 4,
    KW_CHUNK_BTREE2 = 5
} kw_chunk_index;

struct kw_layout_info {
    uint8_t version;     /* of the layout message */
    uint8_t class_;      /* 0 compact, 1 contiguous, 2 chunked, 3 virtual */
    uint8_t index;       /* kw_chunk_index */
    uint8_t chunk_flags; /* layout v4 */
    uint8_t params[8];   /* layout v4: the index's own parameters, in the specification's order */
    uint8_t chunk_rank;  /* without the element dimension */
    const uint64_t *chunk;           /* elements a chunk, per dimension */
    const uint64_t *max_shape;       /* of the dataspace; UINT64_MAX unlimited */
    uint64_t element_len;            /* bytes of one element in the file */
    uint64_t index_at;               /* address of the index (or of the single chunk), absolute in the source; KW_NOWHERE unallocated */
    uint64_t single_len;             /* single chunk with filters: its stored size */
    uint32_t single_mask;            /* and its filter mask */
    uint64_t contiguous_len;         /* class 1: the size the message declares */
    uint8_t filter_count;
    const kw_filter *filters;
    kw_view fill; /* fill value bytes (in the arena), len 0 when undefined or default */
};

/* Sizes and helpers shared by the hdf5_*.c files. */
typedef struct kw_hdf5_sizes {
    uint8_t offset_len; /* "size of offsets": 2, 4, 8 */
    uint8_t length_len; /* "size of lengths" */
    uint64_t base;      /* added to each address */
} kw_hdf5_sizes;

#endif
