/* hdf5_chunk.c -- the bytes of a dataset, however they are stored.
 *
 *     +-------+-------+----+     each stored chunk: read, filters undone, its
 *     | 0     | 1     | 2 .|     part inside the shape copied row by row;
 *     +-------+-------+----+     chunks that are not stored: the fill value;
 *     | 3     | 4     | 5 .|     at the end the whole in native byte order
 *     +.......+.......+....+
 *
 * HDF5 File Format Specification v3.0, IV.A.2.i (Data Layout), IV.A.2.f (Fill Value).
 */
#include <stdlib.h>
#include <string.h>

#include "base/work.h"
#include "read/hdf5_filter.h"
#include "read/hdf5_index.h"

/* Undoing filters is worth a second thread from so many bytes on, in chunks of so many on average. */
enum { THREADED_MIN = 1 << 19, THREADED_CHUNK_MIN = 1 << 12 };

/* What reading one chunk needs. */
typedef struct reader {
    kw_source *source;
    const kw_dataset *dataset;
    const struct kw_layout_info *info;
    const kw_chunks *chunks;
    int (*read)(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err);
    uint8_t *out;
    kw_grid grid;
    uint64_t chunk_strides[KW_RANK_MAX]; /* bytes from one element to the next along a dimension */
    uint64_t out_strides[KW_RANK_MAX];
} reader;

/* Where the part of a chunk inside the shape goes: runs of bytes that lie
 * together in the chunk and in the dataset. */
typedef struct target {
    uint64_t to;                  /* of the first byte, in the dataset */
    uint64_t run;                 /* bytes */
    unsigned rank;                /* dimensions over which runs repeat; 0: one run */
    uint64_t clip[KW_RANK_MAX];   /* elements inside the shape */
} target;

/* Fills `len` bytes with copies of a pattern; an empty one is zeros. */
static void fill_with(uint8_t *out, size_t len, kw_view pattern) {
    size_t done = pattern.len < len ? pattern.len : len;
    if (done == 0) {
        memset(out, 0, len);
        return;
    }
    memcpy(out, pattern.data, done);
    while (done < len) {
        size_t more = done < len - done ? done : len - done;
        memcpy(out + done, out, more);
        done += more;
    }
}

/* The whole dataset as it is before anything was written; 0, or -1. */
static int fill(const kw_dataset *dataset, uint8_t *out, kw_error *err) {
    kw_view pattern = {NULL, 0, KW_NOWHERE};
    if (dataset->info != NULL) pattern = dataset->info->fill;
    if (pattern.len != 0 && pattern.len != kw_dtype_len((kw_dtype)dataset->dtype)) {
        return kw_fail(err, KW_CORRUPT, pattern.off, "fill value of %zu bytes for elements of %zu", pattern.len,
                       kw_dtype_len((kw_dtype)dataset->dtype));
    }
    fill_with(out, (size_t)dataset->nbytes, pattern);
    return 0;
}

static void swap2(uint8_t *p, size_t count) {
    for (size_t i = 0; i < count; i++, p += 2) {
        uint16_t v;
        memcpy(&v, p, sizeof v);
        v = __builtin_bswap16(v);
        memcpy(p, &v, sizeof v);
    }
}

static void swap4(uint8_t *p, size_t count) {
    for (size_t i = 0; i < count; i++, p += 4) {
        uint32_t v;
        memcpy(&v, p, sizeof v);
        v = __builtin_bswap32(v);
        memcpy(p, &v, sizeof v);
    }
}

static void swap8(uint8_t *p, size_t count) {
    for (size_t i = 0; i < count; i++, p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        v = __builtin_bswap64(v);
        memcpy(p, &v, sizeof v);
    }
}

/* Big-endian elements to the machine's order or back; a complex number is two. */
static void put_in_native_order(const kw_dataset *dataset, uint8_t *out) {
    bool native_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    bool complex = dataset->dtype == KW_DTYPE_COMPLEX64 || dataset->dtype == KW_DTYPE_COMPLEX128;
    size_t len = kw_dtype_len((kw_dtype)dataset->dtype) / (complex ? 2 : 1), nbytes = (size_t)dataset->nbytes;
    if (dataset->big_endian == native_big) return;
    if (len == 2) swap2(out, nbytes / 2);
    if (len == 4) swap4(out, nbytes / 4);
    if (len == 8) swap8(out, nbytes / 8);
}

/* Bytes from one element to the next along each dimension. */
static void set_strides(unsigned rank, const uint64_t *dims, uint64_t element_len, uint64_t *strides) {
    for (unsigned d = rank; d > 0; d--) {
        strides[d - 1] = element_len;
        element_len *= dims[d - 1];
    }
}

