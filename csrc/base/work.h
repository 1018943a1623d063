/* work.h -- steps that several threads take in turn.
 *
 *     steps    0 1 2 3 4 5 6 ...        each thread takes the next that nobody has
 *     threads  a b a a b a b
 *
 * Steps are begun in order and always finished, so that the error of the first
 * step that fails is the one that comes out, whoever met another.
 */
#ifndef KW_BASE_WORK_H
#define KW_BASE_WORK_H

#include <stddef.h>

#include "base/error.h"

typedef struct kw_work {
    size_t count; /* steps */
    /* Step `index`; 0, or -1 with *err.  `own` is memory of the thread's own. */
    int (*step)(void *context, size_t index, void *own, kw_error *err);
    void (*end)(void *own); /* gives back what `own` holds; or NULL */
    void *context;
    size_t own_len; /* bytes, zeroed when the thread begins; 0: `own` is NULL */
} kw_work;

/* Takes all steps on up to `threads` threads, this one included.  0, or -1 with
 * the error of the first step that failed, or KW_MEMORY. */
int kw_work_run(const kw_work *work, int threads, kw_error *err);

/* The processors that this process may use; at least 1. */
int kw_work_cores(void);

#endif
