/* alike.c -- a file is the same to one thread and to several, also when it is damaged.
 *
 *     alike [--changed N] FILE...
 *
 * Each file as it is, and N times with one to four of its bytes changed, is opened by one thread and by four that share
 * every group of two links.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "read/hdf5.h"

enum { LONGEST = 64 << 20, DATA_MAX = 1 << 20 };

/* A linear congruential generator: the same changes in every run. */
static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static bool same_text(const char *a, const char *b) { return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0); }

static bool same_fault(const kw_fault *a, const kw_fault *b) {
    return a->code == b->code && (a->code == KW_OK || (a->at == b->at && same_text(a->detail, b->detail)));
}

static bool same_attr(const kw_attr *a, const kw_attr *b) {
    if (!same_text(a->name, b->name) || a->kind != b->kind || !same_fault(&a->fault, &b->fault)) return false;
    if (a->fault.code != KW_OK) return true;
    if (a->scalar != b->scalar || a->count != b->count || a->integer != b->integer) return false;
    if (memcmp(&a->number, &b->number, sizeof a->number) != 0) return false;
    for (uint32_t i = 0; a->kind == KW_ATTR_TEXT && i < a->count; i++)
        if (a->text_lens[i] != b->text_lens[i] || memcmp(a->texts[i], b->texts[i], a->text_lens[i]) != 0) return false;
    return true;
}

static bool same_node(const kw_hdf5 *one, const kw_hdf5 *other, uint32_t i) {
    const kw_node *a = &one->nodes[i], *b = &other->nodes[i];
    if (!same_text(a->name, b->name) || !same_text(a->path, b->path) || !same_text(a->target, b->target)) return false;
    if (a->parent != b->parent || a->next != b->next || a->kind != b->kind || a->address != b->address) return false;
    if (a->dataset != b->dataset || a->attr_count != b->attr_count || !same_fault(&a->fault, &b->fault)) return false;
    if (kw_hdf5_find_path(one, 0, a->path) != kw_hdf5_find_path(other, 0, b->path)) return false;
    for (uint32_t k = 0; k < a->attr_count; k++)
        if (!same_attr(&one->attrs[a->first_attr + k], &other->attrs[b->first_attr + k])) return false;
    return true;
}

/* The checksum of a dataset's bytes, or the code of what keeps them from being read. */
static uint64_t bytes_of(kw_hdf5 *hdf5, uint32_t i) {
    const kw_dataset *dataset = &hdf5->datasets[i];
    if (dataset->fault.code != KW_OK || dataset->nbytes > DATA_MAX || dataset->dtype == KW_DTYPE_NONE) return 0;
    /* Of coded bytes that end too soon szip's decoder makes values of whatever is in the memory. */
    if (dataset->filter_text != NULL && strstr(dataset->filter_text, "szip") != NULL) return 0;
    kw_error err = {0};
    uint8_t *bytes = malloc((size_t)dataset->nbytes + 1);
    if (bytes == NULL) abort();
    int result = kw_hdf5_read(hdf5, i, bytes, &err);
    uint64_t sum = result == 0 ? kw_crc32(0, bytes, (size_t)dataset->nbytes) : (uint64_t)err.code << 32;
    free(bytes);
    return sum;
}

static bool same_dataset(kw_hdf5 *one, kw_hdf5 *other, uint32_t i) {
    const kw_dataset *a = &one->datasets[i], *b = &other->datasets[i];
    if (a->node != b->node || a->rank != b->rank || a->dtype != b->dtype || a->storage != b->storage) return false;
    if (a->nbytes != b->nbytes || a->off != b->off || a->shared_at != b->shared_at) return false;
    if (!same_text(a->type_text, b->type_text) || !same_text(a->filter_text, b->filter_text)) return false;
    if (!same_fault(&a->fault, &b->fault) || (a->shape == NULL) != (b->shape == NULL)) return false;
    if (a->shape != NULL && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0) return false;
    return bytes_of(one, i) == bytes_of(other, i);
}

