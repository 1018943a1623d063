/* fetch.c -- the bytes wanted, laid end to end and cut into stretches that the
 * threads take in turn.
 *
 *     without a CRC    | extent 0 | extent 1 | extent 2 |
 *     with a CRC       |gap| extent 0 |gap| extent 1 | extent 2 |gap|   the whole source
 *     stretches        |----- 0 -----|----- 1 -----|----- 2 -----|
 *
 * Within a stretch a piece is read and its CRC taken while it is still in the
 * processor's cache.
 */
#include "value/fetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/view.h"

enum { STRETCH_LEN = 4 << 20, PIECE_LEN = 256 << 10, THREADS_MAX = 64 };

/* A run of bytes of the source; `out` is NULL for a gap. */
typedef struct segment {
    uint64_t off;
    uint64_t start; /* where it lies in the row of all segments */
    uint64_t len;
    uint8_t *out;
} segment;

typedef struct job {
    kw_source *source;
    const uint8_t *memory; /* the source's bytes, when they are in memory */
    segment *segments;
    size_t segment_count;
    uint64_t total; /* bytes of all segments */
    size_t stretch_count;
    uint32_t *crcs; /* one a stretch, or NULL */
    atomic_size_t next;
    atomic_bool failed;
} job;

typedef struct worker {
    job *job;
    pthread_t thread;
    kw_error err;
    size_t failed_at; /* stretch */
} worker;

static int compare_extents(const void *a, const void *b) {
    const kw_extent *x = a, *y = b;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* 0 when every extent lies in the source; else -1. */
static int check_extents(kw_source *source, const kw_extent *extents, size_t count, kw_error *err) {
    uint64_t size = kw_source_size(source);
    for (size_t i = 0; i < count; i++) {
        const kw_extent *e = &extents[i];
        if (e->len == 0) continue;
        if (!kw_in_range(e->off, e->len, size)) {
            return kw_fail(err, KW_TRUNCATED, e->off > size ? e->off : size, "%llu bytes at %llu, file has %llu",
                           (unsigned long long)e->len, (unsigned long long)e->off, (unsigned long long)size);
        }
    }
    return 0;
}

/* True for an extent that shares bytes with those before it, which end at *end: two groups may hold one dataset.
 * Moves *end behind an extent that does not. */
static bool is_shared(const kw_extent *e, uint64_t *end) {
    if (e->len == 0 || e->off < *end) return e->len != 0;
    *end = e->off + e->len;
    return false;
}

/* Reads the extents that the row of segments left out; 0, or -1. */
static int read_shared(kw_source *source, const kw_extent *extents, size_t count, kw_error *err) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const kw_extent *e = &extents[i];
        if (is_shared(e, &end) && kw_source_pread(source, e->off, e->out, (size_t)e->len, err) != 0) return -1;
    }
    return 0;
}

/* Appends a segment; an empty one is left out.  False when the row gets longer
 * than 2^64 bytes. */
static bool append(job *j, uint64_t off, uint64_t len, uint8_t *out) {
    if (len == 0) return true;
    j->segments[j->segment_count++] = (segment){off, j->total, len, out};
    return kw_add(j->total, len, &j->total);
}

/* Fills the row of segments; 0, or -1.  With gaps the row is the source, each byte once: extents that share bytes with
 * others are left out. */
static int lay_out(job *j, const kw_extent *extents, size_t count, bool gaps, kw_error *err) {
    uint64_t end = 0;
    bool fits = true;
    j->segments = malloc((2 * count + 1) * sizeof *j->segments);
    if (j->segments == NULL) return kw_fail_memory(err);
    for (size_t i = 0; i < count && fits; i++) {
        const kw_extent *e = &extents[i];
        uint64_t before = end;
        if (gaps && is_shared(e, &end)) continue;
        if (gaps && e->len > 0) fits = append(j, before, e->off - before, NULL);
        fits = fits && append(j, e->off, e->len, e->out);
    }
    if (gaps && fits) fits = append(j, end, kw_source_size(j->source) - end, NULL);
    return fits ? 0 : kw_fail(err, KW_MEMORY, KW_NOWHERE, "more than 2^64 bytes asked for");
}

/* The segment that holds byte `at` of the row. */
static size_t find_segment(const job *j, uint64_t at) {
    size_t low = 0, high = j->segment_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (j->segments[middle].start <= at) low = middle;
        else high = middle;
    }
    return low;
}

/* Brings `len` bytes at `off` to `out` (NULL: they are wanted for the CRC only)
 * and takes them into *crc (may be NULL).  0, or -1. */
