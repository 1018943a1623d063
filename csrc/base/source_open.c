/* source_open.c -- the only place that opens a file.
 *
 *     path      look, open, look again, wait until it was not written to just now
 *     folder    a descriptor whose siblings are the files in it
 *     twin      another descriptor of the same file
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/source_private.h"
#include "base/view.h"

/* A source with one reference, or NULL. */
static kw_source *make_source(enum kind kind, uint64_t size) {
    kw_source *source = calloc(1, sizeof *source);
    if (source == NULL) return NULL;
    atomic_init(&source->references, 1);
    source->kind = kind;
    source->size = size;
    source->fd = -1;
    return source;
}

/* Why `name` in the folder `dir` could not be opened: -1. */
static int fail_open(int dir, const char *name, int sys, kw_error *err) {
    struct stat link;
    switch (sys) {
    case ENOENT:
        if (fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode))
            return kw_fail_errno(err, KW_DANGLING, sys);
        return kw_fail_errno(err, KW_NOT_FOUND, sys);
    case ELOOP:
        return kw_fail_errno(err, KW_DANGLING, sys);
    case ENOTDIR:
    case ENAMETOOLONG:
        return kw_fail_errno(err, KW_NOT_FOUND, sys);
    case EACCES:
    case EPERM:
        return kw_fail_errno(err, KW_DENIED, sys);
    case ENOMEM:
        return kw_fail_memory(err);
    default:
        return kw_fail_errno(err, KW_IO, sys);
    }
}

/* 0 when a file of this kind has bytes at offsets, else -1. */
static int check_regular(const struct stat *st, kw_error *err) {
    if (S_ISDIR(st->st_mode)) return kw_fail_errno(err, KW_DIRECTORY, EISDIR);
    if (S_ISREG(st->st_mode)) return 0;
    const char *what = S_ISFIFO(st->st_mode)   ? "a pipe"
                       : S_ISSOCK(st->st_mode) ? "a socket"
                       : S_ISCHR(st->st_mode)  ? "a character device"
                       : S_ISBLK(st->st_mode)  ? "a block device"
                                               : "neither file nor folder";
    return kw_fail(err, KW_NOT_REGULAR, KW_NOWHERE, "%s", what);
}

/* A file system's clock ticks every few milliseconds, and a write sets the time before it puts the bytes: what is written
 * in the tick in which the file is opened leaves no trace in its time.  So a file that was written to just now is opened
 * a little later.  0 with *settled false when it is written to all the time; -1. */
static int settle(int fd, struct stat *st, bool *settled) {
    enum { TICK_MS = 10, ROUNDS = 8 }; /* at most 100 ticks a second were ever usual */
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        /* Of another machine's clock, which may be ahead, nothing is known. */
        int64_t age = (int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000 + (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
        *settled = age < -TICK_MS || age >= TICK_MS;
        if (*settled) return 0;
        (void)nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
        if (fstat(fd, st) != 0) return -1;
    }
    return 0;
}

/* Opens the regular file `name` in the folder `dir`; takes `path`, which may be NULL after a failed allocation. */
static int open_at(int dir, const char *name, char *path, kw_source **out, kw_error *err) {
    struct stat st;
    int fd = -1;
    kw_source *source = NULL;
    if (path == NULL) return kw_fail_memory(err);
    /* Opening a pipe or a device is noticed at its other end, so we look first. */
    if (fstatat(dir, name, &st, 0) != 0) {
        fail_open(dir, name, errno, err);
        goto done;
    }
    if (check_regular(&st, err)) goto done;
    /* It may have become another file since: no flag lets us wait for a pipe. */
    do fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    bool settled = true;
    if (fd < 0 || fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && settle(fd, &st, &settled) != 0)) {
        fail_open(dir, name, errno, err);
        goto done;
    }
    if (check_regular(&st, err)) goto done;
    source = make_source(FILE_KIND, (uint64_t)st.st_size);
    if (source == NULL) {
        kw_fail_memory(err);
        goto done;
    }
    source->fd = fd;
    source->path = path;
    source->modified = st.st_mtim;
    source->unsettled = !settled;
    *out = source;
done:
    if (source != NULL) return 0;
    if (fd >= 0) close(fd);
    free(path);
    return -1;
}

