/* zip.h -- the members of a zip archive, also of one whose directory is lost.
 *
 * Each member's local header is held against its entry in the directory; what
 * differs, repeats, overlaps or would leave a folder is a fault of the archive
 * (KW_MEMBER, KW_OVERLAP) and the member is listed all the same.  For an audit
 * also bytes that no member has (KW_UNCLAIMED).
 *
 * zip           the members, by the directory or without it
 * zip_header    the records of members, and the names in them
 * zip_end       the end record
 * zip_directory the directory, against the local headers
 * zip_walk      local headers from the start, where the directory is lost
 * zip_extents   which bytes members have
 * zip_member    their bytes
 */
#ifndef KW_READ_ZIP_H
#define KW_READ_ZIP_H

#include "read/build.h"

#define KW_ZIP_MEMBERS_MAX 65536

typedef struct kw_zip_member {
    const char *name;    /* up to its first NUL, as Python sees it */
    uint64_t header_at;  /* of the local header, in the source */
    uint64_t data_at;    /* KW_NOWHERE: the local header cannot be read */
    uint64_t packed_len; /* bytes in the archive */
    uint64_t len;        /* bytes when unpacked */
    uint64_t present;    /* of packed_len, those that the file has */
    uint32_t crc;
    uint16_t method, flags;
    bool has_crc; /* false only where the directory is lost */
    bool opened;  /* by kw_zip_open_member */
} kw_zip_member;

typedef struct kw_zip {
    kw_source *source;
    kw_arena arena;
    kw_zip_member *members; /* in the order of the directory */
    uint32_t count;
    size_t capacity;
} kw_zip;

/* Reads the directory or, when it is lost (a truncated archive) or damaged, the
 * local headers from the start; faults go to `build`.  0 with *out owned by the
 * caller, also when not a single member is found; -1 for what ends everything. */
int kw_zip_open(kw_source *source, kw_build *build, kw_zip **out, kw_error *err);
void kw_zip_free(kw_zip *zip); /* NULL is allowed */

/* The last member of this name (Python takes the last), or NULL. */
const kw_zip_member *kw_zip_find(const kw_zip *zip, const char *name);

/* The bytes of a member: a part of the archive when it is stored (as much as is
 * there), else memory into which it was inflated, `*inflate_left` lowered.
 * *inflated tells which.  Of memory the CRC-32 was compared: *sound is false
 * when it differs.  0, or -1: KW_UNSUPPORTED (encrypted, another method),
 * KW_BOMB, KW_TRUNCATED, KW_CORRUPT, or why it cannot be read. */
int kw_zip_open_member(const kw_zip *zip, const kw_zip_member *member, uint64_t *inflate_left, kw_source **out,
                       bool *inflated, bool *sound, kw_error *err);

/* Looks at the members that were not opened, of which nothing is kept: a wrong
 * CRC-32, a bomb or a damaged stream is a fault.  Those that are encrypted or
 * compressed in another way are passed over.  0, or -1 for what ends everything. */
int kw_zip_audit(const kw_zip *zip, kw_build *build, kw_error *err);

#endif
