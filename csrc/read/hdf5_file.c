/* hdf5_file.c -- the superblock, and opening a file.
 *
 *   user block?  | 0x89 HDF \r \n 0x1a \n | at 0, 512, 1024, 2048, ...
 *   version 0, 1 |versions 0.0.|offset size|length size|.|leaf K|node K|flags 32| (1: chunk K) |
 *                |base|free space|end of file|driver| root: name off|header|cache|.|scratch 16|
 *   version 2, 3 |version|offset size|length size|flags|base|extension|end of file|root header|checksum|
 *
 * Addresses count from where the signature is, whatever the base field says (a
 * user block may have been added or cut off), as in libhdf5; the end of file
 * is absolute and moves with it.
 *
 * HDF5 File Format Specification v3.0, II.A to II.C.
 */
#include <stdlib.h>
#include <string.h>

#include "base/work.h"
#include "read/hdf5_checksum.h"
#include "read/hdf5_extents.h"
#include "read/hdf5_shared.h"
#include "read/hdf5_parts.h"

static const uint8_t signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

enum { SUPERBLOCK_MAX = 128, OPEN_FOR_WRITING = 1, CACHED_SOFT_LINK = 2, STATUS_FLAGS = 7 };

typedef struct superblock {
    uint64_t root, extension, driver, end;
    kw_fault wrong; /* a field that is not what it must be, and is not needed to read on */
} superblock;

/* Finds the signature: 0 with *at, or KW_NOT_WEIGHTS. */
static int find_signature(kw_source *source, uint64_t *at, kw_error *err) {
    uint8_t bytes[sizeof signature];
    for (uint64_t off = 0; kw_in_range(off, sizeof bytes, kw_source_size(source)); off = off == 0 ? 512 : off * 2) {
        if (kw_source_read(source, off, bytes, sizeof bytes, err) != 0) return -1;
        if (memcmp(bytes, signature, sizeof bytes) == 0) {
            *at = off;
            return 0;
        }
    }
    return kw_fail(err, KW_NOT_WEIGHTS, 0, "no HDF5 signature");
}

/* Takes the sizes in; 0 or KW_UNSUPPORTED. */
static int set_sizes(kw_hdf5 *hdf5, uint8_t offset_len, uint8_t length_len, uint64_t at, kw_error *err) {
    bool known = (offset_len == 2 || offset_len == 4 || offset_len == 8) &&
                 (length_len == 2 || length_len == 4 || length_len == 8);
    if (!known) return kw_fail(err, KW_UNSUPPORTED, at, "sizes of offsets %u and lengths %u", offset_len, length_len);
    hdf5->more->sizes = (kw_hdf5_sizes){.offset_len = offset_len, .length_len = length_len, .base = hdf5->base};
    return 0;
}

/* Works out where the file ends: absolute in the source. */
static void set_end(kw_hdf5 *hdf5, uint64_t stored_base, uint64_t stored_end) {
    uint64_t size = kw_source_size(hdf5->source);
    if (stored_end == KW_NOWHERE || stored_end == 0) {
        hdf5->interrupted = true;
        hdf5->end = size;
        return;
    }
    if (stored_base > stored_end || !kw_add(stored_end - stored_base, hdf5->base, &hdf5->end)) hdf5->end = KW_NOWHERE;
    hdf5->truncated = hdf5->end > size;
    /* Before version 3 the flag says nothing: libraries of that time left it set, and today's ignore it. */
    if (hdf5->superblock >= 3 && hdf5->end < size && (hdf5->more->status_flags & OPEN_FOR_WRITING))
        hdf5->interrupted = true;
}

/* An address field without the base: the superblock's own are told as they are stored. */
static uint64_t read_stored(kw_cursor *c, const kw_hdf5_sizes *sizes) {
    kw_hdf5_sizes plain = *sizes;
    plain.base = 0;
    return kw_cursor_address(c, &plain);
}

/* Keeps the first thing that the specification does not allow: libhdf5 opens no such file. */
static void demand(superblock *sb, bool holds, uint64_t at, const char *detail) {
    if (!holds && sb->wrong.code == KW_OK) sb->wrong = (kw_fault){KW_CORRUPT, at, detail};
}

