/* nearest.c -- how alike two names are: edits counted by Wagner and Fischer's
 * table, with a swap of neighbours as one edit.
 *
 *            d e n s e        similarity = 1 - edits / length of the longer
 *          0 1 2 3 4 5
 *        d 1 0 1 2 3 4        Three rows of the table are kept.
 *        n 2 1 1 1 2 3
 */
#include "plan/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_MAX_LEN = 256 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* The last NAME_MAX_LEN bytes of a name; *len is set. */
static const char *tail(const char *name, size_t *len) {
    *len = strlen(name);
    if (*len <= NAME_MAX_LEN) return name;
    name += *len - NAME_MAX_LEN;
    *len = NAME_MAX_LEN;
    return name;
}

/* Fewest insertions, removals, replacements and swaps of neighbours. */
static size_t count_edits(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t rows[3][NAME_MAX_LEN + 1];
    for (size_t j = 0; j <= b_len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = least(best, above2[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

double kw_name_similarity(const char *a, const char *b) {
    size_t a_len, b_len;
    a = tail(a, &a_len);
    b = tail(b, &b_len);
    size_t longer = a_len > b_len ? a_len : b_len;
    if (longer == 0) return 1.0;
    return 1.0 - (double)count_edits(a, a_len, b, b_len) / (double)longer;
}

/* False when their lengths alone keep two names below the limit of kw_name_nearest. */
static bool may_be_near(const char *a, const char *b) {
    size_t a_len, b_len;
    (void)tail(a, &a_len);
    (void)tail(b, &b_len);
    return 2 * least(a_len, b_len) >= (a_len > b_len ? a_len : b_len);
}

size_t kw_name_nearest(const char *name, const char *const *candidates, size_t count, uint32_t *rows, size_t limit) {
    enum { LIMIT_MAX = 16 };
    double best[LIMIT_MAX];
    size_t found = 0;
    limit = least(limit, LIMIT_MAX);
    for (size_t i = 0; i < count && limit > 0; i++) {
        if (!may_be_near(name, candidates[i])) continue;
        double likeness = kw_name_similarity(name, candidates[i]);
        if (likeness < 0.5 || (found == limit && likeness <= best[found - 1])) continue;
        size_t at = found < limit ? found++ : found - 1;
        for (; at > 0 && best[at - 1] < likeness; at--) {
            best[at] = best[at - 1];
            rows[at] = rows[at - 1];
        }
        best[at] = likeness;
        rows[at] = (uint32_t)i;
    }
    return found;
}
