/* faults.c -- every allocation and every read fails once, on each of some files: a clean error, nothing leaked, and
 * what comes out in spite of it is right.
 *
 *     faults FILE...
 *
 * Linked with --wrap, so that the core's own calls come through here: `allocation` n of a run gives NULL, `read` n
 * fails with EIO.  In two more runs every read is interrupted first, and gives no more than seven bytes.  A run opens
 * the file, reads every tensor, and plans the file's table against itself as if it were a model; another opens an HDF5
 * file by two threads that share every group, so that each thread meets what fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "plan/plan.h"
#include "read/hdf5.h"
#include "read/read.h"

enum { TENSOR_MAX = 1 << 20, SHORT = 7 };

/* ---- what fails ---- */

typedef struct state {
    atomic_uint_fast64_t allocations, reads; /* so far in this run */
    uint64_t fail_allocation, fail_read; /* which one does, counted from 1; 0: none */
    bool interrupt, interrupted, brief;
    atomic_bool failed;
    atomic_int_fast64_t alive; /* blocks allocated and not yet freed */
} state;
static state now;

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *block, size_t len);
void *__real_aligned_alloc(size_t alignment, size_t len);
int __real_posix_memalign(void **block, size_t alignment, size_t len);
char *__real_strdup(const char *text);
void __real_free(void *block);
ssize_t __real_preadv(int fd, const struct iovec *vectors, int count, off_t at);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *block, size_t len);
void *__wrap_aligned_alloc(size_t alignment, size_t len);
int __wrap_posix_memalign(void **block, size_t alignment, size_t len);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
ssize_t __wrap_preadv(int fd, const struct iovec *vectors, int count, off_t at);

static bool allocation_fails(void) {
    bool fails = ++now.allocations == now.fail_allocation;
    if (fails) now.failed = true;
    return fails;
}

void *__wrap_malloc(size_t len) {
    void *block = allocation_fails() ? NULL : __real_malloc(len);
    now.alive += block != NULL;
    return block;
}

void *__wrap_calloc(size_t count, size_t len) {
    void *block = allocation_fails() ? NULL : __real_calloc(count, len);
    now.alive += block != NULL;
    return block;
}

void *__wrap_aligned_alloc(size_t alignment, size_t len) {
    void *block = allocation_fails() ? NULL : __real_aligned_alloc(alignment, len);
    now.alive += block != NULL;
    return block;
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t len) {
    int result = allocation_fails() ? ENOMEM : __real_posix_memalign(block, alignment, len);
    now.alive += result == 0;
    return result;
}

char *__wrap_strdup(const char *text) {
    char *copy = allocation_fails() ? NULL : __real_strdup(text);
    now.alive += copy != NULL;
    return copy;
}

void *__wrap_realloc(void *block, size_t len) {
    if (allocation_fails()) return NULL;
    void *moved = __real_realloc(block, len);
    now.alive += block == NULL && moved != NULL;
    return moved;
}

void __wrap_free(void *block) {
    now.alive -= block != NULL;
    __real_free(block);
}

ssize_t __wrap_preadv(int fd, const struct iovec *vectors, int count, off_t at) {
    if (++now.reads == now.fail_read) {
        now.failed = true;
        errno = EIO;
        return -1;
    }
    if (now.interrupt && !now.interrupted) {
        now.interrupted = true;
        errno = EINTR;
        return -1;
    }
    now.interrupted = false;
    struct iovec brief = vectors[0];
    if (now.brief && brief.iov_len > SHORT) brief.iov_len = SHORT;
    return now.brief ? __real_preadv(fd, &brief, 1, at) : __real_preadv(fd, vectors, count, at);
}

/* ---- one run ---- */

typedef struct outcome {
    int opened, code;
    uint32_t tensors, faults, findings;
    uint64_t sum; /* of all that was read */
} outcome;

static uint64_t add_bytes(uint64_t sum, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) sum = sum * 31 + bytes[i];
    return sum;
}

static void read_tensors(kw_file *file, outcome *out) {
    for (uint32_t i = 0; i < file->table.tensor_count; i++) {
        const kw_tensor *tensor = &file->table.tensors[i];
        kw_error err = {0};
        if (tensor->fault.code != KW_OK || tensor->dtype == KW_DTYPE_NONE || tensor->nbytes > TENSOR_MAX) continue;
        uint8_t *bytes = __real_malloc((size_t)tensor->nbytes + 1);
        if (bytes == NULL) continue;
        if (kw_file_read(file, i, bytes, &err) == 0) out->sum = add_bytes(out->sum, bytes, (size_t)tensor->nbytes);
        if (err.code != KW_OK) out->code = err.code;
        __real_free(bytes);
    }
}

