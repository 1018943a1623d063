/* loss.c -- where a cast starts to lose, found once, and the values beyond it counted.
 *
 *     float to a narrower float     0 | flushed | rounded ........ | overflow | inf
 *     magnitudes as bits            0   1 ... flush      overflow ... finite
 *
 * Both limits are found by bisection over the magnitudes of the wider type, by rounding to nearest even (IEEE
 * 754-2019 section 4.3.1), so no table of limits can be wrong.
 */
#include "value/loss.h"

#include <math.h>
#include <string.h>

/* The greatest finite value of a type, and the least positive one. */
static double greatest(const kw_number *n) { return kw_number_value(n, (int64_t)n->finite); }
static double least(const kw_number *n) { return kw_number_value(n, 1); }

/* True when a float lies so far beyond the greatest finite one that it rounds to what comes next. */
static bool overflows(const kw_number *to, double value) {
    double most = greatest(to), below = kw_number_value(to, (int64_t)to->finite - 1);
    /* float64 has no room for the limit, and float32 of a float64 is what the processor makes of it. */
    if (to->len == 8) return false;
    double half = most + (most - below) / 2;
    /* Halfway goes to the even significand: up, unless the greatest one is even (E4M3, whose last is NaN). */
    return (to->finite & 1) != 0 ? value >= half : value > half;
}

static bool flushes(const kw_number *to, double value) {
    return to->len < 8 && value <= least(to) / 2;
}

/* NumPy casts to ml_dtypes' types by way of float32. */
static double on_the_way(const kw_number *from, const kw_number *to, double value) {
    bool own = to->len == 2 ? to->precision == 11 : to->len > 2;
    if (from->len != 8 || own) return value;
    if (value >= 0x1.ffffffp127) return INFINITY; /* the cast itself would be undefined */
    return (double)(float)value;
}

/* The least magnitude in [1, finite] that is beyond the limit, or finite + 1. */
static uint64_t bisect(const kw_number *from, const kw_number *to, bool (*beyond)(const kw_number *, double)) {
    uint64_t low = 1, high = from->finite + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (beyond(to, on_the_way(from, to, kw_number_value(from, (int64_t)middle)))) high = middle;
        else low = middle + 1;
    }
    return low;
}

static bool survives(const kw_number *to, double value) { return !flushes(to, value); }

static bool is_integer(const kw_number *n) { return n->kind == KW_NUMBER_SIGNED || n->kind == KW_NUMBER_UNSIGNED; }

/* The key of an integer's value, kept inside the type. */
static int64_t key_of(const kw_number *from, int64_t value) {
    if (from->kind == KW_NUMBER_SIGNED) {
        int64_t most = (int64_t)(UINT64_MAX >> (65 - 8 * from->len));
        return value > most ? most : value < -1 - most ? -1 - most : value;
    }
    uint64_t most = UINT64_MAX >> (64 - 8 * from->len);
    uint64_t kept = value < 0 ? 0 : (uint64_t)value > most ? most : (uint64_t)value;
    return (int64_t)(kept - (most / 2 + 1));
}

/* The range of integers that lose nothing: all those that a float counts one by one, or an integer's own. */
static void set_safe(kw_casting *c) {
    int64_t low = 0, high = 1;
    if (c->to->kind == KW_NUMBER_FLOAT) {
        high = (int64_t)(c->to->precision > 62 ? INT64_MAX : INT64_C(1) << c->to->precision);
        if ((double)high > greatest(c->to)) high = (int64_t)greatest(c->to);
        low = -high;
    } else if (is_integer(c->to)) {
        high = c->to->precision > 62 ? INT64_MAX : (INT64_C(1) << c->to->precision) - 1;
        low = c->to->kind == KW_NUMBER_SIGNED ? -1 - high : 0;
    }
    c->low = key_of(c->from, low);
    c->high = key_of(c->from, high);
}

kw_casting kw_casting_make(kw_dtype from, kw_dtype to) {
    kw_casting c = {.from = kw_number_of(from), .to = kw_number_of(to)};
    kw_cast cast = kw_dtype_cast(from, to);
    c.lossless = cast == KW_CAST_SAME || cast == KW_CAST_EXACT || c.from->parts == 0 || c.to->parts == 0;
    if (c.lossless) return c;
    if (c.from->kind == KW_NUMBER_FLOAT && c.to->kind == KW_NUMBER_FLOAT) {
        c.narrows = c.from->parts == c.to->parts || c.to->parts == 2;
        c.overflow = bisect(c.from, c.to, overflows);
        c.flush = bisect(c.from, c.to, survives) - 1;
    } else if (c.from->kind != KW_NUMBER_FLOAT) {
        set_safe(&c);
    }
    return c;
}

/* ---- one value at a time: what is rare ---- */

