/* hdf5_attribute.c -- attributes, decoded as far as Keras needs.
 *
 *   |version|flags or .|name size|type size|space size|charset (3)| name | type | space | values ... |
 *
 * Version 1 pads name, type and space to 8 bytes; from version 2 on a flag says
 * that type or space is shared.  A variable-length text is |length|heap address|
 * index| in place of its bytes.
 *
 * HDF5 File Format Specification v3.0, IV.A.2.m.
 */
#include <string.h>

#include "read/hdf5_shared.h"

enum { TYPE_SHARED = 1, SPACE_SHARED = 2 };

/* An attribute message taken apart. */
typedef struct parts {
    kw_type type;
    kw_space space;
    kw_view name, values;
} parts;

/* Takes `len` bytes and the padding that version 1 puts behind them. */
static kw_view take_padded(kw_cursor *c, unsigned version, size_t len) {
    kw_view view = kw_cursor_view(c, len);
    if (version == 1) kw_cursor_skip(c, (8 - len % 8) % 8);
    return view;
}

static int read_space(kw_walk *walk, kw_view body, bool shared, kw_space *out, kw_error *err) {
    if (shared) {
        kw_cursor c = kw_cursor_of(body);
        kw_cursor_skip(&c, 2);
        if (kw_shared_load(walk, KW_MESSAGE_SPACE, kw_cursor_view(&c, 8), &body, err) != 0) return -1;
    }
    return kw_space_read(body, &walk->hdf5->more->sizes, out, err);
}

/* Takes a message apart.  On failure the name is set when it could be read. */
static int take_apart(kw_walk *walk, kw_view message, parts *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    uint8_t version = kw_cursor_u8(&c), flags = kw_cursor_u8(&c);
    size_t name_len = kw_cursor_u16(&c), type_len = kw_cursor_u16(&c), space_len = kw_cursor_u16(&c);
    if (version == 3) kw_cursor_skip(&c, 1);
    if (version == 1) flags = 0;
    out->name = (kw_view){0};
    kw_view name = take_padded(&c, version, name_len);
    kw_view type = take_padded(&c, version, type_len), space = take_padded(&c, version, space_len);
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "attribute message is cut");
    if (version < 1 || version > 3) return kw_fail(err, KW_CORRUPT, message.off, "attribute version %u", version);
    const uint8_t *end = name.len > 0 ? memchr(name.data, 0, name.len) : NULL;
    if (end == NULL) return kw_fail(err, KW_CORRUPT, name.off, "attribute name does not end");
    out->name = (kw_view){.data = name.data, .len = (size_t)(end - name.data), .off = name.off};
    out->values = kw_cursor_view(&c, kw_cursor_left(&c));
    int result = flags & TYPE_SHARED ? kw_shared_type(walk, type, &out->type, err)
                                     : kw_type_read(type, &walk->hdf5->arena, &out->type, err);
    return result == 0 ? read_space(walk, space, flags & SPACE_SHARED, &out->space, err) : -1;
}

/* The length of a text of a fixed number of bytes. */
static size_t fixed_len(const uint8_t *text, size_t len, uint8_t padding) {
    if (padding == KW_PADDING_NUL_ENDS) return strnlen((const char *)text, len);
    uint8_t pad = padding == KW_PADDING_SPACES ? ' ' : 0;
    while (len > 0 && text[len - 1] == pad) len--;
    return len;
}

/* A text whose bytes are in the message; 0 or -1. */
static int read_fixed(kw_hdf5 *hdf5, kw_view value, uint8_t padding, const char **text, size_t *text_len,
                      kw_error *err) {
    size_t len = fixed_len(value.data, value.len, padding);
    if (kw_hdf5_spend(hdf5, len + sizeof(char *), err) != 0) return -1;
    const char *copy = kw_arena_text(&hdf5->arena, value.data, len);
    if (copy == NULL) return kw_fail_memory(err);
    *text = copy;
    *text_len = len;
    return 0;
}

/* A text in the global heap, ended there with a NUL when it fills its object. */
static int read_vlen(kw_walk *walk, kw_view value, const char **text, size_t *text_len, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    kw_cursor c = kw_cursor_of(value);
    uint32_t len = kw_cursor_u32(&c);
    uint64_t address = kw_cursor_address(&c, &hdf5->more->sizes);
    uint32_t index = kw_cursor_u32(&c);
    if (c.short_) return kw_fail(err, KW_CORRUPT, value.off, "variable-length text is cut");
    if (len == 0) return 0;
    kw_span span;
    if (kw_global_heap_find(hdf5, &walk->heap, address, index, &span, err) != 0) return -1;
    if (len > span.len) return kw_fail(err, KW_CORRUPT, value.off, "text is longer than its global heap object");
    /* Also one that is not copied here: each element is a text of its own to whoever uses the list. */
    if (kw_hdf5_spend(hdf5, len, err) != 0) return -1;
    if (len < span.len) {
        const char *copy = kw_arena_text(&hdf5->arena, span.data, len);
        if (copy == NULL) return kw_fail_memory(err);
        *text = copy;
    } else {
        span.data[len] = 0;
        *text = (const char *)span.data;
    }
    *text_len = strnlen(*text, len); /* HDF5 hands it out as a C string */
    return 0;
}

