/* zeroed.c -- is a run of zeros a block that a disk, a copy or a file system lost, or was it trained, pruned or padded?
 *
 *     rows of a tensor  |--------|--------|--------|--------|--------|
 *     pruned, padded             |00000000|00000000|                       ends where rows end
 *     lost                   |00000000000000000|                           ends where blocks end, anywhere in a row
 *     blocks of the file     |--------|--------|--------|
 *
 * Who makes zeros on purpose works on rows, columns, channels, heads: their runs begin and end at multiples of the
 * last axis, or there are as many as there are rows.  A lost block knows nothing of the tensor: it ends at
 * multiples of 512 or 4096 of the file.  So a run counts as lost only by where its edges are, and only where all
 * else looks random:
 *
 *   random   float, or of 8 bits; outside the runs at most 1 value in 100 is zero (of 8 bits: 1 in 8), as in no pruned
 *            kernel, identity, mask or one-hot table; fewer than 1 in 8 looks repeat the one before, as tables of ones
 *            do; at least 8 looks; at most 3 runs, or 1 in 16 rows, for padding and pruned columns make one a row.
 *            (float32 weights: no zero is expected in 2^24 values, and 128 zeros in a row never.)
 *   free     with 8 rows and more, an edge that is at no multiple of the last axis; where other values are zero, 4
 *            values from one (2 in a short row), since one may lie beside a row of zeros.  No operation on rows, columns or
 *            channels puts a single run there.  In a table whose greatest value is exactly 1 half a row is a row too:
 *            sines and cosines side by side are 0 ... 0 1 ... 1 at position 0.  A vector has no rows, and any part of it
 *            may be zero: the bias of keys in query | key | value, gates of an LSTM, groups of outputs.
 *   aligned  edges at multiples of B = 4096 or 512 of the file (4096 also of the tensor, for what was copied block by
 *            block).  If the run ended at a multiple of u bytes on purpose, this would be so by chance once in
 *            B / gcd(u, B) for each edge; it counts when chance is below 1 in 16 for two edges inside, where several
 *            whole rows are zero and nothing else is, which is rare; below 1 in 500 for one, since a padded end is not.
 *
 * So 16 whole rows of 64 float32 at a multiple of 4096 are lost (1 in 256); one row of 1024, the first row of an
 * embedding or its last hundred are not: nothing can tell them from what was meant.
 *
 * A run goes on into the next tensor where that begins at the byte at which this one ends; of both it takes 64 bytes and
 * more, since a first or last value may be zero in its own right.
 */
#include "base/view.h"
#include "value/number.h"
#include "value/zeros.h"

enum { ROWS_LEAST = 8, PROBES_LEAST = 8, RUNS_MOST = 3, ROWS_A_RUN = 16, SLACK = 8, WIDTH = 8, SHARE = 64 };

static const double BY_CHANCE_TWO = 1.0 / 16, BY_CHANCE_ONE = 1.0 / 500;

/* One end of a run: where it lies in a tensor; an outer one is the tensor's own end. */
typedef struct edge {
    const kw_zeroed *in;
    uint64_t at; /* byte in the tensor */
    bool inner, ends;
} edge;

typedef struct run {
    edge start, stop;
    uint64_t len;
} run;

static uint64_t item_len(const kw_tensor *t) { return kw_dtype_len((kw_dtype)t->dtype); }
static uint64_t item_count(const kw_tensor *t) { return t->nbytes / item_len(t); }

static uint64_t row_len(const kw_tensor *t) { return t->rank > 0 ? t->shape[t->rank - 1] : 1; }

static bool has_rows(const kw_tensor *t) { return t->rank > 1 && item_count(t) / row_len(t) >= ROWS_LEAST; }

/* The first value that is zero whole, and the first behind them that is not. */
static uint64_t item_at(const edge *e) {
    uint64_t len = item_len(e->in->tensor);
    return e->ends ? e->at / len : (e->at + len - 1) / len;
}

/* ---- random ---- */

