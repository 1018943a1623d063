/* fetch.h -- many tensors into memory at once: sorted by offset, read by several
 * threads, and the CRC-32 of the archive member taken in the same pass.
 *
 *     member  |head| tensor 0 |gap| tensor 1 | tensor 2 |tail|
 *     thread   ------- 1 -------------|---------- 2 ---------
 *
 * With a CRC to verify, gaps are read too (into scratch) and the CRC of each
 * thread's stretch is joined at the end.  Without, gaps are skipped.
 */
#ifndef KW_VALUE_FETCH_H
#define KW_VALUE_FETCH_H

#include "base/error.h"
#include "base/source.h"

typedef struct kw_extent {
    uint64_t off; /* in the source */
    uint64_t len;
    void *out; /* len bytes */
} kw_extent;

/* Reads `count` extents (sorted in place by offset; they may overlap in the
 * source, not in memory).  With `crc`: also computes the CRC-32 of the
 * whole source.  `threads` >= 1.  0, or -1 with the first error by offset. */
int kw_fetch(kw_source *source, kw_extent *extents, size_t count, int threads, uint32_t *crc, kw_error *err);

#endif
