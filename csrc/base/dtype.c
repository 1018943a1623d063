/* dtype.c -- what a value becomes when its type changes.
 *
 *     float     |s|exponent|significand|    precision counts the hidden bit
 *     integer   |s|value bits          |
 *
 * IEEE 754-2019 section 3.6 for the binary formats, the OCP 8-bit floating
 * point specification 1.0 section 3 for float8.
 */
#include "base/dtype.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char *name;
    size_t len;
} names[KW_DTYPE_COUNT] = {
    [KW_DTYPE_NONE] = {"?", 0},
#define NAME_ROW(id, text, len) [KW_DTYPE_##id] = {text, len},
    KW_DTYPES(NAME_ROW)
#undef NAME_ROW
};

enum kind { NOTHING, BOOLEAN, SIGNED, UNSIGNED, FLOAT, COMPLEX };

/* The smallest positive value is 2^low, every finite one is below 2^high. */
static const struct format {
    unsigned char kind;
    unsigned char precision; /* value bits of an integer, significand bits of a float */
    short low, high;
} formats[KW_DTYPE_COUNT] = {
    [KW_DTYPE_BOOL] = {BOOLEAN, 1, 0, 1},
    [KW_DTYPE_INT8] = {SIGNED, 7, 0, 7},
    [KW_DTYPE_INT16] = {SIGNED, 15, 0, 15},
    [KW_DTYPE_INT32] = {SIGNED, 31, 0, 31},
    [KW_DTYPE_INT64] = {SIGNED, 63, 0, 63},
    [KW_DTYPE_UINT8] = {UNSIGNED, 8, 0, 8},
    [KW_DTYPE_UINT16] = {UNSIGNED, 16, 0, 16},
    [KW_DTYPE_UINT32] = {UNSIGNED, 32, 0, 32},
    [KW_DTYPE_UINT64] = {UNSIGNED, 64, 0, 64},
    [KW_DTYPE_FLOAT16] = {FLOAT, 11, -24, 16},
    [KW_DTYPE_BFLOAT16] = {FLOAT, 8, -133, 128},
    [KW_DTYPE_FLOAT32] = {FLOAT, 24, -149, 128},
    [KW_DTYPE_FLOAT64] = {FLOAT, 53, -1074, 1024},
    [KW_DTYPE_FLOAT8_E4M3FN] = {FLOAT, 4, -9, 9},
    [KW_DTYPE_FLOAT8_E5M2] = {FLOAT, 3, -16, 16},
    [KW_DTYPE_COMPLEX64] = {COMPLEX, 24, -149, 128},
    [KW_DTYPE_COMPLEX128] = {COMPLEX, 53, -1074, 1024},
};

const char *kw_dtype_name(kw_dtype dtype) {
    return (unsigned)dtype < KW_DTYPE_COUNT ? names[dtype].name : "?";
}

size_t kw_dtype_len(kw_dtype dtype) {
    return (unsigned)dtype < KW_DTYPE_COUNT ? names[dtype].len : 0;
}

kw_dtype kw_dtype_find(const char *name) {
    for (int dtype = KW_DTYPE_NONE + 1; dtype < KW_DTYPE_COUNT; dtype++)
        if (strcmp(names[dtype].name, name) == 0) return (kw_dtype)dtype;
    return KW_DTYPE_NONE;
}

/* From an integer to an integer. */
static kw_cast cast_integer(const struct format *from, const struct format *to) {
    bool sign_kept = from->kind == UNSIGNED || to->kind == SIGNED;
    return sign_kept && from->precision <= to->precision ? KW_CAST_EXACT : KW_CAST_OVERFLOWS;
}

/* From an integer to a float: the largest values round up, to 2^high of the integer. */
static kw_cast cast_to_float(const struct format *from, const struct format *to) {
    if (from->precision <= to->precision && from->high <= to->high) return KW_CAST_EXACT;
    return from->high < to->high ? KW_CAST_ROUNDS : KW_CAST_OVERFLOWS;
}

/* From a float to a float.  A type with the exponent of float32 holds every
 * value that a weight has in practice, so float64 rounds to it; nor do the few
 * values count that lie between the largest ones of two significands. */
static kw_cast cast_float(const struct format *from, const struct format *to) {
    bool in_range = from->low >= to->low && from->high <= to->high;
    if (in_range && from->precision <= to->precision) return KW_CAST_EXACT;
    return from->high <= to->high || to->high >= 128 ? KW_CAST_ROUNDS : KW_CAST_OVERFLOWS;
}

kw_cast kw_dtype_cast(kw_dtype from_type, kw_dtype to_type) {
    if ((unsigned)from_type >= KW_DTYPE_COUNT || (unsigned)to_type >= KW_DTYPE_COUNT) return KW_CAST_OVERFLOWS;
    const struct format *from = &formats[from_type], *to = &formats[to_type];
    if (from->kind == NOTHING || to->kind == NOTHING) return KW_CAST_OVERFLOWS;
    if (from_type == to_type) return KW_CAST_SAME;
    if (from->kind == BOOLEAN) return KW_CAST_EXACT;
    if (to->kind == BOOLEAN) return KW_CAST_OVERFLOWS;
    bool from_integer = from->kind == SIGNED || from->kind == UNSIGNED;
    bool to_integer = to->kind == SIGNED || to->kind == UNSIGNED;
    if (from_integer && to_integer) return cast_integer(from, to);
    if (from_integer) return cast_to_float(from, to);
    if (to_integer || (from->kind == COMPLEX && to->kind == FLOAT)) return KW_CAST_OVERFLOWS;
    return cast_float(from, to);
}
