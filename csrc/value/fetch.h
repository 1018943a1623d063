/* fetch.h -- many tensors into memory at once: sorted by offset, read by several
 * threads, and the CRC-32 of the archive member taken in the same pass.
 *
 *     member  |head| tensor 0 |gap| tensor 1 | tensor 2 |tail|
 *     thread   ------- 1 -------------|---------- 2 ---------
 *
 * With a CRC to verify, gaps are read too (into scratch) and the CRC of each
 * thread's stretch is joined at the end.  Without, gaps are skipped.  Values are
 * looked at while they are in the processor's cache, whether they are kept or not.
 */
#ifndef KW_VALUE_FETCH_H
#define KW_VALUE_FETCH_H

#include "base/error.h"
#include "base/source.h"
#include "value/scan.h"

typedef struct kw_extent {
    uint64_t off; /* in the source */
    uint64_t len;
    void *out;     /* len bytes; NULL: they are only looked at, a bounded part at a time */
    kw_scan *scan; /* of kw_scan_make, gets what the values are; or NULL */
} kw_extent;

/* Reads `count` extents (sorted in place by offset; they may overlap in the
 * source, not in memory).  With `crc`: also computes the CRC-32 of the
 * whole source.  `threads` >= 1.  0, or -1 with the first error by offset, and
 * then nothing that was scanned is of use. */
int kw_fetch(kw_source *source, kw_extent *extents, size_t count, int threads, uint32_t *crc, kw_error *err);

#endif
