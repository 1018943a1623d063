/* hdf5_foreign.c -- what libhdf5's decoders take for granted.
 *
 *     szip          length before (4) | coded bytes
 *       values      options, pixels a block, bits a pixel, pixels a scan line
 *     nbit          elements of `precision` bits each, packed
 *       values      count of values, 1 when nothing was packed, elements, class (1 atomic),
 *                   size, order, precision, bit offset
 *     scale-offset  bits an element (4) | length of the minimum (1) | minimum (16) | packed differences
 *       values      (20) scale type, scale factor, elements, class (0 integer, 1 float), size, sign,
 *                   order, fill value is there, fill value ...
 *
 * HDF5 File Format Specification v3.0, IV.A.2.l (Filter Pipeline), and the
 * filters' own documents.
 */
#include "read/hdf5_foreign.h"

#include "read/hdf5_filter.h"
#include "read/hdf5_single.h"

/* The u32 at the beginning, little-endian. */
static uint32_t first_u32(kw_view view) {
    kw_cursor c = kw_cursor_of(view);
    return kw_cursor_u32(&c);
}

/* True when `elements` of `bits` each fit in `len` bytes. */
static bool holds(uint64_t len, uint64_t elements, uint64_t bits) {
    uint64_t need;
    return kw_mul(elements, bits, &need) && need / 8 + (need % 8 != 0) <= len;
}

static kw_foreign_verdict check_szip(const kw_filter *filter, kw_view stored, uint64_t chunk_len) {
    enum { BLOCK_MAX = 32, LINE_MAX = 4096 };
    const uint32_t *v = filter->values;
    bool fits = filter->value_count == 4 && v[1] >= 2 && v[1] <= BLOCK_MAX && v[1] % 2 == 0 &&
                ((v[2] >= 1 && v[2] <= 24) || v[2] == 32 || v[2] == 64) && v[3] >= 1 && v[3] <= LINE_MAX;
    return fits && stored.len >= 4 && first_u32(stored) == chunk_len ? KW_FOREIGN_FITS : KW_FOREIGN_DAMAGED;
}

static kw_foreign_verdict check_nbit(const kw_filter *filter, uint64_t size, kw_view stored, uint64_t chunk_len) {
    enum { ELEMENTS = 2, CLASS, SIZE, ORDER, PRECISION, OFFSET, VALUES, ATOMIC = 1 };
    const uint32_t *v = filter->values;
    if (filter->value_count < CLASS || v[0] != filter->value_count) return KW_FOREIGN_DAMAGED;
    if (filter->value_count != VALUES || v[CLASS] != ATOMIC) return KW_FOREIGN_OTHER;
    bool fits = v[SIZE] == size && (uint64_t)v[ELEMENTS] * size == chunk_len && v[ORDER] <= 1 && v[PRECISION] >= 1 &&
                (uint64_t)v[PRECISION] + v[OFFSET] <= 8 * size && holds(stored.len, v[ELEMENTS], v[PRECISION]);
    return fits ? KW_FOREIGN_FITS : KW_FOREIGN_DAMAGED;
}

static kw_foreign_verdict check_scale_offset(const kw_filter *filter, uint64_t size, kw_view stored, uint64_t chunk_len) {
    enum { TYPE, FACTOR, ELEMENTS, CLASS, SIZE, SIGN, ORDER, FILL, VALUES = 20, D_SCALE = 0, INTEGER = 2, HEAD = 21 };
    const uint32_t *v = filter->values;
    if (filter->value_count != VALUES) return KW_FOREIGN_DAMAGED;
    bool whole = v[CLASS] == 0, real = v[CLASS] == 1;
    bool fits = v[SIZE] == size && (uint64_t)v[ELEMENTS] * size == chunk_len && v[ORDER] <= 1 && v[SIGN] <= 1 &&
                v[FILL] <= 1;
    if (whole) fits = fits && v[TYPE] == INTEGER && (size == 1 || size == 2 || size == 4 || size == 8);
    else fits = fits && real && v[TYPE] == D_SCALE && (size == 4 || size == 8);
    if (fits && whole && v[FACTOR] == 8 * size) return stored.len == chunk_len ? KW_FOREIGN_FITS : KW_FOREIGN_DAMAGED;
    uint32_t bits = first_u32(stored);
    fits = fits && stored.len >= HEAD && bits <= 8 * size && holds(stored.len - HEAD, v[ELEMENTS], bits);
    return fits ? KW_FOREIGN_FITS : KW_FOREIGN_DAMAGED;
}

bool kw_foreign_is_idle(const kw_filter *filter) {
    return filter->id == KW_FILTER_NBIT && filter->value_count > 1 && filter->values[1] != 0;
}

kw_foreign_verdict kw_foreign_check(const kw_filter *filter, uint64_t element_len, kw_view stored, uint64_t chunk_len) {
    if (filter->value_count > KW_SINGLE_VALUES_MAX) return KW_FOREIGN_OTHER;
    switch (filter->id) {
    case KW_FILTER_SZIP:
        return check_szip(filter, stored, chunk_len);
    case KW_FILTER_NBIT:
        return check_nbit(filter, element_len, stored, chunk_len);
    case KW_FILTER_SCALE_OFFSET:
        return check_scale_offset(filter, element_len, stored, chunk_len);
    default:
        return KW_FOREIGN_OTHER;
    }
}
