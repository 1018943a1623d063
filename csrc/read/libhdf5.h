/* libhdf5.h -- what is left to the HDF5 library: szip, nbit, scale-offset.
 *
 * libhdf5 is not made for hostile files.  It is given only a file that the
 * readers here have walked whole and found sound, and chunks whose stored bytes
 * are as long as its decoders will read: kw_foreign_check (read/hdf5_foreign.h).  It reads a file
 * image, never a path; plug-ins are off and error printing is off during a call
 * and as they were after it; one lock serialises all calls.
 */
#ifndef KW_READ_LIBHDF5_H
#define KW_READ_LIBHDF5_H

#include "base/source.h"

typedef struct kw_libhdf5 kw_libhdf5;

/* Brings the source into memory, unless it is there already, and opens it.
 * 0 with *out to be closed by the caller; KW_MEMORY, KW1xx, KW_UNSUPPORTED when
 * libhdf5 does not open it. */
int kw_libhdf5_open(kw_source *source, kw_libhdf5 **out, kw_error *err);
void kw_libhdf5_close(kw_libhdf5 *library); /* NULL is allowed */

/* The dataset at `path`, in the type it has in the file, into `out`.  It must
 * have the shape and element length that are given.  0, or -1: KW_UNSUPPORTED
 * (filter not in this libhdf5), KW_CORRUPT (does not decode). */
int kw_libhdf5_read(kw_libhdf5 *library, const char *path, const uint64_t *shape, unsigned rank, uint64_t element_len,
                    void *out, kw_error *err);

/* True when this libhdf5 can decode the filter of that number. */
bool kw_libhdf5_has_filter(int id);

#endif
