/* fetch.c -- the bytes wanted, laid end to end and cut into stretches that the
 * threads take in turn.
 *
 *     without a CRC    | extent 0 | extent 1 | extent 2 |
 *     with a CRC       |gap| extent 0 |gap| extent 1 | extent 2 |gap|   the whole source
 *     stretches        |----- 0 -----|----- 1 -----|----- 2 -----|
 *
 * Within a stretch a piece is read, its CRC taken and its values looked at while
 * it is still in the processor's cache.  A stretch that would begin inside a value
 * begins a little later; what it finds of a tensor that began before is joined at
 * the end.
 */
#include "value/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/view.h"
#include "base/work.h"

enum { STRETCH_LEN = 4 << 20, PIECE_LEN = 256 << 10 };

/* A run of bytes of the source; `out` is NULL for a gap, and for what is only looked at. */
typedef struct segment {
    uint64_t off;
    uint64_t start; /* where it lies in the row of all segments */
    uint64_t len;
    uint8_t *out;
    kw_scan *scan; /* or NULL */
} segment;

typedef struct job {
    kw_source *source;
    const uint8_t *memory; /* the source's bytes, when they are in memory */
    segment *segments;
    size_t segment_count;
    uint64_t total; /* bytes of all segments */
    size_t stretch_count;
    uint32_t *crcs; /* one a stretch, or NULL */
    kw_scan *scans; /* one a stretch, of the tensor that it begins inside of; NULL when nothing is looked at */
    bool hidden;    /* some bytes are read that nobody keeps */
} job;

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

/* Appends a segment; an empty one is left out.  False when the row gets longer
 * than 2^64 bytes. */
static bool append(job *j, uint64_t off, uint64_t len, uint8_t *out, kw_scan *scan) {
    if (len == 0) return true;
    j->segments[j->segment_count++] = (segment){off, j->total, len, out, scan};
    j->hidden = j->hidden || out == NULL;
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
        if (gaps && e->len > 0) fits = append(j, before, e->off - before, NULL, NULL);
        fits = fits && append(j, e->off, e->len, e->out, e->scan);
    }
    if (gaps && fits) fits = append(j, end, kw_source_size(j->source) - end, NULL, NULL);
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

/* Where a stretch begins: in a tensor that is looked at, at whole blocks of it. */
static uint64_t stretch_start(const job *j, size_t index) {
    uint64_t at = (uint64_t)index * STRETCH_LEN;
    if (index >= j->stretch_count || at >= j->total) return j->total;
    const segment *s = &j->segments[find_segment(j, at)];
    uint64_t over = (at - s->start) % KW_BLOCK_LEN;
    if (s->scan == NULL || over == 0) return at;
    uint64_t left = s->start + s->len - at, more = KW_BLOCK_LEN - over;
    return at + (more < left ? more : left);
}

/* Brings `len` bytes at `off` to `out` (NULL: nobody keeps them), takes them into *crc (may be NULL) and looks at
 * their values (`scan` may be NULL).  0, or -1. */
static int read_piece(const job *j, uint64_t off, size_t len, uint8_t *out, uint8_t *scratch, uint32_t *crc,
                      kw_scan *scan, kw_error *err) {
    const uint8_t *bytes = out != NULL ? out : scratch;
    if (j->memory != NULL) {
        bytes = j->memory + off;
        if (out != NULL) memcpy(out, bytes, len);
    } else if (kw_source_pread(j->source, off, out != NULL ? out : scratch, len, err) != 0) {
        return -1;
    }
    if (crc != NULL) *crc = kw_crc32(*crc, bytes, len);
    if (scan != NULL) kw_scan_add(scan, bytes, len);
    return 0;
}

