/* Scanning: every pattern of the short floats, at every alignment, cut anywhere; runs of zeros; what is a lost block;
 * what a cast loses. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "check.h"
#include "value/scan.h"

static uint32_t state = 1;

static uint32_t next(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* What a 16-bit or 8-bit pattern means, by the words of the standard: NAN, INFINITY or the value. */
static double meaning(kw_dtype dtype, unsigned bits) {
    static const struct {
        kw_dtype dtype;
        int exponent, fraction, bias;
        bool infinite;
    } formats[] = {{KW_DTYPE_FLOAT16, 5, 10, 15, true},
                   {KW_DTYPE_BFLOAT16, 8, 7, 127, true},
                   {KW_DTYPE_FLOAT8_E5M2, 5, 2, 15, true},
                   {KW_DTYPE_FLOAT8_E4M3FN, 4, 3, 7, false}};
    size_t i = 0;
    while (formats[i].dtype != dtype) i++;
    int width = formats[i].exponent + formats[i].fraction;
    unsigned fraction = bits & ((1u << formats[i].fraction) - 1);
    unsigned exponent = bits >> formats[i].fraction & ((1u << formats[i].exponent) - 1);
    unsigned most = (1u << formats[i].exponent) - 1;
    double sign = bits >> width & 1 ? -1 : 1;
    if (formats[i].infinite && exponent == most) return fraction == 0 ? sign * INFINITY : NAN;
    if (!formats[i].infinite && exponent == most && fraction == (1u << formats[i].fraction) - 1) return NAN;
    if (exponent == 0) return sign * ldexp(fraction, 1 - formats[i].bias - formats[i].fraction);
    return sign * ldexp(1 + ldexp(fraction, -formats[i].fraction), (int)exponent - formats[i].bias);
}

static const kw_dtype short_floats[] = {KW_DTYPE_FLOAT16, KW_DTYPE_BFLOAT16, KW_DTYPE_FLOAT8_E5M2,
                                        KW_DTYPE_FLOAT8_E4M3FN};

static void put(uint8_t *to, kw_dtype dtype, unsigned bits) {
    uint16_t wide = (uint16_t)bits;
    if (kw_dtype_len(dtype) == 1) *to = (uint8_t)bits;
    else memcpy(to, &wide, 2);
}

static double low_of(const kw_scan *s) { return kw_number_value(s->casting.from, s->low); }
static double high_of(const kw_scan *s) { return kw_number_value(s->casting.from, s->high); }

/* Each pattern alone, at two alignments. */
static void test_patterns(void) {
    for (size_t i = 0; i < sizeof short_floats / sizeof *short_floats; i++) {
        kw_dtype dtype = short_floats[i];
        size_t len = kw_dtype_len(dtype), wrong = 0;
        for (unsigned bits = 0; bits < 1u << (8 * len); bits++) {
            uint8_t bytes[4];
            double value = meaning(dtype, bits);
            kw_scan s = kw_scan_make(dtype, dtype);
            put(bytes + bits % 2, dtype, bits);
            kw_scan_add(&s, bytes + bits % 2, len);
            bool nan = isnan(value) != 0, inf = isinf(value) != 0;
            wrong += s.nan_count != nan || s.inf_count != inf || s.zero_count != (value == 0);
            wrong += s.nan_first != (nan ? 0 : KW_NOWHERE) || s.inf_first != (inf ? 0 : KW_NOWHERE);
            if (nan || inf) wrong += s.low <= s.high;
            else wrong += low_of(&s) != value || high_of(&s) != value;
        }
        CHECK_EQ(wrong, 0);
    }
}

