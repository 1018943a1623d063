/* hdf5_tree.h -- the steps of the walk over all objects of a file. */
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

/* Visits the root; 0 with a frame when it has links, or -1. */
int kw_tree_start(kw_walk *walk, kw_frames *frames, uint64_t root, kw_object *object, kw_error *err);

/* Visits the next link of the group on top, or leaves the group; 0 or -1. */
int kw_tree_step(kw_walk *walk, kw_frames *frames, kw_object *object, kw_error *err);

/* Puts a group on top whose links are the walk's from `first` on; 0 or -1. */
int kw_tree_push(kw_walk *walk, kw_frames *frames, uint32_t node, size_t first, kw_error *err);

/* Appends a node with the place where its children will be; KW_NONE on failure. */
uint32_t kw_tree_add(kw_hdf5 *hdf5, kw_node node, kw_error *err);

void kw_walk_free(kw_walk *walk);

#endif
