/* hdf5_parts.h -- the links of a large group, walked by several threads. */
#ifndef KW_READ_HDF5_PARTS_H
#define KW_READ_HDF5_PARTS_H

#include "read/hdf5_tree.h"

/* In how many parts the links of the group on top are best walked: 1 when one thread should. */
size_t kw_parts_count(const kw_walk *walk, const kw_frame *top);

/* Walks all links of the group on top.  0, or -1 with *doubtful: see kw_tree_read. */
int kw_parts_walk(kw_walk *walk, kw_frame *top, size_t count, bool *doubtful, kw_error *err);

#endif