static int read_piece(const job *j, uint64_t off, size_t len, uint8_t *out, uint8_t *scratch, uint32_t *crc,
                      kw_error *err) {
    const uint8_t *bytes = out != NULL ? out : scratch;
    if (j->memory != NULL) {
        bytes = j->memory + off;
        if (out != NULL) memcpy(out, bytes, len);
    } else if (kw_source_pread(j->source, off, out != NULL ? out : scratch, len, err) != 0) {
        return -1;
    }
    if (crc != NULL) *crc = kw_crc32(*crc, bytes, len);
    return 0;
}

/* Reads one stretch of the row; 0, or -1 with the first error in it. */
static int read_stretch(const job *j, size_t index, uint8_t *scratch, kw_error *err) {
    uint64_t at = (uint64_t)index * STRETCH_LEN;
    uint64_t end = j->total - at < STRETCH_LEN ? j->total : at + STRETCH_LEN;
    /* Only for a CRC is a piece kept small enough for the cache. */
    uint64_t most = j->crcs != NULL ? PIECE_LEN : STRETCH_LEN;
    uint32_t crc = 0;
    for (size_t i = find_segment(j, at); at < end; i++) {
        const segment *s = &j->segments[i];
        uint64_t stop = s->len < end - s->start ? s->start + s->len : end;
        while (at < stop) {
            uint64_t inside = at - s->start, len = stop - at < most ? stop - at : most;
            uint8_t *out = s->out != NULL ? s->out + inside : NULL;
            if (read_piece(j, s->off + inside, (size_t)len, out, scratch, j->crcs != NULL ? &crc : NULL, err) != 0) {
                return -1;
            }
            at += len;
        }
    }
    if (j->crcs != NULL) j->crcs[index] = crc;
    return 0;
}

/* Takes stretches until none is left.  They are taken in order and always
 * finished, so the first error by offset is found whoever meets another. */
static void *work(void *argument) {
    worker *w = argument;
    job *j = w->job;
    uint8_t *scratch = j->crcs != NULL && j->memory == NULL ? malloc(PIECE_LEN) : NULL;
    w->failed_at = SIZE_MAX;
    while (!atomic_load(&j->failed)) {
        size_t index = atomic_fetch_add(&j->next, 1);
        if (index >= j->stretch_count) break;
        bool ready = scratch != NULL || j->crcs == NULL || j->memory != NULL;
        if ((ready ? read_stretch(j, index, scratch, &w->err) : kw_fail_memory(&w->err)) != 0) {
            w->failed_at = index;
            atomic_store(&j->failed, true);
        }
    }
    free(scratch);
    return NULL;
}

/* Runs the job on up to `threads` threads, this one included; 0, or -1. */
static int run(job *j, int threads, kw_error *err) {
    worker workers[THREADS_MAX];
    size_t limit = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (size_t)threads;
    size_t count = j->stretch_count < limit ? j->stretch_count : limit, started = 1;
    const worker *first = &workers[0];
    /* A thread that cannot be had leaves its share to the others. */
    for (; started < count; started++) {
        workers[started].job = j;
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0) break;
    }
    workers[0].job = j;
    (void)work(&workers[0]);
    for (size_t i = 1; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (workers[i].failed_at < first->failed_at) first = &workers[i];
    }
    if (first->failed_at == SIZE_MAX) return 0;
    *err = first->err;
    return -1;
}

/* The CRC-32 of the whole row from those of its stretches. */
static uint32_t join_crcs(const job *j) {
    uint32_t crc = 0;
    for (size_t i = 0; i < j->stretch_count; i++) {
        uint64_t left = j->total - (uint64_t)i * STRETCH_LEN;
        crc = kw_crc32_join(crc, j->crcs[i], left < STRETCH_LEN ? left : STRETCH_LEN);
    }
    return crc;
}

int kw_fetch(kw_source *source, kw_extent *extents, size_t count, int threads, uint32_t *crc, kw_error *err) {
    job j = {.source = source, .memory = kw_source_memory(source)};
    int result = -1;
    if (count > 0) qsort(extents, count, sizeof *extents, compare_extents);
    if (check_extents(source, extents, count, err) != 0) return -1;
    if (lay_out(&j, extents, count, crc != NULL, err) != 0) goto done;
    j.stretch_count = (size_t)(j.total / STRETCH_LEN + (j.total % STRETCH_LEN != 0));
    if (crc != NULL) {
        j.crcs = malloc((j.stretch_count + 1) * sizeof *j.crcs);
        if (j.crcs == NULL) {
            (void)kw_fail_memory(err);
            goto done;
        }
    }
    if (run(&j, threads, err) != 0) goto done;
    if (crc != NULL && read_shared(source, extents, count, err) != 0) goto done;
    if (crc != NULL) *crc = join_crcs(&j);
    result = 0;
done:
    free(j.segments);
    free(j.crcs);
    return result;
}
