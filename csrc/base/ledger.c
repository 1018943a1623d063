/* ledger.c -- claimed bytes as a tree of 256 children a node, kept in a hash.
 *
 *     level 2     |         256 MiB         |      one entry a block that has claims:
 *     level 1     | 1 MiB |  ...  |                 full, or some of its children have entries
 *     level 0     4 KiB page: full, or 64 words of bits, one a byte
 *
 * A claim is cut into the largest aligned blocks that it covers whole (at most
 * 255 on each side of each level) and a part of a page at either end.  Where an
 * entry exists, so do those of all blocks around it, and none of them is full.
 */
#include "base/ledger.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/seed.h"

enum { PAGE_SHIFT = 12, LEVEL_SHIFT = 8, LEVEL_COUNT = 7, PAGE_WORDS = (1 << PAGE_SHIFT) / 64 };

struct kw_ledger_page {
    uint64_t key;   /* number of the block << 3 | level + 1; 0: empty */
    uint64_t *bits; /* a page that is claimed in part */
    bool full;
};

/* A piece of a claim: a whole block, or a part of a page. */
typedef struct piece {
    uint64_t off, len;
    unsigned level;
    bool whole;
} piece;

static inline unsigned shift_of(unsigned level) { return PAGE_SHIFT + LEVEL_SHIFT * level; }

/* The key of the block of `level` around `off`. */
static inline uint64_t key_of(uint64_t off, unsigned level) { return off >> shift_of(level) << 3 | (level + 1); }

/* The entry of `key`, or the empty one where it belongs; the seed is odd. */
static struct kw_ledger_page *find_slot(const kw_ledger *ledger, uint64_t key) {
    size_t mask = ledger->capacity - 1;
    size_t i = (size_t)(key * ledger->seed >> __builtin_clzll(mask)); /* the top bits: all of the key counts */
    while (ledger->pages[i].key != 0 && ledger->pages[i].key != key) i = (i + 1) & mask;
    return &ledger->pages[i];
}

/* The entry of a block, or NULL. */
static struct kw_ledger_page *find_page(const kw_ledger *ledger, uint64_t off, unsigned level) {
    if (ledger->count == 0) return NULL;
    struct kw_ledger_page *page = find_slot(ledger, key_of(off, level));
    return page->key != 0 ? page : NULL;
}

/* True when a block around the one of `level` at `off` is full. */
static bool is_inside_full(const kw_ledger *ledger, uint64_t off, unsigned level) {
    while (++level < LEVEL_COUNT) {
        const struct kw_ledger_page *page = find_page(ledger, off, level);
        if (page != NULL) return page->full;
    }
    return false;
}

/* The first piece of [off, off + len), len > 0. */
static piece first_piece(uint64_t off, uint64_t len) {
    uint64_t in_page = off & ((1u << PAGE_SHIFT) - 1), left = (1u << PAGE_SHIFT) - in_page;
    if (in_page != 0 || len < left) return (piece){off, len < left ? len : left, 0, false};
    unsigned level = 0;
    while (level + 1 < LEVEL_COUNT) {
        uint64_t size = (uint64_t)1 << shift_of(level + 1);
        if ((off & (size - 1)) != 0 || len < size) break;
        level++;
    }
    return (piece){off, (uint64_t)1 << shift_of(level), level, true};
}

/* The bits [bit, ...) of a word, `len` of them or as many as there are. */
static inline uint64_t mask_of(unsigned bit, uint64_t len) {
    return (len >= 64 ? UINT64_MAX : ((uint64_t)1 << len) - 1) << bit;
}

/* The first bit of a page at or after `from` and before `to` that is set, or that is not; else `to`. */
static inline uint64_t first_bit(const uint64_t *bits, uint64_t from, uint64_t to, bool set) {
    for (uint64_t at = from; at < to; at = (at | 63) + 1) {
        uint64_t found = (bits[at / 64] ^ (set ? 0 : UINT64_MAX)) & mask_of(at % 64, to - at);
        if (found != 0) return at / 64 * 64 + (uint64_t)__builtin_ctzll(found);
    }
    return to;
}

static void set_bits(uint64_t *bits, uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at = (at | 63) + 1) bits[at / 64] |= mask_of(at % 64, to - at);
}

/* The first claimed byte of a whole block, which has an entry. */
static uint64_t first_claimed(const kw_ledger *ledger, uint64_t off, unsigned level) {
    const struct kw_ledger_page *page = find_page(ledger, off, level);
    assert(page != NULL);
    while (!page->full && level > 0) {
        level--;
        while ((page = find_page(ledger, off, level)) == NULL) off += (uint64_t)1 << shift_of(level);
    }
    return page->full ? off : off + first_bit(page->bits, 0, 1u << PAGE_SHIFT, true);
}