/* All patterns of a type in a random order, scanned whole, at every alignment and in pieces that are joined. */
static void test_orders(void) {
    for (size_t t = 0; t < sizeof short_floats / sizeof *short_floats; t++) {
        kw_dtype dtype = short_floats[t];
        size_t len = kw_dtype_len(dtype), count = (size_t)1 << (8 * len);
        unsigned *order = malloc(count * sizeof *order);
        uint8_t *room = malloc(count * len + 64);
        uint64_t nan = 0, inf = 0, nan_first = KW_NOWHERE, inf_first = KW_NOWHERE;
        for (size_t i = 0; i < count; i++) order[i] = (unsigned)i;
        for (size_t i = count; i > 1; i--) {
            size_t k = next() % i;
            unsigned swap = order[i - 1];
            order[i - 1] = order[k];
            order[k] = swap;
        }
        for (size_t i = count; i-- > 0;) {
            double value = meaning(dtype, order[i]);
            nan += isnan(value) != 0;
            inf += isinf(value) != 0;
            if (isnan(value)) nan_first = i;
            if (isinf(value)) inf_first = i;
        }
        for (size_t shift = 0; shift < 64; shift += 1 + shift / 4) {
            kw_scan whole = kw_scan_make(dtype, dtype), cut = kw_scan_make(dtype, dtype);
            for (size_t i = 0; i < count; i++) put(room + shift + i * len, dtype, order[i]);
            kw_scan_add(&whole, room + shift, count * len);
            for (size_t done = 0; done < count;) {
                size_t some = next() % (count / 3) + 1;
                if (some > count - done) some = count - done;
                kw_scan part = kw_scan_again(&cut);
                kw_scan_add(&part, room + shift + done * len, some * len);
                kw_scan_join(&cut, &part);
                done += some;
            }
            const kw_scan *both[] = {&whole, &cut};
            for (int i = 0; i < 2; i++) {
                CHECK_EQ(both[i]->count, count);
                CHECK_EQ(both[i]->nan_count, nan);
                CHECK_EQ(both[i]->inf_count, inf);
                CHECK_EQ(both[i]->nan_first, nan_first);
                CHECK_EQ(both[i]->inf_first, inf_first);
                CHECK_EQ(both[i]->zero_count, 2);
                CHECK(low_of(both[i]) == -high_of(both[i]));
            }
        }
        free(order);
        free(room);
    }
}

/* The long types against one value at a time, with tails of every length. */
static void test_lengths(void) {
    static uint8_t room[40000];
    static const kw_dtype types[] = {KW_DTYPE_FLOAT32, KW_DTYPE_FLOAT64, KW_DTYPE_INT32, KW_DTYPE_UINT64,
                                     KW_DTYPE_INT8,    KW_DTYPE_UINT8,   KW_DTYPE_INT16, KW_DTYPE_COMPLEX64};
    for (size_t i = 0; i < sizeof room; i++) room[i] = next() % 5 == 0 ? 0xFF : (uint8_t)next();
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        size_t len = kw_dtype_len(types[t]);
        for (size_t count = 1; count * len < sizeof room - 8; count += 1 + count / 7) {
            const uint8_t *bytes = room + count % 8;
            kw_scan s = kw_scan_make(types[t], types[t]), one = s;
            kw_scan_add(&s, bytes, count * len);
            for (size_t i = 0; i < count; i++) {
                kw_scan part = kw_scan_again(&one);
                kw_scan_add(&part, bytes + i * len, len);
                kw_scan_join(&one, &part);
            }
            CHECK(s.low == one.low && s.high == one.high && s.count == one.count);
            CHECK(s.nan_count == one.nan_count && s.inf_count == one.inf_count && s.zero_count == one.zero_count);
            CHECK(s.nan_first == one.nan_first && s.inf_first == one.inf_first);
        }
    }
}

/* Runs found by looking at each byte. */
static kw_zeros slow_runs(const uint8_t *bytes, size_t len) {
    kw_zeros z = {.seen = len};
    for (size_t i = 0; i < len;) {
        size_t from = i;
        while (i < len && bytes[i] == 0) i++;
        if (from == 0) z.head = i;
        if (i == len) z.tail = i - from;
        if (from > 0 && i < len && i - from >= KW_ZEROS_RUN) {
            z.run_count++;
            z.run_len += i - from;
            if (i - from > z.longest) z.longest = i - from, z.longest_at = from;
        }
        while (i < len && bytes[i] != 0) i++;
    }
    return z;
}

