/* source.c -- bytes by offset, and the only place that opens a file.
 *
 *     part     |   a zip member   |          base = off of its first byte
 *     whole  |..|................|.....|     file: pread; memory: memcpy; callback
 *     cache    |16K|16K|   |16K|             sets of 4 blocks, the oldest goes
 *
 * A part keeps the outermost source and reads through its cache.
 */
#include "base/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/view.h"

enum {
    BLOCK_LEN = 16 << 10,
    SET_COUNT = 64,
    WAY_COUNT = 4,
    AHEAD_MAX = 16,        /* blocks read at once */
    BYPASS_LEN = 64 << 10, /* reads of this length and more are not cached */
    WHOLE_MAX = 8 << 20,   /* a file up to this size, of which much was read, is read whole */
    WHOLE_SHARE = 8,       /* "much": one part in so many */
};

#define PREAD_MAX ((size_t)1 << 30) /* some systems refuse 2 GiB and more */

typedef struct block {
    uint64_t number; /* plus one; 0: holds nothing */
    uint64_t age;    /* clock at the last use */
    uint8_t *data;   /* BLOCK_LEN bytes once used */
} block;

typedef struct cache {
    block blocks[SET_COUNT][WAY_COUNT];
    uint64_t clock;
    uint64_t next;  /* the block after the last ones that were read */
    uint64_t ahead; /* how many those were */
    uint64_t read_len; /* bytes that were read into blocks */
    uint8_t *all;      /* the whole source once most of it is wanted, else NULL */
} cache;

enum kind { FILE_KIND, FOLDER_KIND, MEMORY_KIND, CALLBACK_KIND, PART_KIND };

struct kw_source {
    atomic_int references;
    enum kind kind;
    uint64_t size;
    kw_source *whole; /* part: retained */
    uint64_t base;    /* part */
    int fd;           /* file and folder, else -1 */
    char *path;       /* file and folder */
    struct timespec modified;
    bool unsettled;      /* written to all the time while it was opened */
    const uint8_t *data; /* memory */
    kw_source_read_fn read;
    kw_source_free_fn release;
    void *context;
    cache *cache; /* made at the first small read */
};

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

kw_source *kw_source_retain(kw_source *source) {
    atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
    return source;
}

static void free_cache(cache *cached) {
    if (cached == NULL) return;
    free(cached->all);
    for (size_t i = 0; i < SET_COUNT; i++)
        for (size_t k = 0; k < WAY_COUNT; k++) free(cached->blocks[i][k].data);
    free(cached);
}

void kw_source_release(kw_source *source) {
    while (source != NULL) {
        if (atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) != 1) return;
        kw_source *whole = source->whole;
        if (source->fd >= 0) close(source->fd);
        if (source->release != NULL) source->release(source->context);
        free_cache(source->cache);
        free(source->path);
        free(source);
        source = whole;
    }
}

uint64_t kw_source_size(const kw_source *source) { return source->size; }

kw_source *kw_source_whole(kw_source *source) { return source->whole != NULL ? source->whole : source; }

uint64_t kw_source_base(const kw_source *source) { return source->base; }

const char *kw_source_path(const kw_source *source) {
    return source->whole != NULL ? source->whole->path : source->path;
}

const uint8_t *kw_source_memory(const kw_source *source) {
    const uint8_t *data = source->whole != NULL ? source->whole->data : source->data;
    return data != NULL ? data + source->base : NULL;
}

int kw_source_fd(const kw_source *source) {
    const kw_source *whole = source->whole != NULL ? source->whole : source;
    return whole->kind == FILE_KIND ? whole->fd : -1;
}

int kw_source_unchanged(kw_source *source, kw_error *err) {
    const kw_source *whole = kw_source_whole(source);
    struct stat st;
    if (whole->kind != FILE_KIND) return 0;
    if (fstat(whole->fd, &st) != 0) return kw_fail_errno(err, KW_IO, errno);
    if ((uint64_t)st.st_size != whole->size)
        return kw_fail(err, KW_CHANGED, KW_NOWHERE, "size was %llu, is %llu", (unsigned long long)whole->size,
                       (unsigned long long)st.st_size);
    if (whole->unsettled || st.st_mtim.tv_sec != whole->modified.tv_sec || st.st_mtim.tv_nsec != whole->modified.tv_nsec)
        return kw_fail(err, KW_CHANGED, KW_NOWHERE, "written to since it was opened");
    return 0;
}

