/* number.c -- see number.h. */
#include "value/number.h"

#include <math.h>
#include <string.h>

static const kw_number numbers[KW_DTYPE_COUNT] = {
    [KW_DTYPE_BOOL] = {KW_NUMBER_BOOL, 1, 1, 1, 0, 0, 0},
    [KW_DTYPE_INT8] = {KW_NUMBER_SIGNED, 1, 1, 7, 0, 0, 0},
    [KW_DTYPE_INT16] = {KW_NUMBER_SIGNED, 2, 1, 15, 0, 0, 0},
    [KW_DTYPE_INT32] = {KW_NUMBER_SIGNED, 4, 1, 31, 0, 0, 0},
    [KW_DTYPE_INT64] = {KW_NUMBER_SIGNED, 8, 1, 63, 0, 0, 0},
    [KW_DTYPE_UINT8] = {KW_NUMBER_UNSIGNED, 1, 1, 8, 0, 0, 0},
    [KW_DTYPE_UINT16] = {KW_NUMBER_UNSIGNED, 2, 1, 16, 0, 0, 0},
    [KW_DTYPE_UINT32] = {KW_NUMBER_UNSIGNED, 4, 1, 32, 0, 0, 0},
    [KW_DTYPE_UINT64] = {KW_NUMBER_UNSIGNED, 8, 1, 64, 0, 0, 0},
    [KW_DTYPE_FLOAT16] = {KW_NUMBER_FLOAT, 2, 1, 11, 15, 0x7BFF, 0x7C00},
    [KW_DTYPE_BFLOAT16] = {KW_NUMBER_FLOAT, 2, 1, 8, 127, 0x7F7F, 0x7F80},
    [KW_DTYPE_FLOAT32] = {KW_NUMBER_FLOAT, 4, 1, 24, 127, 0x7F7FFFFF, 0x7F800000},
    [KW_DTYPE_FLOAT64] = {KW_NUMBER_FLOAT, 8, 1, 53, 1023, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000},
    [KW_DTYPE_FLOAT8_E4M3FN] = {KW_NUMBER_FLOAT, 1, 1, 4, 7, 0x7E, 0},
    [KW_DTYPE_FLOAT8_E5M2] = {KW_NUMBER_FLOAT, 1, 1, 3, 15, 0x7B, 0x7C},
    [KW_DTYPE_COMPLEX64] = {KW_NUMBER_FLOAT, 4, 2, 24, 127, 0x7F7FFFFF, 0x7F800000},
    [KW_DTYPE_COMPLEX128] = {KW_NUMBER_FLOAT, 8, 2, 53, 1023, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000},
};

const kw_number *kw_number_of(kw_dtype dtype) {
    return &numbers[(unsigned)dtype < KW_DTYPE_COUNT ? dtype : KW_DTYPE_NONE];
}

uint64_t kw_number_magnitude(int64_t key) { return (uint64_t)(key < 0 ? -1 - key : key); }

double kw_number_value(const kw_number *number, int64_t key) {
    unsigned fraction = number->precision - 1u;
    uint64_t magnitude = kw_number_magnitude(key), hidden = UINT64_C(1) << fraction;
    uint64_t significand = magnitude & (hidden - 1);
    int exponent = (int)(magnitude >> fraction);
    if (exponent > 0) significand |= hidden;
    else exponent = 1;
    double value = ldexp((double)significand, exponent - number->bias - (int)fraction);
    return key < 0 ? -value : value;
}

/* The bits of one part, with the sign extended. */
static int64_t load(const kw_number *number, const uint8_t *bytes) {
    int8_t a;
    int16_t b;
    int32_t c;
    int64_t d;
    switch (number->len) {
    case 1: memcpy(&a, bytes, sizeof a); return a;
    case 2: memcpy(&b, bytes, sizeof b); return b;
    case 4: memcpy(&c, bytes, sizeof c); return c;
    default: memcpy(&d, bytes, sizeof d); return d;
    }
}

int64_t kw_number_key(const kw_number *number, const uint8_t *bytes) {
    int64_t bits = load(number, bytes);
    int64_t most = (int64_t)(UINT64_MAX >> (65 - 8 * number->len)); /* of the type's width, signed */
    if (number->kind == KW_NUMBER_SIGNED) return bits;
    if (number->kind == KW_NUMBER_FLOAT) return bits < 0 ? bits ^ most : bits;
    return bits < 0 ? bits + most + 1 : bits - most - 1;
}
