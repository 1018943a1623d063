/* zip.c -- PKWARE APPNOTE 6.3.10, section 4.3.
 *
 *     | local | data | descr. | local | data |   ...   | directory | zip64 end | locator | end |comment|
 *     PK\3\4         PK\7\8   PK\3\4                   PK\1\2 ...  PK\6\6      PK\6\7    PK\5\6
 *        ^----------------------^-------------------------|             entries point back
 *
 * The end record is looked for as Python's zipfile does, so that both see the
 * same archive: in the last 22 bytes when it has no comment, else the last
 * PK\5\6 within 64 KiB of the end, and no earlier one when that is cut.
 */
#include "read/zip.h"

#include <stdlib.h>

#include "base/crc.h"
#include "read/hdf5_private.h"
#include "read/inflate.h"

enum {
    LOCAL_LEN = 30,
    ENTRY_LEN = 46,
    END_LEN = 22,
    END64_LEN = 56,
    LOCATOR_LEN = 20,
    TAIL_MAX = END_LEN + 65536, /* in which the end record is looked for */
    UNICODE_PATH = 0x7075,
    SCAN_LEN = 1 << 16,
    LARGE = 256 << 20, /* a deflated member greater than this may unfold to */
    RATIO_MAX = 100,   /* times its bytes in the archive */
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,
    STORED = 0,
    DEFLATED = 8
};

/* Where the directory is. */
typedef struct directory {
    uint64_t at, len, count;
    uint64_t prefix; /* bytes before the archive: added to every offset in it */
} directory;

/* One header as it stands, local or in the directory. */
typedef struct header {
    uint16_t version, flags, method, name_len, extra_len, comment_len;
    uint32_t crc, attributes;
    uint64_t packed_len, len, local_at;
    bool by_unix;
} header;

void kw_zip_free(kw_zip *zip) {
    if (zip == NULL) return;
    kw_source_release(zip->source);
    kw_arena_free(&zip->arena);
    free(zip->members);
    free(zip);
}

const kw_zip_member *kw_zip_find(const kw_zip *zip, const char *name) {
    for (uint32_t i = zip->count; i > 0; i--)
        if (strcmp(zip->members[i - 1].name, name) == 0) return &zip->members[i - 1];
    return NULL;
}

/* A cursor over `len` bytes read from `at` into `out`. */
static int load(kw_source *source, uint64_t at, void *out, size_t len, kw_cursor *c, kw_error *err) {
    if (kw_source_read(source, at, out, len, err) < 0) return -1;
    *c = kw_cursor_of((kw_view){.data = out, .len = len, .off = at});
    return 0;
}

static header read_local(kw_cursor *c) {
    header h = {0};
    kw_cursor_skip(c, 4);
    h.version = kw_cursor_u16(c);
    h.flags = kw_cursor_u16(c);
    h.method = kw_cursor_u16(c);
    kw_cursor_skip(c, 4);
    h.crc = kw_cursor_u32(c);
    h.packed_len = kw_cursor_u32(c);
    h.len = kw_cursor_u32(c);
    h.name_len = kw_cursor_u16(c);
    h.extra_len = kw_cursor_u16(c);
    return h;
}

static header read_entry(kw_cursor *c) {
    kw_cursor_skip(c, 5);
    bool by_unix = kw_cursor_u8(c) == 3;
    kw_cursor local = *c; /* from here on laid out as in a local header, whose signature is 4 bytes */
    local.pos -= 4;
    header h = read_local(&local);
    kw_cursor_skip(c, LOCAL_LEN - 4);
    h.comment_len = kw_cursor_u16(c);
    kw_cursor_skip(c, 4);
    h.attributes = kw_cursor_u32(c);
    h.local_at = kw_cursor_u32(c);
    h.by_unix = by_unix;
    return h;
}

/* Replaces the fields that are all ones by the 64-bit ones of extra field 1 (4.5.3).  False when they are not there. */
static bool widen(header *h, kw_view extra, bool local) {
    bool wide_len = h->len == UINT32_MAX, wide_packed = h->packed_len == UINT32_MAX;
    bool wide_at = !local && h->local_at == UINT32_MAX;
    kw_cursor c = kw_cursor_of(extra);
    if (!wide_len && !wide_packed && !wide_at) return true;
    while (!c.short_ && kw_cursor_left(&c) >= 4) {
        uint16_t id = kw_cursor_u16(&c), len = kw_cursor_u16(&c);
        kw_cursor field = kw_cursor_of(kw_cursor_view(&c, len));
        if (id != 1) continue;
        if (wide_len) h->len = kw_cursor_u64(&field);
        if (wide_packed) h->packed_len = kw_cursor_u64(&field);
        if (wide_at) h->local_at = kw_cursor_u64(&field);
        return !field.short_ && !c.short_;
    }
    return false;
}

