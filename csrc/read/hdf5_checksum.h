/* hdf5_checksum.h -- the checksum at the end of every newer metadata block
 * (superblock v2, OHDR, OCHK, FRHP, BTHD, FAHD, EAHD, ...).
 */
#ifndef KW_READ_HDF5_CHECKSUM_H
#define KW_READ_HDF5_CHECKSUM_H

#include "base/error.h"
#include "base/view.h"

/* Jenkins's lookup3 of `len` bytes with an initial value of 0. */
uint32_t kw_hdf5_checksum(const void *bytes, size_t len);

/* Compares the last four bytes of `block` with the checksum of those before.
 * 0, or -1 with KW_CHECKSUM; `what` names the block in the detail. */
int kw_hdf5_checksum_verify(kw_view block, const char *what, kw_error *err);

#endif