/* The versions of what the superblock leads to, of which there is one each; a reserved byte stands between. */
static void read_versions(kw_cursor *c, superblock *out) {
    uint64_t at = kw_cursor_at(c);
    uint8_t free_space = kw_cursor_u8(c), root = kw_cursor_u8(c);
    kw_cursor_skip(c, 1);
    uint8_t shared = kw_cursor_u8(c);
    demand(out, free_space == 0, at, "the superblock names a version of free-space storage that there is not");
    demand(out, root == 0, at + 1, "the superblock names a version of the root's entry that there is not");
    demand(out, shared == 0, at + 3, "the superblock names a version of shared headers that there is not");
}

/* The sizes of nodes, none of which may be 0; how much of it is used each node says itself. */
static void read_node_sizes(kw_hdf5 *hdf5, kw_cursor *c, superblock *out) {
    kw_cursor_skip(c, 1);
    uint64_t at = kw_cursor_at(c);
    uint16_t leaf = kw_cursor_u16(c), inner = kw_cursor_u16(c);
    demand(out, leaf > 0 && inner > 0, at, "the superblock says that the nodes of groups have no room");
    hdf5->more->status_flags = kw_cursor_u32(c);
    demand(out, hdf5->more->status_flags <= STATUS_FLAGS, at + 4, "the superblock has flags that there are not");
    if (hdf5->superblock == 0) return;
    at = kw_cursor_at(c);
    demand(out, kw_cursor_u16(c) > 0, at, "the superblock says that the nodes of chunk indexes have no room");
    kw_cursor_skip(c, 2);
}

/* The root's entry of a symbol table. */
static void read_root(kw_cursor *c, const kw_hdf5_sizes *sizes, superblock *out) {
    kw_cursor_skip(c, sizes->offset_len);
    out->root = kw_cursor_address(c, sizes);
    uint64_t at = kw_cursor_at(c);
    demand(out, kw_cursor_u32(c) <= CACHED_SOFT_LINK, at, "the root's entry says that it holds what there is not");
}

static int read_v0(kw_hdf5 *hdf5, kw_cursor *c, superblock *out, kw_error *err) {
    read_versions(c, out);
    uint64_t at = kw_cursor_at(c);
    uint8_t offset_len = kw_cursor_u8(c), length_len = kw_cursor_u8(c);
    read_node_sizes(hdf5, c, out);
    if (set_sizes(hdf5, offset_len, length_len, at, err) != 0) return -1;
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    uint64_t base = read_stored(c, sizes), free_at = kw_cursor_at(c);
    demand(out, read_stored(c, sizes) == KW_NOWHERE, free_at, "the superblock leads to free space, which is not stored");
    out->end = read_stored(c, sizes);
    out->driver = kw_cursor_address(c, sizes);
    read_root(c, sizes, out);
    out->extension = KW_NOWHERE;
    if (c->short_) return kw_fail(err, KW_TRUNCATED, kw_source_size(hdf5->source), "superblock is cut");
    set_end(hdf5, base, out->end);
    return 0;
}

static int read_v2(kw_hdf5 *hdf5, kw_cursor *c, superblock *out, kw_error *err) {
    uint64_t at = kw_cursor_at(c);
    uint8_t offset_len = kw_cursor_u8(c), length_len = kw_cursor_u8(c);
    hdf5->more->status_flags = kw_cursor_u8(c);
    if (set_sizes(hdf5, offset_len, length_len, at, err) != 0) return -1;
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    uint64_t base = read_stored(c, sizes);
    out->extension = kw_cursor_address(c, sizes);
    out->end = read_stored(c, sizes);
    out->root = kw_cursor_address(c, sizes);
    out->driver = KW_NOWHERE;
    kw_cursor_skip(c, 4);
    if (c->short_) return kw_fail(err, KW_TRUNCATED, kw_source_size(hdf5->source), "superblock is cut");
    kw_view whole = {.data = c->view.data, .len = c->pos, .off = c->view.off};
    if (kw_hdf5_checksum_verify(whole, "superblock", err) != 0) return -1;
    set_end(hdf5, base, out->end);
    return 0;
}

static int read_superblock(kw_hdf5 *hdf5, superblock *out, kw_error *err) {
    uint8_t bytes[SUPERBLOCK_MAX];
    uint64_t size = kw_source_size(hdf5->source) - hdf5->base;
    size_t len = size < sizeof bytes ? (size_t)size : sizeof bytes;
    if (kw_source_read(hdf5->source, hdf5->base, bytes, len, err) != 0) return -1;
    kw_cursor c = kw_cursor_of((kw_view){.data = bytes, .len = len, .off = hdf5->base});
    kw_cursor_skip(&c, sizeof signature);
    hdf5->superblock = kw_cursor_u8(&c);
    if (c.short_) return kw_fail(err, KW_TRUNCATED, kw_cursor_at(&c), "superblock is cut");
    if (hdf5->superblock > 3)
        return kw_fail(err, KW_UNSUPPORTED, hdf5->base + 8, "superblock version %u", hdf5->superblock);
    return hdf5->superblock < 2 ? read_v0(hdf5, &c, out, err) : read_v2(hdf5, &c, out, err);
}

