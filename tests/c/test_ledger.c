/* csrc/base/ledger: against one flag a byte, and claims as long as files can be. */
#include <stdlib.h>

#include "base/ledger.h"
#include "check.h"
#include "random.h"

static void test_claims_once(void) {
    kw_error err = {0};
    kw_ledger ledger = KW_LEDGER_EMPTY;
    CHECK(!kw_ledger_has(&ledger, 0));
    CHECK_EQ(kw_ledger_claim(&ledger, 100, 0, &err), 0);
    CHECK_EQ(ledger.count, 0);
    CHECK_EQ(kw_ledger_claim(&ledger, 100, 50, &err), 0);
    CHECK(kw_ledger_has(&ledger, 100) && kw_ledger_has(&ledger, 149));
    CHECK(!kw_ledger_has(&ledger, 99) && !kw_ledger_has(&ledger, 150));
    CHECK_EQ(kw_ledger_claim(&ledger, 40, 61, &err), -1);
    CHECK_EQ(err.code, KW_ALIAS);
    CHECK_EQ(err.at, 100);
    CHECK(!kw_ledger_has(&ledger, 40));
    CHECK_EQ(kw_ledger_claim(&ledger, 149, 9000, &err), -1);
    CHECK_EQ(err.at, 149);
    CHECK_EQ(kw_ledger_claim(&ledger, 40, 60, &err), 0);
    CHECK_EQ(kw_ledger_claim(&ledger, 150, 9000, &err), 0);
    CHECK_EQ(kw_ledger_claim(&ledger, 0, 1u << 30, &err), -1);
    CHECK_EQ(err.at, 40);
    kw_ledger_free(&ledger);
    CHECK(!kw_ledger_has(&ledger, 100));
}

/* Random claims in the first 3 MiB, of all kinds of lengths and alignments. */
static void check_against_flags(uint64_t seed) {
    enum { LEN = 3 << 20, CLAIM_COUNT = 1500 };
    kw_error err = {0};
    kw_ledger ledger = KW_LEDGER_EMPTY;
    char *flags = calloc(LEN, 1);
    if (!CHECK(flags != NULL)) return;
    for (int i = 0; i < CLAIM_COUNT; i++) {
        uint64_t off = next_random(&seed) % LEN, longest = (uint64_t)2 << next_random(&seed) % 21;
        uint64_t len = next_random(&seed) % longest + 1;
        if (next_random(&seed) % 3 == 0) off &= ~(uint64_t)4095;
        if (next_random(&seed) % 50 == 0) off &= ~(uint64_t)0xFFFFF;
        if (len > LEN - off) len = LEN - off;
        uint64_t taken = off;
        while (taken < off + len && flags[taken] == 0) taken++;
        bool is_free = taken == off + len;
        CHECK_EQ(kw_ledger_claim(&ledger, off, len, &err), is_free ? 0 : -1);
        if (is_free)
            memset(flags + off, 1, len);
        else
            CHECK_EQ(err.at, taken);
    }
    uint64_t wrong = 0;
    for (uint64_t off = 0; off < LEN; off++) wrong += kw_ledger_has(&ledger, off) != (flags[off] != 0);
    CHECK_EQ(wrong, 0);
    for (int claimed = 0; claimed < 2; claimed++) { /* every run of either kind, and only those */
        uint64_t at = 0;
        for (uint64_t expected = 0; at < LEN; expected = at) {
            at = kw_ledger_next(&ledger, at, LEN, claimed);
            while (expected < LEN && (flags[expected] != 0) != (claimed != 0)) expected++;
            CHECK_EQ(at, expected);
            at = kw_ledger_next(&ledger, at, LEN, !claimed);
        }
    }
    kw_ledger_free(&ledger);
    free(flags);
}

static void test_random_claims(void) {
    for (uint64_t seed = 1; seed <= 12; seed++) check_against_flags(seed);
}