static void check_runs(const uint8_t *bytes, size_t len, const kw_zeros *expected) {
    kw_zeros z = {0};
    for (size_t done = 0; done < len;) {
        size_t some = next() % 4 == 0 ? next() % 40 + 1 : next() % 5000 + 1;
        if (some > len - done) some = len - done;
        if (next() % 2) {
            kw_zeros_add(&z, bytes + done, some);
        } else {
            kw_zeros part = {0};
            kw_zeros_add(&part, bytes + done, some);
            kw_zeros_join(&z, &part);
        }
        done += some;
    }
    CHECK(z.seen == expected->seen && z.head == expected->head && z.tail == expected->tail);
    CHECK(z.run_count == expected->run_count && z.run_len == expected->run_len);
    CHECK(z.longest == expected->longest && z.longest_at == expected->longest_at);
}

static void test_runs(void) {
    static uint8_t bytes[20000];
    for (int round = 0; round < 300; round++) {
        size_t len = next() % sizeof bytes;
        for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(next() % 255 + 1);
        for (unsigned k = next() % 6; k > 0; k--) {
            size_t at = next() % (len + 1), run = next() % 3 == 0 ? 505 + next() % 20 : next() % 3000;
            memset(bytes + at, 0, run < len - at ? run : len - at);
        }
        kw_zeros expected = slow_runs(bytes, len);
        for (int cut = 0; cut < 4; cut++) check_runs(bytes, len, &expected);
    }
}

/* ---- lost or meant ---- */

enum { PLACE = 9160 }; /* where tensors begin in the file */

typedef struct sample {
    float *values;
    uint64_t shape[2];
    kw_tensor tensor;
    kw_scan scan;
} sample;

static sample make_sample(uint64_t rows, uint64_t columns, uint64_t off) {
    sample s = {.shape = {rows, columns}};
    s.tensor = (kw_tensor){.rank = 2, .dtype = KW_DTYPE_FLOAT32, .off = off, .nbytes = 4 * rows * columns};
    s.values = malloc(s.tensor.nbytes);
    for (uint64_t i = 0; i < rows * columns; i++) s.values[i] = (float)next() * 1e-6f + 1e-7f;
    return s;
}

static void zero(sample *s, uint64_t first, uint64_t count) { memset(s->values + first, 0, 4 * count); }

/* Judges one or two tensors and frees them; bytes that were found lost in each. */
static void judge(sample *samples, size_t count, uint64_t *lost) {
    kw_zeroed z[2];
    for (size_t i = 0; i < count; i++) {
        sample *s = &samples[i];
        s->tensor.shape = s->shape;
        s->scan = kw_scan_make(KW_DTYPE_FLOAT32, KW_DTYPE_FLOAT32);
        kw_scan_add(&s->scan, (const uint8_t *)s->values, s->tensor.nbytes);
        z[i] = (kw_zeroed){.tensor = &s->tensor,
                           .zeros = &s->scan.zeros,
                           .zero_count = s->scan.zero_count,
                           .has_one = high_of(&s->scan) == 1};
    }
    kw_zeroed_find(z, count);
    for (size_t i = 0; i < count; i++) {
        lost[i] = z[i].len;
        free(samples[i].values);
    }
}

static uint64_t lost_of(sample s) {
    uint64_t lost;
    judge(&s, 1, &lost);
    return lost;
}

static void test_lost(void) {
    sample s = make_sample(784, 128, PLACE);
    zero(&s, 1000, 1024);
    CHECK_EQ(lost_of(s), 4096); /* in the middle of rows */
    s = make_sample(784, 64, 8192);
    zero(&s, 1024, 1024);
    CHECK_EQ(lost_of(s), 4096); /* 16 whole rows, where a block of the file is */
    s = make_sample(784, 128, PLACE);
    zero(&s, 784 * 128 - 333, 333);
    CHECK_EQ(lost_of(s), 4 * 333); /* the tail */
    s = make_sample(784, 128, PLACE);
    zero(&s, 0, 333);
    CHECK_EQ(lost_of(s), 4 * 333); /* the head */
    s = make_sample(20000, 1, 4096);
    s.tensor.rank = 1;
    s.shape[0] = 20000;
    zero(&s, 1024 * 3, 1024);
    CHECK_EQ(lost_of(s), 4096); /* of a vector, where a block of the file is */
    s = make_sample(200, 300, PLACE);
    for (uint64_t i = 0; i < 3; i++) zero(&s, 5000 + i * 9007, 500);
    CHECK_EQ(lost_of(s), 2000); /* three of them: the first of the longest */
    s = make_sample(784, 128, PLACE);
    zero(&s, 1000, 127);
    CHECK_EQ(lost_of(s), 0); /* less than 512 bytes */
}

