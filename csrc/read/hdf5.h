/* hdf5.h -- HDF5 structure, as the rest of the core sees it: a tree of objects
 * with attributes, walked without recursion, each metadata block claimed once.
 *
 * hdf5_file    superblock, finding the signature behind a user block
 * hdf5_tree    the steps of the walk over all objects, and finding them again
 * hdf5_parts   the walk: a large group's links by several threads
 * hdf5_object  object headers v1 and v2: chunks of messages
 * hdf5_storage layout, fill value and filter messages: a header becomes a dataset
 * hdf5_attribute, hdf5_shared  attribute messages; messages shared in a heap (SOHM)
 * hdf5_group   links: symbol tables (local heap, SNOD), link messages, dense links
 * hdf5_btree   walking B-trees of version 1 and 2
 * hdf5_heap, hdf5_fractal  local and global heap; fractal heap
 * hdf5_type    datatypes and dataspaces
 * hdf5_block, hdf5_addresses, hdf5_checksum  loading a block; a hash of addresses; lookup3
 * hdf5_extents which bytes datasets claim
 * hdf5_index   where the chunks of a dataset lie, all indexes
 * hdf5_chunk   the bytes of a dataset: kw_hdf5_read
 * hdf5_filter  shuffle, deflate, fletcher32, LZF
 * hdf5_foreign whether libhdf5's decoders can be given a chunk
 * hdf5_single  that chunk as a file of its own
 * libhdf5      what is left: szip, nbit, scale-offset, on such a file's image
 *
 * HDF5 File Format Specification v3.0; section numbers in the .c files.
 */
#ifndef KW_READ_HDF5_H
#define KW_READ_HDF5_H

#include "base/source.h"
#include "base/table.h"

typedef struct kw_hdf5 kw_hdf5;

typedef enum kw_node_kind {
    KW_NODE_GROUP,
    KW_NODE_DATASET,
    KW_NODE_TYPE,     /* a named datatype */
    KW_NODE_SOFT,     /* soft link: `target` */
    KW_NODE_EXTERNAL, /* external link: `target` is "file:path" */
    KW_NODE_USER,     /* user-defined link: `target` says of which kind */
    KW_NODE_ALIAS     /* hard link to an object seen already: `target` is its path */
} kw_node_kind;

/* One link of the tree.  Nodes are in an array, depth first, children of a
 * group in name order (as libhdf5 iterates them); parent < child. */
typedef struct kw_node {
    const char *name; /* the link's name; "" for the root */
    const char *path; /* full path without leading '/' */
    const char *target;
    uint32_t parent; /* KW_NONE for the root, which is node 0 */
    uint32_t next;   /* the node after this one's subtree */
    kw_node_kind kind;
    uint64_t address;       /* object header */
    uint32_t first_attr;    /* run of attributes */
    uint32_t attr_count;
    uint32_t dataset;       /* index into datasets, or KW_NONE */
    kw_fault fault;         /* the object (or its list of links) is damaged here */
} kw_node;

/* An attribute, decoded as far as Keras needs: lists of texts, scalars of text
 * or number.  Anything else is listed with kind KW_ATTR_OTHER. */
typedef enum kw_attr_kind { KW_ATTR_TEXT, KW_ATTR_INT, KW_ATTR_FLOAT, KW_ATTR_EMPTY, KW_ATTR_OTHER } kw_attr_kind;

typedef struct kw_attr {
    const char *name;
    kw_attr_kind kind;
    bool scalar;
    uint32_t count;     /* elements; an empty list (float64, shape (0,)) has 0 and kind KW_ATTR_EMPTY */
    const char **texts; /* KW_ATTR_TEXT: count of them, with lengths (a text may hold NUL) */
    const size_t *text_lens;
    int64_t integer; /* KW_ATTR_INT, first element */
    double number;   /* KW_ATTR_FLOAT, first element */
    kw_fault fault;
} kw_attr;