/* A read of a file that found its end too early. */
static int fail_short(kw_source *source, uint64_t at, kw_error *err) {
    if (kw_source_unchanged(source, err) == 0) kw_fail(err, KW_TRUNCATED, at, "file ends before its size");
    err->at = at;
    return -1;
}

/* Fills the vectors, in order, from a file; 0 or -1.  The vectors are used up. */
static int read_vectors(kw_source *source, uint64_t off, struct iovec *vectors, size_t count, kw_error *err) {
    while (count > 0) {
        ssize_t got = preadv(source->fd, vectors, (int)count, (off_t)off);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            kw_fail_errno(err, KW_IO, errno);
            err->at = off;
            return -1;
        }
        if (got == 0) return fail_short(source, off, err);
        off += (uint64_t)got;
        for (size_t left = (size_t)got; left > 0;) {
            size_t taken = left < vectors->iov_len ? left : vectors->iov_len;
            vectors->iov_base = (uint8_t *)vectors->iov_base + taken;
            vectors->iov_len -= taken;
            left -= taken;
            if (vectors->iov_len == 0) vectors++, count--;
        }
    }
    return 0;
}

/* Reads from a whole source what lies within its size. */
static int read_whole(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err) {
    if (len == 0) return 0;
    if (source->kind == MEMORY_KIND) {
        memcpy(out, source->data + off, len);
        return 0;
    }
    if (source->kind == CALLBACK_KIND) return source->read(source->context, off, out, len, err);
    assert(source->kind == FILE_KIND); /* a folder has size 0 */
    for (size_t done = 0, piece; done < len; done += piece) {
        piece = len - done < PREAD_MAX ? len - done : PREAD_MAX;
        struct iovec vector = {(uint8_t *)out + done, piece};
        if (read_vectors(source, off + done, &vector, 1, err)) return -1;
    }
    return 0;
}

/* The blocks where a block may be kept: neighbours, and those a power of two apart, lie in different sets. */
static block *set_of(cache *cached, uint64_t number) {
    return cached->blocks[(number ^ number >> 6 ^ number >> 12) % SET_COUNT];
}

/* The block when it is in the cache, else NULL. */
static block *find_block(cache *cached, uint64_t number) {
    block *set = set_of(cached, number);
    for (size_t way = 0; way < WAY_COUNT; way++) {
        if (set[way].number != number + 1) continue;
        set[way].age = ++cached->clock;
        return &set[way];
    }
    return NULL;
}

/* The oldest block where this one may be kept, emptied, or NULL when memory is short. */
static block *take_block(cache *cached, uint64_t number) {
    block *set = set_of(cached, number), *oldest = set;
    for (size_t way = 1; way < WAY_COUNT; way++)
        if (set[way].age < oldest->age) oldest = &set[way];
    if (oldest->data == NULL) oldest->data = malloc(BLOCK_LEN);
    oldest->number = 0;
    oldest->age = ++cached->clock;
    return oldest->data != NULL ? oldest : NULL;
}

/* Reads `len` bytes at `off` into blocks, with one call of what the source reads by. */
static int read_blocks(kw_source *source, uint64_t off, size_t len, block **blocks, size_t count, kw_error *err) {
    if (count == 1) return read_whole(source, off, blocks[0]->data, len, err);
    struct iovec vectors[AHEAD_MAX];
    for (size_t i = 0; i < count; i++) {
        size_t left = len - i * BLOCK_LEN;
        vectors[i] = (struct iovec){blocks[i]->data, left < BLOCK_LEN ? left : BLOCK_LEN};
    }
    if (source->kind == FILE_KIND) return read_vectors(source, off, vectors, count, err);
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) return kw_fail_memory(err);
    int result = read_whole(source, off, bytes, len, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        memcpy(vectors[i].iov_base, bytes + i * BLOCK_LEN, vectors[i].iov_len);
    free(bytes);
    return result;
}

/* How many blocks to read when `number` is missing: twice as many as last time while reads move forward. */
static size_t plan_ahead(kw_source *source, uint64_t number) {
    cache *cached = source->cache;
    uint64_t last = (source->size - 1) / BLOCK_LEN;
    bool forward = number >= cached->next && number - cached->next <= cached->ahead;
    uint64_t count = forward && cached->ahead > 0 ? cached->ahead * 2 : 1;
    if (count > AHEAD_MAX) count = AHEAD_MAX;
    return (size_t)(count - 1 < last - number ? count : last - number + 1);
}

