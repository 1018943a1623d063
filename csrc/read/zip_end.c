/* zip_end.c -- the end record, which says where the directory is.
 *
 *     | directory | zip64 end | locator | end |comment|
 *                  PK\6\6      PK\6\7    PK\5\6
 *
 * The end record is looked for as Python's zipfile does, so that both see the
 * same archive: in the last 22 bytes when it has no comment, else the last
 * PK\5\6 within 64 KiB of the end, and no earlier one when that is cut.
 * PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.
 */
#include "read/zip_directory.h"

#include <stdlib.h>

enum {
    END64_LEN = 56,
    LOCATOR_LEN = 20,
    TAIL_MAX = KW_ZIP_END_LEN + 65536 /* in which the end record is looked for */
};

/* Where the end record begins in the last bytes of a file; SIZE_MAX when there is none, or one that is cut. */
static size_t end_in(const uint8_t *tail, size_t len) {
    size_t last = len - KW_ZIP_END_LEN;
    if (memcmp(tail + last, "PK\5\6", 4) == 0 && tail[len - 2] == 0 && tail[len - 1] == 0) return last;
    for (size_t i = len - 3; i > 0; i--)
        if (memcmp(tail + i - 1, "PK\5\6", 4) == 0) return i - 1 <= last ? i - 1 : SIZE_MAX;
    return SIZE_MAX;
}

int kw_zip_find_end(kw_source *source, uint64_t *at, kw_error *err) {
    uint64_t size = kw_source_size(source);
    size_t len = size < TAIL_MAX ? (size_t)size : TAIL_MAX;
    *at = KW_NOWHERE;
    if (len < KW_ZIP_END_LEN) return 0;
    uint8_t *tail = malloc(len);
    if (tail == NULL) return kw_fail_memory(err);
    int result = kw_source_read(source, size - len, tail, len, err);
    size_t found = result == 0 ? end_in(tail, len) : SIZE_MAX;
    if (found != SIZE_MAX) *at = size - len + found;
    free(tail);
    return result;
}

/* Takes count, length and offset from the zip64 end record in front of the end record's locator, if there is one. */
static int read_end64(kw_source *source, uint64_t end_at, kw_zip_directory *d, uint64_t *records_at, kw_error *err) {
    uint8_t bytes[END64_LEN];
    kw_cursor c;
    if (end_at < LOCATOR_LEN + END64_LEN) return 0;
    if (kw_zip_load(source, end_at - LOCATOR_LEN, bytes, LOCATOR_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\6\7", 4) != 0) return 0;
    uint64_t at = end_at - LOCATOR_LEN - END64_LEN;
    if (kw_zip_load(source, at, bytes, END64_LEN, &c, err) < 0) return -1;
    if (memcmp(bytes, "PK\6\6", 4) != 0) return 0;
    kw_cursor_skip(&c, 32);
    d->count = kw_cursor_u64(&c);
    d->len = kw_cursor_u64(&c);
    d->at = kw_cursor_u64(&c);
    *records_at = at;
    return 0;
}

int kw_zip_read_end(kw_source *source, uint64_t end_at, kw_zip_directory *d, kw_error *err) {
    uint8_t bytes[KW_ZIP_END_LEN];
    kw_cursor c;
    if (kw_zip_load(source, end_at, bytes, KW_ZIP_END_LEN, &c, err) < 0) return -1;
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
    d->end = end_at + KW_ZIP_END_LEN + comment_len;
    return 0;
}
