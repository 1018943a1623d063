/* hdf5_foreign.h -- may libhdf5's decoder be given these bytes?  The decoders of
 * szip, nbit and scale-offset trust the parameters and the length of what they
 * are given; so both are compared here before.
 */
#ifndef KW_READ_HDF5_FOREIGN_H
#define KW_READ_HDF5_FOREIGN_H

#include "read/hdf5_layout.h"

/* True for nbit over a type without spare bits: it leaves all bytes as they are. */
bool kw_foreign_is_idle(const kw_filter *filter);

typedef enum kw_foreign_verdict {
    KW_FOREIGN_FITS,    /* decoding stays within bounds, and gives as many bytes */
    KW_FOREIGN_DAMAGED, /* parameters and stored bytes do not fit the chunk */
    KW_FOREIGN_OTHER    /* a form of the filter that is not known here */
} kw_foreign_verdict;

/* `stored`: what the filter gave when `chunk_len` bytes, in elements of `element_len`, were written. */
kw_foreign_verdict kw_foreign_check(const kw_filter *filter, uint64_t element_len, kw_view stored, uint64_t chunk_len);

#endif