/* Reads a missing block, and perhaps some that follow; *out is it.  0 or -1. */
static int load_block(kw_source *source, uint64_t number, block **out, kw_error *err) {
    cache *cached = source->cache;
    block *blocks[AHEAD_MAX];
    size_t wanted = plan_ahead(source, number), count = 0;
    while (count < wanted && (count == 0 || find_block(cached, number + count) == NULL)) {
        blocks[count] = take_block(cached, number + count);
        if (blocks[count] == NULL) return kw_fail_memory(err);
        count++;
    }
    uint64_t off = number * BLOCK_LEN, left = source->size - off;
    size_t len = left < count * BLOCK_LEN ? (size_t)left : count * BLOCK_LEN;
    if (read_blocks(source, off, len, blocks, count, err)) return -1;
    for (size_t i = 0; i < count; i++) blocks[i]->number = number + i + 1;
    cached->next = number + count;
    cached->ahead = count;
    cached->read_len += len;
    *out = blocks[0];
    return 0;
}

/* Reads all of a small source of which much was wanted already: a file of many small tensors is metadata from end to
 * end.  Without the memory for it, or when it cannot be read whole, blocks do as well. */
static void read_all(kw_source *source) {
    cache *cached = source->cache;
    if (source->size > WHOLE_MAX || cached->read_len < source->size / WHOLE_SHARE) return;
    kw_error ignored = {0};
    uint8_t *all = malloc((size_t)source->size);
    if (all == NULL || read_whole(source, 0, all, (size_t)source->size, &ignored) != 0) {
        free(all);
        cached->read_len = 0; /* not again for a while */
        return;
    }
    cached->all = all;
}

/* As read_whole, through the cache. */
static int read_cached(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err) {
    if (source->cache == NULL) source->cache = calloc(1, sizeof *source->cache);
    if (source->cache == NULL) return kw_fail_memory(err);
    if (source->cache->all != NULL) {
        memcpy(out, source->cache->all + off, len);
        return 0;
    }
    for (size_t done = 0; done < len;) {
        uint64_t number = (off + done) / BLOCK_LEN;
        size_t from = (size_t)((off + done) % BLOCK_LEN);
        size_t piece = len - done < BLOCK_LEN - from ? len - done : BLOCK_LEN - from;
        block *found = find_block(source->cache, number);
        if (found == NULL && load_block(source, number, &found, err)) {
            /* The bytes that were not asked for may be the bad ones; but a callback's own failure stands. */
            if (source->kind == CALLBACK_KIND && err->code != KW_TRUNCATED) return -1;
            return read_whole(source, off, out, len, err);
        }
        memcpy((uint8_t *)out + done, found->data + from, piece);
        done += piece;
    }
    if (source->kind == FILE_KIND) read_all(source);
    return 0;
}

/* Reads within the source's own size, cached or not; errors carry the source's own offsets. */
static int read_source(kw_source *source, uint64_t off, void *out, size_t len, bool cached, kw_error *err) {
    if (!kw_in_range(off, len, source->size))
        return kw_fail(err, KW_TRUNCATED, source->size, "%zu bytes wanted at %llu of %llu", len,
                       (unsigned long long)off, (unsigned long long)source->size);
    kw_source *whole = kw_source_whole(source);
    bool small = cached && len < BYPASS_LEN && whole->kind != MEMORY_KIND;
    int result = (small ? read_cached : read_whole)(whole, source->base + off, out, len, err);
    if (result != 0 && err->at != KW_NOWHERE) err->at -= err->at < source->base ? err->at : source->base;
    return result;
}

const uint8_t *kw_source_peek(kw_source *source, uint64_t off, size_t len) {
    const kw_source *whole = kw_source_whole(source);
    const uint8_t *bytes = whole->kind == MEMORY_KIND ? whole->data : whole->cache != NULL ? whole->cache->all : NULL;
    return bytes != NULL && kw_in_range(off, len, source->size) ? bytes + source->base + off : NULL;
}

int kw_source_read(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err) {
    return read_source(source, off, out, len, true, err);
}

int kw_source_pread(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err) {
    return read_source(source, off, out, len, false, err);
}
