/* hdf5_checksum.c -- Jenkins's lookup3.
 *
 *     | a b c | a b c | ... | the rest, padded with zeros |
 *       mix     mix           final
 *
 * Three 32-bit words are taken in at a time and stirred.
 * HDF5 File Format Specification v3.0, "Checksum" fields (IV.A.1.b and others).
 */
#include "read/hdf5_checksum.h"

typedef struct lanes {
    uint32_t a, b, c;
} lanes;

static uint32_t rotate(uint32_t x, unsigned bits) { return (x << bits) | (x >> (32 - bits)); }

/* The little-endian word at `p`. */
static uint32_t word(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The lanes with twelve more bytes taken in. */
static lanes take(lanes s, const uint8_t *p) { return (lanes){s.a + word(p), s.b + word(p + 4), s.c + word(p + 8)}; }

/* The lanes stirred, reversibly, between two blocks. */
static lanes mix(lanes s) {
    s.a = (s.a - s.c) ^ rotate(s.c, 4), s.c += s.b;
    s.b = (s.b - s.a) ^ rotate(s.a, 6), s.a += s.c;
    s.c = (s.c - s.b) ^ rotate(s.b, 8), s.b += s.a;
    s.a = (s.a - s.c) ^ rotate(s.c, 16), s.c += s.b;
    s.b = (s.b - s.a) ^ rotate(s.a, 19), s.a += s.c;
    s.c = (s.c - s.b) ^ rotate(s.b, 4), s.b += s.a;
    return s;
}

/* The result after the last block. */
static uint32_t finish(lanes s) {
    s.c = (s.c ^ s.b) - rotate(s.b, 14);
    s.a = (s.a ^ s.c) - rotate(s.c, 11);
    s.b = (s.b ^ s.a) - rotate(s.a, 25);
    s.c = (s.c ^ s.b) - rotate(s.b, 16);
    s.a = (s.a ^ s.c) - rotate(s.c, 4);
    s.b = (s.b ^ s.a) - rotate(s.a, 14);
    return (s.c ^ s.b) - rotate(s.b, 24);
}

uint32_t kw_hdf5_checksum(const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    uint32_t start = 0xdeadbeefu + (uint32_t)len;
    lanes s = {start, start, start};
    uint8_t rest[12] = {0};
    if (len == 0) return start;
    for (; len > sizeof rest; p += sizeof rest, len -= sizeof rest) s = mix(take(s, p));
    memcpy(rest, p, len);
    return finish(take(s, rest));
}

int kw_hdf5_checksum_verify(kw_view block, const char *what, kw_error *err) {
    if (block.len < 4) return kw_fail(err, KW_CORRUPT, block.off, "%s is too short for its checksum", what);
    size_t len = block.len - 4;
    uint32_t stored = word(block.data + len), found = kw_hdf5_checksum(block.data, len);
    if (stored == found) return 0;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return 0; /* what lies behind a checksum is to be reached by changed bytes too */
#endif
    return kw_fail(err, KW_CHECKSUM, block.off + len, "checksum of the %s is %08x, its bytes give %08x", what, stored,
                   found);
}
