/* block.h -- the loops that every byte of a tensor goes through, a block that fits the first cache at a time.
 *
 * They are loops over whole numbers without a branch, so that the compiler turns them into vectors; on x86-64 they
 * are compiled twice, and the processor is asked which to take.
 */
#ifndef KW_VALUE_BLOCK_H
#define KW_VALUE_BLOCK_H

#include <stddef.h>

#include "value/number.h"

/* Bytes of a block: as many values of a type of one or two bytes as their counters hold. */
enum { KW_BLOCK_LEN = 8192 };

/* The range of the keys (low > high: none), and how many values are zero, of either sign. */
typedef struct kw_block {
    int64_t low, high;
    uint64_t zero_count;
} kw_block;

/* What is not finite, and the range of the keys of what is. */
typedef struct kw_block_finite {
    int64_t low, high;
    uint64_t nan_count, inf_count;
} kw_block_finite;

/* `count` parts at `bytes`, of any alignment, KW_BLOCK_LEN bytes at most; one or more. */
kw_block kw_block_scan(const kw_number *number, const uint8_t *bytes, size_t count);
kw_block_finite kw_block_split(const kw_number *number, const uint8_t *bytes, size_t count);

/* How many floats have a magnitude, as bits, of `first` to `last`. */
uint64_t kw_block_count(const kw_number *number, const uint8_t *bytes, size_t count, uint64_t first, uint64_t last);

#endif
