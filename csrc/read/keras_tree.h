/* keras_tree.h -- what is looked for in an HDF5 tree. */
#ifndef KW_READ_KERAS_TREE_H
#define KW_READ_KERAS_TREE_H

#include "base/arena.h"
#include "read/hdf5.h"

enum { KW_KERAS_NAME_MAX = 4096 }; /* of a layer or a weight: longer ones are not looked for */

/* A list of names from one attribute or several. */
typedef struct kw_keras_names {
    const char **texts;
    uint32_t count;
    bool absent;
    kw_fault fault;
} kw_keras_names;

/* The object that a link leads to: the node itself, or where it was seen first.  KW_NONE for KW_NONE. */
uint32_t kw_keras_resolve(const kw_hdf5 *hdf5, uint32_t node);

/* The object by its path from `node`, or from the root when it begins with '/'; KW_NONE. */
uint32_t kw_keras_find(const kw_hdf5 *hdf5, uint32_t node, const char *path);

/* False for KW_NONE, both. */
bool kw_keras_is_group(const kw_hdf5 *hdf5, uint32_t node);
bool kw_keras_is_dataset(const kw_hdf5 *hdf5, uint32_t node);

/* True for a link that is not followed, wherever it leads: h5py finds its name also when it leads nowhere. */
bool kw_keras_is_link(const kw_hdf5 *hdf5, uint32_t node);

/* What is wrong with a link where something should be. */
kw_fault kw_keras_link_fault(void);

/* The text of a scalar attribute; NULL when it is not there or something else. */
const char *kw_keras_attr_text(const kw_hdf5 *hdf5, uint32_t node, const char *name);

/* The list that attribute `base`, or base0, base1, ... hold; joined in the arena.  0 or KW_MEMORY. */
int kw_keras_read_names(const kw_hdf5 *hdf5, kw_arena *arena, uint32_t node, const char *base, kw_keras_names *list,
                        kw_error *err);

#endif
