/* hdf5_shared.h -- messages that many object headers share, kept in fractal
 * heaps (SOHM): a header then holds the heap ID only.
 */
#ifndef KW_READ_HDF5_SHARED_H
#define KW_READ_HDF5_SHARED_H

#include "read/hdf5_object.h"

/* Reads the table at `address`, which the superblock's extension names, with
 * `count` indexes.  It is kept in walk->shared. */
int kw_shared_open(kw_walk *walk, uint64_t address, unsigned count, kw_error *err);

/* The body of the message of `type` with the heap ID `id` (8 bytes); *out is
 * valid as long as the walk. */
int kw_shared_load(kw_walk *walk, unsigned type, kw_view id, kw_view *out, kw_error *err);

void kw_shared_close(kw_walk *walk);

#endif
