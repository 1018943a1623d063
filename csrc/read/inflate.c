/* inflate.c -- deflate by libdeflate.
 *
 *     raw    | deflate blocks |                     zip member
 *     zlib   | 2 | deflate blocks | Adler-32 |      HDF5 chunk
 *
 * RFC 1951, RFC 1950.
 */
#include "read/inflate.h"

#include <libdeflate.h>

enum { EXPANSION_MAX = 1032 };

bool kw_inflate_possible(uint64_t in_len, uint64_t out_len) { return out_len / EXPANSION_MAX <= in_len; }

/* 0 for success, or -1 with what libdeflate says. */
static int judge(enum libdeflate_result result, kw_view in, size_t out_len, kw_error *err) {
    switch (result) {
    case LIBDEFLATE_SUCCESS:
        return 0;
    case LIBDEFLATE_SHORT_OUTPUT:
        return kw_fail(err, KW_CORRUPT, in.off, "deflated data gives fewer than the %zu bytes declared", out_len);
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return kw_fail(err, KW_CORRUPT, in.off, "deflated data gives more than the %zu bytes declared", out_len);
    case LIBDEFLATE_BAD_DATA:
    default:
        return kw_fail(err, KW_CORRUPT, in.off, "deflated data is damaged");
    }
}

int kw_inflate_raw(kw_view in, void *out, size_t out_len, kw_error *err) {
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    if (inflater == NULL) return kw_fail_memory(err);
    enum libdeflate_result result = libdeflate_deflate_decompress(inflater, in.data, in.len, out, out_len, NULL);
    libdeflate_free_decompressor(inflater);
    return judge(result, in, out_len, err);
}

int kw_inflate_zlib(kw_view in, void *out, size_t out_len, size_t *got, kw_error *err) {
    size_t used;
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    if (inflater == NULL) return kw_fail_memory(err);
    /* Bytes behind the stream are left alone, as zlib and so libhdf5 do. */
    enum libdeflate_result result = libdeflate_zlib_decompress_ex(inflater, in.data, in.len, out, out_len, &used, got);
    libdeflate_free_decompressor(inflater);
    return judge(result, in, out_len, err);
}