/* All texts of an attribute.  The elements are in the message, so their number is bounded by it. */
static int read_texts(kw_walk *walk, const parts *p, kw_attr *attr, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    if (kw_hdf5_spend(hdf5, attr->count * (sizeof *attr->texts + sizeof *attr->text_lens), err) != 0) return -1;
    attr->texts = kw_arena_alloc(&hdf5->arena, attr->count * sizeof *attr->texts);
    size_t *lens = kw_arena_alloc(&hdf5->arena, attr->count * sizeof *lens);
    if (attr->texts == NULL || lens == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0; i < attr->count; i++) attr->texts[i] = "";
    attr->text_lens = lens;
    attr->kind = KW_ATTR_TEXT;
    kw_cursor c = kw_cursor_of(p->values);
    for (uint32_t i = 0; i < attr->count; i++) {
        kw_view value = kw_cursor_view(&c, (size_t)p->type.len);
        int result = p->type.kind == KW_TYPE_TEXT
                         ? read_fixed(hdf5, value, p->type.padding, &attr->texts[i], &lens[i], err)
                         : read_vlen(walk, value, &attr->texts[i], &lens[i], err);
        if (result != 0) return -1;
    }
    return 0;
}

/* The bits of the first element as an integer, most significant byte first when big-endian. */
static uint64_t first_bits(const parts *p) {
    uint64_t bits = 0;
    size_t len = (size_t)p->type.len;
    for (size_t i = 0; i < len; i++)
        bits = bits << 8 | p->values.data[p->type.big_endian ? i : len - 1 - i];
    return bits;
}

/* The value of a binary16, which C11 has no type for. */
static double half_value(uint64_t bits) {
    double fraction = (double)(bits & 0x3ff) / 1024.0;
    int exponent = (int)(bits >> 10 & 31);
    double value = exponent == 0 ? fraction : 1.0 + fraction;
    for (int e = exponent == 0 ? 1 : exponent; e < 15; e++) value /= 2;
    for (int e = exponent; e > 15; e--) value *= 2;
    if (exponent == 31) value = (bits & 0x3ff) != 0 ? __builtin_nan("") : __builtin_inf();
    return bits & 0x8000 ? -value : value;
}

/* The first element as a number, where the type is one that Keras's attributes can have. */
static void read_number(const parts *p, kw_attr *attr) {
    uint64_t bits = p->type.len <= 8 ? first_bits(p) : 0;
    unsigned unused = p->type.len < 8 ? 64 - 8 * (unsigned)p->type.len : 0;
    attr->kind = KW_ATTR_INT;
    switch (p->type.dtype) {
    case KW_DTYPE_BOOL:
    case KW_DTYPE_UINT8:
    case KW_DTYPE_UINT16:
    case KW_DTYPE_UINT32:
    case KW_DTYPE_UINT64: attr->integer = (int64_t)bits; return;
    case KW_DTYPE_INT8:
    case KW_DTYPE_INT16:
    case KW_DTYPE_INT32:
    case KW_DTYPE_INT64: attr->integer = (int64_t)(bits << unused) >> unused; return;
    default: break;
    }
    attr->kind = KW_ATTR_FLOAT;
    if (p->type.dtype == KW_DTYPE_FLOAT64) {
        memcpy(&attr->number, &bits, sizeof bits);
    } else if (p->type.dtype == KW_DTYPE_FLOAT32) {
        uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        attr->number = (double)value;
    } else if (p->type.dtype == KW_DTYPE_FLOAT16) {
        attr->number = half_value(bits);
    } else {
        attr->kind = KW_ATTR_OTHER;
    }
}

/* Decodes the values; 0 or -1. */
static int decode(kw_walk *walk, const parts *p, kw_attr *attr, kw_error *err) {
    uint64_t len;
    attr->scalar = p->space.rank == 0;
    if (p->space.count == 0) {
        attr->kind = KW_ATTR_EMPTY;
        return 0;
    }
    if (p->space.count == UINT64_MAX || !kw_mul(p->space.count, p->type.len, &len) || len > p->values.len ||
        p->space.count > UINT32_MAX)
        return kw_fail(err, KW_CORRUPT, p->values.off, "attribute values are cut");
    attr->count = (uint32_t)p->space.count;
    if (p->type.kind == KW_TYPE_TEXT || p->type.kind == KW_TYPE_VLEN_TEXT) return read_texts(walk, p, attr, err);
    if (p->type.kind == KW_TYPE_NUMBER && !p->type.opaque) read_number(p, attr);
    return 0;
}

int kw_attribute_read(kw_walk *walk, kw_view message, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    parts p;
    kw_error cause;
    int result = take_apart(walk, message, &p, &cause);
    if (result != 0 && (p.name.data == NULL || kw_error_is_fatal(&cause))) {
        *err = cause;
        return -1;
    }
    if (kw_hdf5_spend(hdf5, sizeof(kw_attr) + p.name.len, err) != 0) return -1;
    if (KW_GROW(hdf5->attrs, hdf5->attr_count, hdf5->more->attr_capacity, err) != 0) return -1;
    kw_attr *attr = &hdf5->attrs[hdf5->attr_count];
    *attr = (kw_attr){.kind = KW_ATTR_OTHER, .name = kw_arena_text(&hdf5->arena, p.name.data, p.name.len)};
    if (attr->name == NULL) return kw_fail_memory(err);
    hdf5->attr_count++;
    if (result == 0) result = decode(walk, &p, attr, &cause);
    return result == 0 ? 0 : kw_hdf5_note(hdf5, &attr->fault, &cause, err);
}
