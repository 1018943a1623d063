/* hdf5_type.c -- datatypes and dataspaces: what one element is, and how many.
 *
 *   datatype   |version 4, class 4| bits 24 | size 32 | properties of the class ...
 *     integer    |bit offset|precision|
 *     float      |bit offset|precision|exponent at, size|mantissa at, size|bias|
 *     compound   |name|offset|member type| name|offset|member type| ...
 *     enum       |base type|names ...|values ...|
 *   dataspace  |version|rank|flags|type or reserved| dimensions ... | maxima ... |
 *
 * Only what a weight can be is understood, at most one level deep; of any other
 * type no more is needed than that it is sound (hdf5_type_check.c).
 *
 * HDF5 File Format Specification v3.0, IV.A.2.b and IV.A.2.d.
 */
#include "read/hdf5_type.h"

#include <stdio.h>
#include <string.h>

/* The number types with a fixed layout of bits. */
typedef struct float_form {
    uint8_t dtype, len, exponent_at, exponent_len, mantissa_len;
    uint32_t bias;
} float_form;

static const float_form float_forms[] = {
    {KW_DTYPE_FLOAT32, 4, 23, 8, 23, 127},    {KW_DTYPE_FLOAT64, 8, 52, 11, 52, 1023},
    {KW_DTYPE_FLOAT16, 2, 10, 5, 10, 15},     {KW_DTYPE_BFLOAT16, 2, 7, 8, 7, 127},
    {KW_DTYPE_FLOAT8_E4M3FN, 1, 3, 4, 3, 7},  {KW_DTYPE_FLOAT8_E5M2, 1, 2, 5, 2, 15},
};

kw_type_head kw_type_read_head(kw_cursor *c) {
    uint8_t first = kw_cursor_u8(c);
    kw_type_head h = {.version = (uint8_t)(first >> 4), .class_ = first & 15};
    h.bits = (uint32_t)kw_cursor_uint(c, 3);
    h.len = kw_cursor_u32(c);
    return h;
}

/* The dtype of an integer whose properties the cursor is at, or NONE. */
static uint8_t read_integer(kw_cursor *c, kw_type_head h) {
    static const uint8_t dtypes[2][4] = {{KW_DTYPE_UINT8, KW_DTYPE_UINT16, KW_DTYPE_UINT32, KW_DTYPE_UINT64},
                                         {KW_DTYPE_INT8, KW_DTYPE_INT16, KW_DTYPE_INT32, KW_DTYPE_INT64}};
    uint16_t offset = kw_cursor_u16(c), precision = kw_cursor_u16(c);
    if (h.len > 8 || (h.len & (h.len - 1)) != 0 || offset != 0 || precision != 8 * h.len) return KW_DTYPE_NONE;
    return dtypes[h.bits >> 3 & 1][__builtin_ctz(h.len)];
}

/* The dtype of a float whose properties the cursor is at, or NONE. */
static uint8_t read_float(kw_cursor *c, kw_type_head h) {
    uint16_t offset = kw_cursor_u16(c), precision = kw_cursor_u16(c);
    uint8_t exponent_at = kw_cursor_u8(c), exponent_len = kw_cursor_u8(c);
    uint8_t mantissa_at = kw_cursor_u8(c), mantissa_len = kw_cursor_u8(c);
    uint32_t bias = kw_cursor_u32(c);
    bool vax = (h.bits & 0x40) != 0, implied = (h.bits >> 4 & 3) == 2;
    if (vax || !implied || offset != 0 || mantissa_at != 0) return KW_DTYPE_NONE;
    for (size_t i = 0; i < sizeof float_forms / sizeof *float_forms; i++) {
        const float_form *f = &float_forms[i];
        if (h.len == f->len && precision == 8 * f->len && (h.bits >> 8 & 0xff) == 8u * f->len - 1 &&
            exponent_at == f->exponent_at && exponent_len == f->exponent_len && mantissa_len == f->mantissa_len &&
            bias == f->bias)
            return f->dtype;
    }
    return KW_DTYPE_NONE;
}

/* Takes a name that ends in NUL (padded to 8 bytes before version 3); NULL when it does not end. */
const char *kw_type_read_name(kw_cursor *c, unsigned version) {
    size_t left = kw_cursor_left(c);
    const uint8_t *start = c->view.data + c->pos;
    const uint8_t *end = left > 0 ? memchr(start, 0, left) : NULL;
    if (end == NULL) {
        c->short_ = true;
        return NULL;
    }
    size_t len = (size_t)(end - start) + 1;
    kw_cursor_skip(c, version < 3 ? (len + 7) / 8 * 8 : len);
    return (const char *)start;
}

