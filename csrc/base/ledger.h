/* ledger.h -- which bytes of a file were claimed by a structure.
 *
 * Every metadata block may be claimed once.  A second claim of any byte fails,
 * so cycles, graphs with 2^depth paths and overlapping structures all end the
 * walk, whose work is therefore linear in the file.  Kept as a hash of 4 KiB
 * pages with one bit a byte: an eighth of the metadata touched.
 */
#ifndef KW_BASE_LEDGER_H
#define KW_BASE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct kw_ledger {
    struct kw_ledger_page *pages;
    size_t capacity, count;
} kw_ledger;

#define KW_LEDGER_EMPTY ((kw_ledger){NULL, 0, 0})

/* Claims [off, off + len).  KW_ALIAS at the first byte that is taken already
 * (then nothing is claimed), KW_MEMORY. */
int kw_ledger_claim(kw_ledger *ledger, uint64_t off, uint64_t len, kw_error *err);
bool kw_ledger_has(const kw_ledger *ledger, uint64_t off);
void kw_ledger_free(kw_ledger *ledger);

#endif
