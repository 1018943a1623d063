/* scan.c -- see scan.h.  A complex value counts as one, and is NaN or Inf when a part of it is. */
#include "value/scan.h"

#include "base/error.h"

static kw_scan empty(kw_casting casting) {
    return (kw_scan){
        .casting = casting, .low = INT64_MAX, .high = INT64_MIN, .nan_first = KW_NOWHERE, .inf_first = KW_NOWHERE};
}

kw_scan kw_scan_make(kw_dtype from, kw_dtype to) { return empty(kw_casting_make(from, to)); }

kw_scan kw_scan_again(const kw_scan *scan) { return empty(scan->casting); }

static size_t value_len(const kw_scan *scan) {
    const kw_number *number = scan->casting.from;
    return (size_t)number->len * number->parts;
}

static void widen(kw_scan *scan, int64_t low, int64_t high) {
    if (low < scan->low) scan->low = low;
    if (high > scan->high) scan->high = high;
}

typedef enum sort { FINITE, NOT_A_NUMBER, INFINITE } sort;

static sort sort_of(const kw_number *number, const uint8_t *bytes) {
    sort found = FINITE;
    for (unsigned part = 0; part < number->parts; part++) {
        uint64_t magnitude = kw_number_magnitude(kw_number_key(number, bytes + part * number->len));
        if (magnitude <= number->finite) continue;
        if (number->infinite == 0 || magnitude != number->infinite) return NOT_A_NUMBER;
        found = INFINITE;
    }
    return found;
}

/* Number of the first value of a sort, of `count`; or KW_NOWHERE. */
static uint64_t find_first(const kw_number *number, const uint8_t *bytes, size_t count, sort wanted) {
    size_t each = (size_t)number->len * number->parts;
    for (size_t i = 0; i < count; i++)
        if (sort_of(number, bytes + i * each) == wanted) return i;
    return KW_NOWHERE;
}

static uint64_t count_of(const kw_number *number, const uint8_t *bytes, size_t count, sort wanted) {
    size_t each = (size_t)number->len * number->parts;
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) found += sort_of(number, bytes + i * each) == wanted;
    return found;
}

/* A block of which some value is not finite. */
static void add_odd(kw_scan *scan, const uint8_t *bytes, size_t count) {
    const kw_number *number = scan->casting.from;
    kw_block_finite found = kw_block_split(number, bytes, count * number->parts);
    if (number->parts == 2) { /* what was counted are parts */
        found.nan_count = count_of(number, bytes, count, NOT_A_NUMBER);
        found.inf_count = count_of(number, bytes, count, INFINITE);
    }
    if (found.nan_count > 0 && scan->nan_count == 0) {
        scan->nan_first = scan->count + find_first(number, bytes, count, NOT_A_NUMBER);
    }
    if (found.inf_count > 0 && scan->inf_count == 0) {
        scan->inf_first = scan->count + find_first(number, bytes, count, INFINITE);
    }
    scan->nan_count += found.nan_count;
    scan->inf_count += found.inf_count;
    widen(scan, found.low, found.high);
}

static void add_block(kw_scan *scan, const uint8_t *bytes, size_t count) {
    const kw_number *number = scan->casting.from;
    kw_block block = kw_block_scan(number, bytes, count * number->parts);
    bool is_float = number->kind == KW_NUMBER_FLOAT;
    if (is_float && (kw_number_magnitude(block.low) > number->finite || kw_number_magnitude(block.high) > number->finite)) {
        add_odd(scan, bytes, count);
    } else {
        widen(scan, block.low, block.high);
    }
    kw_loss_add(&scan->loss, &scan->casting, bytes, count, block.low, block.high);
    scan->zero_count += block.zero_count;
    scan->count += count;
}

void kw_scan_add(kw_scan *scan, const uint8_t *bytes, size_t len) {
    size_t each = value_len(scan), most = KW_BLOCK_LEN / each * each;
    for (size_t done = 0; done < len;) {
        size_t part = len - done < most ? len - done : most;
        add_block(scan, bytes + done, part / each);
        kw_zeros_add(&scan->zeros, bytes + done, part);
        done += part;
    }
}

/* Where the first one is, of two stretches. */
static uint64_t first_of(uint64_t first, uint64_t count, uint64_t next) {
    return first != KW_NOWHERE || next == KW_NOWHERE ? first : count + next;
}

void kw_scan_join(kw_scan *scan, const kw_scan *next) {
    scan->nan_first = first_of(scan->nan_first, scan->count, next->nan_first);
    scan->inf_first = first_of(scan->inf_first, scan->count, next->inf_first);
    scan->nan_count += next->nan_count;
    scan->inf_count += next->inf_count;
    scan->zero_count += next->zero_count;
    scan->count += next->count;
    scan->loss.overflow_count += next->loss.overflow_count;
    scan->loss.flushed_count += next->loss.flushed_count;
    scan->loss.inexact_count += next->loss.inexact_count;
    widen(scan, next->low, next->high);
    kw_zeros_join(&scan->zeros, &next->zeros);
}
