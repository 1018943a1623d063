/* digest.c -- stretches of a source, each to its checksum.
 *
 *     stretch   |----------------|     pieces of 256 KiB, read and taken in while
 *     pieces    |----|----|----|-|     they are in the processor's cache
 *
 * The XXH3 algorithm: doc/xxhash_spec.md of libxxhash 0.8.
 */
#include "value/digest.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/view.h"
#include "base/work.h"

enum { PIECE_LEN = 256 << 10 };

/* What a thread keeps: made at its first stretch. */
typedef struct tools {
    XXH3_state_t *state;
    uint8_t *piece;
} tools;

typedef struct job {
    kw_source *source;
    const uint8_t *memory; /* the source's bytes, when they are in memory */
    const kw_stretch *stretches;
} job;

static void store(XXH128_hash_t hash, uint8_t out[KW_DIGEST_LEN]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    for (size_t i = 0; i < KW_DIGEST_LEN; i++) out[i] = canonical.digest[i];
}

void kw_digest_bytes(const void *data, size_t len, uint8_t out[KW_DIGEST_LEN]) { store(XXH3_128bits(data, len), out); }

/* 0 with memory for the thread's own; else -1. */
static int make_tools(tools *own, kw_error *err) {
    if (own->state == NULL) own->state = XXH3_createState();
    if (own->piece == NULL) own->piece = malloc(PIECE_LEN);
    return own->state != NULL && own->piece != NULL ? 0 : kw_fail_memory(err);
}

static void free_tools(void *memory) {
    tools *own = memory;
    if (own->state != NULL) (void)XXH3_freeState(own->state);
    free(own->piece);
}

/* The checksum of one stretch (kw_work.step); 0, or -1. */
static int take_stretch(void *context, size_t index, void *memory, kw_error *err) {
    const job *j = context;
    const kw_stretch *s = &j->stretches[index];
    tools *own = memory;
    if (!kw_in_range(s->off, s->len, kw_source_size(j->source))) {
        return kw_fail(err, KW_TRUNCATED, kw_source_size(j->source), "%llu bytes at %llu, file has %llu",
                       (unsigned long long)s->len, (unsigned long long)s->off,
                       (unsigned long long)kw_source_size(j->source));
    }
    if (j->memory != NULL) {
        kw_digest_bytes(j->memory + s->off, (size_t)s->len, s->out);
        return 0;
    }
    if (make_tools(own, err) != 0) return -1;
    (void)XXH3_128bits_reset(own->state);
    for (uint64_t done = 0; done < s->len;) {
        size_t len = s->len - done < PIECE_LEN ? (size_t)(s->len - done) : PIECE_LEN;
        if (kw_source_pread(j->source, s->off + done, own->piece, len, err) != 0) return -1;
        (void)XXH3_128bits_update(own->state, own->piece, len);
        done += len;
    }
    store(XXH3_128bits_digest(own->state), s->out);
    return 0;
}

int kw_digest(kw_source *source, const kw_stretch *stretches, size_t count, int threads, kw_error *err) {
    job j = {source, kw_source_memory(source), stretches};
    kw_work work = {
        .count = count, .step = take_stretch, .end = free_tools, .context = &j, .own_len = sizeof(tools)};
    return kw_work_run(&work, threads, err);
}