typedef enum look { RANDOM, TOO_FEW, REGULAR } look;

/* The runs of a tensor, with what of `r` is in it. */
typedef struct runs {
    uint64_t count, values;
} runs;

static runs runs_of(const kw_zeroed *t, const run *r) {
    const kw_zeros *z = t->zeros;
    bool head = z->head >= KW_ZEROS_RUN || (r->stop.in == t && r->stop.at == z->head);
    bool tail = z->tail >= KW_ZEROS_RUN || (r->start.in == t && r->start.at == z->seen - z->tail);
    uint64_t len = z->run_len + (head ? z->head : 0) + (tail ? z->tail : 0);
    return (runs){z->run_count + (head && z->head > 0) + (tail && z->tail > 0), len / item_len(t->tensor)};
}

/* Values outside of the runs that are zero. */
static uint64_t strays_of(const kw_zeroed *t, const run *r) {
    uint64_t inside = runs_of(t, r).values;
    return t->zero_count > inside ? t->zero_count - inside : 0;
}

/* How the rest of a tensor looks. */
static look look_at(const kw_zeroed *t, const run *r) {
    const kw_zeros *z = t->zeros;
    const kw_number *number = kw_number_of((kw_dtype)t->tensor->dtype);
    runs in = runs_of(t, r);
    uint64_t outside = item_count(t->tensor) - in.values;
    if (number->parts != 1 || (number->kind != KW_NUMBER_FLOAT && number->len != 1)) return REGULAR;
    if (number->kind == KW_NUMBER_BOOL || strays_of(t, r) > outside / (number->len == 1 ? 8 : 100)) return REGULAR;
    if (in.count > RUNS_MOST && in.count > item_count(t->tensor) / row_len(t->tensor) / ROWS_A_RUN) return REGULAR;
    if (z->probe_count < PROBES_LEAST) return TOO_FEW;
    return z->repeat_count * 8 > z->probe_count ? REGULAR : RANDOM;
}

/* ---- free ---- */

static bool is_free(const edge *e, const run *r) {
    uint64_t row = row_len(e->in->tensor), least = strays_of(e->in, r) == 0 ? 1 : row < 16 ? 2 : 4;
    if (!e->inner || !has_rows(e->in->tensor)) return false;
    if (e->in->has_one && row % 2 == 0) row /= 2;
    uint64_t over = item_at(e) % row;
    return over >= least && row - over >= least;
}

/* ---- aligned ---- */

static uint64_t divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Bytes of which the place would be a multiple if it was chosen: rows, parts of a vector, the width of a layer. */
static uint64_t step_of(const edge *e) {
    const kw_tensor *t = e->in->tensor;
    uint64_t at = item_at(e), len = item_len(t), count = item_count(t), row = row_len(t);
    if (t->rank > 1 && at % row == 0) return row * len;
    for (uint64_t parts = 2; parts <= 16 && !has_rows(t); parts++)
        if (count % parts == 0 && at % (count / parts) == 0) return count / parts * len;
    return at % WIDTH == 0 ? WIDTH * len : len;
}

/* How often an edge is at a multiple of `block` by chance: 1 for an outer one, 2 when it is at none.  A byte beside
 * the run may be zero in its own right. */
static double chance_of(const edge *e, uint64_t block, bool in_file) {
    uint64_t at = e->at + (in_file ? e->in->base + e->in->tensor->off : 0), over = at % block;
    if (!e->inner) return 1;
    if (in_file && e->in->tensor->off == KW_NOWHERE) return 2;
    if (!e->ends) over = (block - over) % block;
    if (over >= SLACK) return 2;
    uint64_t common = divisor(step_of(e), block);
    return (double)(common > SLACK ? common : SLACK) / (double)block;
}

static bool is_aligned(const run *r) {
    static const struct {
        uint64_t block;
        bool in_file;
    } frames[] = {{4096, true}, {512, true}, {4096, false}};
    double most = r->start.inner && r->stop.inner ? BY_CHANCE_TWO : BY_CHANCE_ONE;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        double start = chance_of(&r->start, frames[i].block, frames[i].in_file);
        double stop = chance_of(&r->stop, frames[i].block, frames[i].in_file);
        if (start <= 1 && stop <= 1 && start * stop <= most) return true;
    }
    return false;
}

