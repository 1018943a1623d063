/* dtype.h -- the element types a weight can have. */
#ifndef KW_BASE_DTYPE_H
#define KW_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* X(NAME, "name as NumPy and Keras write it", bytes) */
#define KW_DTYPES(X)                    \
    X(BOOL, "bool", 1)                  \
    X(INT8, "int8", 1)                  \
    X(INT16, "int16", 2)                \
    X(INT32, "int32", 4)                \
    X(INT64, "int64", 8)                \
    X(UINT8, "uint8", 1)                \
    X(UINT16, "uint16", 2)              \
    X(UINT32, "uint32", 4)              \
    X(UINT64, "uint64", 8)              \
    X(FLOAT16, "float16", 2)            \
    X(BFLOAT16, "bfloat16", 2)          \
    X(FLOAT32, "float32", 4)            \
    X(FLOAT64, "float64", 8)            \
    X(FLOAT8_E4M3FN, "float8_e4m3fn", 1) \
    X(FLOAT8_E5M2, "float8_e5m2", 1)    \
    X(COMPLEX64, "complex64", 8)        \
    X(COMPLEX128, "complex128", 16)

typedef enum kw_dtype {
    KW_DTYPE_NONE = 0, /* listed and named, no NumPy equivalent here */
#define KW_DTYPE_ENUM(name, text, len) KW_DTYPE_##name,
    KW_DTYPES(KW_DTYPE_ENUM)
#undef KW_DTYPE_ENUM
    KW_DTYPE_COUNT
} kw_dtype;

const char *kw_dtype_name(kw_dtype dtype); /* "?" for KW_DTYPE_NONE */
size_t kw_dtype_len(kw_dtype dtype);       /* 0 for KW_DTYPE_NONE */
kw_dtype kw_dtype_find(const char *name);  /* KW_DTYPE_NONE when unknown */

/* What happens to values cast from one type to another. */
typedef enum kw_cast {
    KW_CAST_SAME,     /* same type */
    KW_CAST_EXACT,    /* every value survives */
    KW_CAST_ROUNDS,   /* precision is lost (float64 -> float32, int64 -> float32) */
    KW_CAST_OVERFLOWS /* range is lost too (float32 -> float16, float -> int) */
} kw_cast;
kw_cast kw_dtype_cast(kw_dtype from, kw_dtype to);

#endif
