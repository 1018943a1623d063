/* hdf5_tree.h -- the walk over all objects of a file. */
#ifndef KW_READ_HDF5_TREE_H
#define KW_READ_HDF5_TREE_H

#include "read/hdf5_group.h"

/* Fills in hdf5's nodes, attributes and datasets, from the object header at
 * `root` on.  Damage is kept on the nodes; -1 only for fatal errors. */
int kw_tree_read(kw_walk *walk, uint64_t root, kw_error *err);

#endif