/* ---- runs ---- */

static bool is_lost(const run *r) {
    if (r->len < KW_ZEROS_RUN || !(r->start.inner || r->stop.inner)) return false;
    look first = look_at(r->start.in, r), last = look_at(r->stop.in, r);
    if (r->start.in != r->stop.in) {
        /* An outer edge is that of a tensor which is zero whole. */
        if (!r->start.inner) first = TOO_FEW;
        if (!r->stop.inner) last = TOO_FEW;
    }
    if (first == REGULAR || last == REGULAR || (first != RANDOM && last != RANDOM)) return false;
    return is_free(&r->start, r) || is_free(&r->stop, r) || is_aligned(r);
}

static bool is_all(const kw_zeros *z) { return z->head == z->seen; }

/* True when the second tensor begins where the first ends. */
static bool is_next(const kw_zeroed *a, const kw_zeroed *b) {
    uint64_t end;
    return kw_add(a->tensor->off, a->tensor->nbytes, &end) && end == b->tensor->off;
}

static void set(kw_zeroed *t, uint64_t at, uint64_t len) {
    if (len <= t->len) return;
    t->at = at;
    t->len = len;
}

static void judge_inside(kw_zeroed *t) {
    const kw_zeros *z = t->zeros;
    run r = {{t, z->longest_at, true, false}, {t, z->longest_at + z->longest, true, true}, z->longest};
    if (is_lost(&r)) set(t, z->longest_at, z->longest);
}

/* The run from byte `at` of tensor `first` to byte `end` of tensor `last`. */
static void judge_span(kw_zeroed *tensors, size_t first, uint64_t at, size_t last, uint64_t end) {
    kw_zeroed *a = &tensors[first], *b = &tensors[last];
    run r = {{a, at, at > 0, false}, {b, end, end < b->zeros->seen, true}, 0};
    for (size_t i = first; i <= last; i++) {
        r.len += (i == last ? end : tensors[i].zeros->seen) - (i == first ? at : 0);
    }
    if (!is_lost(&r)) return;
    for (size_t i = first; i <= last; i++) {
        uint64_t from = i == first ? at : 0, to = i == last ? end : tensors[i].zeros->seen;
        set(&tensors[i], from, to - from);
    }
}

/* True when so many zero bytes at an end of a tensor are part of a run that crosses it. */
static bool is_share(const kw_zeroed *t, uint64_t len) { return len >= SHARE || (is_all(t->zeros) && len > 0); }

/* The last tensor of the run that leaves tensor `first` at its end, through those that are zero whole. */
static size_t last_of(const kw_zeroed *tensors, size_t count, size_t first) {
    size_t last = first;
    while (last + 1 < count && is_share(&tensors[last], tensors[last].zeros->tail) &&
           is_share(&tensors[last + 1], tensors[last + 1].zeros->head) &&
           is_next(&tensors[last], &tensors[last + 1])) {
        last++;
        if (!is_all(tensors[last].zeros)) break;
    }
    return last;
}

void kw_zeroed_find(kw_zeroed *tensors, size_t count) {
    bool head_done = false;
    for (size_t i = 0; i < count;) {
        const kw_zeros *z = tensors[i].zeros;
        size_t last = last_of(tensors, count, i);
        const kw_zeros *end = tensors[last].zeros;
        judge_inside(&tensors[i]);
        if (!head_done && z->head > 0 && !is_all(z)) judge_span(tensors, i, 0, i, z->head);
        if (last > i || (z->tail > 0 && !is_all(z))) {
            judge_span(tensors, i, z->seen - z->tail, last, last == i ? end->seen : end->head);
        }
        head_done = last > i && !is_all(end);
        i = last == i || is_all(end) ? last + 1 : last;
    }
}
