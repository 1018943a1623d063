/* nearest.h -- the names most like a given one: for "did you mean". */
#ifndef KW_PLAN_NEAREST_H
#define KW_PLAN_NEAREST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Similarity of two names, 0 (nothing alike) to 1 (equal).  Names longer than
 * 256 bytes are compared by their last 256. */
double kw_name_similarity(const char *a, const char *b);

/* Writes up to `limit` rows of the best candidates (similarity >= 0.5), best
 * first, into `rows`; returns how many. */
size_t kw_name_nearest(const char *name, const char *const *candidates, size_t count, uint32_t *rows, size_t limit);

#endif
