/* keras_rows.h -- groups and slots of a table while they are found. */
#ifndef KW_READ_KERAS_ROWS_H
#define KW_READ_KERAS_ROWS_H

#include "read/keras.h"
#include "read/keras_tree.h"

/* What is read, and what was found so far. */
typedef struct kw_keras_reader {
    kw_build *build;
    kw_file *file;
    const kw_part *part; /* the one being read */
    const kw_hdf5 *hdf5; /* its tree */
    uint32_t *users;     /* one a node of it: the group that took its slots, or KW_NONE */
    kw_group *groups;
    kw_slot *slots;
    uint32_t *slot_groups; /* the group of each slot */
    size_t group_capacity, slot_capacity, owner_capacity;
    uint32_t group_count, slot_count;
    kw_index paths; /* of groups: one group a path where several parts are read */
    kw_mapped *mapped;   /* what a shard map says of Keras 3 files; NULL */
    kw_index map_paths;  /* path -> the first of its rows in the map */
} kw_keras_reader;

/* Adds a group.  Its row, or KW_NONE: KW_MEMORY, KW_BOMB. */
uint32_t kw_keras_add_group(kw_keras_reader *r, const char *path, const char *name, uint32_t flags, kw_error *err);

/* The group of this path, added if it is new.  KW_NONE: KW_MEMORY, KW_BOMB. */
uint32_t kw_keras_group_of_path(kw_keras_reader *r, const char *path, kw_error *err);

/* The group of a legacy layer.  `node` may be KW_NONE: listed and not there. */
uint32_t kw_keras_add_layer(kw_keras_reader *r, uint32_t root, uint32_t node, const char *name, uint32_t flags,
                            kw_error *err);

/* True when the slots of `node` are this group's now; false, with a fault, when a group has them already. */
bool kw_keras_take_node(kw_keras_reader *r, uint32_t group, uint32_t node);

/* Adds a slot to a group; a tensor that no group has yet becomes that group's. */
int kw_keras_add_slot(kw_keras_reader *r, uint32_t group, const char *name, uint32_t node, const char *variable,
                      kw_error *err);

/* "kernel" of "d1/kernel:0", in the arena.  NULL: memory. */
const char *kw_keras_variable_of(kw_keras_reader *r, const char *weight, kw_error *err);

/* The path without its last component, in the arena.  NULL: memory. */
const char *kw_keras_parent_of(kw_keras_reader *r, const char *path, kw_error *err);

/* Moves groups and slots to the arena, the slots of each group in one run. */
int kw_keras_finish_rows(kw_keras_reader *r, kw_error *err);

#endif
