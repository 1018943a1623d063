/* hdf5_parts.h -- the walk over all objects of a file, by one thread or several. */
#ifndef KW_READ_HDF5_PARTS_H
#define KW_READ_HDF5_PARTS_H

#include "read/hdf5_tree.h"

/* Fills in hdf5's nodes, attributes and datasets, from the object header at
 * `root` on.  Damage is kept on the nodes; -1 only for fatal errors, or with
 * *doubtful when several threads found what only one can tell: to be read again
 * from the start by one. */
int kw_tree_read(kw_walk *walk, uint64_t root, bool *doubtful, kw_error *err);

#endif
