/* zeros.c -- runs of zero bytes, found by looking at a word in every 256 bytes.
 *
 *     |w......|w......|w000000|00000000|000....|w......|
 *                         ^--- a run of 512 holds a whole word that is looked at, and is followed both ways from it
 *
 * The same looks tell random bits from a pattern: two neighbouring ones are equal in a table of ones and never in
 * weights.
 */
#include "value/zeros.h"

#include <string.h>

enum { PROBE_STEP = 256 };

static uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* How many zero bytes `len` bytes begin with, and end with. */
static size_t zeros_ahead(const uint8_t *bytes, size_t len) {
    size_t n = 0;
    while (n + 8 <= len && word_at(bytes + n) == 0) n += 8;
    while (n < len && bytes[n] == 0) n++;
    return n;
}

static size_t zeros_behind(const uint8_t *bytes, size_t len) {
    size_t n = 0;
    while (n + 8 <= len && word_at(bytes + len - n - 8) == 0) n += 8;
    while (n < len && bytes[len - n - 1] == 0) n++;
    return n;
}

static void add_run(kw_zeros *z, uint64_t at, uint64_t len) {
    if (len < KW_ZEROS_RUN) return;
    z->run_count++;
    z->run_len += len;
    if (len > z->longest) {
        z->longest = len;
        z->longest_at = at;
    }
}

/* Looks at bytes whose ends are not zero; `at` is where they stand. */
static void probe(kw_zeros *z, const uint8_t *bytes, size_t len, uint64_t at) {
    for (size_t i = 0; i + 8 <= len; i += PROBE_STEP) {
        uint64_t word = word_at(bytes + i);
        if (word != 0) {
            z->probe_count++;
            z->repeat_count += word == z->last_probe;
            z->last_probe = word;
            continue;
        }
        size_t before = zeros_behind(bytes, i), after = zeros_ahead(bytes + i, len - i);
        add_run(z, at + i - before, before + after);
        for (size_t end = i + after; i + PROBE_STEP < end;) i += PROBE_STEP;
    }
}

void kw_zeros_add(kw_zeros *z, const uint8_t *bytes, size_t len) {
    size_t ahead = zeros_ahead(bytes, len);
    bool all_before = z->tail == z->seen;
    if (ahead == len) {
        if (all_before) z->head += len;
        z->tail += len;
        z->seen += len;
        return;
    }
    size_t behind = zeros_behind(bytes, len);
    if (all_before) z->head += ahead;
    else add_run(z, z->seen - z->tail, z->tail + ahead);
    probe(z, bytes + ahead, len - ahead - behind, z->seen + ahead);
    z->tail = behind;
    z->seen += len;
}

void kw_zeros_join(kw_zeros *z, const kw_zeros *next) {
    bool all_before = z->tail == z->seen;
    if (next->head == next->seen) {
        if (all_before) z->head += next->seen;
        z->tail += next->seen;
    } else {
        if (all_before) z->head += next->head;
        else add_run(z, z->seen - z->tail, z->tail + next->head);
        z->tail = next->tail;
    }
    if (next->longest > z->longest) {
        z->longest = next->longest;
        z->longest_at = z->seen + next->longest_at;
    }
    z->run_count += next->run_count;
    z->run_len += next->run_len;
    z->probe_count += next->probe_count;
    z->repeat_count += next->repeat_count;
    z->seen += next->seen;
}
