/* hdf5_type_check.c -- is a datatype sound to its last byte?
 *
 *     compound of 2 { a: array of 3 { float }, b: enum { integer } }
 *     stack   compound, 2 left | array | float: done, 4 bytes
 *             compound, 1 left | enum | integer: done
 *
 * Of each type: its class is known, its size is not 0, and what it holds fits in
 * it.  Types inside others are on a stack of our own, DEPTH_MAX deep.
 *
 * HDF5 File Format Specification v3.0, IV.A.2.d (Datatype).
 */
#include "read/hdf5_type.h"

enum { DEPTH_MAX = 32, AXES_MAX = 32, MEMBER_AXES_MAX = 4, VERSION_MAX = 5 };

/* A type whose inner type is being walked. */
typedef struct frame {
    kw_type_head head;
    uint32_t left;          /* compound: members still to come */
    uint64_t offset, times; /* of the member, or of the elements of an array */
} frame;

typedef struct walker {
    kw_cursor c;
    frame frames[DEPTH_MAX];
    unsigned depth;
} walker;

static int damaged(const walker *w, const char *what, kw_error *err) {
    return kw_fail(err, KW_CORRUPT, kw_cursor_at(&w->c), "datatype: %s", what);
}

static uint32_t count_of(kw_type_head h) { return h.bits & 0xffff; }

/* The dimensions of an array, or of a member of version 1; false when they are too many or multiply to too much. */
static bool read_axes(walker *w, unsigned count, uint64_t *times) {
    bool fits = true;
    *times = 1;
    for (unsigned i = 0; i < count; i++) fits = kw_mul(*times, kw_cursor_u32(&w->c), times) && fits;
    return fits;
}

/* The name and place of the next member of a compound. */
static int read_member(walker *w, frame *f, kw_error *err) {
    if (kw_type_read_name(&w->c, f->head.version) == NULL) return damaged(w, "the name of a member does not end", err);
    f->offset = kw_cursor_uint(&w->c, f->head.version < 3 ? 4 : kw_width_of(f->head.len));
    f->times = 1;
    if (f->head.version != 1) return 0;
    uint8_t axes = kw_cursor_u8(&w->c);
    kw_cursor_skip(&w->c, 11);
    if (axes > MEMBER_AXES_MAX || !read_axes(w, axes, &f->times)) return damaged(w, "dimensions of a member", err);
    kw_cursor_skip(&w->c, (size_t)(MEMBER_AXES_MAX - axes) * 4);
    return 0;
}

/* What stands before the inner type. */
static int open_frame(walker *w, kw_type_head h, kw_error *err) {
    if (w->depth == DEPTH_MAX) return damaged(w, "types are nested too deep", err);
    frame *f = &w->frames[w->depth++];
    *f = (frame){.head = h, .times = 1};
    if (h.class_ == KW_CLASS_COMPOUND) {
        f->left = count_of(h);
        return f->left > 0 ? read_member(w, f, err) : damaged(w, "a compound without members", err);
    }
    if (h.class_ != KW_CLASS_ARRAY) return 0;
    uint8_t axes = kw_cursor_u8(&w->c);
    if (h.version < 3) kw_cursor_skip(&w->c, 3);
    if (axes == 0 || axes > AXES_MAX || !read_axes(w, axes, &f->times)) return damaged(w, "dimensions of an array", err);
    if (h.version < 3) kw_cursor_skip(&w->c, (size_t)axes * 4);
    return 0;
}

/* The properties of a type that holds no other. */
static int read_leaf(walker *w, kw_type_head h, kw_error *err) {
    bool fixed = h.class_ == KW_CLASS_INTEGER || h.class_ == KW_CLASS_BITS || h.class_ == KW_CLASS_FLOAT;
    if (fixed) {
        uint32_t offset = kw_cursor_u16(&w->c), precision = kw_cursor_u16(&w->c);
        if (precision == 0 || (uint64_t)offset + precision > (uint64_t)h.len * 8) return damaged(w, "bits of a number", err);
    }
    if (h.class_ == KW_CLASS_FLOAT) kw_cursor_skip(&w->c, 8);
    if (h.class_ == KW_CLASS_TIME) kw_cursor_skip(&w->c, 2);
    if (h.class_ == KW_CLASS_OPAQUE) kw_cursor_skip(&w->c, h.bits & 0xff);
    return 0;
}

/* Reads the head of a type and what stands before the inner type; *inner tells whether there is one. */
static int begin_type(walker *w, kw_type_head *h, bool *inner, kw_error *err) {
    *h = kw_type_read_head(&w->c);
    if (w->c.short_) return damaged(w, "it is cut", err);
    if (h->version < 1 || h->version > VERSION_MAX || h->class_ >= KW_CLASS_COUNT) return damaged(w, "class or version", err);
    if (h->len == 0) return damaged(w, "a type of 0 bytes", err);
    *inner = h->class_ == KW_CLASS_COMPOUND || h->class_ == KW_CLASS_ENUM || h->class_ == KW_CLASS_VLEN ||
             h->class_ == KW_CLASS_ARRAY || h->class_ == KW_CLASS_COMPLEX;
    return *inner ? open_frame(w, *h, err) : read_leaf(w, *h, err);
}

/* The names and values of an enum over `base`. */
static int read_enum(walker *w, kw_type_head h, kw_type_head base, kw_error *err) {
    if (base.class_ != KW_CLASS_INTEGER || base.len != h.len) return damaged(w, "an enum over another type", err);
    for (uint32_t i = 0; i < count_of(h); i++) {
        if (kw_type_read_name(&w->c, h.version) == NULL) return damaged(w, "a name of an enum does not end", err);
    }
    uint64_t len = (uint64_t)count_of(h) * base.len;
    if (len > kw_cursor_left(&w->c)) return damaged(w, "values of an enum", err);
    kw_cursor_skip(&w->c, (size_t)len);
    return 0;
}

/* An inner type has ended; *done tells whether the one around it has too. */
static int end_inner(walker *w, kw_type_head inner, bool *done, kw_error *err) {
    frame *f = &w->frames[w->depth - 1];
    uint64_t len, end;
    *done = true;
    switch (f->head.class_) {
    case KW_CLASS_COMPOUND:
        if (!kw_mul(f->times, inner.len, &len) || !kw_add(f->offset, len, &end) || end > f->head.len)
            return damaged(w, "a member reaches over the end of its compound", err);
        *done = --f->left == 0;
        return *done ? 0 : read_member(w, f, err);
    case KW_CLASS_ARRAY:
        if (!kw_mul(f->times, inner.len, &len) || len != f->head.len) return damaged(w, "the size of an array", err);
        return 0;
    case KW_CLASS_COMPLEX:
        if ((uint64_t)inner.len * 2 != f->head.len) return damaged(w, "the size of a complex number", err);
        return 0;
    case KW_CLASS_ENUM: return read_enum(w, f->head, inner, err);
    default: return 0;
    }
}

int kw_type_check(kw_view message, kw_error *err) {
    walker w = {.c = kw_cursor_of(message)};
    do {
        kw_type_head type;
        bool inner = false, done = true;
        if (begin_type(&w, &type, &inner, err) != 0) return -1;
        while (!inner && done && w.depth > 0) {
            if (end_inner(&w, type, &done, err) != 0) return -1;
            if (done) type = w.frames[--w.depth].head;
        }
        if (w.c.short_) return damaged(&w, "it is cut", err);
    } while (w.depth > 0);
    return 0;
}
