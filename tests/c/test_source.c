/* csrc/base/source and map: files that are not there, not files, that change; the cache against plain bytes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/source.h"
#include "check.h"

static char folder[64];

/* A path in the test's folder; valid until the fourth call after. */
static const char *in_folder(const char *name) {
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static uint8_t byte_at(uint64_t off) { return (uint8_t)(off * 2654435761u >> 13); }

/* True when `len` bytes are those that belong at `off`. */
static bool is_right(const uint8_t *bytes, uint64_t off, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte_at(off + i)) return false;
    return true;
}

static const char *write_file(const char *name, size_t len) {
    const char *path = in_folder(name);
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL)) return path;
    for (size_t i = 0; i < len; i++) putc(byte_at(i), file);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static void check_refused(const char *path, int code, int sys) {
    kw_error err = {0};
    kw_source *source = NULL;
    CHECK_EQ(kw_source_open_path(path, &source, &err), -1);
    CHECK_EQ(err.code, code);
    CHECK_EQ(err.sys, sys);
    CHECK(source == NULL);
}

static void test_paths_that_are_no_files(void) {
    char long_name[400];
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    write_file("plain", 10);
    CHECK_EQ(mkfifo(in_folder("pipe"), 0600), 0);
    CHECK_EQ(symlink("nowhere", in_folder("dangling")), 0);
    CHECK_EQ(symlink("loop", in_folder("loop")), 0);
    check_refused(in_folder("absent"), KW_NOT_FOUND, ENOENT);
    check_refused(in_folder("absent/file"), KW_NOT_FOUND, ENOENT);
    check_refused(in_folder("plain/file"), KW_NOT_FOUND, ENOTDIR);
    check_refused(in_folder(long_name), KW_NOT_FOUND, ENAMETOOLONG);
    check_refused("", KW_NOT_FOUND, ENOENT);
    check_refused(folder, KW_DIRECTORY, EISDIR);
    check_refused(in_folder("pipe"), KW_NOT_REGULAR, 0);
    check_refused("/dev/null", KW_NOT_REGULAR, 0);
    check_refused(in_folder("dangling"), KW_DANGLING, ENOENT);
    check_refused(in_folder("loop"), KW_DANGLING, ELOOP);
    if (geteuid() == 0) return; /* root may read everything */
    CHECK_EQ(chmod(write_file("secret", 10), 0), 0);
    check_refused(in_folder("secret"), KW_DENIED, EACCES);
}

/* Who may not look into the folder; root, who may, becomes somebody else for it. */
static void test_a_file_that_may_not_be_read(void) {
    enum { NOBODY = 65534 };
    bool root = geteuid() == 0;
    write_file("secret", 10);
    CHECK_EQ(chmod(in_folder("secret"), 0), 0);
    if (root && seteuid(NOBODY) != 0) return;
    check_refused(in_folder("secret"), KW_DENIED, EACCES);
    if (root) CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(unlink(in_folder("secret")), 0);
}

