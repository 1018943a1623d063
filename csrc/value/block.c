/* block.c -- one loop for each width; what differs between types is in constants.
 *
 *     bits       ^ flip        turns an unsigned number into a signed one
 *     bits < 0   ^ turn        turns a negative float over
 *     bits & magnitude == 0    a zero, of a float of either sign
 */
#include "value/block.h"

#include <string.h>

typedef struct shape {
    int64_t flip, turn, magnitude;
} shape;

/* The constants of a type, cut to its width by those who use them. */
static shape shape_of(const kw_number *number) {
    int64_t most = (int64_t)(UINT64_MAX >> (65 - 8 * number->len));
    shape s = {0, 0, -1};
    if (number->kind == KW_NUMBER_FLOAT) s = (shape){0, most, most};
    if (number->kind == KW_NUMBER_UNSIGNED || number->kind == KW_NUMBER_BOOL) s = (shape){-1 - most, 0, -1};
    return s;
}

#define KEY(BITS, x) ((int##BITS##_t)((x) ^ flip ^ (int##BITS##_t)((x) < 0 ? turn : 0)))

/* Counters are as wide as the values, or the loop would not become vectors of them; RUN is how far they count. */
#define LOOPS(BITS, RUN)                                                                                               \
    static inline __attribute__((always_inline)) uint64_t count##BITS(const uint8_t *bytes, size_t count, shape s,     \
                                                                      uint64_t first, uint64_t last) {                 \
        const int##BITS##_t mask = (int##BITS##_t)s.magnitude;                                                         \
        const int##BITS##_t least = (int##BITS##_t)first, most = (int##BITS##_t)last;                                  \
        uint64_t total = 0;                                                                                            \
        for (size_t done = 0; done < count;) {                                                                         \
            size_t run = count - done < (RUN) ? count - done : (RUN);                                                  \
            uint##BITS##_t found = 0;                                                                                  \
            for (size_t i = 0; i < run; i++) {                                                                         \
                int##BITS##_t x;                                                                                       \
                memcpy(&x, bytes + (done + i) * sizeof x, sizeof x);                                                   \
                x = (int##BITS##_t)(x & mask);                                                                         \
                found = (uint##BITS##_t)(found + ((x >= least) & (x <= most)));                                        \
            }                                                                                                          \
            total += found;                                                                                            \
            done += run;                                                                                               \
        }                                                                                                              \
        return total;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static inline __attribute__((always_inline)) kw_block scan##BITS(const uint8_t *bytes, size_t count, shape s) {    \
        int##BITS##_t low = INT##BITS##_MAX, high = INT##BITS##_MIN;                                                   \
        const int##BITS##_t flip = (int##BITS##_t)s.flip, turn = (int##BITS##_t)s.turn;                                \
        const int##BITS##_t magnitude = (int##BITS##_t)s.magnitude;                                                    \
        uint##BITS##_t zeros = 0;                                                                                      \
        for (size_t i = 0; i < count; i++) {                                                                           \
            int##BITS##_t x;                                                                                           \
            memcpy(&x, bytes + i * sizeof x, sizeof x);                                                                \
            int##BITS##_t key = KEY(BITS, x);                                                                          \
            low = key < low ? key : low;                                                                               \
            high = key > high ? key : high;                                                                            \
            if ((BITS) > 8) zeros = (uint##BITS##_t)(zeros + ((x & magnitude) == 0));                                  \
        }                                                                                                              \
        return (kw_block){low, high, (BITS) > 8 ? zeros : count##BITS(bytes, count, s, 0, 0)};                         \
    }                                                                                                                  \
                                                                                                                       \
    static inline __attribute__((always_inline)) kw_block_finite split##BITS(const kw_number *number,                  \
                                                                             const uint8_t *bytes, size_t count) {     \
        const shape s = shape_of(number);                                                                              \
        const int##BITS##_t flip = (int##BITS##_t)s.flip, turn = (int##BITS##_t)s.turn;                                \
        const int##BITS##_t magnitude = (int##BITS##_t)s.magnitude, finite = (int##BITS##_t)number->finite;            \
        int##BITS##_t low = INT##BITS##_MAX, high = INT##BITS##_MIN;                                                   \
        for (size_t i = 0; i < count; i++) {                                                                           \
            int##BITS##_t x;                                                                                           \
            memcpy(&x, bytes + i * sizeof x, sizeof x);                                                                \
            int##BITS##_t key = KEY(BITS, x);                                                                          \
            int##BITS##_t odd = (int##BITS##_t)-((int##BITS##_t)(x & magnitude) > finite);                             \
            int##BITS##_t least = (int##BITS##_t)((key & ~odd) | (INT##BITS##_MAX & odd));                             \
            int##BITS##_t most = (int##BITS##_t)((key & ~odd) | (INT##BITS##_MIN & odd));                              \
            low = least < low ? least : low;                                                                           \
            high = most > high ? most : high;                                                                          \
        }                                                                                                              \
        uint64_t odd = count - count##BITS(bytes, count, s, 0, number->finite);                                        \
        uint64_t inf = count##BITS(bytes, count, s, number->finite + 1, number->infinite);                             \
        bool none = low > high;                                                                                        \
        return (kw_block_finite){none ? INT64_MAX : low, none ? INT64_MIN : high, odd - inf, inf};                     \
    }

LOOPS(8, 255u)
LOOPS(16, 65535u)
LOOPS(32, 65535u)
LOOPS(64, 65535u)

/* The entrances, each with all its loops inside, so that they are compiled for the processor that it names. */
#define ENTRANCES(NAME, TARGET)                                                                                        \
    TARGET static kw_block scan_##NAME(const kw_number *number, const uint8_t *bytes, size_t count) {                  \
        switch (number->len) {                                                                                         \
        case 1: return scan8(bytes, count, shape_of(number));                                                          \
        case 2: return scan16(bytes, count, shape_of(number));                                                         \
        case 4: return scan32(bytes, count, shape_of(number));                                                         \
        default: return scan64(bytes, count, shape_of(number));                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    TARGET static kw_block_finite split_##NAME(const kw_number *number, const uint8_t *bytes, size_t count) {          \
        switch (number->len) {                                                                                         \
        case 1: return split8(number, bytes, count);                                                                   \
        case 2: return split16(number, bytes, count);                                                                  \
        case 4: return split32(number, bytes, count);                                                                  \
        default: return split64(number, bytes, count);                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    TARGET static uint64_t count_##NAME(const kw_number *number, const uint8_t *bytes, size_t count, uint64_t first,   \
                                        uint64_t last) {                                                               \
        switch (number->len) {                                                                                         \
        case 1: return count8(bytes, count, shape_of(number), first, last);                                            \
        case 2: return count16(bytes, count, shape_of(number), first, last);                                           \
        case 4: return count32(bytes, count, shape_of(number), first, last);                                           \
        default: return count64(bytes, count, shape_of(number), first, last);                                          \
        }                                                                                                              \
    }

ENTRANCES(plain, )

#if defined(__x86_64__) && defined(__GNUC__)
ENTRANCES(avx2, __attribute__((target("avx2"))))
#define TAKE(name) (__builtin_cpu_supports("avx2") ? name##_avx2 : name##_plain)
#else
#define TAKE(name) name##_plain
#endif

kw_block kw_block_scan(const kw_number *number, const uint8_t *bytes, size_t count) {
    return TAKE(scan)(number, bytes, count);
}

kw_block_finite kw_block_split(const kw_number *number, const uint8_t *bytes, size_t count) {
    return TAKE(split)(number, bytes, count);
}

uint64_t kw_block_count(const kw_number *number, const uint8_t *bytes, size_t count, uint64_t first, uint64_t last) {
    return TAKE(count)(number, bytes, count, first, last);
}