/* ---- the end record ---- */

/* Where the end record begins in the last bytes of a file; SIZE_MAX when there is none, or one that is cut. */
static size_t end_in(const uint8_t *tail, size_t len) {
    size_t last = len - END_LEN;
    if (memcmp(tail + last, "PK\5\6", 4) == 0 && tail[len - 2] == 0 && tail[len - 1] == 0) return last;
    for (size_t i = len - 3; i > 0; i--)
        if (memcmp(tail + i - 1, "PK\5\6", 4) == 0) return i - 1 <= last ? i - 1 : SIZE_MAX;
    return SIZE_MAX;
}

/* Offset of the end record; KW_NOWHERE in *at when there is none. */
static int find_end(kw_source *source, uint64_t *at, kw_error *err) {
    uint64_t size = kw_source_size(source);
    size_t len = size < TAIL_MAX ? (size_t)size : TAIL_MAX;
    *at = KW_NOWHERE;
    if (len < END_LEN) return 0;
    uint8_t *tail = malloc(len);
    if (tail == NULL) return kw_fail_memory(err);
    int result = kw_source_read(source, size - len, tail, len, err);
    size_t found = result == 0 ? end_in(tail, len) : SIZE_MAX;
    if (found != SIZE_MAX) *at = size - len + found;
    free(tail);
    return result;
}

