/* hdf5_single.h -- one stored chunk as an HDF5 file of its own, for libhdf5 to
 * decode: every structure in it is written here, none comes from the file that
 * is being read.
 */
#ifndef KW_READ_HDF5_SINGLE_H
#define KW_READ_HDF5_SINGLE_H

#include "read/hdf5_layout.h"

#define KW_SINGLE_NAME "0" /* of the only dataset */

/* The most client values that a filter may have here. */
enum { KW_SINGLE_VALUES_MAX = 32 };

/* A file whose only dataset is `chunk_len` bytes in one chunk, which was stored
 * as `stored` by the one filter of number `id` with these client values.  0 with
 * *out to be freed by the caller; -1: KW_MEMORY. */
int kw_single_make(uint16_t id, const uint32_t *values, uint32_t value_count, kw_view stored, uint64_t chunk_len,
                   uint8_t **out, size_t *len, kw_error *err);

#endif