/* Claims random ranges of the first 3 MiB that nobody has in `flags` yet, and sets `flag` there. */
static void claim_some(kw_ledger *ledger, char *flags, char flag, int count, uint64_t *seed) {
    enum { LEN = 3 << 20 };
    kw_error err = {0};
    for (int i = 0; i < count; i++) {
        uint64_t off = next_random(seed) % LEN, len = next_random(seed) % ((uint64_t)2 << next_random(seed) % 21) + 1;
        if (next_random(seed) % 3 == 0) off &= ~(uint64_t)4095;
        if (next_random(seed) % 50 == 0) off &= ~(uint64_t)0xFFFFF;
        if (len > LEN - off) len = LEN - off;
        if (next_random(seed) % 3 == 0 && len > 4096) len &= ~(uint64_t)4095;
        uint64_t free_len = 0;
        while (free_len < len && flags[off + free_len] == 0) free_len++;
        CHECK_EQ(kw_ledger_claim(ledger, off, free_len, &err), 0);
        memset(flags + off, flag, free_len);
    }
}

/* Joins ledgers that have nothing in common, then one that has a range in common. */
static void check_join(uint64_t seed) {
    enum { LEN = 3 << 20 };
    kw_error err = {0};
    kw_ledger a = KW_LEDGER_EMPTY, b = KW_LEDGER_EMPTY, c = KW_LEDGER_EMPTY;
    char *flags = calloc(LEN, 1), *others = calloc(LEN, 1);
    if (!CHECK(flags != NULL && others != NULL)) return;
    for (int turn = 0; turn < 8; turn++) { /* in turns, so that they share pages and blocks */
        claim_some(&a, flags, 1, (int)(next_random(&seed) % 40), &seed);
        claim_some(&b, flags, 2, (int)(next_random(&seed) % 40), &seed);
    }
    CHECK_EQ(kw_ledger_join(&a, &b, &err), 0);
    kw_ledger_free(&b);
    uint64_t wrong = 0;
    for (uint64_t off = 0; off < LEN; off++) wrong += kw_ledger_has(&a, off) != (flags[off] != 0);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(kw_ledger_next(&a, LEN, UINT64_MAX, true), UINT64_MAX);
    claim_some(&c, others, 1, 1 + (int)(next_random(&seed) % 3), &seed);
    bool both = false;
    for (uint64_t off = 0; off < LEN; off++) both = both || (flags[off] != 0 && others[off] != 0);
    err = (kw_error){0};
    CHECK_EQ(kw_ledger_join(&a, &c, &err), both ? -1 : 0);
    CHECK_EQ(err.code, both ? KW_ALIAS : KW_OK);
    kw_ledger_free(&c);
    kw_ledger_free(&a);
    free(flags);
    free(others);
}

static void test_joins(void) {
    for (uint64_t seed = 1; seed <= 60; seed++) check_join(seed);
}

/* A range that one has and a range that the other has: of a part of a page, of pages, of blocks. */
static void test_join_of_two_ranges(void) {
    static const struct {
        uint64_t off, len;
    } ranges[] = {{0, 1},          {4095, 1},         {4096, 4096},       {4096, 1},           {5000, 8},
                  {8000, 10},      {0, 1 << 20},      {1 << 20, 1 << 20}, {(1 << 20) + 77, 9}, {0, 1u << 28},
                  {1u << 28, 100}, {UINT64_MAX, 1},   {UINT64_MAX - 9, 5}, {0, UINT64_MAX},    {1ull << 60, 1ull << 60}};
    enum { COUNT = sizeof ranges / sizeof *ranges };
    for (int i = 0; i < COUNT * COUNT; i++) {
        uint64_t off = ranges[i / COUNT].off, len = ranges[i / COUNT].len;
        uint64_t other_off = ranges[i % COUNT].off, other_len = ranges[i % COUNT].len;
        bool both = off <= other_off ? other_off - off < len : off - other_off < other_len;
        kw_ledger a = KW_LEDGER_EMPTY, b = KW_LEDGER_EMPTY;
        kw_error err = {0};
        CHECK_EQ(kw_ledger_claim(&a, off, len, &err), 0);
        CHECK_EQ(kw_ledger_claim(&b, other_off, other_len, &err), 0);
        CHECK_EQ(kw_ledger_join(&a, &b, &err), both ? -1 : 0);
        CHECK_EQ(err.code, both ? KW_ALIAS : KW_OK);
        if (!both) CHECK(kw_ledger_has(&a, off) && kw_ledger_has(&a, other_off + other_len - 1));
        kw_ledger_free(&a);
        kw_ledger_free(&b);
    }
    kw_ledger a = KW_LEDGER_EMPTY, b = KW_LEDGER_EMPTY;
    kw_error err = {0};
    CHECK_EQ(kw_ledger_join(&a, &b, &err), 0);
    CHECK(!kw_ledger_has(&a, 0));
    kw_ledger_free(&a);
    kw_ledger_free(&b);
}

