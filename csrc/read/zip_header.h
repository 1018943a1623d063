/* zip_header.h -- the records of a zip archive's members, and their names. */
#ifndef KW_READ_ZIP_HEADER_H
#define KW_READ_ZIP_HEADER_H

#include "read/zip.h"

enum {
    KW_ZIP_LOCAL_LEN = 30, /* of a local header, without name and extra field */
    KW_ZIP_ENTRY_LEN = 46, /* of an entry of the directory, likewise */
    KW_ZIP_END_LEN = 22,
    KW_ZIP_ENCRYPTED = 1, /* flags */
    KW_ZIP_DESCRIPTOR = 8,
    KW_ZIP_STORED = 0, /* methods */
    KW_ZIP_DEFLATED = 8
};

/* One header as it stands, local or in the directory. */
typedef struct kw_zip_header {
    uint16_t version, flags, method, name_len, extra_len, comment_len;
    uint32_t crc, attributes;
    uint64_t packed_len, len, local_at;
    bool by_unix;
} kw_zip_header;

/* A cursor over `len` bytes read from `at` into `out`.  0, or why they cannot be read. */
int kw_zip_load(kw_source *source, uint64_t at, void *out, size_t len, kw_cursor *c, kw_error *err);

/* The extra field of `len` bytes at `at`, in `room` of 64 KiB. */
int kw_zip_load_extra(kw_source *source, uint64_t at, size_t len, uint8_t *room, kw_view *out, kw_error *err);

/* The fields of a local header, of an entry; what is past the cursor's end is 0. */
kw_zip_header kw_zip_read_local(kw_cursor *c);
kw_zip_header kw_zip_read_entry(kw_cursor *c);

/* Replaces the fields that are all ones by the 64-bit ones of extra field 1 (4.5.3).  False when they are not there. */
bool kw_zip_widen(kw_zip_header *h, kw_view extra, bool local);

/* Adds a member with the name of `len` bytes at `at`, which lies in the file; a name that must not be unpacked is a
 * fault.  NULL with *err on failure. */
kw_zip_member *kw_zip_add_member(kw_zip *zip, kw_build *build, uint64_t at, size_t len, kw_error *err);

/* Faults for names that occur twice.  0 or KW_MEMORY. */
int kw_zip_find_repeats(const kw_zip *zip, kw_build *build, kw_error *err);

#endif