/* A base or member type that is a float; NONE otherwise. */
static uint8_t read_float_type(kw_cursor *c, bool *big_endian) {
    kw_type_head h = kw_type_read_head(c);
    if (h.class_ != KW_CLASS_FLOAT) return KW_DTYPE_NONE;
    *big_endian = h.bits & 1;
    return read_float(c, h);
}

static uint8_t complex_of(uint8_t part) {
    if (part == KW_DTYPE_FLOAT32) return KW_DTYPE_COMPLEX64;
    return part == KW_DTYPE_FLOAT64 ? KW_DTYPE_COMPLEX128 : KW_DTYPE_NONE;
}

/* h5py's complex number: a compound of the floats r and i; NONE for any other. */
static uint8_t read_complex(kw_cursor *c, kw_type_head h, bool *big_endian) {
    static const char *const names[2] = {"r", "i"};
    uint8_t part = KW_DTYPE_NONE;
    if ((h.bits & 0xffff) != 2) return KW_DTYPE_NONE;
    for (unsigned i = 0; i < 2; i++) {
        const char *name = kw_type_read_name(c, h.version);
        uint64_t offset = kw_cursor_uint(c, h.version < 3 ? 4 : kw_width_of(h.len));
        if (h.version == 1) kw_cursor_skip(c, 28); /* dimensions of the member: none */
        bool big = false;
        uint8_t dtype = read_float_type(c, &big);
        if (c->short_ || name == NULL || strcmp(name, names[i]) != 0 || offset * 2 != i * (uint64_t)h.len)
            return KW_DTYPE_NONE;
        if (i == 1 && (dtype != part || big != *big_endian)) return KW_DTYPE_NONE;
        part = dtype;
        *big_endian = big;
    }
    uint8_t dtype = complex_of(part);
    return kw_dtype_len(dtype) == h.len ? dtype : KW_DTYPE_NONE;
}

/* h5py's bool: an enum of FALSE = 0 and TRUE = 1 over one byte; NONE for any other. */
static uint8_t read_bool(kw_cursor *c, kw_type_head h) {
    kw_type_head base = kw_type_read_head(c);
    if (base.class_ != KW_CLASS_INTEGER || base.len != 1 || (h.bits & 0xffff) != 2) return KW_DTYPE_NONE;
    kw_cursor_skip(c, 4);
    const char *no = kw_type_read_name(c, h.version), *yes = no != NULL ? kw_type_read_name(c, h.version) : NULL;
    const uint8_t *values = kw_cursor_take(c, 2);
    if (yes == NULL || values == NULL || strcmp(no, "FALSE") != 0 || strcmp(yes, "TRUE") != 0) return KW_DTYPE_NONE;
    return values[0] == 0 && values[1] == 1 ? KW_DTYPE_BOOL : KW_DTYPE_NONE;
}

/* How many bits of an element are the number's, when the cursor is behind the head of a number's type; 0 for all. */
static unsigned odd_precision(kw_cursor c, kw_type_head h) {
    if (h.class_ != KW_CLASS_INTEGER && h.class_ != KW_CLASS_FLOAT && h.class_ != KW_CLASS_BITS) return 0;
    kw_cursor_skip(&c, 2);
    uint16_t precision = kw_cursor_u16(&c);
    return precision == 8 * (uint64_t)h.len ? 0 : precision;
}

/* The type in words, for one that has no dtype; NULL when memory is short.  The cursor is behind its head. */
static const char *describe(kw_arena *arena, kw_cursor c, kw_type_head h) {
    static const char *const formats[KW_CLASS_COUNT] = {
        "integer of %u bytes", "float of %u bytes", "time",  "text of %u bytes", "bit field of %u bytes",
        "opaque of %u bytes",  "compound of %u",    "reference", "enum of %u",   "variable-length list",
        "array of %u bytes",   "complex of %u bytes"};
    if (h.class_ == KW_CLASS_VLEN && (h.bits & 15) == 1) return "variable-length text";
    if (h.class_ == KW_CLASS_TIME || h.class_ == KW_CLASS_REFERENCE || h.class_ == KW_CLASS_VLEN) return formats[h.class_];
    bool counts = h.class_ == KW_CLASS_COMPOUND || h.class_ == KW_CLASS_ENUM;
    char text[64];
    unsigned precision = odd_precision(c, h);
    int len = precision > 0 ? snprintf(text, sizeof text, "%s of %u bits in %u bytes",
                                       h.class_ == KW_CLASS_INTEGER ? "integer"
                                       : h.class_ == KW_CLASS_FLOAT ? "float"
                                                                    : "bit field",
                                       precision, h.len)
                            : snprintf(text, sizeof text, formats[h.class_], counts ? h.bits & 0xffff : h.len);
    return kw_arena_text(arena, text, (size_t)len);
}

