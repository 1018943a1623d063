/* hdf5_extents.h -- which bytes the values of datasets lie in. */
#ifndef KW_READ_HDF5_EXTENTS_H
#define KW_READ_HDF5_EXTENTS_H

#include "read/hdf5.h"

/* Looks at the bytes of every contiguous dataset; one that shares bytes with a
 * structure or with another dataset gets `shared_at`.  The small ones are claimed
 * in the file's ledger; for an audit kw_extents_claim_great claims the others.
 * 0, or KW_MEMORY. */
int kw_extents_claim(kw_hdf5 *hdf5, kw_error *err);
int kw_extents_claim_great(kw_hdf5 *hdf5, kw_error *err);

/* Claims the small ones of the datasets from `first` on, before that.  KW_ALIAS when
 * something has the bytes, KW_MEMORY. */
int kw_extents_claim_small(kw_hdf5 *hdf5, uint32_t first, kw_error *err);

#endif
