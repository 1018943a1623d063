/* keras.h -- an HDF5 tree as Keras means it: groups, slots and tensors.
 *
 * Strings and shapes that stand in the HDF5 tree are borrowed from it: a part's
 * tree lives as long as its file's table.
 */
#ifndef KW_READ_KERAS_H
#define KW_READ_KERAS_H

#include "read/build.h"

/* What the container says about the HDF5 files in it. */
typedef enum kw_keras_kind {
    KW_KERAS_ANY,     /* nothing: the tree decides */
    KW_KERAS_V3,      /* model.weights.h5 of an archive, a shard of Keras 3 */
    KW_KERAS_HF_SHARD /* a shard of Hugging Face */
} kw_keras_kind;

/* A group that a shard map gives to a shard.  Those of one path stand together, by part, the lost ones last. */
typedef struct kw_mapped_group {
    const char *path;
    uint32_t part;  /* the shard, when it could be opened */
    kw_fault fault; /* else why it could not */
    bool found;     /* the shard has tensors of it: set by kw_keras_read, as what follows */
    bool empty;     /* the shard has the group, with nothing in it */
    bool elsewhere; /* of the first of a path: a shard has tensors of it that the map does not give to that shard */
    size_t passed;  /* of the first of a path: how many of its rows are of parts that were read before */
} kw_mapped_group;

/* What a shard map says, none of it for other files. */
typedef struct kw_mapped {
    kw_mapped_group *groups;
    size_t count;
    uint64_t *strays; /* one a part: tensors in it of groups that the map does not give to it; by kw_keras_read */
} kw_mapped;

/* Opens the HDF5 file of the part added last; what is wrong with it becomes
 * faults of the container.  0, also when it is not HDF5 (then its hdf5 stays
 * NULL), or -1 for what ends everything. */
int kw_keras_open_part(kw_build *build, kw_error *err);

/* Fills the file's table from all its parts, with the facts that they record.
 * Of Keras's shards only what the map gives to each, as Keras does.  0, or -1
 * with KW_MEMORY. */
int kw_keras_read(kw_build *build, kw_keras_kind kind, kw_mapped *mapped, kw_error *err);

#endif
