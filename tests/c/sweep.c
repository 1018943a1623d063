/* sweep.c -- small files, changed in every way that is small: nothing crashes, hangs or takes long.
 *
 *     sweep [--every N] SEED...
 *
 * Of each seed: every byte as 0, 0xff, with its lowest and its highest bit flipped, one more and one less; every
 * length that is shorter; and every aligned field of eight bytes as 0, 1, 2^31, 2^32 - 1, 2^63, all ones, the length
 * of the file and the field's own place.  --every N makes only each N-th of these, another one for each seed.
 *
 * A run that takes more than 100 ms of processor time is made again, and counts when it does so thrice.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

enum { BYTE_WAYS = 6, FIELD_WAYS = 8, FIELD = 8, SLOW_MS = 100, HANGS_AFTER_S = 20, SEED_MAX = 1 << 16 };
static const rlim_t MEMORY_MAX = (rlim_t)1 << 30;

/* Where it is, for the handler of a crash. */
static const char *now_seed = "";
static volatile uint64_t now_run;

typedef struct totals {
    uint64_t runs, slow, short_of_memory;
    double worst_ms;
} totals;

static void say_where(int signal_number) {
    char text[512];
    int len = snprintf(text, sizeof text, "\nsweep: signal %d at run %" PRIu64 " of %s\n", signal_number, now_run, now_seed);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0) _exit(3);
    _exit(2);
}

static double thread_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint8_t change_byte(uint8_t byte, unsigned way) {
    switch (way) {
    case 0: return 0;
    case 1: return 0xff;
    case 2: return byte ^ 1;
    case 3: return byte ^ 0x80;
    case 4: return (uint8_t)(byte + 1);
    default: return (uint8_t)(byte - 1);
    }
}

static uint64_t change_field(size_t at, size_t len, unsigned way) {
    const uint64_t values[FIELD_WAYS] = {0, 1, UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX, len, at};
    return values[way];
}

static uint64_t count_runs(size_t len) { return (uint64_t)len * BYTE_WAYS + len + len / FIELD * FIELD_WAYS; }

/* The `run`-th change of the seed, in `out`; its length. */
static size_t change(const uint8_t *seed, size_t len, uint64_t run, uint8_t *out) {
    memcpy(out, seed, len);
    if (run < (uint64_t)len * BYTE_WAYS) {
        size_t at = (size_t)(run / BYTE_WAYS);
        out[at] = change_byte(seed[at], (unsigned)(run % BYTE_WAYS));
        return len;
    }
    run -= (uint64_t)len * BYTE_WAYS;
    if (run < len) return (size_t)run;
    run -= len;
    size_t at = (size_t)(run / FIELD_WAYS) * FIELD;
    uint64_t value = change_field(at, len, (unsigned)(run % FIELD_WAYS));
    for (unsigned i = 0; i < FIELD; i++) out[at + i] = (uint8_t)(value >> (8 * i));
    return len;
}

/* One run, with a copy of its own, so that a sanitizer sees a byte too many. */
static double measure(const uint8_t *bytes, size_t len, totals *all) {
    uint8_t *own = malloc(len + 1);
    if (own == NULL) abort();
    memcpy(own, bytes, len);
    double start = thread_ms();
    if (!hostile_run(own, len)) {
        all->short_of_memory++;
        (void)fprintf(stderr, "sweep: short of memory at run %" PRIu64 " of %s\n", now_run, now_seed);
    }
    double took = thread_ms() - start;
    free(own);
    return took;
}

static void sweep(const uint8_t *seed, size_t len, uint64_t first, uint64_t every, totals *all) {
    uint8_t *bytes = malloc(len + 1);
    struct itimerval limit = {.it_value = {.tv_sec = HANGS_AFTER_S}};
    if (bytes == NULL) abort();
    for (uint64_t run = first, end = count_runs(len); run < end; run += every) {
        now_run = run;
        if (all->runs++ % 256 == 0) (void)setitimer(ITIMER_PROF, &limit, NULL);
        size_t now_len = change(seed, len, run, bytes);
        double took = measure(bytes, now_len, all);
        for (int again = 0; took > SLOW_MS && again < 2; again++) {
            double next = measure(bytes, now_len, all);
            took = next < took ? next : took;
        }
        if (took > all->worst_ms) all->worst_ms = took;
        if (took <= SLOW_MS) continue;
        all->slow++;
        (void)fprintf(stderr, "sweep: %.0f ms at run %" PRIu64 " of %s\n", took, run, now_seed);
    }
    free(bytes);
}

/* False with a word about it when the file cannot be read. */
static bool sweep_file(const char *path, uint64_t first, uint64_t every, totals *all) {
    static uint8_t seed[SEED_MAX];
    FILE *file = fopen(path, "rb");
    size_t len = file != NULL ? fread(seed, 1, sizeof seed, file) : 0;
    bool whole = file != NULL && feof(file);
    if (file != NULL) (void)fclose(file);
    if (!whole || len == 0) {
        (void)fprintf(stderr, "sweep: %s: %s\n", path, file == NULL ? strerror(errno) : "empty, or larger than 64 KiB");
        return false;
    }
    now_seed = path;
    sweep(seed, len, first, every, all);
    return true;
}

int main(int argc, char **argv) {
    uint64_t every = 1;
    totals all = {0};
    int at = 1;
    struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    if (argc > 2 && strcmp(argv[1], "--every") == 0) {
        every = strtoull(argv[2], NULL, 10);
        at = 3;
    }
    if (at >= argc || every == 0) {
        (void)fprintf(stderr, "usage: sweep [--every N] SEED...\n");
        return 2;
    }
    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) (void)signal(signals[i], say_where);
#ifndef __SANITIZE_ADDRESS__
    (void)setrlimit(RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
    for (int i = at; i < argc; i++) {
        if (!sweep_file(argv[i], (uint64_t)(i - at) % every, every, &all)) return 2;
    }
    (void)printf("sweep: %d files, %" PRIu64 " runs, 0 crashes, %" PRIu64 " over %d ms (the longest %.1f ms), %" PRIu64
                 " short of memory\n",
                 argc - at, all.runs, all.slow, SLOW_MS, all.worst_ms, all.short_of_memory);
    return all.slow + all.short_of_memory == 0 ? 0 : 1;
}
