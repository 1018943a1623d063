/* number.h -- what the bits of a value say, for every element type.
 *
 *     float     |s|exponent|significand|      key: as an integer, in the order of the values
 *     -inf  ...  -1.0  ...  -0  +0  ...  1.0  ...  +inf  NaN
 *
 * A key is a signed integer of the type's width; keys are ordered as values are.  Of a float it is the bits, with
 * all but the sign turned over when the sign is set: -1 - magnitude.  Of an integer it is the value, of an unsigned
 * one the value less half its range.  So one loop of whole numbers finds the least and the greatest of any type, and
 * whether something is not finite: NaN and Inf lie outside the keys of finite values.
 *
 * IEEE 754-2019 section 3.4; OCP 8-bit floating point 1.0 section 5 (E4M3 has no infinity, one NaN).
 */
#ifndef KW_VALUE_NUMBER_H
#define KW_VALUE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"

typedef enum kw_number_kind { KW_NUMBER_BOOL, KW_NUMBER_UNSIGNED, KW_NUMBER_SIGNED, KW_NUMBER_FLOAT } kw_number_kind;

typedef struct kw_number {
    uint8_t kind;      /* kw_number_kind */
    uint8_t len;       /* bytes of one part */
    uint8_t parts;     /* 2: complex; 0: no number */
    uint8_t precision; /* bits of a magnitude that are kept: of a float with the hidden one */
    int16_t bias;      /* of a float's exponent */
    uint64_t finite;   /* greatest magnitude of a finite float, as bits */
    uint64_t infinite; /* magnitude of infinity; 0: there is none */
} kw_number;

const kw_number *kw_number_of(kw_dtype dtype); /* static; parts == 0 for KW_DTYPE_NONE */

/* Magnitude and value of a float's key, which is one of a finite value. */
uint64_t kw_number_magnitude(int64_t key);
double kw_number_value(const kw_number *number, int64_t key);

/* Key of one part, wherever it lies. */
int64_t kw_number_key(const kw_number *number, const uint8_t *bytes);

#endif