/* Reads one stretch of the row (kw_work.step); 0, or -1 with the first error in it. */
static int read_stretch(void *context, size_t index, void *own, kw_error *err) {
    const job *j = context;
    uint8_t *scratch = own;
    uint64_t at = stretch_start(j, index), end = stretch_start(j, index + 1);
    uint32_t crc = 0;
    if (at >= end) return 0;
    for (size_t i = find_segment(j, at); at < end; i++) {
        const segment *s = &j->segments[i];
        uint64_t stop = s->len < end - s->start ? s->start + s->len : end;
        kw_scan *scan = s->scan != NULL && at > s->start ? &j->scans[index] : s->scan;
        if (scan != s->scan) *scan = kw_scan_again(s->scan);
        /* What is kept and nothing else needs no pieces small enough for the cache. */
        uint64_t most = j->crcs != NULL || scan != NULL || s->out == NULL ? PIECE_LEN : STRETCH_LEN;
        while (at < stop) {
            uint64_t inside = at - s->start, len = stop - at < most ? stop - at : most;
            uint8_t *out = s->out != NULL ? s->out + inside : NULL;
            uint32_t *sum = j->crcs != NULL ? &crc : NULL;
            if (read_piece(j, s->off + inside, (size_t)len, out, scratch, sum, scan, err) != 0) return -1;
            at += len;
        }
    }
    if (j->crcs != NULL) j->crcs[index] = crc;
    return 0;
}

/* The CRC-32 of the whole row from those of its stretches. */
static uint32_t join_crcs(const job *j) {
    uint32_t crc = 0;
    for (size_t i = 0; i < j->stretch_count; i++) {
        uint64_t len = stretch_start(j, i + 1) - stretch_start(j, i);
        if (len > 0) crc = kw_crc32_join(crc, j->crcs[i], len);
    }
    return crc;
}

/* Adds to each tensor what was found in the stretches that began inside of it. */
static void join_scans(const job *j) {
    for (size_t i = 0; i < j->stretch_count; i++) {
        uint64_t at = stretch_start(j, i);
        if (at >= stretch_start(j, i + 1)) continue;
        const segment *s = &j->segments[find_segment(j, at)];
        if (s->scan != NULL && at > s->start) kw_scan_join(s->scan, &j->scans[i]);
    }
}

/* Reads the extents that the row of segments left out; 0, or -1. */
static int read_shared(const job *j, const kw_extent *extents, size_t count, kw_error *err) {
    uint8_t *scratch = malloc(PIECE_LEN);
    int result = scratch == NULL ? kw_fail_memory(err) : 0;
    uint64_t end = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        const kw_extent *e = &extents[i];
        if (!is_shared(e, &end)) continue;
        for (uint64_t done = 0; done < e->len && result == 0;) {
            size_t len = e->len - done < PIECE_LEN ? (size_t)(e->len - done) : PIECE_LEN;
            uint8_t *out = e->out != NULL ? (uint8_t *)e->out + done : NULL;
            result = read_piece(j, e->off + done, len, out, scratch, NULL, e->scan, err);
            done += len;
        }
    }
    free(scratch);
    return result;
}

/* Memory for what the stretches find; 0, or -1. */
static int make_room(job *j, bool sums, bool scans, kw_error *err) {
    j->stretch_count = (size_t)(j->total / STRETCH_LEN + (j->total % STRETCH_LEN != 0));
    if (sums) j->crcs = malloc((j->stretch_count + 1) * sizeof *j->crcs);
    if (scans) j->scans = malloc((j->stretch_count + 1) * sizeof *j->scans);
    return (sums && j->crcs == NULL) || (scans && j->scans == NULL) ? kw_fail_memory(err) : 0;
}

int kw_fetch(kw_source *source, kw_extent *extents, size_t count, int threads, uint32_t *crc, kw_error *err) {
    job j = {.source = source, .memory = kw_source_memory(source)};
    bool scans = false;
    int result = -1;
    for (size_t i = 0; i < count; i++) scans = scans || extents[i].scan != NULL;
    if (count > 0) qsort(extents, count, sizeof *extents, compare_extents);
    if (check_extents(source, extents, count, err) != 0) return -1;
    if (lay_out(&j, extents, count, crc != NULL, err) != 0) goto done;
    if (make_room(&j, crc != NULL, scans, err) != 0) goto done;
    kw_work work = {.count = j.stretch_count, .step = read_stretch, .context = &j};
    if (j.hidden && j.memory == NULL) work.own_len = PIECE_LEN;
    if (kw_work_run(&work, threads, err) != 0) goto done;
    if (crc != NULL && read_shared(&j, extents, count, err) != 0) goto done;
    if (crc != NULL) *crc = join_crcs(&j);
    if (scans) join_scans(&j);
    result = 0;
done:
    free(j.segments);
    free(j.crcs);
    free(j.scans);
    return result;
}