static void test_long_claims_cost_little(void) {
    kw_error err = {0};
    kw_ledger ledger = KW_LEDGER_EMPTY;
    uint64_t off = 12345, len = UINT64_MAX / 4 * 3;
    CHECK_EQ(kw_ledger_claim(&ledger, off + len + 500, 3, &err), 0);
    CHECK_EQ(kw_ledger_claim(&ledger, off, len, &err), 0);
    CHECK(ledger.count < 256 * 2 * 7 + 100);
    CHECK(kw_ledger_has(&ledger, off) && kw_ledger_has(&ledger, off + len - 1) && kw_ledger_has(&ledger, len / 2));
    CHECK(!kw_ledger_has(&ledger, off - 1) && !kw_ledger_has(&ledger, off + len));
    CHECK_EQ(kw_ledger_claim(&ledger, len / 3, 1, &err), -1);
    CHECK_EQ(err.at, len / 3);
    CHECK_EQ(kw_ledger_claim(&ledger, 0, UINT64_MAX, &err), -1);
    CHECK_EQ(err.at, off);
    CHECK_EQ(kw_ledger_claim(&ledger, off + len, UINT64_MAX - off - len + 1, &err), -1);
    CHECK_EQ(err.at, off + len + 500);
    kw_ledger_free(&ledger);
}

static void test_the_last_bytes(void) {
    kw_error err = {0};
    kw_ledger ledger = KW_LEDGER_EMPTY;
    CHECK_EQ(kw_ledger_claim(&ledger, UINT64_MAX - 1, 3, &err), -1);
    CHECK_EQ(err.code, KW_CORRUPT);
    CHECK_EQ(ledger.count, 0);
    CHECK_EQ(kw_ledger_claim(&ledger, UINT64_MAX, 1, &err), 0);
    CHECK_EQ(kw_ledger_claim(&ledger, UINT64_MAX - 9000, 9001, &err), -1);
    CHECK_EQ(err.at, UINT64_MAX);
    CHECK_EQ(kw_ledger_claim(&ledger, 1, UINT64_MAX - 1, &err), 0);
    CHECK_EQ(kw_ledger_claim(&ledger, 0, 1, &err), 0);
    CHECK(kw_ledger_has(&ledger, 0) && kw_ledger_has(&ledger, UINT64_MAX));
    kw_ledger_free(&ledger);
}

/* Pages whose numbers share their low bits: a hash that the file can aim at would take minutes. */
static void test_pages_far_apart(void) {
    kw_error err = {0};
    kw_ledger ledger = KW_LEDGER_EMPTY;
    for (uint64_t i = 0; i < 30000; i++) CHECK_EQ(kw_ledger_claim(&ledger, i << 40, 8, &err), 0);
    for (uint64_t i = 0; i < 30000; i++) CHECK(kw_ledger_has(&ledger, (i << 40) + 7));
    kw_ledger joined = KW_LEDGER_EMPTY;
    CHECK_EQ(kw_ledger_claim(&joined, 100, 10, &err), 0);
    CHECK_EQ(kw_ledger_join(&joined, &ledger, &err), 0);
    for (uint64_t i = 0; i < 30000; i++) CHECK(kw_ledger_has(&joined, (i << 40) + 7));
    CHECK(kw_ledger_has(&joined, 109) && !kw_ledger_has(&joined, 110));
    kw_ledger_free(&joined);
    kw_ledger_free(&ledger);
}

int main(void) {
    RUN(test_claims_once);
    RUN(test_random_claims);
    RUN(test_joins);
    RUN(test_join_of_two_ranges);
    RUN(test_long_claims_cost_little);
    RUN(test_the_last_bytes);
    RUN(test_pages_far_apart);
    return check_result(__FILE__);
}