typedef struct kw_dataset {
    uint32_t node;
    const uint64_t *shape;
    uint8_t rank;
    uint8_t dtype; /* kw_dtype; opaque of 2 bytes is KW_DTYPE_BFLOAT16 */
    bool big_endian;
    bool opaque;             /* declared opaque (so bfloat16 is an inference) */
    bool claimed;            /* its bytes were claimed with the headers */
    uint8_t storage;         /* kw_storage */
    const char *type_text;   /* e.g. "compound of 3", when dtype is NONE */
    const char *filter_text; /* "shuffle, deflate"; NULL without filters */
    uint64_t nbytes;
    uint64_t off; /* contiguous and compact: in the source */
    uint64_t shared_at; /* contiguous: the first byte that something else claims too, or KW_NOWHERE */
    kw_fault fault;
    struct kw_layout_info *info; /* chunk index, filters, fill value: hdf5_chunk.c's */
} kw_dataset;

struct kw_hdf5 {
    kw_source *source;
    kw_arena arena;
    kw_node *nodes;
    uint32_t node_count;
    kw_attr *attrs;
    uint32_t attr_count;
    kw_dataset *datasets;
    uint32_t dataset_count;
    uint8_t superblock;  /* version */
    uint64_t base;       /* user block: bytes before the superblock */
    uint64_t end;        /* end of file that the superblock declares, absolute in the source */
    bool truncated;      /* source is shorter than `end` */
    bool interrupted;    /* the superblock was never finished: root header zeroed, or end is undefined/stale */
    kw_fault fault;      /* the walk could not even start at the root, or the superblock has a field that may not be */
    struct kw_hdf5_private *more; /* sizes, ledger, global heap cache */
};

/* How many threads a file is read by. */
typedef struct kw_threads {
    int count;    /* at most so many */
    size_t links; /* each of them gets so many links of a group, or more */
} kw_threads;

/* 0 with *out also for a damaged file: see fault, truncated, interrupted, and
 * the faults of nodes and datasets.  -1: KW_MEMORY, KW1xx, KW_NOT_WEIGHTS when
 * there is no HDF5 signature. */
int kw_hdf5_open(kw_source *source, kw_hdf5 **out, kw_error *err);
/* The same, which is the same whatever the threads. */
int kw_hdf5_open_by(kw_source *source, kw_threads threads, kw_hdf5 **out, kw_error *err);
void kw_hdf5_free(kw_hdf5 *hdf5);

/* kw_hdf5_find(hdf5, node, "vars"): a child by name, KW_NONE.  Binary search. */
uint32_t kw_hdf5_find(const kw_hdf5 *hdf5, uint32_t node, const char *name);
/* By a path of several names, relative to `node`. */
uint32_t kw_hdf5_find_path(const kw_hdf5 *hdf5, uint32_t node, const char *path);
/* An attribute of a node, NULL when absent. */
const kw_attr *kw_hdf5_attr(const kw_hdf5 *hdf5, uint32_t node, const char *name);

/* All bytes of a dataset, C order, native byte order, into out of nbytes.  Total
 * output of inflating is bounded by the declared chunk. */
int kw_hdf5_read(kw_hdf5 *hdf5, uint32_t dataset, void *out, kw_error *err);

/* True when that calls libhdf5, or a callback source's function: then only in the thread that calls it. */
bool kw_hdf5_is_for_one_thread(const kw_hdf5 *hdf5, uint32_t dataset);

/* What a second look at the whole file finds: see kw_hdf5_audit. */
typedef struct kw_audit {
    uint64_t unclaimed;                /* bytes that nothing claims: longer runs than libhdf5 leaves, all behind its end */
    uint64_t largest_off, largest_len; /* the longest run of them */
} kw_audit;

/* Looks at the chunks of a dataset, of which nothing is kept: the blocks of their
 * index and they themselves share no byte with anything, and their filters, but for
 * those that need libhdf5, can be undone.  Once only.  0, or -1 with what is wrong. */
int kw_hdf5_audit_dataset(kw_hdf5 *hdf5, uint32_t dataset, kw_error *err);

/* What nothing claims, when every dataset was looked at. */
kw_audit kw_hdf5_audit(const kw_hdf5 *hdf5);

#endif