/* The first byte of a piece that is taken, or its end. */
static uint64_t first_taken(const kw_ledger *ledger, piece p) {
    const struct kw_ledger_page *page = find_page(ledger, p.off, p.level);
    if (page == NULL) return is_inside_full(ledger, p.off, p.level) ? p.off : p.off + p.len;
    if (page->full) return p.off;
    if (p.whole) return first_claimed(ledger, p.off, p.level);
    uint64_t in_page = p.off & ((1u << PAGE_SHIFT) - 1);
    return p.off - in_page + first_bit(page->bits, in_page, in_page + p.len, true);
}

/* Makes room for `more` entries; 0 or -1. */
static int make_room(kw_ledger *ledger, size_t more, kw_error *err) {
    size_t capacity = ledger->capacity == 0 ? 64 : ledger->capacity;
    while (capacity / 4 * 3 < ledger->count + more) capacity *= 2;
    if (capacity == ledger->capacity) return 0;
    kw_ledger grown = *ledger;
    grown.capacity = capacity;
    grown.pages = kw_memory_zeroed(capacity * sizeof *grown.pages);
    if (grown.pages == NULL) return kw_fail_memory(err);
    if (ledger->seed == 0) grown.seed = kw_seed() | 1;
    for (size_t i = 0; i < ledger->capacity; i++)
        if (ledger->pages[i].key != 0) *find_slot(&grown, ledger->pages[i].key) = ledger->pages[i];
    kw_memory_free(ledger->pages, ledger->capacity * sizeof *ledger->pages);
    *ledger = grown;
    return 0;
}

/* The entry of a block, made with those around it; there is room for them. */
static struct kw_ledger_page *touch(kw_ledger *ledger, uint64_t off, unsigned level) {
    for (unsigned around = level; around < LEVEL_COUNT; around++) {
        struct kw_ledger_page *page = find_slot(ledger, key_of(off, around));
        if (page->key != 0) break;
        page->key = key_of(off, around);
        ledger->count++;
    }
    return find_slot(ledger, key_of(off, level));
}

/* Marks a piece that is free; `spare` are zeroed bits for a page that has none, taken from the list. */
static void mark(kw_ledger *ledger, piece p, uint64_t **spare) {
    struct kw_ledger_page *page = touch(ledger, p.off, p.level);
    if (p.whole) {
        page->full = true;
        return;
    }
    if (page->bits == NULL) {
        uint64_t **taken = spare[0] != NULL ? &spare[0] : &spare[1];
        page->bits = *taken;
        *taken = NULL;
    }
    uint64_t in_page = p.off & ((1u << PAGE_SHIFT) - 1);
    set_bits(page->bits, in_page, in_page + p.len);
}

/* Checks that all pieces are free, counts them and allocates bits for the (at
 * most two) parts of pages that have none; 0 or -1. */
static int check_pieces(const kw_ledger *ledger, uint64_t off, uint64_t len, size_t *count, uint64_t **spare,
                        kw_error *err) {
    piece p;
    for (uint64_t done = 0; done < len; done += p.len, ++*count) {
        p = first_piece(off + done, len - done);
        uint64_t taken = first_taken(ledger, p);
        if (taken - p.off < p.len) return kw_fail(err, KW_ALIAS, taken, "bytes belong to two structures");
        if (p.whole || find_page(ledger, p.off, 0) != NULL) continue;
        uint64_t *bits = calloc(PAGE_WORDS, sizeof *bits);
        if (bits == NULL) return kw_fail_memory(err);
        spare[spare[0] != NULL] = bits;
    }
    return 0;
}

/* Claims a small range inside a page that has claims already, which is what most ranges are; false when it is another
 * kind of range, or not free. */
static bool claim_in_page(kw_ledger *ledger, uint64_t off, uint64_t len) {
    uint64_t in_page = off & ((1u << PAGE_SHIFT) - 1), end = in_page + len;
    if (len >= 1u << PAGE_SHIFT || end > 1u << PAGE_SHIFT) return false;
    struct kw_ledger_page *page = find_page(ledger, off, 0);
    if (page == NULL || page->full || first_bit(page->bits, in_page, end, true) != end) return false;
    set_bits(page->bits, in_page, end);
    return true;
}

