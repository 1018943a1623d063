/* Fetching: every byte arrives where it belongs, whatever the number of threads;
 * the CRC is that of the whole; the error is the first by offset. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc.h"
#include "check.h"
#include "value/fetch.h"

enum { LEN = (19 << 20) + 12345, EXTENTS = 500 };

static uint8_t *content, *target;
static char path[] = "/tmp/kwload-fetch-XXXXXX";

static void make_content(void) {
    uint32_t state = 7;
    content = malloc(LEN);
    target = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) {
        state = state * 1664525u + 1013904223u;
        content[i] = (uint8_t)(state >> 24);
    }
    int fd = mkstemp(path);
    size_t done = 0;
    while (fd >= 0 && done < LEN) {
        ssize_t n = write(fd, content + done, LEN - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    CHECK_EQ(done, LEN);
    (void)close(fd);
}

/* Reads from `content`, failing for whatever touches a byte of [bad, LEN). */
typedef struct failing {
    pthread_mutex_t lock;
    uint64_t bad;
    unsigned calls;
} failing;

static int read_failing(void *context, uint64_t off, void *out, size_t len, kw_error *err) {
    failing *f = context;
    (void)pthread_mutex_lock(&f->lock);
    f->calls++;
    (void)pthread_mutex_unlock(&f->lock);
    if (off + len > f->bad) return kw_fail(err, KW_IO, off > f->bad ? off : f->bad, "bad");
    memcpy(out, content + off, len);
    return 0;
}

/* Extents of all sizes, some empty, some touching, in a shuffled order; their
 * targets are where they lie in the file. */
static size_t make_extents(kw_extent *extents) {
    uint64_t at = 100;
    uint32_t state = 99;
    size_t count = 0;
    while (count < EXTENTS) {
        state = state * 1664525u + 1013904223u;
        uint64_t len = count % 50 == 0 ? (state >> 8) % 1500000 : (state >> 8) % 3000;
        uint64_t gap = count % 3 == 0 ? 0 : state % 97;
        if (count % 20 == 3) len = 0;
        at += gap;
        if (at + len > LEN) break;
        extents[count++] = (kw_extent){at, len, len > 0 ? target + at : NULL, NULL};
        at += len;
    }
    for (size_t i = count; i > 1; i--) {
        state = state * 1664525u + 1013904223u;
        size_t k = (state >> 8) % i;
        kw_extent swap = extents[i - 1];
        extents[i - 1] = extents[k];
        extents[k] = swap;
    }
    return count;
}

/* True when exactly the bytes of the extents were written to the target. */
static bool target_is_right(const kw_extent *extents, size_t count) {
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        for (; at < extents[i].off; at++) {
            if (target[at] != 0xEE) return false;
        }
        if (extents[i].len > 0 && memcmp(target + at, content + at, extents[i].len) != 0) return false;
        at += extents[i].len;
    }
    for (; at < LEN; at++) {
        if (target[at] != 0xEE) return false;
    }
    return true;
}

static void check_source(kw_source *source) {
    static const int threads[] = {0, 1, 2, 3, 8, 1000};
    kw_extent extents[EXTENTS];
    uint32_t expected = kw_crc32(0, content, LEN);
    kw_error err;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        for (int verify = 0; verify < 2; verify++) {
            uint32_t crc = 0;
            size_t count = make_extents(extents);
            memset(target, 0xEE, LEN);
            if (!CHECK_EQ(kw_fetch(source, extents, count, threads[i], verify ? &crc : NULL, &err), 0)) return;
            CHECK(target_is_right(extents, count));
            if (verify) CHECK_EQ(crc, expected);
        }
    }
}

