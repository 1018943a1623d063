/* hdf5_foreign.h -- may libhdf5's decoder be given these bytes?  The decoders of
 * szip, nbit and scale-offset trust the parameters and the length of what they
 * are given; so both are compared here before.
 */
#ifndef KW_READ_HDF5_FOREIGN_H
#define KW_READ_HDF5_FOREIGN_H

#include "read/hdf5_layout.h"

/* The one filter of the pipeline that libhdf5 must decode: its position in
 * *index, info->filter_count when there is none.  KW_UNSUPPORTED when it is
 * together with filters that cannot be checked through it. */
int kw_foreign_find(const struct kw_layout_info *info, unsigned *index, kw_error *err);

/* `stored`: what the foreign filter gave when a chunk of `chunk_len` bytes was
 * written.  0 when decoding it stays within bounds; else KW_CORRUPT or KW_UNSUPPORTED. */
int kw_foreign_check(const struct kw_layout_info *info, unsigned index, kw_view stored, uint64_t chunk_len,
                     kw_error *err);

#endif