static void test_links_and_empty_files(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    uint8_t byte;
    write_file("target", 10);
    CHECK_EQ(symlink("target", in_folder("link")), 0);
    if (!CHECK_EQ(kw_source_open_path(in_folder("link"), &source, &err), 0)) return;
    CHECK_EQ(kw_source_size(source), 10);
    kw_source_release(source);
    if (!CHECK_EQ(kw_source_open_path(write_file("empty", 0), &source, &err), 0)) return;
    CHECK_EQ(kw_source_size(source), 0);
    CHECK_EQ(kw_source_read(source, 0, &byte, 0, &err), 0);
    CHECK_EQ(kw_source_read(source, 0, &byte, 1, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    kw_source_release(source);
    kw_source_release(NULL);
}

enum { WHOLE_LEN = 9000001 }; /* more than the cache holds, and no whole block at the end */

/* Reads everywhere, of all lengths, forward and back, and compares. */
static void check_reads(kw_source *source, uint64_t base) {
    static uint8_t bytes[200000];
    kw_error err = {0};
    uint64_t size = kw_source_size(source), state = 1, wrong = 0;
    for (uint64_t off = 0, len = 1; off < size; off += len, len = len * 5 / 3 % 70001 + 1) {
        if (len > size - off) len = size - off;
        wrong += kw_source_read(source, off, bytes, (size_t)len, &err) || !is_right(bytes, base + off, (size_t)len);
    }
    for (int i = 0; i < 4000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t off = (state >> 20) % size, len = (state >> 50) % (i % 100 == 0 ? 200000 : 3000);
        if (len > size - off) len = size - off;
        wrong += kw_source_read(source, off, bytes, (size_t)len, &err) || !is_right(bytes, base + off, (size_t)len);
        wrong += kw_source_pread(source, off, bytes, (size_t)len, &err) || !is_right(bytes, base + off, (size_t)len);
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(kw_source_read(source, size - 1, bytes, 2, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    CHECK_EQ(err.at, size);
    CHECK_EQ(kw_source_pread(source, UINT64_MAX, bytes, 2, &err), -1);
    CHECK_EQ(kw_source_read(source, 2, bytes, SIZE_MAX, &err), -1);
    CHECK_EQ(err.at, size);
}

static void test_a_file(void) {
    kw_error err = {0};
    kw_source *source = NULL, *part = NULL, *inner = NULL;
    const char *path = write_file("whole", WHOLE_LEN);
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    CHECK_STR(kw_source_path(source), path);
    CHECK(kw_source_fd(source) >= 0 && kw_source_memory(source) == NULL && kw_source_whole(source) == source);
    check_reads(source, 0);
    CHECK_EQ(kw_source_open_part(source, 1000, WHOLE_LEN - 999, &part, &err), -1);
    CHECK_EQ(kw_source_open_part(source, UINT64_MAX, 2, &part, &err), -1);
    if (!CHECK_EQ(kw_source_open_part(source, 1000, WHOLE_LEN - 2000, &part, &err), 0)) return;
    CHECK_EQ(kw_source_open_part(part, 500, 4000000, &inner, &err), 0);
    kw_source_release(source);
    check_reads(part, 1000);
    kw_source_release(part);
    CHECK_EQ(kw_source_base(inner), 1500);
    CHECK(kw_source_fd(inner) >= 0 && kw_source_whole(inner) != inner);
    CHECK_STR(kw_source_path(inner), in_folder("whole"));
    check_reads(inner, 1500);
    CHECK_EQ(kw_source_unchanged(inner, &err), 0);
    kw_source_release(inner);
}

/* The same file, or part of one, with a descriptor and a cache of its own. */
static void test_a_twin(void) {
    kw_error err = {0};
    kw_source *source = NULL, *part = NULL, *twin = NULL, *other = NULL;
    struct rlimit limit, none;
    if (!CHECK_EQ(kw_source_open_path(write_file("twin", WHOLE_LEN), &source, &err), 0)) return;
    CHECK_EQ(kw_source_open_part(source, 1000, WHOLE_LEN - 2000, &part, &err), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 1; /* standard input has it */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(kw_source_open_twin(source, &twin, &err), -1);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(err.code, KW_IO);
    CHECK_EQ(err.sys, EMFILE);
    if (!CHECK_EQ(kw_source_open_twin(source, &twin, &err), 0)) return;
    if (!CHECK_EQ(kw_source_open_twin(part, &other, &err), 0)) return;
    CHECK(kw_source_fd(twin) != kw_source_fd(source) && kw_source_fd(other) != kw_source_fd(source));
    CHECK_EQ(kw_source_base(other), 1000);
    CHECK_EQ(kw_source_size(other), WHOLE_LEN - 2000);
    kw_source_release(source);
    kw_source_release(part);
    check_reads(twin, 0);
    check_reads(other, 1000);
    CHECK_EQ(kw_source_unchanged(twin, &err), 0);
    CHECK_EQ(kw_source_unchanged(other, &err), 0);
    CHECK_EQ(truncate(in_folder("twin"), 100), 0);
    CHECK_EQ(kw_source_unchanged(twin, &err), -1);
    CHECK_EQ(kw_source_unchanged(other, &err), -1);
    kw_source_release(twin);
    kw_source_release(other);
}

typedef struct remote {
    uint64_t size, fail_from; /* reads of a byte at or after fail_from fail */
    int code;                 /* with this */
    int reads, releases;
    uint64_t bytes;
} remote;

static int read_remote(void *context, uint64_t off, void *out, size_t len, kw_error *err) {
    remote *r = context;
    r->reads++;
    r->bytes += len;
    CHECK(off <= r->size && len <= r->size - off && len > 0);
    if (off + len > r->fail_from) return kw_fail(err, r->code, off, "lost");
    for (size_t i = 0; i < len; i++) ((uint8_t *)out)[i] = byte_at(off + i);
    return 0;
}

static void release_remote(void *context) { ((remote *)context)->releases++; }

static void test_a_callback(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    remote r = {.size = WHOLE_LEN, .fail_from = UINT64_MAX};
    if (!CHECK_EQ(kw_source_open_callback(r.size, read_remote, release_remote, &r, &source, &err), 0)) return;
    CHECK_EQ(r.reads, 0);
    CHECK(kw_source_fd(source) == -1 && kw_source_path(source) == NULL && kw_source_memory(source) == NULL);
    CHECK_EQ(kw_source_unchanged(source, &err), 0);
    check_reads(source, 0);
    CHECK_EQ(kw_source_open_sibling(source, "other", &source, &err), -1);
    CHECK_EQ(err.code, KW_NOT_FOUND);
    kw_source_retain(source);
    kw_source_release(source);
    CHECK_EQ(r.releases, 0);
    kw_source_release(source);
    CHECK_EQ(r.releases, 1);
}

static void test_a_callback_that_fails(void) {
    kw_error err = {0};
    kw_source *source = NULL, *part = NULL;
    uint8_t bytes[100];
    remote r = {.size = 100000, .fail_from = 50000, .code = KW_TRUNCATED};
    if (!CHECK_EQ(kw_source_open_callback(r.size, read_remote, NULL, &r, &source, &err), 0)) return;
    for (uint64_t off = 0; off < 50000; off += 100) CHECK_EQ(kw_source_read(source, off, bytes, 100, &err), 0);
    CHECK(is_right(bytes, 49900, 100));
    CHECK_EQ(kw_source_open_part(source, 40000, 20000, &part, &err), 0);
    CHECK_EQ(kw_source_read(part, 9999, bytes, 10, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    CHECK_EQ(err.at, 9999);
    r.code = KW_IO;
    r.reads = 0;
    CHECK_EQ(kw_source_read(source, 60000, bytes, 10, &err), -1);
    CHECK_EQ(err.code, KW_IO);
    CHECK_EQ(r.reads, 1);
    r.fail_from = UINT64_MAX;
    CHECK_EQ(kw_source_read(part, 19999, bytes, 1, &err), 0);
    CHECK(is_right(bytes, 59999, 1));
    kw_source_release(part);
    kw_source_release(source);
}

/* Thousands of small reads forward cost few calls; far apart ones cost few bytes. */
static void test_the_cache_reads_little(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    uint8_t bytes[64];
    remote r = {.size = 2000000, .fail_from = UINT64_MAX};
    if (!CHECK_EQ(kw_source_open_callback(r.size, read_remote, NULL, &r, &source, &err), 0)) return;
    for (uint64_t off = 0; off + 64 <= r.size; off += 200) {
        CHECK_EQ(kw_source_read(source, off, bytes, 64, &err), 0);
        CHECK_EQ(kw_source_read(source, off / 2, bytes, 64, &err), 0);
    }
    CHECK(r.reads < 20);
    CHECK(r.bytes <= r.size);
    kw_source_release(source);
    r = (remote){.size = 500000000, .fail_from = UINT64_MAX};
    if (!CHECK_EQ(kw_source_open_callback(r.size, read_remote, NULL, &r, &source, &err), 0)) return;
    for (int pass = 0; pass < 50; pass++)
        for (uint64_t tensor = 0; tensor < 60; tensor++)
            CHECK_EQ(kw_source_read(source, tensor << 23, bytes, 64, &err), 0);
    CHECK_EQ(r.reads, 60);
    CHECK(r.bytes <= 60 * 16384);
    kw_source_release(source);
}

static void test_memory(void) {
    kw_error err = {0};
    kw_source *source = NULL, *part = NULL;
    remote r = {0};
    uint8_t *bytes = malloc(300000);
    if (!CHECK(bytes != NULL)) return;
    for (size_t i = 0; i < 300000; i++) bytes[i] = byte_at(i);
    CHECK_EQ(kw_source_open_memory(bytes, 300000, release_remote, &r, &source, &err), 0);
    check_reads(source, 0);
    CHECK_EQ(kw_source_open_part(source, 7, 100000, &part, &err), 0);
    kw_source_release(source);
    CHECK_EQ(r.releases, 0);
    check_reads(part, 7);
    CHECK(kw_source_memory(part) == bytes + 7);
    CHECK_EQ(kw_source_fd(part), -1);
    kw_source_release(part);
    CHECK_EQ(r.releases, 1);
    free(bytes);
}

static void test_siblings(void) {
    static const char *const refused[] = {"", ".", "..", "a/b", "/etc/passwd", "../whole", "shard/"};
    kw_error err = {0};
    kw_source *source = NULL, *other = NULL, *part = NULL, *whole_folder = NULL;
    write_file("shard_0", 100);
    write_file("shard_1", 200);
    if (!CHECK_EQ(kw_source_open_path(in_folder("shard_0"), &source, &err), 0)) return;
    if (!CHECK_EQ(kw_source_open_folder(folder, &whole_folder, &err), 0)) return;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK_EQ(kw_source_open_sibling(source, refused[i], &other, &err), -1);
        CHECK_EQ(err.code, KW_LINK);
        CHECK_EQ(kw_source_open_sibling(whole_folder, refused[i], &other, &err), -1);
        CHECK_EQ(err.code, KW_LINK);
    }
    CHECK_EQ(kw_source_open_part(source, 10, 20, &part, &err), 0);
    const kw_source *const ways[] = {source, part, whole_folder};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(kw_source_open_sibling(ways[i], "shard_2", &other, &err), -1);
        CHECK_EQ(err.code, KW_NOT_FOUND);
        CHECK_EQ(kw_source_open_sibling(ways[i], "dangling", &other, &err), -1);
        CHECK_EQ(err.code, KW_DANGLING);
        if (!CHECK_EQ(kw_source_open_sibling(ways[i], "shard_1", &other, &err), 0)) continue;
        CHECK_EQ(kw_source_size(other), 200);
        CHECK_STR(kw_source_path(other), in_folder("shard_1"));
        kw_source_release(other);
    }
    CHECK_EQ(kw_source_size(whole_folder), 0);
    CHECK_EQ(kw_source_fd(whole_folder), -1);
    CHECK_EQ(kw_source_read(whole_folder, 0, folder, 1, &err), -1);
    CHECK_EQ(kw_source_open_folder(in_folder("shard_1"), &other, &err), -1);
    CHECK_EQ(kw_source_open_folder(in_folder("absent"), &other, &err), -1);
    CHECK_EQ(err.code, KW_NOT_FOUND);
    kw_source_release(part);
    kw_source_release(source);
    kw_source_release(whole_folder);
}

static void test_sibling_of_a_bare_name(void) {
    kw_error err = {0};
    kw_source *source = NULL, *other = NULL;
    char *before = getcwd(NULL, 0);
    write_file("shard_0", 100);
    write_file("shard_1", 200);
    CHECK_EQ(chdir(folder), 0);
    CHECK_EQ(kw_source_open_path("shard_0", &source, &err), 0);
    CHECK_EQ(kw_source_open_sibling(source, "shard_1", &other, &err), 0);
    CHECK_STR(kw_source_path(other), "shard_1");
    kw_source_release(other);
    kw_source_release(source);
    CHECK_EQ(chdir(before), 0);
    free(before);
}

static void test_a_file_that_is_cut(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    kw_map map;
    static uint8_t bytes[100000];
    const char *path = write_file("cut", 200000);
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    CHECK_EQ(truncate(path, 100050), 0);
    CHECK_EQ(kw_source_read(source, 100000, bytes, 50, &err), 0);
    CHECK(is_right(bytes, 100000, 50));
    CHECK_EQ(kw_source_read(source, 100000, bytes, 51, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    CHECK_EQ(err.at, 100050);
    CHECK_EQ(kw_source_pread(source, 50000, bytes, 100000, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    CHECK_EQ(kw_source_unchanged(source, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    CHECK_EQ(kw_map_open(source, &map, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    kw_source_release(source);
}

static void test_a_file_that_grows_or_is_written(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    const char *path = write_file("grows", 1000);
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    CHECK_EQ(kw_source_unchanged(source, &err), 0);
    CHECK_EQ(truncate(path, 1001), 0);
    CHECK_EQ(kw_source_unchanged(source, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    kw_source_release(source);
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000, .tv_nsec = 1}};
    CHECK_EQ(utimensat(AT_FDCWD, path, times, 0), 0);
    CHECK_EQ(kw_source_unchanged(source, &err), -1);
    CHECK_EQ(err.code, KW_CHANGED);
    kw_source_release(source);
}

static void test_a_mapping(void) {
    kw_error err = {0};
    kw_source *source = NULL, *part = NULL;
    kw_map map;
    if (!CHECK_EQ(kw_source_open_path(write_file("mapped", 12345), &source, &err), 0)) return;
    CHECK_EQ(kw_source_open_part(source, 100, 200, &part, &err), 0);
    kw_source_release(source);
    if (!CHECK_EQ(kw_map_open(part, &map, &err), 0)) return;
    kw_source_release(part);
    CHECK_EQ(map.len, 12345);
    CHECK(is_right(map.data, 0, map.len));
    kw_map_close(&map);
    CHECK(map.data == NULL && map.len == 0);
    CHECK_EQ(kw_source_open_path(write_file("empty", 0), &source, &err), 0);
    CHECK_EQ(kw_map_open(source, &map, &err), 0);
    CHECK_EQ(map.len, 0);
    kw_map_close(&map);
    kw_source_release(source);
    CHECK_EQ(kw_source_open_memory("abc", 3, NULL, NULL, &source, &err), 0);
    CHECK_EQ(kw_map_open(source, &map, &err), -1);
    CHECK_EQ(err.code, KW_UNSUPPORTED);
    kw_source_release(source);
}

typedef struct job {
    kw_source *source;
    uint64_t wrong;
} job;

/* Opens parts, preads and releases while others do the same. */
static void *work(void *context) {
    job *j = context;
    uint8_t bytes[5000];
    kw_error err = {0};
    for (uint64_t i = 0; i < 2000; i++) {
        kw_source *part = NULL;
        if (kw_source_open_part(j->source, i * 100, 5000, &part, &err)) {
            j->wrong++;
            continue;
        }
        if (kw_source_pread(part, 0, bytes, 5000, &err) || !is_right(bytes, i * 100, 5000)) j->wrong++;
        kw_source_release(part);
    }
    return NULL;
}

static void test_threads(void) {
    kw_error err = {0};
    kw_source *source = NULL;
    pthread_t threads[4];
    job jobs[4];
    if (!CHECK_EQ(kw_source_open_path(write_file("shared", 300000), &source, &err), 0)) return;
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = (job){source, 0};
        CHECK_EQ(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(jobs[i].wrong, 0);
    }
    kw_source_release(source);
}

int main(void) {
    static const char *const made[] = {"plain", "pipe", "dangling", "loop", "secret", "target", "link", "empty",
                                       "whole", "shard_0", "shard_1", "cut", "grows", "mapped", "shared", "twin"};
    strcpy(folder, "/tmp/kwload-source-XXXXXX");
    if (mkdtemp(folder) == NULL) return 1;
    RUN(test_paths_that_are_no_files);
    RUN(test_a_file_that_may_not_be_read);
    RUN(test_links_and_empty_files);
    RUN(test_a_file);
    RUN(test_a_twin);
    RUN(test_a_callback);
    RUN(test_a_callback_that_fails);
    RUN(test_the_cache_reads_little);
    RUN(test_memory);
    RUN(test_siblings);
    RUN(test_sibling_of_a_bare_name);
    RUN(test_a_file_that_is_cut);
    RUN(test_a_file_that_grows_or_is_written);
    RUN(test_a_mapping);
    RUN(test_threads);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) unlink(in_folder(made[i]));
    CHECK_EQ(rmdir(folder), 0);
    return check_result(__FILE__);
}
