/* loss.h -- what values lose when they become another type, counted exactly.
 *
 * The cast is NumPy's (`astype`) and, for bfloat16 and float8, that of ml_dtypes, which goes through float32.  Loss is
 * more than the rounding that every value of a narrower type bears:
 *
 *   overflow    finite becomes infinite or NaN; out of an integer's range, NaN and Inf into an integer
 *   flushed     not zero becomes zero
 *   inexact     an integer that the float cannot hold; a float's fraction, dropped by an integer; what is neither 0 nor
 *               1 into bool; an imaginary part, dropped
 */
#ifndef KW_VALUE_LOSS_H
#define KW_VALUE_LOSS_H

#include <stddef.h>

#include "value/block.h"

typedef struct kw_loss {
    uint64_t overflow_count, flushed_count, inexact_count;
} kw_loss;

/* How one type is cast to another: what can be decided once for all values. */
typedef struct kw_casting {
    const kw_number *from, *to;
    bool lossless;        /* nothing can be lost */
    bool narrows;         /* float to float: the two below say all */
    uint64_t overflow;    /* least magnitude, as bits, that overflows; greater than `from->finite`: none does */
    uint64_t flush;       /* greatest magnitude that becomes zero; 0: none does */
    int64_t low, high;    /* from integers: keys of a range in which nothing is lost */
} kw_casting;

kw_casting kw_casting_make(kw_dtype from, kw_dtype to);

/* Adds what the values of a block lose; `low` and `high` are the range of their keys. */
void kw_loss_add(kw_loss *loss, const kw_casting *casting, const uint8_t *bytes, size_t count, int64_t low,
                 int64_t high);

#endif
