/* hdf5_group.h -- the links of a group, however it keeps them, in name order. */
#ifndef KW_READ_HDF5_GROUP_H
#define KW_READ_HDF5_GROUP_H

#include "read/hdf5_object.h"

/* A link message (type 0x06): appended to the walk's links as one of `node`. */
int kw_link_read(kw_walk *walk, uint32_t node, kw_view message, kw_error *err);

/* Appends the links of a symbol table or of dense storage, then sorts those
 * from `first` on.  Damage is in object->fault; -1 only for fatal errors. */
int kw_group_read(kw_walk *walk, kw_object *object, size_t first, kw_error *err);

#endif