static void test_meant(void) {
    sample s = make_sample(500, 256, PLACE);
    zero(&s, 0, 256);
    CHECK_EQ(lost_of(s), 0); /* the padding of an embedding */
    s = make_sample(500, 256, PLACE);
    zero(&s, 7 * 256, 256);
    CHECK_EQ(lost_of(s), 0); /* a pruned unit */
    s = make_sample(500, 256, PLACE);
    zero(&s, 400 * 256, 100 * 256);
    CHECK_EQ(lost_of(s), 0); /* a padded vocabulary */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500; i++) zero(&s, i * 256 + 50, 150);
    CHECK_EQ(lost_of(s), 0); /* pruned columns */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500; i++) zero(&s, i * 256, 20), zero(&s, i * 256 + 100, 156);
    CHECK_EQ(lost_of(s), 0); /* padded on both sides: runs from row to row */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500 * 256; i += 2) zero(&s, i, 1);
    zero(&s, 1001, 1024);
    CHECK_EQ(lost_of(s), 0); /* pruned one by one */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500 * 256; i++) s.values[i] = 1;
    zero(&s, 1001, 1024);
    CHECK_EQ(lost_of(s), 0); /* a mask */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500 * 256; i++) s.values[i] = (float)cos((double)i * 0.37);
    zero(&s, 256 * 40, 128);
    for (uint64_t i = 0; i < 128; i++) s.values[256 * 40 + 128 + i] = 1;
    CHECK_EQ(lost_of(s), 0); /* position 0 of sines | cosines */
    s = make_sample(3 * 777, 1, PLACE);
    s.tensor.rank = 1;
    zero(&s, 777, 777);
    CHECK_EQ(lost_of(s), 0); /* the bias of keys */
    s = make_sample(500, 256, PLACE);
    for (uint64_t i = 0; i < 500; i += 50) zero(&s, i * 256 + 11, 1);
    zero(&s, 7 * 256 - 1, 257);
    CHECK_EQ(lost_of(s), 0); /* a pruned unit, and a stray zero beside it */
    s = make_sample(500, 256, PLACE);
    zero(&s, 0, 500 * 256);
    CHECK_EQ(lost_of(s), 0); /* all of it */
}

static void test_neighbours(void) {
    uint64_t lost[2];
    sample both[] = {make_sample(100, 50, PLACE), make_sample(100, 50, PLACE + 20000)};
    zero(&both[0], 5000 - 75, 75);
    zero(&both[1], 0, 80);
    judge(both, 2, lost);
    CHECK(lost[0] == 300 && lost[1] == 320); /* each too short alone */
    both[0] = make_sample(100, 50, PLACE), both[1] = make_sample(100, 50, PLACE + 20008);
    zero(&both[0], 5000 - 75, 75);
    zero(&both[1], 0, 80);
    judge(both, 2, lost);
    CHECK(lost[0] == 0 && lost[1] == 0); /* something lies between them */
    both[0] = make_sample(100, 50, PLACE), both[1] = make_sample(1, 300, PLACE + 20000);
    zero(&both[0], 5000 - 75, 75);
    zero(&both[1], 0, 300);
    judge(both, 2, lost);
    CHECK(lost[0] == 300 && lost[1] == 1200); /* a small tensor whole */
    both[0] = make_sample(100, 50, PLACE), both[1] = make_sample(1, 300, PLACE + 20000);
    zero(&both[1], 0, 300);
    judge(both, 2, lost);
    CHECK(lost[0] == 0 && lost[1] == 0); /* a bias of zeros */
}

/* ---- casts ---- */

