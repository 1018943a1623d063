/* hdf5_tree.h -- the walk over all objects of a file. */
#ifndef KW_READ_HDF5_TREE_H
#define KW_READ_HDF5_TREE_H

#include "read/hdf5_group.h"

/* A group whose links are being visited. */
typedef struct kw_frame {
    uint32_t node;
    size_t first, next, end; /* its links */
} kw_frame;

/* The groups above the object that is visited next. */
typedef struct kw_frames {
    kw_frame *items;
    size_t count, capacity;
} kw_frames;

/* Fills in hdf5's nodes, attributes and datasets, from the object header at
 * `root` on.  Damage is kept on the nodes; -1 only for fatal errors, or with
 * *doubtful when several threads found what only one can tell: to be read again
 * from the start by one. */
int kw_tree_read(kw_walk *walk, uint64_t root, bool *doubtful, kw_error *err);

/* Visits the next link of the group on top, or leaves the group; 0 or -1. */
int kw_tree_step(kw_walk *walk, kw_frames *frames, kw_object *object, kw_error *err);

/* Appends a group that is on top from now on, of whose `count` links the last `count` of the walk's are; 0 or -1. */
int kw_tree_push(kw_walk *walk, kw_frames *frames, uint32_t node, size_t first, kw_error *err);

/* Appends a node with the place where its children will be; KW_NONE on failure. */
uint32_t kw_tree_add(kw_hdf5 *hdf5, kw_node node, kw_error *err);

void kw_walk_free(kw_walk *walk);

#endif
