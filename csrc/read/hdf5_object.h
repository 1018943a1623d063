/* hdf5_object.h -- an object header becomes a kw_object: what its messages say,
 * its attributes (appended to the file's) and its links (appended to the walk's).
 */
#ifndef KW_READ_HDF5_OBJECT_H
#define KW_READ_HDF5_OBJECT_H

#include "read/hdf5_btree.h"
#include "read/hdf5_heap.h"
#include "read/hdf5_type.h"

/* Message types (section IV.A.2). */
enum {
    KW_MESSAGE_NIL = 0x00,
    KW_MESSAGE_SPACE = 0x01,
    KW_MESSAGE_LINK_INFO = 0x02,
    KW_MESSAGE_TYPE = 0x03,
    KW_MESSAGE_OLD_FILL = 0x04,
    KW_MESSAGE_FILL = 0x05,
    KW_MESSAGE_LINK = 0x06,
    KW_MESSAGE_EXTERNAL = 0x07,
    KW_MESSAGE_LAYOUT = 0x08,
    KW_MESSAGE_FILTERS = 0x0b,
    KW_MESSAGE_ATTRIBUTE = 0x0c,
    KW_MESSAGE_SHARED_TABLE = 0x0f,
    KW_MESSAGE_CONTINUATION = 0x10,
    KW_MESSAGE_SYMBOL_TABLE = 0x11,
    KW_MESSAGE_DRIVER = 0x14,
    KW_MESSAGE_ATTRIBUTE_INFO = 0x15,
    KW_MESSAGE_CACHE_IMAGE = 0x18,
    KW_MESSAGE_COUNT = 0x19
};

/* A link of a group that is not a node yet. */
typedef struct kw_link {
    const char *path; /* in the file's arena; the name is its tail */
    uint32_t name_off;
    kw_node_kind kind; /* GROUP: a hard link, to what is not known yet */
    uint64_t address;
    const char *target;
} kw_link;

/* A piece of an object header that a continuation message names. */
typedef struct kw_header_chunk {
    uint64_t off, len;
} kw_header_chunk;

/* What lives as long as the walk over a file. */
typedef struct kw_walk {
    kw_hdf5 *hdf5;
    kw_threads threads;
    bool parted; /* a group was walked by several */
    kw_block header;  /* of the object that is being read */
    kw_block segment; /* local heap */
    kw_block symbols; /* symbol table node */
    kw_global_heap heap;
    kw_addresses objects;  /* object header -> node, of the nodes before `indexed` */
    uint32_t indexed;
    bool damaged;          /* an object was met that may not have claimed its header */
    kw_link *links; /* of the groups above the current node: a stack */
    size_t link_count, link_capacity;
    kw_header_chunk *chunks; /* continuations of the current header */
    size_t chunk_count, chunk_capacity;
    kw_type *types; /* committed datatypes that messages refer to */
    size_t type_count, type_capacity;
    kw_addresses type_addresses;
    kw_ledger type_ledger; /* their headers: these may be nodes of the tree, too */
    struct kw_shared_table *shared; /* messages shared in a heap; NULL when the file has none */
} kw_walk;

/* The storage messages of one dataset. */
typedef struct kw_stored {
    struct kw_layout_info info; /* its arrays are the two below, until a dataset keeps copies */
    uint64_t chunk[KW_RANK_MAX];
    kw_filter filters[KW_FILTERS_MAX];
    uint64_t data_at, data_len; /* contiguous and compact; data_at KW_NOWHERE when never allocated */
} kw_stored;

typedef struct kw_object {
    uint32_t node;  /* KW_NONE: the superblock's extension */
    uint32_t has;   /* bit 1 << type for each message met */
    kw_fault fault; /* the first damage */
    kw_space space;
    kw_type type;
    kw_stored stored; /* valid with KW_MESSAGE_LAYOUT; fill and filters also without */
    uint64_t tree_at, heap_at;                   /* symbol table */
    uint64_t link_heap_at, link_tree_at;         /* dense links; KW_NOWHERE */
    uint64_t attribute_heap_at, attribute_tree_at; /* dense attributes; KW_NOWHERE */
    uint64_t shared_table_at;                    /* superblock extension */
    uint8_t shared_table_count;
    uint64_t cache_image_at;
} kw_object;

static inline bool kw_object_has(const kw_object *object, unsigned type) { return object->has >> type & 1; }

/* Reads the header at `address` and all it leads to (continuations, dense
 * attributes).  Damage is in object->fault; -1 only for fatal errors. */
int kw_object_read(kw_walk *walk, uint64_t address, kw_object *object, kw_error *err);

/* One message body, already unshared, that describes storage: layout, fill
 * value, filter pipeline. */
int kw_storage_read(kw_hdf5 *hdf5, unsigned type, kw_view message, kw_stored *stored, kw_error *err);

/* Appends the dataset that `object` describes; its faults are in it. */
int kw_dataset_add(kw_walk *walk, const kw_object *object, kw_error *err);

/* Appends an attribute from its message (type 0x0C). */
int kw_attribute_read(kw_walk *walk, kw_view message, kw_error *err);

/* The datatype of a shared message body; *out belongs to the walk's file. */
int kw_shared_type(kw_walk *walk, kw_view message, kw_type *out, kw_error *err);


#endif
