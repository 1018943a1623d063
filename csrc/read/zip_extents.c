/* zip_extents.c -- which bytes of an archive its members have.
 *
 *     ? |local| data |descr.|   ?   |local| data |   ?   | directory | end |comment| ?
 *                              \___ shared: KW_OVERLAP; nobody's: KW_UNCLAIMED ___/
 *
 * PKWARE APPNOTE 6.3.10, section 4.3.6: one thing follows the other.  In front of
 * the first and behind the last, whatever stands there was put there.
 */
#include "read/zip_extents.h"

#include <stdlib.h>

/* Between members: tools that align values begin them on a page. */
enum { LEFT_OVER = 4096, DESCRIPTOR_MAX = 24 };

/* Bytes that nothing has. */
typedef struct gaps {
    uint64_t total, largest_off, largest_len;
} gaps;

static int by_header(const void *a, const void *b) {
    const kw_zip_member *x = *(const kw_zip_member *const *)a, *y = *(const kw_zip_member *const *)b;
    return (x->header_at > y->header_at) - (x->header_at < y->header_at);
}

/* Members by where they are, count of them; NULL: no memory. */
static const kw_zip_member **sort_members(const kw_zip *zip, kw_error *err) {
    const kw_zip_member **order = malloc((zip->count + (size_t)1) * sizeof *order);
    if (order == NULL) {
        (void)kw_fail_memory(err);
        return NULL;
    }
    for (uint32_t i = 0; i < zip->count; i++) order[i] = &zip->members[i];
    qsort(order, zip->count, sizeof *order, by_header);
    return order;
}

static int find_overlaps(const kw_zip_member *const *order, uint32_t count, kw_build *build, uint64_t directory_at,
                         kw_error *err) {
    uint64_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        const kw_zip_member *m = order[i];
        if (m->data_at == KW_NOWHERE) continue;
        uint64_t end = m->data_at + m->present;
        bool cut = m->present < m->packed_len;
        if (cut && kw_build_fault(build, KW_CORRUPT, m->header_at, m->name, m->present, m->packed_len, err,
                                  "goes on behind the end of the file") < 0)
            return -1;
        if (!cut && (m->header_at < taken || end > directory_at) &&
            kw_build_fault(build, KW_OVERLAP, m->header_at, m->name, 0, 0, err,
                           "shares bytes with another part of the archive") < 0)
            return -1;
        if (end > taken) taken = end;
    }
    return 0;
}

static void add_gap(gaps *g, uint64_t from, uint64_t to) {
    if (from >= to) return;
    g->total += to - from;
    if (to - from <= g->largest_len) return;
    g->largest_off = from;
    g->largest_len = to - from;
}

/* Length of the descriptor behind the data of a member, 0 for none (4.3.9: with or without signature, 32 or 64 bits).
 * -1: the bytes cannot be read. */
static int find_descriptor(const kw_zip *zip, const kw_zip_member *m, uint64_t *len, kw_error *err) {
    uint8_t bytes[DESCRIPTOR_MAX];
    kw_cursor start;
    uint64_t at = m->data_at + m->present;
    *len = 0;
    if ((m->flags & KW_ZIP_DESCRIPTOR) == 0 || !kw_in_range(at, sizeof bytes, kw_source_size(zip->source))) return 0;
    if (kw_zip_load(zip->source, at, bytes, sizeof bytes, &start, err) < 0) return -1;
    size_t signature = memcmp(bytes, "PK\7\10", 4) == 0 ? 4 : 0;
    for (unsigned width = 4; width <= 8 && *len == 0; width += 4) {
        kw_cursor c = start;
        kw_cursor_skip(&c, signature);
        uint32_t crc = kw_cursor_u32(&c);
        uint64_t packed = kw_cursor_uint(&c, width);
        if (crc == m->crc && packed == m->packed_len) *len = signature + 4 + 2 * width;
    }
    return 0;
}

/* A fault for what nobody has, unless a member could not be found or is cut, which says more. */
static int find_gaps(const kw_zip *zip, const kw_zip_member *const *order, kw_build *build, const kw_zip_directory *d,
                     kw_error *err) {
    gaps g = {0};
    uint64_t taken = 0, descriptor;
    for (uint32_t i = 0; i < zip->count; i++) {
        const kw_zip_member *m = order[i];
        if (m->data_at == KW_NOWHERE || m->present < m->packed_len) return 0;
        if (find_descriptor(zip, m, &descriptor, err) < 0) return -1;
        if (i == 0 || m->header_at >= taken + LEFT_OVER) add_gap(&g, taken, m->header_at);
        uint64_t end = m->data_at + m->present + descriptor;
        if (end > taken) taken = end;
    }
    if (zip->count == 0 || d->at >= taken + LEFT_OVER) add_gap(&g, taken, d->at);
    uint64_t size = kw_source_size(zip->source);
    add_gap(&g, d->end, size);
    if (d->end > size &&
        kw_build_fault(build, KW_CORRUPT, size, "", 0, 0, err, "the comment of the archive is cut short") < 0)
        return -1;
    if (g.total == 0) return 0;
    return kw_build_fault(build, KW_UNCLAIMED, g.largest_off, "", g.total, g.largest_len, err, "%s", "");
}

int kw_zip_compare_extents(const kw_zip *zip, kw_build *build, const kw_zip_directory *d, kw_error *err) {
    const kw_zip_member **order = sort_members(zip, err);
    if (order == NULL) return -1;
    int result = find_overlaps(order, zip->count, build, d->at, err);
    if (result == 0 && build->audit) result = find_gaps(zip, order, build, d, err);
    free(order);
    return result;
}
