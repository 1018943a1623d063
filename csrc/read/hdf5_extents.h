/* hdf5_extents.h -- which bytes the values of datasets lie in. */
#ifndef KW_READ_HDF5_EXTENTS_H
#define KW_READ_HDF5_EXTENTS_H

#include "read/hdf5.h"

/* Claims the bytes of every contiguous dataset in the file's ledger; one that
 * shares bytes with a structure or with another dataset gets `shared_at`.  0, or KW_MEMORY. */
int kw_extents_claim(kw_hdf5 *hdf5, kw_error *err);

#endif