/* The dtype of a number type whose properties the cursor is at; NONE for others. */
static uint8_t read_number(kw_cursor *c, kw_type_head h, kw_type *out) {
    out->big_endian = h.bits & 1;
    switch (h.class_) {
    case KW_CLASS_BITS: h.bits &= 1; return read_integer(c, h); /* which h5py takes for unsigned */
    case KW_CLASS_INTEGER: return read_integer(c, h);
    case KW_CLASS_FLOAT: return read_float(c, h);
    case KW_CLASS_COMPOUND: return read_complex(c, h, &out->big_endian);
    case KW_CLASS_OPAQUE: /* h5py writes bfloat16 so: the type itself does not say */
        out->opaque = true;
        out->big_endian = false;
        return h.len == 2 ? KW_DTYPE_BFLOAT16 : KW_DTYPE_NONE;
    case KW_CLASS_ENUM: out->big_endian = false; return read_bool(c, h);
    case KW_CLASS_COMPLEX: {
        uint8_t dtype = complex_of(read_float_type(c, &out->big_endian));
        return kw_dtype_len(dtype) == h.len ? dtype : KW_DTYPE_NONE;
    }
    default: return KW_DTYPE_NONE;
    }
}

int kw_type_read(kw_view message, kw_arena *arena, kw_type *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    kw_type_head h = kw_type_read_head(&c);
    const kw_cursor properties = c;
    *out = (kw_type){.len = h.len};
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "datatype is cut");
    if (h.version < 1 || h.version > 5) return kw_fail(err, KW_CORRUPT, message.off, "datatype version %u", h.version);
    if (h.class_ >= KW_CLASS_COUNT) return kw_fail(err, KW_UNSUPPORTED, message.off, "datatype class %u", h.class_);
    if (h.len == 0) return kw_fail(err, KW_CORRUPT, message.off + 4, "datatype of 0 bytes");
    out->kind = KW_TYPE_OTHER;
    if (h.class_ == KW_CLASS_STRING || (h.class_ == KW_CLASS_VLEN && (h.bits & 15) == 1)) {
        out->kind = h.class_ == KW_CLASS_STRING ? KW_TYPE_TEXT : KW_TYPE_VLEN_TEXT;
        out->padding = h.class_ == KW_CLASS_STRING ? h.bits & 15 : KW_PADDING_NUL_ENDS;
    } else {
        out->dtype = read_number(&c, h, out);
        if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "datatype is cut");
        if (out->dtype != KW_DTYPE_NONE) out->kind = KW_TYPE_NUMBER;
    }
    if (out->dtype != KW_DTYPE_NONE) return 0;
    if (out->kind == KW_TYPE_OTHER && kw_type_check(message, err) != 0) return -1;
    out->text = describe(arena, properties, h);
    return out->text != NULL ? 0 : kw_fail_memory(err);
}

/* Reads the dimensions and works out the number of elements. */
static void read_dimensions(kw_cursor *c, const kw_hdf5_sizes *sizes, bool has_max, kw_space *out) {
    bool fits = true, empty = false;
    out->count = 1;
    for (unsigned i = 0; i < out->rank; i++) {
        out->shape[i] = kw_cursor_length(c, sizes);
        out->max_shape[i] = out->shape[i];
        empty = empty || out->shape[i] == 0;
        fits = fits && kw_mul(out->count, out->shape[i], &out->count);
    }
    if (empty || out->null) out->count = 0;
    else if (!fits) out->count = UINT64_MAX;
    uint64_t unlimited = sizes->length_len >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * sizes->length_len)) - 1;
    for (unsigned i = 0; has_max && i < out->rank; i++) {
        uint64_t max = kw_cursor_length(c, sizes);
        out->max_shape[i] = max == unlimited ? UINT64_MAX : max;
    }
}

int kw_space_read(kw_view message, const kw_hdf5_sizes *sizes, kw_space *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    uint8_t version = kw_cursor_u8(&c), rank = kw_cursor_u8(&c), flags = kw_cursor_u8(&c), type = kw_cursor_u8(&c);
    if (version == 1) kw_cursor_skip(&c, 4);
    out->rank = 0;
    out->null = version == 2 && type == 2;
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "dataspace is cut");
    if (version != 1 && version != 2) return kw_fail(err, KW_CORRUPT, message.off, "dataspace version %u", version);
    if (rank > KW_RANK_MAX) return kw_fail(err, KW_CORRUPT, message.off + 1, "dataspace of %u dimensions", rank);
    if (version == 2 && (type > 2 || (type != 1 && rank != 0)))
        return kw_fail(err, KW_CORRUPT, message.off + 3, "dataspace type %u of %u dimensions", type, rank);
    out->rank = rank;
    read_dimensions(&c, sizes, flags & 1, out);
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "dataspace is cut");
    return 0;
}
