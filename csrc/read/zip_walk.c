/* zip_walk.c -- the members of an archive whose directory is lost: a save or a copy that was cut short.
 *
 *     | local | data | local | data ...     from the start, each header telling where the next one is,
 *                    ^ or looked for, where it leaves its sizes to a descriptor behind the data
 *
 * PKWARE APPNOTE 6.3.10, sections 4.3.7 and 4.3.9.
 */
#include "read/zip_walk.h"

#include <stdlib.h>

#include "read/hdf5_private.h"

enum { SCAN_LEN = 1 << 16 };

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
    uint8_t bytes[KW_ZIP_LOCAL_LEN];
    kw_cursor c;
    kw_view extra;
    if (!kw_in_range(*at, KW_ZIP_LOCAL_LEN, size)) return kw_fail(err, KW_TRUNCATED, size, "a local header is cut");
    if (kw_zip_load(zip->source, *at, bytes, KW_ZIP_LOCAL_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\3\4", 4) != 0) return kw_fail(err, KW_CORRUPT, *at, "no local header where one should be");
    kw_zip_header h = kw_zip_read_local(&c);
    uint64_t name_at = *at + KW_ZIP_LOCAL_LEN, data_at = name_at + h.name_len + h.extra_len;
    if (data_at > size) return kw_fail(err, KW_TRUNCATED, size, "a local header is cut");
    if (kw_zip_load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    if (!kw_zip_widen(&h, extra, true))
        return kw_fail(err, KW_CORRUPT, *at, "64-bit sizes are missing in a local header");
    kw_zip_member *member = kw_zip_add_member(zip, build, name_at, h.name_len, err);
    if (member == NULL) return -1;
    ending e = {.len = h.packed_len, .unpacked = h.len, .crc = h.crc, .found = true, .has_crc = true};
    size_t shown = strlen(member->name);
    bool folder = shown > 0 && member->name[shown - 1] == '/';
    bool later = (h.flags & KW_ZIP_DESCRIPTOR) != 0 || (h.packed_len == 0 && h.len == 0);
    bool unknown = later && h.crc == 0 && !folder;
    if (unknown && find_ending(zip->source, data_at, &e, err) < 0) return -1;
    if (!unknown && !kw_add(data_at, e.len, &e.next)) return kw_fail(err, KW_CORRUPT, *at, "a size beyond all files");
    *member = (kw_zip_member){.name = member->name,
                              .header_at = *at,
                              .data_at = data_at,
                              .packed_len = e.len,
                              .len = e.has_crc            ? e.unpacked
                                     : h.method == KW_ZIP_STORED ? e.len
                                                          : 0,
                              .present = e.len < size - data_at ? e.len : size - data_at,
                              .crc = e.crc,
                              .method = h.method,
                              .flags = h.flags,
                              .has_crc = e.has_crc};
    t->expected = e.next;
    if (!e.found || e.next > size) t->cut = member->name;
    t->interrupted = !e.found && (h.flags & KW_ZIP_DESCRIPTOR) == 0;
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

int kw_zip_walk(kw_zip *zip, kw_build *build, const kw_error *damage, uint8_t *room, kw_error *err) {
    uint64_t size = kw_source_size(zip->source), at = 0, directory_len = KW_ZIP_END_LEN;
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
            return kw_zip_find_repeats(zip, build, err);
        }
        directory_len += KW_ZIP_ENTRY_LEN + strlen(zip->members[zip->count - 1].name);
    }
    if (!kw_add(t.expected > at ? t.expected : at, directory_len, &t.expected)) t.expected = 0;
    bool whole = damage != NULL && t.cut == NULL;
    if ((whole ? kw_build_blame(build, damage, "", err) : report_tail(build, &t, size, err)) < 0) return -1;
    return kw_zip_find_repeats(zip, build, err);
}
