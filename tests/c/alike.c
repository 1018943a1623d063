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

#include "same_hdf5.h"
#include "random.h"

enum { LONGEST = 64 << 20 };

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
    const char *wrong = code != code_by ? "outcome" : one != NULL ? same_hdf5(one, several) : NULL;
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