static void make_plan(kw_file *file, outcome *out) {
    static const kw_rules rules = {.flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_H5, .is_hdf5 = true};
    kw_plan *plan = NULL;
    kw_error err = {0};
    for (uint32_t i = 0; i < file->table.tensor_count; i++) {
        if (file->table.tensors[i].group == KW_NONE) return; /* no model's variable is */
    }
    for (uint32_t i = 0; i < file->table.slot_count; i++) {
        if (file->table.slots[i].tensor == KW_NONE) return; /* nor is one that is not there */
    }
    if (kw_plan_make(&file->table, &file->table, NULL, &rules, &plan, &err) == 0) {
        out->findings = plan->finding_count;
        kw_plan_free(plan);
    } else {
        out->code = err.code;
    }
}

static outcome run(const char *path) {
    outcome out = {.opened = -1};
    kw_source *source = NULL;
    kw_file *file = NULL;
    kw_error err = {0};
    if (kw_source_open_path(path, &source, &err) == 0 ||
        (err.code == KW_DIRECTORY && kw_source_open_folder(path, &source, &err) == 0)) {
        out.opened = kw_file_open(source, &(kw_open_options){.audit = true}, &file, &err);
        if (out.opened == 0) {
            out.tensors = file->table.tensor_count;
            out.faults = file->fault_count;
            read_tensors(file, &out);
            make_plan(file, &out);
        }
        kw_file_free(file);
        kw_source_release(source);
    }
    if (out.opened < 0) out.code = err.code;
    return out;
}

/* Opens an HDF5 file by two threads, each of which gets one of two links. */
static outcome run_by_two(const char *path) {
    outcome out = {.opened = -1};
    kw_source *source = NULL;
    kw_hdf5 *hdf5 = NULL;
    kw_error err = {0};
    if (kw_source_open_path(path, &source, &err) == 0) out.opened = kw_hdf5_open_by(source, (kw_threads){2, 1}, &hdf5, &err);
    if (hdf5 != NULL) out.tensors = hdf5->dataset_count;
    for (uint32_t i = 0; hdf5 != NULL && i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        out.faults += node->fault.code != KW_OK;
        out.sum = add_bytes(out.sum, (const uint8_t *)node->path, strlen(node->path)) + node->parent + node->attr_count;
    }
    if (out.opened < 0) out.code = err.code;
    kw_hdf5_free(hdf5);
    kw_source_release(source);
    return out;
}

static bool equal(const outcome *a, const outcome *b) {
    return a->opened == b->opened && a->code == b->code && a->tensors == b->tensors && a->faults == b->faults &&
           a->findings == b->findings && a->sum == b->sum;
}

/* ---- */

static uint64_t runs, wrong;

static void expect(bool fine, const char *path, const char *what, uint64_t n, const outcome *got) {
    if (fine) return;
    wrong++;
    (void)fprintf(stderr, "faults: %s: %s %" PRIu64 ": KW%d, %" PRIu32 " tensors, %" PRId64 " blocks alive\n", path, what,
                  n, got->code, got->tensors, (int64_t)now.alive);
}

/* Makes the n-th fail, for each n that there is. */
static void fail_each(outcome (*go)(const char *), const char *path, bool reads) {
    now = (state){0};
    outcome sound = go(path);
    expect(now.alive == 0, path, "leak", 0, &sound);
    for (uint64_t n = 1;; n++) {
        now = (state){0};
        *(reads ? &now.fail_read : &now.fail_allocation) = n;
        outcome got = go(path);
        runs++;
        if (!now.failed) return;
        /* It says so, or it came out the same: a cache that could not be had. */
        bool said = got.code == (reads ? KW_IO : KW_MEMORY);
        expect((said || equal(&got, &sound)) && now.alive == 0, path, reads ? "read" : "allocation", n, &got);
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        now = (state){0};
        outcome sound = run(argv[i]);
        for (int way = 1; way < 4; way++) {
            now = (state){.interrupt = (way & 1) != 0, .brief = (way & 2) != 0};
            outcome got = run(argv[i]);
            runs++;
            expect(equal(&got, &sound) && now.alive == 0, argv[i], "way of reading", (uint64_t)way, &got);
        }
        for (int reads = 0; reads < 2; reads++) {
            fail_each(run, argv[i], reads);
            fail_each(run_by_two, argv[i], reads);
        }
    }
    (void)printf("faults: %d files, %" PRIu64 " runs, %" PRIu64 " wrong\n", argc - 1, runs, wrong);
    return argc > 1 && wrong == 0 ? 0 : 1;
}
