/* source.c -- bytes by offset.
 *
 *     part     |   a zip member   |          base = off of its first byte
 *     whole  |..|................|.....|     file: pread; memory: memcpy; callback
 *     cache    |16K|16K|   |16K|             sets of 4 blocks, the oldest goes
 *
 * A part keeps the outermost source and reads through its cache.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/source_private.h"
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

typedef struct kw_cache {
    block blocks[SET_COUNT][WAY_COUNT];
    uint64_t clock;
    uint64_t next;  /* the block after the last ones that were read */
    uint64_t ahead; /* how many those were */
    uint64_t read_len; /* bytes that were read into blocks */
    uint8_t *all;      /* the whole source once most of it is wanted, else NULL */
} cache;

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