/* Where the chunk at `place` goes. */
static target target_of(const reader *r, const uint64_t *place) {
    const kw_grid *grid = &r->grid;
    target t = {.to = 0, .run = r->info->element_len, .rank = grid->rank};
    for (unsigned d = 0; d < grid->rank; d++) {
        uint64_t start = place[d] * grid->chunk[d], left = grid->shape[d] - start;
        t.clip[d] = left < grid->chunk[d] ? left : grid->chunk[d];
        t.to += start * r->out_strides[d];
    }
    bool together = true;
    while (t.rank > 0 && together) {
        unsigned d = --t.rank;
        t.run *= t.clip[d];
        together = t.clip[d] == grid->chunk[d] && t.clip[d] == grid->shape[d];
    }
    return t;
}

/* Copies a chunk's bytes to where they go. */
static void scatter(const reader *r, const target *t, const uint8_t *chunk) {
    uint64_t position[KW_RANK_MAX] = {0}, from = 0, to = t->to;
    for (;;) {
        memcpy(r->out + to, chunk + from, (size_t)t->run);
        unsigned d = t->rank;
        for (; d > 0; d--) {
            from += r->chunk_strides[d - 1];
            to += r->out_strides[d - 1];
            if (++position[d - 1] < t->clip[d - 1]) break;
            from -= t->clip[d - 1] * r->chunk_strides[d - 1];
            to -= t->clip[d - 1] * r->out_strides[d - 1];
            position[d - 1] = 0;
        }
        if (d == 0) return;
    }
}

/* Brings the stored bytes of a chunk into the room; 0, or -1. */
static int load_chunk(const reader *r, const kw_chunk *chunk, kw_filter_room *room, kw_error *err) {
    if (kw_filter_room_reserve(room, (size_t)chunk->len, err) != 0) return -1;
    room->len = (size_t)chunk->len;
    return r->read(r->source, chunk->off, room->data, room->len, err);
}

/* One chunk into its place in r->out; 0, or -1. */
static int read_chunk(const reader *r, const kw_chunk *chunk, kw_filter_room *room, kw_error *err) {
    uint64_t place[KW_RANK_MAX];
    kw_grid_place(&r->grid, chunk->number, place);
    bool filtered = kw_chunk_is_filtered(r->dataset, &r->grid, place);
    target t = target_of(r, place);
    if (!filtered && r->out == NULL) return 0;
    if (!filtered && t.rank == 0) return r->read(r->source, chunk->off, r->out + t.to, (size_t)t.run, err);
    if (load_chunk(r, chunk, room, err) != 0) return -1;
    if (filtered && kw_filter_undo(r->info, chunk->mask, r->grid.chunk_len, chunk->off, room, err) != 0) return -1;
    if (r->out != NULL) scatter(r, &t, room->data);
    return 0;
}

/* kw_work.step */
static int read_step(void *context, size_t index, void *own, kw_error *err) {
    const reader *r = context;
    kw_chunk chunk = kw_chunks_get(r->chunks, &r->grid, index);
    return read_chunk(r, &chunk, own, err);
}

/* kw_work.end */
static void free_room(void *own) { kw_filter_room_free(own); }

/* Chunks may be greater than the part of them inside the shape, but when undoing
 * filters would give many times the dataset, that is what the file is for. */
static int check_budget(const reader *r, const kw_chunks *chunks, kw_error *err) {
    const uint64_t allowance = UINT64_C(256) << 20, times = 16;
    uint64_t total, limit;
    if (!kw_mul(r->dataset->nbytes, times, &limit)) limit = UINT64_MAX;
    if (limit < allowance) limit = allowance;
    if (r->info->filter_count == 0 || (kw_mul(chunks->count, r->grid.chunk_len, &total) && total <= limit)) return 0;
    return kw_fail(err, KW_BOMB, r->info->index_at, "%zu chunks of %llu bytes each for a dataset of %llu bytes",
                   chunks->count, (unsigned long long)r->grid.chunk_len, (unsigned long long)r->dataset->nbytes);
}

/* True when undoing filters, or the source's own function, may call what only one thread at a time may: libhdf5, or
 * code of the user's that waits for a lock which the caller holds. */
static bool is_for_one_thread(kw_source *source, const struct kw_layout_info *info) {
    bool callback = kw_source_memory(source) == NULL && kw_source_fd(source) < 0;
    return callback || (info != NULL && kw_filter_needs_library(info));
}

/* All stored chunks; 0, or -1 with the first error by offset. */
static int read_chunks(reader *r, kw_error *err) {
    const kw_chunks *chunks = r->chunks;
    kw_work work = {.count = chunks->count, .step = read_step, .end = free_room, .context = r};
    uint64_t nbytes = r->dataset->nbytes;
    bool spread = r->info->filter_count > 0 && nbytes >= THREADED_MIN && nbytes / THREADED_CHUNK_MIN >= chunks->count &&
                  !is_for_one_thread(r->source, r->info);
    work.own_len = sizeof(kw_filter_room);
    /* Chunks come by offset and may be a byte each: by one thread many small ones are one read. */
    r->read = spread ? kw_source_pread : kw_source_read;
    if (r->out != NULL && chunks->count != r->grid.total && fill(r->dataset, r->out, err) != 0) return -1;
    return kw_work_run(&work, spread ? kw_work_cores() : 1, err);
}

