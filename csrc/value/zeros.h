/* zeros.h -- runs of zero bytes while a tensor goes by, and which of them are a block that was lost.
 *
 *     head |0000| values |000000 run 000000| values |00| tail
 */
#ifndef KW_VALUE_ZEROS_H
#define KW_VALUE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

/* Bytes that a run has at least: what a disk or a file system loses at once. */
enum { KW_ZEROS_RUN = 512 };

/* What was seen of a stretch of bytes; all zero before the first. */
typedef struct kw_zeros {
    uint64_t seen;               /* bytes */
    uint64_t head, tail;         /* zero bytes at both ends; of a stretch of zeros both are `seen` */
    uint64_t run_count, run_len; /* runs inside, of KW_ZEROS_RUN bytes and more: how many, and their bytes */
    uint64_t longest, longest_at;
    uint64_t probe_count, repeat_count; /* looks that were not at zero, and those that found what the one before did */
    uint64_t last_probe;
} kw_zeros;

/* The bytes that follow; and two stretches that follow one another. */
void kw_zeros_add(kw_zeros *zeros, const uint8_t *bytes, size_t len);
void kw_zeros_join(kw_zeros *zeros, const kw_zeros *next);

/* A tensor whose values were seen, in the order of its bytes. */
typedef struct kw_zeroed {
    const kw_tensor *tensor;
    const kw_zeros *zeros;
    uint64_t zero_count; /* values */
    bool has_one;        /* its greatest value is 1 */
    uint64_t base;       /* of the tensor's offsets in the whole file */
    size_t number;       /* the caller's own */
    uint64_t at, len;    /* set by kw_zeroed_find: bytes in the tensor; len 0: nothing was lost */
} kw_zeroed;

/* Sets what was lost of tensors of one source, sorted by offset. */
void kw_zeroed_find(kw_zeroed *tensors, size_t count);

#endif