/* From each 8-bit pattern, and from halves of it, to the other types: the nearest value, found by looking at all. */
static void test_eight_bits(void) {
    static const kw_dtype pairs[][2] = {{KW_DTYPE_FLOAT8_E5M2, KW_DTYPE_FLOAT8_E4M3FN},
                                        {KW_DTYPE_FLOAT16, KW_DTYPE_FLOAT8_E4M3FN},
                                        {KW_DTYPE_FLOAT16, KW_DTYPE_FLOAT8_E5M2},
                                        {KW_DTYPE_BFLOAT16, KW_DTYPE_FLOAT8_E5M2}};
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        kw_dtype from = pairs[p][0], to = pairs[p][1];
        double most = to == KW_DTYPE_FLOAT8_E5M2 ? 57344 : 448, limit = to == KW_DTYPE_FLOAT8_E5M2 ? 61440 : 464;
        double least = to == KW_DTYPE_FLOAT8_E5M2 ? ldexp(1, -16) : ldexp(1, -9);
        size_t wrong = 0;
        for (unsigned bits = 0; bits < 1u << (8 * kw_dtype_len(from)); bits++) {
            uint8_t bytes[2];
            double value = fabs(meaning(from, bits));
            kw_scan s = kw_scan_make(from, to);
            put(bytes, from, bits);
            kw_scan_add(&s, bytes, kw_dtype_len(from));
            /* Halfway between the greatest and what would come next goes to the even significand. */
            bool over = isfinite(value) && value > most && (value > limit || (value == limit && most > 448));
            bool flushed = value > 0 && value <= least / 2;
            wrong += s.loss.overflow_count != over || s.loss.flushed_count != flushed || s.loss.inexact_count != 0;
        }
        CHECK_EQ(wrong, 0);
    }
}

static kw_loss loss_of(kw_dtype from, kw_dtype to, const void *values, size_t len) {
    kw_scan s = kw_scan_make(from, to);
    kw_scan_add(&s, values, len);
    return s.loss;
}

static void test_casts(void) {
    const double wide[] = {1e300, -1e300, 1e-300, 1, 0.1, INFINITY, NAN, 0, 3.4028235677973366e38, 3.4028235e38};
    kw_loss loss = loss_of(KW_DTYPE_FLOAT64, KW_DTYPE_FLOAT32, wide, sizeof wide);
    CHECK(loss.overflow_count == 3 && loss.flushed_count == 1 && loss.inexact_count == 0);
    const float singles[] = {1e6f, 65519.996f, 65520, 2.9802322e-8f, 2.9802326e-8f, -0.0f};
    loss = loss_of(KW_DTYPE_FLOAT32, KW_DTYPE_FLOAT16, singles, sizeof singles);
    CHECK(loss.overflow_count == 2 && loss.flushed_count == 1);
    const int64_t longs[] = {16777216, 16777217, 16777218, -16777219, INT64_MIN, INT64_MAX};
    loss = loss_of(KW_DTYPE_INT64, KW_DTYPE_FLOAT32, longs, sizeof longs);
    CHECK(loss.overflow_count == 0 && loss.inexact_count == 3);
    loss = loss_of(KW_DTYPE_INT64, KW_DTYPE_INT32, longs, sizeof longs);
    CHECK(loss.overflow_count == 2 && loss.inexact_count == 0);
    loss = loss_of(KW_DTYPE_FLOAT64, KW_DTYPE_INT32, wide, sizeof wide);
    CHECK(loss.overflow_count == 6 && loss.inexact_count == 2);
    loss = loss_of(KW_DTYPE_FLOAT64, KW_DTYPE_FLOAT64, wide, sizeof wide);
    CHECK(loss.overflow_count == 0 && loss.flushed_count == 0 && loss.inexact_count == 0);
}

int main(void) {
    RUN(test_patterns);
    RUN(test_orders);
    RUN(test_lengths);
    RUN(test_runs);
    RUN(test_lost);
    RUN(test_meant);
    RUN(test_neighbours);
    RUN(test_eight_bits);
    RUN(test_casts);
    return check_result(__FILE__);
}
