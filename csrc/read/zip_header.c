/* zip_header.c -- the records of members as they stand, and the names in them.
 *
 *     PK\3\4  version flags method time crc packed len | name extra          local, 4.3.7
 *     PK\1\2  made by, the same, ... attributes, where | name extra comment  in the directory, 4.3.12
 *
 * PKWARE APPNOTE 6.3.10; the 64-bit sizes of 4.5.3.
 */
#include "read/zip_header.h"

#include "read/hdf5_private.h"

int kw_zip_load(kw_source *source, uint64_t at, void *out, size_t len, kw_cursor *c, kw_error *err) {
    if (kw_source_read(source, at, out, len, err) < 0) return -1;
    *c = kw_cursor_of((kw_view){.data = out, .len = len, .off = at});
    return 0;
}

kw_zip_header kw_zip_read_local(kw_cursor *c) {
    kw_zip_header h = {0};
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

kw_zip_header kw_zip_read_entry(kw_cursor *c) {
    kw_cursor_skip(c, 5);
    bool by_unix = kw_cursor_u8(c) == 3;
    kw_cursor local = *c; /* from here on laid out as in a local header, whose signature is 4 bytes */
    local.pos -= 4;
    kw_zip_header h = kw_zip_read_local(&local);
    kw_cursor_skip(c, KW_ZIP_LOCAL_LEN - 4);
    h.comment_len = kw_cursor_u16(c);
    kw_cursor_skip(c, 4);
    h.attributes = kw_cursor_u32(c);
    h.local_at = kw_cursor_u32(c);
    h.by_unix = by_unix;
    return h;
}

bool kw_zip_widen(kw_zip_header *h, kw_view extra, bool local) {
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

int kw_zip_load_extra(kw_source *source, uint64_t at, size_t len, uint8_t *room, kw_view *out, kw_error *err) {
    *out = (kw_view){.data = room, .len = len, .off = at};
    return kw_source_read(source, at, room, len, err);
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

kw_zip_member *kw_zip_add_member(kw_zip *zip, kw_build *build, uint64_t at, size_t len, kw_error *err) {
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

int kw_zip_find_repeats(const kw_zip *zip, kw_build *build, kw_error *err) {
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
