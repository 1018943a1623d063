/* inflate.h -- deflated bytes back to what they were, in one call, into memory
 * whose size is known before.  libdeflate.h is included in inflate.c only.
 */
#ifndef KW_READ_INFLATE_H
#define KW_READ_INFLATE_H

#include "base/error.h"
#include "base/view.h"

/* True when `in_len` deflated bytes could give `out_len`: deflate spends at
 * least two bits on 258 bytes.  To be asked before memory for `out_len` is
 * allocated, when a file merely declares it. */
bool kw_inflate_possible(uint64_t in_len, uint64_t out_len);

/* Inflates a bare deflate stream (zip) into exactly `out_len` bytes.
 * 0, or -1: KW_CORRUPT (bad stream, or another size), KW_MEMORY. */
int kw_inflate_raw(kw_view in, void *out, size_t out_len, kw_error *err);

/* Inflates a zlib stream (HDF5), its Adler-32 verified, into at most `out_len`
 * bytes; how many goes to *got.  With `got` NULL it must be exactly `out_len`. */
int kw_inflate_zlib(kw_view in, void *out, size_t out_len, size_t *got, kw_error *err);

#endif