typedef enum fate { KEPT, OVERFLOWED, FLUSHED, INEXACT } fate;

static fate float_to_float(const kw_casting *c, int64_t key) {
    uint64_t magnitude = kw_number_magnitude(key);
    if (magnitude > c->from->finite) return KEPT;
    if (magnitude >= c->overflow) return OVERFLOWED;
    return magnitude != 0 && magnitude <= c->flush ? FLUSHED : KEPT;
}

static fate float_to_integer(const kw_casting *c, int64_t key) {
    if (kw_number_magnitude(key) > c->from->finite) return OVERFLOWED;
    double value = kw_number_value(c->from, key), whole = trunc(value), limit = ldexp(1, c->to->precision);
    if (whole >= limit || whole < (c->to->kind == KW_NUMBER_SIGNED ? -limit : 0)) return OVERFLOWED;
    return whole == value ? KEPT : INEXACT;
}

/* The magnitude of an integer, and its sign. */
static uint64_t magnitude_of(const kw_number *from, int64_t key, bool *negative) {
    *negative = from->kind == KW_NUMBER_SIGNED && key < 0;
    if (from->kind == KW_NUMBER_SIGNED) return key < 0 ? 0 - (uint64_t)key : (uint64_t)key;
    return (uint64_t)key + (UINT64_MAX >> (64 - 8 * from->len)) / 2 + 1;
}

static fate integer_to_float(const kw_casting *c, uint64_t magnitude) {
    if (overflows(c->to, (double)magnitude)) return OVERFLOWED;
    while (magnitude != 0 && (magnitude & 1) == 0) magnitude >>= 1;
    return magnitude >> c->to->precision == 0 ? KEPT : INEXACT;
}

static fate integer_to_integer(const kw_casting *c, uint64_t magnitude, bool negative) {
    uint64_t most = UINT64_MAX >> (64 - c->to->precision);
    if (negative) return c->to->kind == KW_NUMBER_SIGNED && magnitude <= most + 1 ? KEPT : OVERFLOWED;
    return magnitude <= most ? KEPT : OVERFLOWED;
}

static fate float_to_bool(const kw_casting *c, int64_t key) {
    if (kw_number_magnitude(key) > c->from->finite) return INEXACT;
    double value = kw_number_value(c->from, key);
    return value == 0 || value == 1 ? KEPT : INEXACT;
}

static fate fate_of(const kw_casting *c, int64_t key) {
    bool to_bool = c->to->kind == KW_NUMBER_BOOL, negative;
    if (c->from->kind == KW_NUMBER_FLOAT) {
        if (to_bool) return float_to_bool(c, key);
        return is_integer(c->to) ? float_to_integer(c, key) : float_to_float(c, key);
    }
    uint64_t magnitude = magnitude_of(c->from, key, &negative);
    if (to_bool) return magnitude <= 1 && !negative ? KEPT : INEXACT;
    return is_integer(c->to) ? integer_to_integer(c, magnitude, negative) : integer_to_float(c, magnitude);
}

/* The worse of what happens to the two parts of a complex value; an imaginary part that is dropped must be zero. */
static fate complex_fate(const kw_casting *c, const uint8_t *bytes) {
    int64_t real = kw_number_key(c->from, bytes), imaginary = kw_number_key(c->from, bytes + c->from->len);
    fate first = fate_of(c, real), second;
    if (c->to->parts == 2) second = fate_of(c, imaginary);
    else second = imaginary == 0 || imaginary == -1 ? KEPT : INEXACT;
    if (first == OVERFLOWED || second == OVERFLOWED) return OVERFLOWED;
    return first != KEPT ? first : second;
}

static void add_each(kw_loss *loss, const kw_casting *c, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + i * c->from->len * c->from->parts;
        fate f = c->from->parts == 2 ? complex_fate(c, at) : fate_of(c, kw_number_key(c->from, at));
        loss->overflow_count += f == OVERFLOWED;
        loss->flushed_count += f == FLUSHED;
        loss->inexact_count += f == INEXACT;
    }
}

void kw_loss_add(kw_loss *loss, const kw_casting *c, const uint8_t *bytes, size_t count, int64_t low, int64_t high) {
    if (c->lossless) return;
    if (c->from->kind != KW_NUMBER_FLOAT && low >= c->low && high <= c->high) return;
    if (!c->narrows || c->from->parts == 2) {
        add_each(loss, c, bytes, count);
        return;
    }
    bool may_overflow = high >= 0 && kw_number_magnitude(high) >= c->overflow;
    may_overflow = may_overflow || (low < 0 && kw_number_magnitude(low) >= c->overflow);
    if (may_overflow) loss->overflow_count += kw_block_count(c->from, bytes, count, c->overflow, c->from->finite);
    if (c->flush > 0) loss->flushed_count += kw_block_count(c->from, bytes, count, 1, c->flush);
}
