/* scan.h -- what the values of a tensor are, from one look at each of its bytes.
 *
 *     bytes -> blocks of 8 KB -> keys: range, zeros          every block
 *                             -> NaN, Inf and where          a block whose range is not finite
 *                             -> what a cast would lose      a block that the cast can hurt
 *                             -> runs of zero bytes          a word in 256 bytes
 *
 * Stretches of one tensor can be scanned apart, by several threads, and joined in their order.
 */
#ifndef KW_VALUE_SCAN_H
#define KW_VALUE_SCAN_H

#include "value/loss.h"
#include "value/zeros.h"

typedef struct kw_scan {
    kw_casting casting;
    uint64_t count; /* values seen */
    int64_t low, high; /* keys of the finite ones; low > high: there are none */
    uint64_t nan_count, inf_count, nan_first, inf_first; /* values, of which KW_NOWHERE is none */
    uint64_t zero_count;
    kw_loss loss;
    kw_zeros zeros;
} kw_scan;

/* Nothing seen yet, of values of one type that are to become another. */
kw_scan kw_scan_make(kw_dtype from, kw_dtype to);

/* The same, for a stretch of values that is scanned apart. */
kw_scan kw_scan_again(const kw_scan *scan);

/* The next values, in native byte order: whole ones, `len` bytes of them. */
void kw_scan_add(kw_scan *scan, const uint8_t *bytes, size_t len);

/* A stretch that was scanned apart and follows. */
void kw_scan_join(kw_scan *scan, const kw_scan *next);

#endif