/* Files whose bytes are not where their addresses say: other drivers, a saved metadata cache. */
static int read_extension(kw_walk *walk, const superblock *sb, kw_error *err) {
    kw_object object = {.node = KW_NONE};
    if (sb->driver != KW_NOWHERE) return kw_fail(err, KW_UNSUPPORTED, sb->driver, "file is split over several files");
    if (sb->extension == KW_NOWHERE) return 0;
    if (kw_object_read(walk, sb->extension, &object, err) != 0) return -1;
    if (kw_object_has(&object, KW_MESSAGE_DRIVER))
        return kw_fail(err, KW_UNSUPPORTED, sb->extension, "file is split over several files");
    if (object.cache_image_at != KW_NOWHERE)
        return kw_fail(err, KW_UNSUPPORTED, object.cache_image_at, "metadata is in a cache image");
    if (object.shared_table_at == KW_NOWHERE) return 0;
    return kw_shared_open(walk, object.shared_table_at, object.shared_table_count, err);
}

/* Reads superblock and tree; damage is kept, -1 only for fatal errors, or with *doubtful. */
static int read_file(kw_hdf5 *hdf5, kw_threads threads, bool *doubtful, kw_error *err) {
    kw_walk walk = {.hdf5 = hdf5, .threads = threads, .heap = {.ledger = &hdf5->more->ledger}};
    superblock sb = {0};
    kw_error cause;
    int result = read_superblock(hdf5, &sb, &cause);
    if (result == 0) result = read_extension(&walk, &sb, &cause);
    if (result == 0 && sb.root == KW_NOWHERE)
        result = kw_fail(&cause, KW_INTERRUPTED, hdf5->base, "superblock has no root group");
    if (result == 0) result = kw_tree_read(&walk, sb.root, doubtful, &cause);
    if (result != 0) result = kw_hdf5_note(hdf5, &hdf5->fault, &cause, err);
    else if (hdf5->node_count == 1) hdf5->fault = hdf5->nodes[0].fault;
    if (hdf5->fault.code == KW_INTERRUPTED) hdf5->interrupted = true;
    if (hdf5->fault.code == KW_OK) hdf5->fault = sb.wrong;
    kw_walk_free(&walk);
    return result == 0 && !*doubtful ? kw_extents_claim(hdf5, err) : result;
}

/* Opens the file whose signature is at `base`; -1 also with *doubtful: to be read again by one thread. */
static int open_at(kw_source *source, uint64_t base, kw_threads threads, bool *doubtful, kw_hdf5 **out, kw_error *err) {
    kw_hdf5 *hdf5 = calloc(1, sizeof *hdf5);
    if (hdf5 == NULL) return kw_fail_memory(err);
    hdf5->source = kw_source_retain(source);
    hdf5->base = base;
    hdf5->end = kw_source_size(source);
    hdf5->more = calloc(1, sizeof *hdf5->more);
    int result = hdf5->more != NULL ? read_file(hdf5, threads, doubtful, err) : kw_fail_memory(err);
    if (result == 0 && !*doubtful) {
        *out = hdf5;
        return 0;
    }
    kw_hdf5_free(hdf5);
    return -1;
}

int kw_hdf5_open_by(kw_source *source, kw_threads threads, kw_hdf5 **out, kw_error *err) {
    *out = NULL;
    uint64_t base = 0;
    bool doubtful = false;
    if (find_signature(source, &base, err) != 0) return -1;
    if (open_at(source, base, threads, &doubtful, out, err) == 0) return 0;
    if (!doubtful) return -1;
    doubtful = false;
    return open_at(source, base, (kw_threads){.count = 1}, &doubtful, out, err);
}

int kw_hdf5_open(kw_source *source, kw_hdf5 **out, kw_error *err) {
    enum { THREADS_MAX = 8, LINKS = 1024 }; /* a thread begins in less time than it takes to walk so many */
    int cores = kw_work_cores();
    return kw_hdf5_open_by(source, (kw_threads){cores < THREADS_MAX ? cores : THREADS_MAX, LINKS}, out, err);
}
