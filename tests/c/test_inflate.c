/* Inflating: what was deflated comes back, another size is refused, damage is
 * found, and nothing is written past the room that was given. */
#include <libdeflate.h>
#include <stdlib.h>

#include "check.h"
#include "read/inflate.h"

enum { LEN = 50000, GUARD = 64 };

static uint8_t plain[LEN], packed[LEN + 1000], back[LEN + GUARD];

/* Text-like bytes that deflate can shorten, and some that it cannot. */
static void make_plain(void) {
    uint32_t state = 1;
    for (size_t i = 0; i < LEN; i++) {
        state = state * 1664525u + 1013904223u;
        plain[i] = i % 5000 < 4000 ? (uint8_t)(i % 97) : (uint8_t)(state >> 24);
    }
}

static size_t pack(bool zlib, size_t len) {
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(6);
    size_t got = zlib ? libdeflate_zlib_compress(deflater, plain, len, packed, sizeof packed)
                      : libdeflate_deflate_compress(deflater, plain, len, packed, sizeof packed);
    libdeflate_free_compressor(deflater);
    return got;
}

static bool guard_is_whole(size_t from) {
    for (size_t i = from; i < sizeof back; i++) {
        if (back[i] != 0xA5) return false;
    }
    return true;
}

static void test_round_trip(void) {
    static const size_t lens[] = {0, 1, 2, 100, 4096, LEN};
    kw_error err;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        kw_view in = {packed, pack(false, lens[i]), 0};
        memset(back, 0xA5, sizeof back);
        CHECK_EQ(kw_inflate_raw(in, back, lens[i], &err), 0);
        CHECK_MEM(back, plain, lens[i]);
        CHECK(guard_is_whole(lens[i]));
        in.len = pack(true, lens[i]);
        memset(back, 0xA5, sizeof back);
        CHECK_EQ(kw_inflate_zlib(in, back, lens[i], NULL, &err), 0);
        CHECK_MEM(back, plain, lens[i]);
        CHECK(guard_is_whole(lens[i]));
    }
}

static void test_other_sizes(void) {
    kw_error err;
    size_t got = 0;
    kw_view in = {packed, pack(false, 1000), 77};
    memset(back, 0xA5, sizeof back);
    CHECK_EQ(kw_inflate_raw(in, back, 999, &err), -1);
    CHECK_EQ(err.code, KW_CORRUPT);
    CHECK_EQ(err.at, 77);
    CHECK(guard_is_whole(999));
    CHECK_EQ(kw_inflate_raw(in, back, 1001, &err), -1);
    CHECK_EQ(err.code, KW_CORRUPT);
    in.len = pack(true, 1000);
    CHECK_EQ(kw_inflate_zlib(in, back, 1001, NULL, &err), -1);
    CHECK_EQ(kw_inflate_zlib(in, back, 2000, &got, &err), 0);
    CHECK_EQ(got, 1000);
    CHECK_EQ(kw_inflate_zlib(in, back, 500, &got, &err), -1);
    CHECK_EQ(err.code, KW_CORRUPT);
}

/* zlib and libhdf5 do not look behind the end of the stream either. */
static void test_bytes_behind(void) {
    kw_error err;
    size_t len = pack(true, 1000);
    memset(packed + len, 0x5A, 10);
    CHECK_EQ(kw_inflate_zlib((kw_view){packed, len + 10, 0}, back, 1000, NULL, &err), 0);
    CHECK_MEM(back, plain, 1000);
}

/* Every truncation is refused, every flipped byte of a zlib stream is noticed. */
static void test_damage(void) {
    kw_error err;
    size_t len = pack(true, 3000);
    for (size_t i = 0; i < len; i++) {
        CHECK_EQ(kw_inflate_zlib((kw_view){packed, i, 0}, back, 3000, NULL, &err), -1);
        packed[i] ^= 0xFF;
        int result = kw_inflate_zlib((kw_view){packed, len, 0}, back, 3000, NULL, &err);
        CHECK(result == -1 ? err.code == KW_CORRUPT : memcmp(back, plain, 3000) == 0);
        packed[i] ^= 0xFF;
    }
}

static void test_possible(void) {
    uint8_t *zeros = calloc(1, 1 << 20);
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(12);
    if (!CHECK(zeros != NULL && deflater != NULL)) return;
    size_t len = libdeflate_deflate_compress(deflater, zeros, 1 << 20, packed, sizeof packed);
    CHECK(kw_inflate_possible(len, 1 << 20));
    CHECK(!kw_inflate_possible(len, 2 << 20));
    CHECK(!kw_inflate_possible(100, UINT64_MAX));
    CHECK(kw_inflate_possible(0, 0));
    libdeflate_free_compressor(deflater);
    free(zeros);
}

int main(void) {
    make_plain();
    RUN(test_round_trip);
    RUN(test_other_sizes);
    RUN(test_bytes_behind);
    RUN(test_damage);
    RUN(test_possible);
    return check_result(__FILE__);
}
