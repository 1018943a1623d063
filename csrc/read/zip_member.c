/* zip_member.c -- the bytes of a member: a part of the archive, or inflated from it.
 *
 *     check   what it declares can be, and is within the limits --> part, or memory and CRC-32
 *
 * The limits are those of Keras 3.15 (keras/src/saving/saving_lib.py).
 */
#include <stdlib.h>

#include "base/crc.h"
#include "read/inflate.h"
#include "read/zip_header.h"

enum {
    LARGE = 256 << 20, /* a deflated member greater than this may unfold to */
    RATIO_MAX = 100,   /* times its bytes in the archive */
    BLOCK_LEN = 1 << 16
};

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
    if ((member->flags & KW_ZIP_ENCRYPTED) != 0) return kw_fail(err, KW_UNSUPPORTED, at, "encrypted");
    if (member->method != KW_ZIP_STORED && member->method != KW_ZIP_DEFLATED)
        return name != NULL ? kw_fail(err, KW_UNSUPPORTED, at, "compressed with %s", name)
                            : kw_fail(err, KW_UNSUPPORTED, at, "compression method %u", member->method);
    if (member->method == KW_ZIP_STORED) return 0;
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
    *inflated = member->method == KW_ZIP_DEFLATED;
    *sound = true;
    zip->members[member - zip->members].opened = true;
    if (check_member(member, *inflate_left, err) < 0) return -1;
    if (!*inflated) return kw_source_open_part(zip->source, member->data_at, member->present, out, err);
    if (inflate_member(zip, member, out, sound, err) < 0) return -1;
    *inflate_left -= member->len;
    return 0;
}

/* Whether all bytes of a source have this CRC-32; -1: they cannot be read. */
static int compare_crc(kw_source *source, uint32_t crc, bool *sound, kw_error *err) {
    uint64_t size = kw_source_size(source);
    uint32_t sum = 0;
    int result = 0;
    uint8_t *block = malloc(BLOCK_LEN);
    if (block == NULL) return kw_fail_memory(err);
    for (uint64_t at = 0; at < size && result == 0; at += BLOCK_LEN) {
        size_t len = size - at < BLOCK_LEN ? (size_t)(size - at) : BLOCK_LEN;
        result = kw_source_pread(source, at, block, len, err);
        if (result == 0) sum = kw_crc32(sum, block, len);
    }
    *sound = sum == crc;
    free(block);
    return result;
}

/* One member of which nothing is known yet. */
static int audit_member(const kw_zip *zip, const kw_zip_member *member, kw_build *build, kw_error *err) {
    kw_source *source = NULL;
    kw_error why = {0};
    bool inflated, sound;
    uint64_t left = build->inflate_left; /* each has all of it: nothing is kept */
    int result = kw_zip_open_member(zip, member, &left, &source, &inflated, &sound, &why);
    if (result == 0 && !inflated) result = compare_crc(source, member->crc, &sound, &why);
    kw_source_release(source);
    if (result < 0) return why.code == KW_UNSUPPORTED ? 0 : kw_build_blame(build, &why, member->name, err);
    if (sound) return 0;
    return kw_build_fault(build, KW_CHECKSUM, member->header_at, member->name, 0, 0, err, "its CRC-32 is wrong");
}

int kw_zip_audit(const kw_zip *zip, kw_build *build, kw_error *err) {
    for (uint32_t i = 0; i < zip->count; i++) {
        const kw_zip_member *member = &zip->members[i];
        bool whole = member->data_at != KW_NOWHERE && member->present == member->packed_len && member->has_crc;
        if (whole && !member->opened && audit_member(zip, member, build, err) < 0) return -1;
    }
    return 0;
}
