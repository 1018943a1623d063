/* zip_directory.c -- the directory, each entry of which is held against the local header that it points to.
 *
 *     | local | data | descr. | local | data |   ...   | directory | ...
 *     PK\3\4         PK\7\8   PK\3\4                   PK\1\2 ...
 *        ^----------------------^-------------------------|     entries point back
 *
 * PKWARE APPNOTE 6.3.10, section 4.3.
 */
#include "read/zip_directory.h"

#include <stdlib.h>

#include "base/crc.h"
#include "read/zip_extents.h"

enum { UNICODE_PATH = 0x7075 };

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
static int read_one(kw_zip *zip, kw_build *build, const kw_zip_directory *d, uint64_t *at, uint8_t *room,
                    kw_error *err) {
    uint8_t bytes[KW_ZIP_ENTRY_LEN];
    kw_cursor c;
    kw_view extra;
    uint64_t left = d->at + d->len - *at;
    if (left < KW_ZIP_ENTRY_LEN) return kw_fail(err, KW_CORRUPT, *at, "the directory ends within an entry");
    if (kw_zip_load(zip->source, *at, bytes, KW_ZIP_ENTRY_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\1\2", 4) != 0) return kw_fail(err, KW_CORRUPT, *at, "no directory entry where one should be");
    kw_zip_header h = kw_zip_read_entry(&c);
    uint64_t name_at = *at + KW_ZIP_ENTRY_LEN;
    uint64_t len = (uint64_t)KW_ZIP_ENTRY_LEN + h.name_len + h.extra_len + h.comment_len;
    if (len > left) return kw_fail(err, KW_CORRUPT, *at, "a directory entry is longer than the directory");
    if (kw_zip_load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    bool widened = kw_zip_widen(&h, extra, false);
    kw_zip_member *member = kw_zip_add_member(zip, build, name_at, h.name_len, err);
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
static const char *difference(const kw_zip_header *local, const kw_zip_member *member, bool widened) {
    if (!widened) return "its 64-bit sizes are missing in the local header";
    if (member->method == KW_ZIP_STORED && member->packed_len != member->len) return "stored, yet its two sizes differ";
    if (local->method != member->method) return "another compression method in the local header";
    if (((local->flags ^ member->flags) & (KW_ZIP_ENCRYPTED | KW_ZIP_DESCRIPTOR)) != 0)
        return "other flags in the local header";
    /* What a descriptor tells later is 0 here, or some of it: Info-ZIP knows the sizes of what it stores. */
    bool later = (local->flags & KW_ZIP_DESCRIPTOR) != 0;
    if (!(later && local->len == 0) && local->len != member->len) return "other sizes in the local header";
    if (!(later && local->packed_len == 0) && local->packed_len != member->packed_len)
        return "other sizes in the local header";
    return !(later && local->crc == 0) && local->crc != member->crc ? "another CRC-32 in the local header" : NULL;
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
    uint8_t bytes[KW_ZIP_LOCAL_LEN];
    kw_cursor c;
    kw_view extra;
    bool same;
    if (!kw_in_range(at, KW_ZIP_LOCAL_LEN, size))
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "its local header is not in the file");
    if (kw_zip_load(zip->source, at, bytes, KW_ZIP_LOCAL_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\3\4", 4) != 0)
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "no local header where one should be");
    kw_zip_header h = kw_zip_read_local(&c);
    uint64_t name_at = at + KW_ZIP_LOCAL_LEN, data_at = name_at + h.name_len + h.extra_len;
    if (data_at > size)
        return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "its local header is not in the file");
    member->data_at = data_at;
    member->present = member->packed_len < size - data_at ? member->packed_len : size - data_at;
    if (kw_zip_load_extra(zip->source, name_at + h.name_len, h.extra_len, room, &extra, err) < 0) return -1;
    const char *differs = difference(&h, member, kw_zip_widen(&h, extra, true));
    if (same_name(zip->source, name_at, member, h.name_len, room, &same, err) < 0) return -1;
    if (!same) differs = "another name in the local header";
    if (differs != NULL) return kw_build_fault(build, KW_MEMBER, at, member->name, 0, 0, err, "%s", differs);
    return 0;
}

int kw_zip_read_directory(kw_zip *zip, kw_build *build, const kw_zip_directory *d, uint8_t *room, kw_error *err) {
    uint64_t at = d->at;
    while (at < d->at + d->len)
        if (read_one(zip, build, d, &at, room, err) < 0) return -1;
    if (zip->count != d->count &&
        kw_build_fault(build, KW_MEMBER, d->at, "", 0, 0, err, "the archive says it has %llu members, its directory %u",
                       (unsigned long long)d->count, zip->count) < 0)
        return -1;
    for (uint32_t i = 0; i < zip->count; i++)
        if (locate(zip, build, &zip->members[i], room, err) < 0) return -1;
    if (kw_zip_find_repeats(zip, build, err) < 0) return -1;
    return kw_zip_compare_extents(zip, build, d, err);
}
