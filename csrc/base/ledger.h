/* ledger.h -- which bytes of a file were claimed by a structure.
 *
 * Every metadata block may be claimed once.  A second claim of any byte fails,
 * so cycles, graphs with 2^depth paths and overlapping structures all end the
 * walk, whose work is therefore linear in the file.  Kept as a hash of 4 KiB
 * pages with one bit a byte: an eighth of the metadata touched.  A whole page,
 * and 256, 256^2, ... aligned pages, is one entry without bits, so the cost of
 * a claim does not grow with its length.
 */
#ifndef KW_BASE_LEDGER_H
#define KW_BASE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct kw_ledger {
    struct kw_ledger_page *pages;
    size_t capacity, count;
    uint64_t seed; /* drawn at the first claim */
} kw_ledger;

#define KW_LEDGER_EMPTY ((kw_ledger){NULL, 0, 0, 0})

/* Claims [off, off + len).  KW_ALIAS at the first byte that is taken already,
 * KW_CORRUPT when the end is past 2^64, KW_MEMORY; on failure nothing is claimed. */
int kw_ledger_claim(kw_ledger *ledger, uint64_t off, uint64_t len, kw_error *err);
/* The first byte of [off, end) that is claimed, or that is not; `end` when there is none. */
uint64_t kw_ledger_next(const kw_ledger *ledger, uint64_t off, uint64_t end, bool claimed);
/* True when slot `i` of `capacity` is a page with claims, or a block that is claimed whole: *off and *len. */
bool kw_ledger_slot(const kw_ledger *ledger, size_t i, uint64_t *off, uint64_t *len);
bool kw_ledger_has(const kw_ledger *ledger, uint64_t off);
/* Claims all that `other` has claimed, which is spent by it and can only be freed.  KW_ALIAS when something is claimed in
 * both, KW_MEMORY; then a part of it was claimed. */
int kw_ledger_join(kw_ledger *ledger, kw_ledger *other, kw_error *err);
void kw_ledger_free(kw_ledger *ledger);

#endif