int kw_ledger_claim(kw_ledger *ledger, uint64_t off, uint64_t len, kw_error *err) {
    if (len == 0 || claim_in_page(ledger, off, len)) return 0;
    if (len - 1 > UINT64_MAX - off) return kw_fail(err, KW_CORRUPT, off, "range ends past 2^64");
    size_t count = 0;
    uint64_t *spare[2] = {NULL, NULL};
    int result = check_pieces(ledger, off, len, &count, spare, err);
    /* The blocks around the pieces lie on two paths, to either end. */
    if (result == 0) result = make_room(ledger, count + 2 * LEVEL_COUNT, err);
    piece p;
    for (uint64_t done = 0; result == 0 && done < len; done += p.len) {
        p = first_piece(off + done, len - done);
        mark(ledger, p, spare);
    }
    free(spare[0]);
    free(spare[1]);
    return result;
}

/* The largest block around `off` that is claimed whole, *claimed, or has no claims; its level.  LEVEL_COUNT for a page
 * that has some. */
static unsigned find_even_block(const kw_ledger *ledger, uint64_t off, bool *claimed) {
    *claimed = false;
    for (unsigned level = LEVEL_COUNT; level-- > 0;) {
        const struct kw_ledger_page *page = find_page(ledger, off, level);
        if (page == NULL) return level;
        *claimed = page->full;
        if (page->full) return level;
    }
    return LEVEL_COUNT;
}

uint64_t kw_ledger_next(const kw_ledger *ledger, uint64_t off, uint64_t end, bool claimed) {
    uint64_t page_len = 1u << PAGE_SHIFT;
    while (off < end) {
        bool all;
        unsigned level = find_even_block(ledger, off, &all);
        uint64_t len = level < LEVEL_COUNT ? (uint64_t)1 << shift_of(level) : page_len, start = off & ~(len - 1);
        if (level < LEVEL_COUNT) {
            if (all == claimed) return off;
        } else {
            const uint64_t *bits = find_page(ledger, off, 0)->bits;
            uint64_t bit = first_bit(bits, off - start, len, claimed);
            if (bit < len) return start + bit < end ? start + bit : end;
        }
        if (len > UINT64_MAX - start) return end;
        off = start + len;
    }
    return end;
}

bool kw_ledger_slot(const kw_ledger *ledger, size_t i, uint64_t *off, uint64_t *len) {
    const struct kw_ledger_page *page = &ledger->pages[i];
    if (page->key == 0 || (!page->full && page->bits == NULL)) return false;
    unsigned level = (unsigned)(page->key & 7) - 1;
    *off = page->key >> 3 << shift_of(level);
    *len = (uint64_t)1 << shift_of(level);
    return true;
}

bool kw_ledger_has(const kw_ledger *ledger, uint64_t off) {
    const struct kw_ledger_page *page = find_page(ledger, off, 0);
    if (page == NULL) return is_inside_full(ledger, off, 0);
    uint64_t in_page = off & ((1u << PAGE_SHIFT) - 1);
    return page->full || first_bit(page->bits, in_page, in_page + 1, true) == in_page;
}

/* Adds the claims of a page that has some in another ledger, whose bits are taken or left; 0 or KW_ALIAS.  There is
 * room for it. */
static int join_page(kw_ledger *ledger, uint64_t off, uint64_t **bits, kw_error *err) {
    struct kw_ledger_page *page = find_page(ledger, off, 0);
    if (page == NULL) {
        if (is_inside_full(ledger, off, 0)) return kw_fail(err, KW_ALIAS, off, "bytes belong to two structures");
        touch(ledger, off, 0)->bits = *bits;
        *bits = NULL;
        return 0;
    }
    uint64_t both = page->full;
    for (size_t i = 0; i < PAGE_WORDS && both == 0; i++) both = page->bits[i] & (*bits)[i];
    if (both != 0) return kw_fail(err, KW_ALIAS, off, "bytes belong to two structures");
    for (size_t i = 0; i < PAGE_WORDS; i++) page->bits[i] |= (*bits)[i];
    return 0;
}

int kw_ledger_join(kw_ledger *ledger, kw_ledger *other, kw_error *err) {
    int result = make_room(ledger, other->count + LEVEL_COUNT, err);
    for (size_t i = 0; i < other->capacity && result == 0; i++) {
        uint64_t off, len;
        if (!kw_ledger_slot(other, i, &off, &len)) continue;
        result = other->pages[i].full ? kw_ledger_claim(ledger, off, len, err)
                                      : join_page(ledger, off, &other->pages[i].bits, err);
    }
    return result;
}

void kw_ledger_free(kw_ledger *ledger) {
    for (size_t i = 0; i < ledger->capacity; i++) free(ledger->pages[i].bits);
    kw_memory_free(ledger->pages, ledger->capacity * sizeof *ledger->pages);
    *ledger = KW_LEDGER_EMPTY;
}
