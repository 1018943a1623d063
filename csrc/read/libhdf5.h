/* libhdf5.h -- what is left to the HDF5 library: szip, nbit, scale-offset.
 *
 * libhdf5 is not made for hostile files, and is given none: only a file in
 * memory whose structure is all written here (read/hdf5_single.h), with the
 * stored bytes of one chunk, which are as long as its decoders will read
 * (kw_foreign_check, read/hdf5_foreign.h).  No path is opened; plug-ins are off
 * and error printing is off during a call and as they were after it; one lock
 * serialises all calls.
 */
#ifndef KW_READ_LIBHDF5_H
#define KW_READ_LIBHDF5_H

#include "read/hdf5_layout.h"

/* Undoes one filter on the stored bytes of a chunk: exactly `out_len` bytes.
 * 0, or -1: KW_CORRUPT (does not decode), KW_MEMORY. */
int kw_libhdf5_decode(const kw_filter *filter, kw_view stored, uint8_t *out, size_t out_len, kw_error *err);

/* True when this libhdf5 can decode the filter of that number. */
bool kw_libhdf5_has_filter(int id);

#endif