static void test_sources(void) {
    kw_source *source = NULL, *part = NULL;
    kw_error err;
    failing f = {PTHREAD_MUTEX_INITIALIZER, LEN, 0};
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    check_source(source);
    kw_source_release(source);
    if (!CHECK_EQ(kw_source_open_memory(content, LEN, NULL, NULL, &source, &err), 0)) return;
    check_source(source);
    kw_extent e = {10, 1000, target, NULL};
    uint32_t crc = 1;
    CHECK_EQ(kw_source_open_part(source, 500, 5000000, &part, &err), 0);
    CHECK_EQ(kw_fetch(part, &e, 1, 2, &crc, &err), 0);
    CHECK_MEM(target, content + 510, 1000);
    CHECK_EQ(crc, kw_crc32(0, content + 500, 5000000));
    kw_source_release(part);
    kw_source_release(source);
    if (!CHECK_EQ(kw_source_open_callback(LEN, read_failing, NULL, &f, &source, &err), 0)) return;
    check_source(source);
    kw_source_release(source);
}

static void test_nothing(void) {
    kw_source *source = NULL;
    kw_error err;
    uint32_t crc = 1;
    if (!CHECK_EQ(kw_source_open_memory("", 0, NULL, NULL, &source, &err), 0)) return;
    CHECK_EQ(kw_fetch(source, NULL, 0, 2, &crc, &err), 0);
    CHECK_EQ(crc, 0);
    CHECK_EQ(kw_fetch(source, NULL, 0, 2, NULL, &err), 0);
    kw_source_release(source);
}

/* A source without an end costs what is asked of it, not what it declares. */
static void test_endless(void) {
    kw_source *source = NULL;
    kw_error err;
    failing f = {PTHREAD_MUTEX_INITIALIZER, LEN, 0};
    kw_extent extents[] = {{1000, 5000, target, NULL}, {100, 50, target + 6000, NULL}};
    if (!CHECK_EQ(kw_source_open_callback(UINT64_MAX / 2, read_failing, NULL, &f, &source, &err), 0)) return;
    CHECK_EQ(kw_fetch(source, extents, 2, 2, NULL, &err), 0);
    CHECK_MEM(target, content + 1000, 5000);
    CHECK_MEM(target + 6000, content + 100, 50);
    CHECK(f.calls <= 2);
    kw_source_release(source);
}