/* 0 when no two chunks, nor a chunk and anything else, share bytes in the ledger. */
static int claim_chunks(const reader *r, kw_ledger *ledger, kw_error *err) {
    for (size_t i = 0; i < r->chunks->count; i++) {
        kw_chunk chunk = kw_chunks_get(r->chunks, &r->grid, i);
        kw_error cause = {0};
        if (kw_ledger_claim(ledger, chunk.off, chunk.len, &cause) == 0) continue;
        if (cause.code == KW_MEMORY) return kw_fail_memory(err);
        return kw_fail(err, KW_OVERLAP, cause.at, "its chunk at %llu shares bytes with something else",
                       (unsigned long long)chunk.off);
    }
    return 0;
}

/* The chunks into `out`; or, when that is NULL, claimed in the file's ledger and their filters undone, nothing kept. */
static int read_chunked(kw_hdf5 *hdf5, const kw_dataset *dataset, uint8_t *out, kw_error *err) {
    reader r = {.source = hdf5->source, .dataset = dataset, .info = dataset->info, .out = out};
    kw_chunks chunks;
    int result = -1;
    if (r.info == NULL || r.info->element_len != kw_dtype_len((kw_dtype)dataset->dtype)) {
        return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "chunk layout does not fit the dataset's type");
    }
    if (kw_grid_make(dataset, &r.grid, err) != 0) return -1;
    set_strides(r.grid.rank, r.grid.chunk, r.info->element_len, r.chunk_strides);
    set_strides(r.grid.rank, r.grid.shape, r.info->element_len, r.out_strides);
    kw_ledger *ledger = out == NULL ? &hdf5->more->ledger : NULL;
    if (kw_chunks_find(hdf5, dataset, &r.grid, ledger, &chunks, err) != 0) return -1;
    r.chunks = &chunks;
    if (ledger != NULL && claim_chunks(&r, ledger, err) != 0) goto done;
    if (check_budget(&r, &chunks, err) != 0) goto done;
    result = ledger != NULL && kw_filter_needs_library(r.info) ? 0 : read_chunks(&r, err);
done:
    kw_chunks_free(&chunks);
    return result;
}

/* The bytes in the order of the file; 0, or -1. */
static int read_stored(kw_hdf5 *hdf5, const kw_dataset *dataset, uint8_t *out, kw_error *err) {
    switch ((kw_storage)dataset->storage) {
    case KW_STORAGE_CONTIGUOUS:
    case KW_STORAGE_COMPACT:
        return kw_source_pread(hdf5->source, dataset->off, out, (size_t)dataset->nbytes, err);
    case KW_STORAGE_FILL:
        return fill(dataset, out, err);
    case KW_STORAGE_CHUNKED:
        return read_chunked(hdf5, dataset, out, err);
    case KW_STORAGE_NONE:
    default:
        return kw_fail(err, KW_UNSUPPORTED, KW_NOWHERE, "dataset without stored bytes");
    }
}

int kw_hdf5_audit_dataset(kw_hdf5 *hdf5, uint32_t dataset, kw_error *err) {
    const kw_dataset *d = &hdf5->datasets[dataset];
    bool chunked = d->storage == KW_STORAGE_CHUNKED && d->dtype != KW_DTYPE_NONE && d->nbytes > 0;
    return d->fault.code == KW_OK && chunked ? read_chunked(hdf5, d, NULL, err) : 0;
}

bool kw_hdf5_is_for_one_thread(const kw_hdf5 *hdf5, uint32_t dataset) {
    return is_for_one_thread(hdf5->source, hdf5->datasets[dataset].info);
}

int kw_hdf5_read(kw_hdf5 *hdf5, uint32_t dataset, void *out, kw_error *err) {
    const kw_dataset *d = &hdf5->datasets[dataset];
    if (d->fault.code != KW_OK) {
        return kw_fail(err, d->fault.code, d->fault.at, "%s", d->fault.detail != NULL ? d->fault.detail : "");
    }
    if (d->dtype == KW_DTYPE_NONE) {
        return kw_fail(err, KW_UNSUPPORTED, KW_NOWHERE, "type %s", d->type_text != NULL ? d->type_text : "unknown");
    }
    if (d->nbytes == 0) return 0;
    if (d->nbytes > SIZE_MAX / 2) return kw_fail_memory(err);
    if (read_stored(hdf5, d, out, err) != 0) return -1;
    put_in_native_order(d, out);
    return 0;
}