/* Takes count, length and offset from the zip64 end record in front of the end record's locator, if there is one. */
static int read_end64(kw_source *source, uint64_t end_at, directory *d, uint64_t *records_at, kw_error *err) {
    uint8_t bytes[END64_LEN];
    kw_cursor c;
    if (end_at < LOCATOR_LEN + END64_LEN) return 0;
    if (load(source, end_at - LOCATOR_LEN, bytes, LOCATOR_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\6\7", 4) != 0) return 0;
    uint64_t at = end_at - LOCATOR_LEN - END64_LEN;
    if (load(source, at, bytes, END64_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\6\6", 4) != 0) return 0;
    kw_cursor_skip(&c, 32);
    d->count = kw_cursor_u64(&c);
    d->len = kw_cursor_u64(&c);
    d->at = kw_cursor_u64(&c);
    *records_at = at;
    return 0;
}

/* Where the directory lies.  0; KW_CORRUPT when the numbers do not fit the file; KW_UNSUPPORTED for several disks. */
static int read_end(kw_source *source, uint64_t end_at, directory *d, kw_build *build, kw_error *err) {
    uint8_t bytes[END_LEN];
    kw_cursor c;
    if (load(source, end_at, bytes, END_LEN, &c, err) < 0) return -1;
    kw_cursor_skip(&c, 4);
    uint16_t disk = kw_cursor_u16(&c), first_disk = kw_cursor_u16(&c);
    kw_cursor_skip(&c, 2);
    d->count = kw_cursor_u16(&c);
    d->len = kw_cursor_u32(&c);
    d->at = kw_cursor_u32(&c);
    uint16_t comment_len = kw_cursor_u16(&c);
    uint64_t records_at = end_at, span;
    if (read_end64(source, end_at, d, &records_at, err) < 0) return -1;
    if (disk != first_disk || (disk != 0 && disk != UINT16_MAX))
        return kw_fail(err, KW_UNSUPPORTED, end_at, "a zip archive in several parts");
    if (!kw_add(d->at, d->len, &span) || span > records_at)
        return kw_fail(err, KW_CORRUPT, end_at, "the end record of the zip archive does not fit the file");
    d->prefix = records_at - span;
    d->at += d->prefix;
    if (d->prefix > 0 && kw_build_fault(build, KW_MEMBER, 0, "", 0, 0, err, "%llu bytes in front of the zip archive",
                                        (unsigned long long)d->prefix) < 0)
        return -1;
    uint64_t behind = kw_source_size(source) - end_at - END_LEN;
    if (behind != comment_len)
        return kw_build_fault(build, KW_MEMBER, end_at, "", 0, 0, err, "%llu bytes behind the zip archive",
                              (unsigned long long)(behind > comment_len ? behind - comment_len : 0));
    return 0;
}

/* ---- names ---- */

/* Why this name must not be unpacked into a folder, or NULL. */
static const char *bad_name(const char *name, size_t len) {
    if (len == 0) return "a member without a name";
    if (memchr(name, '\0', len) != NULL) return "a name with a NUL in it";
    if (memchr(name, '\\', len) != NULL) return "a name with a backslash";
    if (name[0] == '/' || (len > 1 && name[1] == ':')) return "an absolute name";
    for (const char *p = name; p != NULL; p = strchr(p, '/')) {
        if (*p == '/') p++;
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0')) return "a name that leaves its folder";
        if (*p == '\0') break;
    }
    return NULL;
}

/* Adds a member with the name of `len` bytes at `at`, which lies in the file.  NULL with *err on failure. */
static kw_zip_member *add_member(kw_zip *zip, kw_build *build, uint64_t at, size_t len, kw_error *err) {
    char *name = kw_arena_alloc(&zip->arena, len + 1);
    if (name == NULL) {
        (void)kw_fail_memory(err);
        return NULL;
    }
    if (kw_source_read(zip->source, at, name, len, err) < 0) return NULL;
    if (zip->count == KW_ZIP_MEMBERS_MAX) {
        (void)kw_fail(err, KW_UNSUPPORTED, at, "more than %d members", KW_ZIP_MEMBERS_MAX);
        return NULL;
    }
    if (KW_GROW(zip->members, zip->count, zip->capacity, err) < 0) return NULL;
    const char *bad = bad_name(name, len);
    if (bad != NULL && kw_build_fault(build, KW_MEMBER, at, name, 0, 0, err, "%s", bad) < 0) return NULL;
    kw_zip_member *member = &zip->members[zip->count++];
    *member = (kw_zip_member){.name = name, .data_at = KW_NOWHERE};
    return member;
}

/* ---- the directory ---- */

/* The extra field of `len` bytes at `at`, in `room` of 64 KiB. */
static int load_extra(kw_source *source, uint64_t at, size_t len, uint8_t *room, kw_view *out, kw_error *err) {
    *out = (kw_view){.data = room, .len = len, .off = at};
    return kw_source_read(source, at, room, len, err);
}

/* True when a Unicode Path field (4.6.9), valid for this name, gives the member another one: Python takes that since
 * 3.12. */
static bool renames(kw_view extra, const char *name, size_t name_len) {
    kw_cursor c = kw_cursor_of(extra);
    while (!c.short_ && kw_cursor_left(&c) >= 4) {
        uint16_t id = kw_cursor_u16(&c), len = kw_cursor_u16(&c);
        kw_cursor field = kw_cursor_of(kw_cursor_view(&c, len));
        if (id != UNICODE_PATH || c.short_ || kw_cursor_u8(&field) != 1) continue;
        if (kw_cursor_u32(&field) != kw_crc32(0, name, name_len) || field.short_) continue;
        size_t left = kw_cursor_left(&field);
        const uint8_t *other = kw_cursor_take(&field, left);
        if (left > 0 && (left != name_len || memcmp(other, name, left) != 0)) return true;
    }
    return false;
}

/* Reads the entry at *at and moves *at behind it.  KW_CORRUPT when it is none. */
static int read_one(kw_zip *zip, kw_build *build, const directory *d, uint64_t *at, uint8_t *room, kw_error *err) {
    uint8_t bytes[ENTRY_LEN];
    kw_cursor c;
    kw_view extra;
    uint64_t left = d->at + d->len - *at;
    if (left < ENTRY_LEN) return kw_fail(err, KW_CORRUPT, *at, "the directory ends within an entry");
    if (load(zip->source, *at, bytes, ENTRY_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\1\2", 4) != 0) return kw_fail(err, KW_CORRUPT, *at, "no directory entry where one should be");
    header h = read_entry(&c);
    uint64_t name_at = *at + ENTRY_LEN, len = (uint64_t)ENTRY_LEN + h.name_len + h.extra_len + h.comment_len;
    if (len > left) return kw_fail(err, KW_CORRUPT, *at, "a directory entry is longer than the directory");
    if (load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    bool widened = widen(&h, extra, false);
    kw_zip_member *member = add_member(zip, build, name_at, h.name_len, err);
    if (member == NULL) return -1;
    *at += len;
    if (!kw_add(h.local_at, d->prefix, &member->header_at)) member->header_at = KW_NOWHERE;
    member->packed_len = h.packed_len;
    member->len = h.len;
    member->crc = h.crc;
    member->method = h.method;
    member->flags = h.flags;
    member->has_crc = true;
    if (!widened &&
        kw_build_fault(build, KW_MEMBER, name_at, member->name, 0, 0, err, "its 64-bit sizes are missing") < 0)
        return -1;
    if (renames(extra, member->name, h.name_len) &&
        kw_build_fault(build, KW_MEMBER, name_at, member->name, 0, 0, err,
                       "a second name in a Unicode Path field: newer Python takes that one") < 0)
        return -1;
    if (h.by_unix && (h.attributes >> 16 & 0170000) == 0120000)
        return kw_build_fault(build, KW_MEMBER, name_at, member->name, 0, 0, err, "a symbolic link");
    return 0;
}

/* What differs between a local header and its directory entry, or NULL. */
static const char *difference(const header *local, const kw_zip_member *member, bool widened) {
    if (!widened) return "its 64-bit sizes are missing in the local header";
    if (member->method == STORED && member->packed_len != member->len) return "stored, yet its two sizes differ";
    if (local->method != member->method) return "another compression method in the local header";
    if (((local->flags ^ member->flags) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)) != 0)
        return "other flags in the local header";
    if ((local->flags & FLAG_DESCRIPTOR) != 0 && local->crc == 0 && local->len == 0 && local->packed_len == 0)
        return NULL;
    if (local->len != member->len || local->packed_len != member->packed_len) return "other sizes in the local header";
    return local->crc != member->crc ? "another CRC-32 in the local header" : NULL;
}

/* Compares the name in the local header at `at` with the member's.  *same. */
static int same_name(kw_source *source, uint64_t at, const kw_zip_member *member, uint16_t len, uint8_t *room,
                     bool *same, kw_error *err) {
    *same = false;
    if (!kw_in_range(at, len, kw_source_size(source))) return 0;
    if (kw_source_read(source, at, room, len, err) < 0) return -1;
    size_t shown = strlen(member->name);
    *same = shown <= len && memcmp(room, member->name, shown) == 0 && (shown == len || room[shown] == '\0');
    return 0;
}

/* Reads the member's local header: where its data begins, and whether both agree. */
static int locate(kw_zip *zip, kw_build *build, kw_zip_member *member, uint8_t *room, kw_error *err) {
    uint64_t size = kw_source_size(zip->source), at = member->header_at;
    uint8_t bytes[LOCAL_LEN];
    kw_cursor c;
    kw_view extra;
    bool same;
    if (!kw_in_range(at, LOCAL_LEN, size))
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "its local header is not in the file");
    if (load(zip->source, at, bytes, LOCAL_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\3\4", 4) != 0)
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "no local header where one should be");
    header h = read_local(&c);
    uint64_t name_at = at + LOCAL_LEN, data_at = name_at + h.name_len + h.extra_len;
    if (data_at > size)
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "its local header is not in the file");
    member->data_at = data_at;
    member->present = member->packed_len < size - data_at ? member->packed_len : size - data_at;
    if (load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    const char *differs = difference(&h, member, widen(&h, extra, true));
    if (same_name(zip->source, name_at, member, h.name_len, room, &same, err) < 0) return -1;
    if (!same) differs = "another name in the local header";
    if (differs != NULL) return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "%s", differs);
    return 0;
}

static int by_header(const void *a, const void *b) {
    const kw_zip_member *x = *(const kw_zip_member *const *)a, *y = *(const kw_zip_member *const *)b;
    return (x->header_at > y->header_at) - (x->header_at < y->header_at);
}

/* Faults for members whose bytes another member, or the directory, has too. */
static int find_overlaps(const kw_zip *zip, kw_build *build, uint64_t directory_at, kw_error *err) {
    int result = -1;
    const kw_zip_member **order = malloc((zip->count + (size_t)1) * sizeof *order);
    if (order == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0; i < zip->count; i++) order[i] = &zip->members[i];
    qsort(order, zip->count, sizeof *order, by_header);
    uint64_t taken = 0;
    for (uint32_t i = 0; i < zip->count; i++) {
        const kw_zip_member *m = order[i];
        if (m->data_at == KW_NOWHERE) continue;
        uint64_t end = m->data_at + m->present;
        bool cut = m->present < m->packed_len;
        if (cut && kw_build_fault(build, KW_CORRUPT, m->header_at, m->name, m->present, m->packed_len, err,
                                  "goes on behind the end of the file") < 0)
            goto done;
        if (!cut && (m->header_at < taken || end > directory_at) &&
            kw_build_fault(build, KW_OVERLAP, m->header_at, m->name, 0, 0, err,
                           "shares bytes with another part of the archive") < 0)
            goto done;
        if (end > taken) taken = end;
    }
    result = 0;
done:
    free(order);
    return result;
}

static int find_repeats(const kw_zip *zip, kw_build *build, kw_error *err) {
    kw_index index = KW_INDEX_EMPTY;
    int result = -1;
    for (uint32_t i = 0; i < zip->count; i++) {
        uint32_t existing;
        if (kw_index_add(&index, zip->members[i].name, i, &existing, err) < 0) goto done;
        if (existing != KW_NONE && kw_build_fault(build, KW_MEMBER, zip->members[i].header_at, zip->members[i].name, 0,
                                                  0, err, "a second member of this name: Python takes the last") < 0)
            goto done;
    }
    result = 0;
done:
    kw_index_free(&index);
    return result;
}

/* All entries of the directory and their local headers.  KW_CORRUPT when it is damaged. */
static int read_directory(kw_zip *zip, kw_build *build, const directory *d, uint8_t *room, kw_error *err) {
    uint64_t at = d->at;
    while (at < d->at + d->len)
        if (read_one(zip, build, d, &at, room, err) < 0) return -1;
    if (zip->count != d->count &&
        kw_build_fault(build, KW_MEMBER, d->at, "", 0, 0, err, "the archive says it has %llu members, its directory %u",
                       (unsigned long long)d->count, zip->count) < 0)
        return -1;
    for (uint32_t i = 0; i < zip->count; i++)
        if (locate(zip, build, &zip->members[i], room, err) < 0) return -1;
    if (find_repeats(zip, build, err) < 0) return -1;
    return find_overlaps(zip, build, d->at, err);
}

/* ---- without a directory ---- */

/* Where a member ends whose header does not say. */
typedef struct ending {
    uint64_t len;  /* of its data */
    uint64_t next; /* what follows */
    uint64_t unpacked;
    uint32_t crc;
    bool found, has_crc;
} ending;

/* A data descriptor (4.3.9) at `c` that tells the distance it has: with or without signature, 32 or 64 bits. */
static bool read_descriptor(kw_cursor c, uint64_t distance, unsigned width, ending *e) {
    e->crc = kw_cursor_u32(&c);
    uint64_t packed = kw_cursor_uint(&c, width);
    e->unpacked = kw_cursor_uint(&c, width);
    return !c.short_ && packed == distance;
}

/* A local header or directory entry that is not four letters in the middle of data. */
static bool is_header(kw_cursor c) {
    bool local = kw_view_starts((kw_view){c.view.data + c.pos, kw_cursor_left(&c), 0}, "PK\3\4", 4);
    kw_cursor_skip(&c, local ? 4 : 6);
    uint16_t version = kw_cursor_u16(&c), flags = kw_cursor_u16(&c), method = kw_cursor_u16(&c);
    kw_cursor_skip(&c, 16);
    uint16_t name_len = kw_cursor_u16(&c);
    return !c.short_ && version <= 63 && (flags & 0xD000) == 0 && method <= 99 && name_len > 0 && name_len < 4096;
}

/* Whether the member whose data begins at data_at ends at `pos` of the view. */
static bool ends_here(kw_view v, size_t pos, uint64_t data_at, ending *e) {
    kw_cursor c = kw_cursor_of(v);
    uint64_t distance = v.off + pos - data_at;
    kw_cursor_skip(&c, pos);
    kw_cursor behind = c;
    const uint8_t *sig = kw_cursor_take(&behind, 4);
    if (sig == NULL || sig[0] != 'P' || sig[1] != 'K') return false;
    for (unsigned width = 4; sig[2] == 7 && sig[3] == 8 && width <= 8; width += 4)
        if (read_descriptor(behind, distance, width, e)) {
            *e = (ending){distance, v.off + pos + 8 + 2 * (uint64_t)width, e->unpacked, e->crc, true, true};
            return true;
        }
    if (!((sig[2] == 3 && sig[3] == 4) || (sig[2] == 1 && sig[3] == 2)) || !is_header(c)) return false;
    /* A descriptor may come without its signature. */
    for (unsigned width = 4; width <= 8; width += 4) {
        size_t len = 4 + 2 * (size_t)width;
        kw_cursor before = kw_cursor_of(v);
        if (pos < len || distance < len) continue;
        kw_cursor_skip(&before, pos - len);
        if (read_descriptor(before, distance - len, width, e)) {
            *e = (ending){distance - len, v.off + pos, e->unpacked, e->crc, true, true};
            return true;
        }
    }
    *e = (ending){distance, v.off + pos, distance, 0, true, false};
    return true;
}

/* Looks for the end of the data that begins at `data_at`, once over the file.  The windows overlap by what a header and
 * a descriptor take. */
static int find_ending(kw_source *source, uint64_t data_at, ending *e, kw_error *err) {
    enum { OVERLAP = 64 };
    uint64_t size = kw_source_size(source), at = data_at;
    int result = -1;
    *e = (ending){.len = size - data_at, .next = size};
    uint8_t *window = malloc(SCAN_LEN);
    if (window == NULL) return kw_fail_memory(err);
    while (at < size && !e->found) {
        size_t len = size - at < SCAN_LEN ? (size_t)(size - at) : SCAN_LEN;
        if (kw_source_pread(source, at, window, len, err) < 0) goto done;
        kw_view v = {.data = window, .len = len, .off = at};
        size_t last = at + len == size ? len : len - OVERLAP / 2;
        /* What lies in the overlap was looked at with the window before, but for the first. */
        for (size_t pos = at == data_at ? 0 : OVERLAP / 2; pos < last; pos++) {
            const uint8_t *p = memchr(window + pos, 'P', last - pos);
            if (p == NULL) break;
            pos = (size_t)(p - window);
            if (ends_here(v, pos, data_at, e)) break;
        }
        if (at + len == size) break;
        at += len - OVERLAP;
    }
    if (!e->found) *e = (ending){.len = size - data_at, .next = size};
    result = 0;
done:
    free(window);
    return result;
}

/* What the walk over local headers found out about the end of the file. */
typedef struct tail {
    uint64_t expected; /* bytes that the archive had at least */
    const char *cut;   /* the member that is cut, or NULL */
    bool interrupted;  /* its header was never completed */
} tail;

/* Takes the member at *at, moving *at to what follows.  0; KW_CORRUPT where no local header is; KW_TRUNCATED in one. */
static int walk_one(kw_zip *zip, kw_build *build, uint64_t *at, tail *t, uint8_t *room, kw_error *err) {
    uint64_t size = kw_source_size(zip->source);
    uint8_t bytes[LOCAL_LEN];
    kw_cursor c;
    kw_view extra;
    if (!kw_in_range(*at, LOCAL_LEN, size)) return kw_fail(err, KW_TRUNCATED, size, "a local header is cut");
    if (load(zip->source, *at, bytes, LOCAL_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\3\4", 4) != 0) return kw_fail(err, KW_CORRUPT, *at, "no local header where one should be");
    header h = read_local(&c);
    uint64_t name_at = *at + LOCAL_LEN, data_at = name_at + h.name_len + h.extra_len;
    if (data_at > size) return kw_fail(err, KW_TRUNCATED, size, "a local header is cut");
    if (load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    if (!widen(&h, extra, true)) return kw_fail(err, KW_CORRUPT, *at, "64-bit sizes are missing in a local header");
    kw_zip_member *member = add_member(zip, build, name_at, h.name_len, err);
    if (member == NULL) return -1;
    ending e = {.len = h.packed_len, .unpacked = h.len, .crc = h.crc, .found = true, .has_crc = true};
    size_t shown = strlen(member->name);
    bool folder = shown > 0 && member->name[shown - 1] == '/';
    bool unknown = h.packed_len == 0 && h.len == 0 && h.crc == 0 && !folder;
    if (unknown && find_ending(zip->source, data_at, &e, err) < 0) return -1;
    if (!unknown && !kw_add(data_at, e.len, &e.next)) return kw_fail(err, KW_CORRUPT, *at, "a size beyond all files");
    *member = (kw_zip_member){.name = member->name,
                              .header_at = *at,
                              .data_at = data_at,
                              .packed_len = e.len,
                              .len = e.has_crc            ? e.unpacked
                                     : h.method == STORED ? e.len
                                                          : 0,
                              .present = e.len < size - data_at ? e.len : size - data_at,
                              .crc = e.crc,
                              .method = h.method,
                              .flags = h.flags,
                              .has_crc = e.has_crc};
    t->expected = e.next;
    if (!e.found || e.next > size) t->cut = member->name;
    t->interrupted = !e.found && (h.flags & FLAG_DESCRIPTOR) == 0;
    *at = e.next < size ? e.next : size;
    return 0;
}

/* Says what is missing: the end of a member or only what comes behind all of them. */
static int report_tail(kw_build *build, const tail *t, uint64_t size, kw_error *err) {
    uint64_t expected = t->expected > size ? t->expected : 0;
    if (t->interrupted)
        return kw_build_fault(build, KW_INTERRUPTED, size, t->cut, size, 0, err, "the archive was never finished");
    return kw_build_fault(build, KW_TRUNCATED, size, t->cut != NULL ? t->cut : "", size, expected, err,
                          t->cut != NULL ? "cut short: the end of a member and the directory behind it are lost"
                                         : "cut short: the directory at its end is lost");
}

/* Reads local headers from the start of the file.  `damage` is why the directory could not be read, NULL when there is
 * none: then what is missing at the end is a fault. */
static int walk(kw_zip *zip, kw_build *build, const kw_error *damage, uint8_t *room, kw_error *err) {
    uint64_t size = kw_source_size(zip->source), at = 0, directory_len = END_LEN;
    tail t = {0};
    zip->count = 0;
    while (at < size) {
        uint8_t sig[4];
        kw_error why = {0};
        if (size - at < sizeof sig) break;
        if (kw_source_read(zip->source, at, sig, sizeof sig, err) < 0) return -1;
        if (zip->count > 0 && (memcmp(sig, "PK\1\2", 4) == 0 || memcmp(sig, "PK\5\6", 4) == 0)) break;
        if (walk_one(zip, build, &at, &t, room, &why) < 0) {
            if (why.code == KW_TRUNCATED) {
                at = size;
                break;
            }
            if (damage == NULL || kw_error_is_fatal(&why)) damage = &why;
            if (kw_build_blame(build, damage, "", err) < 0) return -1;
            return find_repeats(zip, build, err);
        }
        directory_len += ENTRY_LEN + strlen(zip->members[zip->count - 1].name);
    }
    if (!kw_add(t.expected > at ? t.expected : at, directory_len, &t.expected)) t.expected = 0;
    bool whole = damage != NULL && t.cut == NULL;
    if ((whole ? kw_build_blame(build, damage, "", err) : report_tail(build, &t, size, err)) < 0) return -1;
    return find_repeats(zip, build, err);
}

/* Reads the directory whose end record is at `end_at`.  KW_CORRUPT when it is damaged. */
static int read_whole(kw_zip *zip, kw_build *build, uint64_t end_at, uint8_t *room, kw_error *err) {
    directory d = {0};
    if (read_end(zip->source, end_at, &d, build, err) < 0) return -1;
    return read_directory(zip, build, &d, room, err);
}

/* Reads the members from the directory, else from the local headers. */
static int read_members(kw_zip *zip, kw_build *build, uint8_t *room, kw_error *err) {
    uint32_t before = build->file->fault_count;
    uint64_t end_at;
    kw_error why = {0};
    if (find_end(zip->source, &end_at, err) < 0) return -1;
    if (end_at == KW_NOWHERE) return walk(zip, build, NULL, room, err);
    if (read_whole(zip, build, end_at, room, &why) == 0) return 0;
    zip->count = 0;
    if (why.code != KW_CORRUPT) return kw_build_blame(build, &why, "", err);
    build->file->fault_count = before;
    return walk(zip, build, &why, room, err);
}

int kw_zip_open(kw_source *source, kw_build *build, kw_zip **out, kw_error *err) {
    int result = -1;
    uint8_t *room = malloc(UINT16_MAX);
    kw_zip *zip = calloc(1, sizeof *zip);
    if (room == NULL || zip == NULL) {
        (void)kw_fail_memory(err);
        goto done;
    }
    zip->source = kw_source_retain(source);
    if (read_members(zip, build, room, err) < 0) goto done;
    *out = zip;
    zip = NULL;
    result = 0;
done:
    kw_zip_free(zip);
    free(room);
    return result;
}

/* ---- the bytes of a member ---- */

/* What a person calls a compression method (4.4.5), or NULL. */
static const char *method_name(unsigned method) {
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {{1, "shrink"},     {6, "implode"}, {9, "deflate64"}, {12, "bzip2"},         {14, "LZMA"},
                 {93, "Zstandard"}, {95, "XZ"},     {98, "PPMd"},     {99, "AES encryption"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].method == method) return names[i].name;
    return NULL;
}

/* 0 when the member can be unpacked within the limits, else -1. */
static int check_member(const kw_zip_member *member, uint64_t inflate_left, kw_error *err) {
    uint64_t at = member->header_at;
    const char *name = method_name(member->method);
    if (member->data_at == KW_NOWHERE) return kw_fail(err, KW_CORRUPT, at, "its local header cannot be read");
    if ((member->flags & FLAG_ENCRYPTED) != 0) return kw_fail(err, KW_UNSUPPORTED, at, "encrypted");
    if (member->method != STORED && member->method != DEFLATED)
        return name != NULL ? kw_fail(err, KW_UNSUPPORTED, at, "compressed with %s", name)
                            : kw_fail(err, KW_UNSUPPORTED, at, "compression method %u", member->method);
    if (member->method == STORED) return 0;
    if (member->present < member->packed_len || !member->has_crc)
        return kw_fail(err, KW_TRUNCATED, at, "compressed and cut short: it cannot be read in part");
    if (!kw_inflate_possible(member->packed_len, member->len))
        return kw_fail(err, KW_BOMB, at, "%llu bytes cannot inflate to %llu", (unsigned long long)member->packed_len,
                       (unsigned long long)member->len);
    /* Keras's own rule for the members it unpacks. */
    if (member->len > LARGE && (member->len - 1) / RATIO_MAX >= member->packed_len)
        return kw_fail(err, KW_BOMB, at, "%llu bytes that inflate to %llu: more than %d times as many",
                       (unsigned long long)member->packed_len, (unsigned long long)member->len, RATIO_MAX);
    if (member->len > inflate_left || member->len > SIZE_MAX / 2 || member->packed_len > SIZE_MAX / 2)
        return kw_fail(err, KW_BOMB, at, "inflates to %llu bytes: more than the limit allows",
                       (unsigned long long)member->len);
    return 0;
}

/* Inflates a member that was checked, into memory of its own. */
static int inflate_member(const kw_zip *zip, const kw_zip_member *member, kw_source **out, bool *sound, kw_error *err) {
    size_t packed_len = (size_t)member->packed_len, len = (size_t)member->len;
    const uint8_t *memory = kw_source_memory(zip->source);
    uint8_t *packed = memory == NULL ? malloc(packed_len + 1) : NULL;
    uint8_t *bytes = malloc(len + 1);
    int result = -1;
    if ((memory == NULL && packed == NULL) || bytes == NULL) {
        (void)kw_fail_memory(err);
        goto done;
    }
    if (memory == NULL && kw_source_pread(zip->source, member->data_at, packed, packed_len, err) < 0) goto done;
    kw_view in = {
        .data = memory != NULL ? memory + member->data_at : packed, .len = packed_len, .off = member->data_at};
    if (kw_inflate_raw(in, bytes, len, err) < 0) goto done;
    *sound = kw_crc32(0, bytes, len) == member->crc;
    result = kw_source_open_memory(bytes, len, free, bytes, out, err);
    bytes = NULL; /* the source's, also when it could not be made */
done:
    free(packed);
    free(bytes);
    return result;
}

int kw_zip_open_member(const kw_zip *zip, const kw_zip_member *member, uint64_t *inflate_left, kw_source **out,
                       bool *inflated, bool *sound, kw_error *err) {
    *inflated = member->method == DEFLATED;
    *sound = true;
    if (check_member(member, *inflate_left, err) < 0) return -1;
    if (!*inflated) return kw_source_open_part(zip->source, member->data_at, member->present, out, err);
    if (inflate_member(zip, member, out, sound, err) < 0) return -1;
    *inflate_left -= member->len;
    return 0;
}