static void test_errors(void) {
    kw_source *source = NULL;
    kw_error err;
    uint32_t crc;
    kw_extent extents[4];
    failing f = {PTHREAD_MUTEX_INITIALIZER, 0, 0};
    if (!CHECK_EQ(kw_source_open_callback(LEN, read_failing, NULL, &f, &source, &err), 0)) return;
    for (f.bad = 5; f.bad < LEN; f.bad += 3000017) {
        extents[0] = (kw_extent){0, LEN, target, NULL};
        CHECK_EQ(kw_fetch(source, extents, 1, 4, NULL, &err), -1);
        CHECK_EQ(err.code, KW_IO);
        CHECK_EQ(err.at, f.bad);
        CHECK_EQ(kw_fetch(source, extents, 1, 4, &crc, &err), -1);
        CHECK_EQ(err.at, f.bad);
        CHECK_EQ(kw_fetch(source, NULL, 0, 4, &crc, &err), -1);
        CHECK_EQ(err.at, f.bad);
    }
    f.bad = LEN;
    /* Two groups may hold one dataset: each gets its bytes, and the CRC takes them once. */
    extents[0] = (kw_extent){50, 100, target, NULL};
    extents[1] = (kw_extent){50, 100, target + 100, NULL};
    extents[2] = (kw_extent){149, 10, target + 200, NULL};
    CHECK_EQ(kw_fetch(source, extents, 0, 1, &crc, &err), 0);
    uint32_t alone = crc;
    CHECK_EQ(kw_fetch(source, extents, 3, 1, &crc, &err), 0);
    CHECK_EQ(crc, alone);
    CHECK(memcmp(target, target + 100, 100) == 0 && target[99] == target[200]);
    CHECK_EQ(kw_fetch(source, extents, 3, 1, NULL, &err), 0);
    extents[0] = (kw_extent){LEN - 5, 6, target, NULL};
    CHECK_EQ(kw_fetch(source, extents, 1, 1, NULL, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    CHECK_EQ(err.at, LEN);
    extents[0] = (kw_extent){UINT64_MAX - 1, 6, target, NULL};
    CHECK_EQ(kw_fetch(source, extents, 1, 1, &crc, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    kw_source_release(source);
}

/* What is scanned while it is read is what it is in memory, whoever reads which stretch and whether it is kept. */
static void check_scans(kw_source *source, int threads, bool keep, bool verify) {
    static const kw_dtype types[] = {KW_DTYPE_FLOAT32, KW_DTYPE_FLOAT16, KW_DTYPE_FLOAT64, KW_DTYPE_INT8};
    kw_extent extents[8];
    kw_scan scans[8];
    uint32_t crc;
    kw_error err;
    size_t count = 0;
    for (uint64_t at = 8; count < 7; count++) {
        kw_dtype dtype = types[count % 4];
        uint64_t len = (count % 3 == 0 ? 5000000 : 333333) / kw_dtype_len(dtype) * kw_dtype_len(dtype);
        scans[count] = kw_scan_make(dtype, KW_DTYPE_FLOAT16);
        extents[count] = (kw_extent){at, len, keep ? target + at : NULL, &scans[count]};
        at += len + count % 2 * 8;
    }
    extents[count] = (kw_extent){1000, 3000000, keep ? target + LEN - 3000000 : NULL, &scans[count]};
    scans[count++] = kw_scan_make(KW_DTYPE_BFLOAT16, KW_DTYPE_BFLOAT16); /* shares bytes with the first */
    if (!CHECK_EQ(kw_fetch(source, extents, count, threads, verify ? &crc : NULL, &err), 0)) return;
    for (size_t i = 0; i < count; i++) {
        const kw_scan *got = extents[i].scan;
        kw_scan alone = kw_scan_again(got);
        kw_scan_add(&alone, content + extents[i].off, extents[i].len);
        CHECK(got->count == alone.count && got->low == alone.low && got->high == alone.high);
        CHECK(got->nan_count == alone.nan_count && got->nan_first == alone.nan_first);
        CHECK(got->inf_count == alone.inf_count && got->inf_first == alone.inf_first);
        CHECK(got->loss.overflow_count == alone.loss.overflow_count && got->zero_count == alone.zero_count);
        CHECK(got->zeros.seen == alone.zeros.seen && got->zeros.longest_at == alone.zeros.longest_at);
        if (keep) CHECK(memcmp(extents[i].out, content + extents[i].off, extents[i].len) == 0);
    }
    if (verify) CHECK_EQ(crc, kw_crc32(0, content, LEN));
}

static void test_scans(void) {
    static const int threads[] = {1, 2, 5};
    kw_source *source = NULL;
    kw_error err;
    memset(content + (4 << 20) - 3000, 0, 7000); /* across the end of a stretch */
    failing f = {PTHREAD_MUTEX_INITIALIZER, LEN, 0};
    for (int memory = 0; memory < 2; memory++) {
        int opened = memory ? kw_source_open_memory(content, LEN, NULL, NULL, &source, &err)
                            : kw_source_open_callback(LEN, read_failing, NULL, &f, &source, &err);
        if (!CHECK_EQ(opened, 0)) return;
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
            for (int way = 0; way < 4; way++) check_scans(source, threads[i], way & 1, way & 2);
        kw_source_release(source);
    }
}

/* A file that is cut while it is open. */
static void test_cut(void) {
    kw_source *source = NULL;
    kw_error err;
    kw_extent e = {0, LEN, target, NULL};
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    CHECK_EQ(truncate(path, 7000000), 0);
    CHECK_EQ(kw_fetch(source, &e, 1, 2, NULL, &err), -1);
    CHECK(err.code == KW_TRUNCATED || err.code == KW_CHANGED);
    kw_source_release(source);
}

int main(void) {
    make_content();
    RUN(test_sources);
    RUN(test_nothing);
    RUN(test_endless);
    RUN(test_errors);
    RUN(test_cut);
    RUN(test_scans);
    (void)unlink(path);
    free(content);
    free(target);
    return check_result(__FILE__);
}
