/* view.h -- the only arithmetic on file bytes.
 *
 * A kw_view is bytes that were read, with the offset they came from.  A
 * kw_cursor walks a view; a read past the end returns zero and makes the cursor
 * `short_`, which the caller tests once per structure:
 *
 *     kw_cursor c = kw_cursor_of(view);
 *     uint16_t count = kw_cursor_u16(&c);
 *     uint64_t addr = kw_cursor_uint(&c, sizes->offset_len);
 *     if (c.short_) return kw_fail(err, KW_CORRUPT, kw_cursor_at(&c), "...");
 *
 * Bounds are tested as `off <= len && n <= len - off`: the sum of two numbers
 * from a file may wrap, their difference here cannot.  All integers in HDF5,
 * zip and TensorFlow files are little-endian.
 */
#ifndef KW_BASE_VIEW_H
#define KW_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct kw_view {
    const uint8_t *data;
    size_t len;
    uint64_t off; /* where data[0] lies in the source */
} kw_view;

typedef struct kw_cursor {
    kw_view view;
    size_t pos;
    bool short_; /* sticky: some read went past the end */
} kw_cursor;

static inline bool kw_in_range(uint64_t off, uint64_t len, uint64_t whole) {
    return off <= whole && len <= whole - off;
}

/* *out = a * b (a + b); false when it does not fit. */
static inline bool kw_mul(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool kw_add(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_add_overflow(a, b, out); }

static inline kw_cursor kw_cursor_of(kw_view view) { return (kw_cursor){.view = view, .pos = 0, .short_ = false}; }

static inline size_t kw_cursor_left(const kw_cursor *c) { return c->view.len - c->pos; }

/* The source offset of the next byte: what an error names. */
static inline uint64_t kw_cursor_at(const kw_cursor *c) { return c->view.off + c->pos; }

/* The next `len` bytes, or NULL (and short_) when there are fewer. */
static inline const uint8_t *kw_cursor_take(kw_cursor *c, size_t len) {
    if (c->short_ || len > kw_cursor_left(c)) {
        c->short_ = true;
        return NULL;
    }
    const uint8_t *p = c->view.data + c->pos;
    c->pos += len;
    return p;
}

static inline void kw_cursor_skip(kw_cursor *c, size_t len) { (void)kw_cursor_take(c, len); }

/* Little-endian unsigned integer of 0 to 8 bytes. */
static inline uint64_t kw_cursor_uint(kw_cursor *c, unsigned width) {
    const uint8_t *p = width <= 8 ? kw_cursor_take(c, width) : NULL;
    uint64_t v = 0;
    if (p == NULL) {
        c->short_ = true;
        return 0;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    switch (width) { /* one load, where a loop over bytes would not become one */
    case 8: memcpy(&v, p, 8); return v;
    case 4: memcpy(&v, p, 4); return v;
    case 2: memcpy(&v, p, 2); return v;
    default: break;
    }
#endif
    for (unsigned i = 0; i < width; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint8_t kw_cursor_u8(kw_cursor *c) { return (uint8_t)kw_cursor_uint(c, 1); }
static inline uint16_t kw_cursor_u16(kw_cursor *c) { return (uint16_t)kw_cursor_uint(c, 2); }
static inline uint32_t kw_cursor_u32(kw_cursor *c) { return (uint32_t)kw_cursor_uint(c, 4); }
static inline uint64_t kw_cursor_u64(kw_cursor *c) { return kw_cursor_uint(c, 8); }

/* The next `len` bytes as a view of their own; empty (and short_) past the end. */
static inline kw_view kw_cursor_view(kw_cursor *c, size_t len) {
    uint64_t off = kw_cursor_at(c);
    const uint8_t *p = kw_cursor_take(c, len);
    return (kw_view){.data = p, .len = p ? len : 0, .off = off};
}

/* True when the view starts with the given literal. */
static inline bool kw_view_starts(kw_view v, const void *magic, size_t len) {
    return v.len >= len && memcmp(v.data, magic, len) == 0;
}

#endif
