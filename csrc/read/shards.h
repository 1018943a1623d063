/* shards.h -- weights split over several files, and the JSON that maps them. */
#ifndef KW_READ_SHARDS_H
#define KW_READ_SHARDS_H

#include "read/build.h"
#include "read/keras.h"

typedef struct kw_shards {
    kw_arena arena;     /* of `mapped` */
    kw_keras_kind kind; /* which layout the shards have */
    kw_mapped mapped;   /* what the map says, for kw_keras_read */
} kw_shards;

/* Reads `map` as a shard map of Keras (.weights.json) or an index of Hugging
 * Face: sets the file's content, adds each shard (a sibling of `map`, in the
 * order in which they are first named) as a part and opens it.  JSON that is no
 * shard map leaves content alone; text that is no JSON makes it plain text.
 * Shards that are missing, no HDF5, or not plain file names are faults.  0 with
 * *out to be freed, or -1 for what ends everything. */
int kw_shards_open(kw_build *build, kw_source *map, kw_shards *out, kw_error *err);

/* Holds Keras's map against what kw_keras_read found: groups that a shard has
 * not, tensors that it has beside them, the total size.  0 or -1: KW_MEMORY. */
int kw_shards_compare(kw_build *build, const kw_shards *shards, kw_error *err);
void kw_shards_free(kw_shards *shards);

#endif