/* What is different, or NULL. */
static const char *compare(kw_hdf5 *a, kw_hdf5 *b) {
    if (a->node_count != b->node_count || a->attr_count != b->attr_count || a->dataset_count != b->dataset_count) return "counts";
    if (!same_fault(&a->fault, &b->fault) || a->truncated != b->truncated || a->interrupted != b->interrupted) return "file";
    for (uint32_t i = 0; i < a->node_count; i++)
        if (!same_node(a, b, i)) return a->nodes[i].path;
    for (uint32_t i = 0; i < a->dataset_count; i++)
        if (!same_dataset(a, b, i)) return a->nodes[a->datasets[i].node].path;
    kw_audit x = kw_hdf5_audit(a), y = kw_hdf5_audit(b);
    return x.unclaimed != y.unclaimed || x.largest_off != y.largest_off || x.largest_len != y.largest_len ? "claims" : NULL;
}

static kw_hdf5 *open_by(const char *path, kw_threads threads, int *code) {
    kw_source *source = NULL;
    kw_hdf5 *hdf5 = NULL;
    kw_error err = {0};
    if (kw_source_open_path(path, &source, &err) == 0) (void)kw_hdf5_open_by(source, threads, &hdf5, &err);
    kw_source_release(source);
    *code = hdf5 != NULL ? KW_OK : (int)err.code;
    return hdf5;
}

static bool is_alike(const char *name, const char *path, int change) {
    int code, code_by;
    kw_hdf5 *one = open_by(path, (kw_threads){.count = 1}, &code);
    kw_hdf5 *several = open_by(path, (kw_threads){.count = 4, .links = 1}, &code_by);
    const char *wrong = code != code_by ? "outcome" : one != NULL ? compare(one, several) : NULL;
    if (wrong != NULL) (void)fprintf(stderr, "alike: %s, change %d: %s\n", name, change, wrong);
    kw_hdf5_free(one);
    kw_hdf5_free(several);
    return wrong == NULL;
}

/* The file's bytes; NULL when it cannot be read or is too long. */
static uint8_t *read_bytes(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    uint8_t *bytes = malloc(LONGEST);
    *len = bytes != NULL ? fread(bytes, 1, LONGEST, file) : 0;
    (void)fclose(file);
    if (*len < LONGEST && *len > 0) return bytes;
    free(bytes);
    return NULL;
}

static const struct timespec long_ago[2]; /* what was written just now would be opened a little later */

/* The number of runs that were not alike. */
static int check_changed(const char *name, const uint8_t *bytes, size_t len, int changes, uint64_t seed) {
    char path[64];
    int fd = memfd_create("alike", MFD_CLOEXEC), wrong = 0;
    uint8_t *own = malloc(len);
    if (fd < 0 || own == NULL) abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int change = 1; change <= changes; change++) {
        memcpy(own, bytes, len);
        for (uint64_t i = next_random(&seed) % 4 + 1; i > 0; i--) {
            uint8_t *byte = &own[next_random(&seed) % len];
            uint64_t flipped = *byte ^ (uint64_t)1 << next_random(&seed) % 8;
            *byte = (uint8_t)(next_random(&seed) % 2 == 0 ? next_random(&seed) : flipped);
        }
        if (pwrite(fd, own, len, 0) != (ssize_t)len || futimens(fd, long_ago) != 0) abort();
        wrong += !is_alike(name, path, change);
    }
    free(own);
    (void)close(fd);
    return wrong;
}

int main(int argc, char **argv) {
    int first = 1, changes = 0, wrong = 0, count = 0;
    if (argc > 2 && strcmp(argv[1], "--changed") == 0) {
        changes = atoi(argv[2]);
        first = 3;
    }
    for (int i = first; i < argc; i++) {
        size_t len = 0;
        uint8_t *bytes = read_bytes(argv[i], &len);
        if (bytes == NULL) continue;
        wrong += !is_alike(argv[i], argv[i], 0) + check_changed(argv[i], bytes, len, changes, (uint64_t)i);
        count += 1 + changes;
        free(bytes);
    }
    (void)printf("alike: %d files, %d read otherwise by several threads\n", count, wrong);
    return wrong != 0 || count == 0;
}