int kw_source_open_path(const char *path, kw_source **out, kw_error *err) {
    return open_at(AT_FDCWD, path, strdup(path), out, err);
}

int kw_source_open_folder(const char *path, kw_source **out, kw_error *err) {
    int fd;
    do fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_open(AT_FDCWD, path, errno, err);
    kw_source *source = make_source(FOLDER_KIND, 0);
    if (source != NULL) {
        source->fd = fd;
        source->path = strdup(path);
    }
    if (source == NULL || source->path == NULL) {
        if (source == NULL) close(fd);
        kw_source_release(source);
        return kw_fail_memory(err);
    }
    *out = source;
    return 0;
}

/* The first `folder_len` bytes of `folder`, '/' unless they end in one, and `name`; or NULL. */
static char *join_path(const char *folder, size_t folder_len, const char *name) {
    size_t name_len = strlen(name);
    bool slash = folder_len > 0 && folder[folder_len - 1] != '/';
    char *path = malloc(folder_len + name_len + 2);
    if (path == NULL) return NULL;
    memcpy(path, folder, folder_len);
    if (slash) path[folder_len] = '/';
    memcpy(path + folder_len + slash, name, name_len + 1);
    return path;
}

/* Opens `name` in the folder of the file at `path`. */
static int open_beside(const char *path, const char *name, kw_source **out, kw_error *err) {
    const char *slash = strrchr(path, '/');
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash + 1 - path);
    char *joined = join_path(path, folder_len, name);
    return joined == NULL ? kw_fail_memory(err) : open_at(AT_FDCWD, joined, joined, out, err);
}

int kw_source_open_sibling(const kw_source *source, const char *name, kw_source **out, kw_error *err) {
    const kw_source *whole = source->kind == PART_KIND ? source->whole : source;
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return kw_fail(err, KW_LINK, KW_NOWHERE, "not a plain file name: %.100s", name);
    if (whole->kind == FILE_KIND) return open_beside(whole->path, name, out, err);
    if (whole->kind != FOLDER_KIND) return kw_fail(err, KW_NOT_FOUND, KW_NOWHERE, "no folder to look in: %.100s", name);
    return open_at(whole->fd, name, join_path(whole->path, strlen(whole->path), name), out, err);
}

int kw_source_open_memory(const void *data, size_t len, kw_source_free_fn release, void *context, kw_source **out,
                          kw_error *err) {
    kw_source *source = make_source(MEMORY_KIND, len);
    if (source == NULL) {
        if (release != NULL) release(context);
        return kw_fail_memory(err);
    }
    source->data = data;
    source->release = release;
    source->context = context;
    *out = source;
    return 0;
}

int kw_source_open_callback(uint64_t size, kw_source_read_fn read, kw_source_free_fn release, void *context,
                            kw_source **out, kw_error *err) {
    kw_source *source = make_source(CALLBACK_KIND, size);
    if (source == NULL) {
        if (release != NULL) release(context);
        return kw_fail_memory(err);
    }
    source->read = read;
    source->release = release;
    source->context = context;
    *out = source;
    return 0;
}

int kw_source_open_part(kw_source *whole, uint64_t off, uint64_t len, kw_source **out, kw_error *err) {
    if (!kw_in_range(off, len, whole->size))
        return kw_fail(err, KW_TRUNCATED, whole->size, "part ends after the bytes it is in");
    kw_source *source = make_source(PART_KIND, len);
    if (source == NULL) return kw_fail_memory(err);
    source->base = kw_source_base(whole) + off;
    source->whole = kw_source_retain(kw_source_whole(whole));
    *out = source;
    return 0;
}

int kw_source_open_twin(kw_source *source, kw_source **out, kw_error *err) {
    const kw_source *whole = kw_source_whole(source);
    kw_source *twin = make_source(FILE_KIND, whole->size);
    if (twin == NULL) return kw_fail_memory(err);
    twin->modified = whole->modified;
    twin->unsettled = whole->unsettled;
    twin->fd = fcntl(whole->fd, F_DUPFD_CLOEXEC, 0);
    int result = twin->fd >= 0 ? 0 : kw_fail_errno(err, KW_IO, errno);
    if (result == 0 && source->whole == NULL) *out = kw_source_retain(twin);
    else if (result == 0) result = kw_source_open_part(twin, source->base, source->size, out, err);
    kw_source_release(twin);
    return result;
}
