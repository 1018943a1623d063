/* zip_directory.h -- the directory of a zip archive, and the record that says where it is. */
#ifndef KW_READ_ZIP_DIRECTORY_H
#define KW_READ_ZIP_DIRECTORY_H

#include "read/zip_header.h"

typedef struct kw_zip_directory {
    uint64_t at, len, count;
    uint64_t prefix; /* bytes before the archive: added to every offset in it */
    uint64_t end;    /* of the archive, behind its comment */
} kw_zip_directory;

/* Offset of the end record; KW_NOWHERE in *at when there is none. */
int kw_zip_find_end(kw_source *source, uint64_t *at, kw_error *err);

/* Where the directory lies.  0; KW_CORRUPT when the numbers do not fit the file; KW_UNSUPPORTED for several disks. */
int kw_zip_read_end(kw_source *source, uint64_t end_at, kw_zip_directory *d, kw_error *err);

/* All entries of the directory and their local headers, what differs, repeats or
 * overlaps as faults.  `room` has 64 KiB.  KW_CORRUPT when it is damaged. */
int kw_zip_read_directory(kw_zip *zip, kw_build *build, const kw_zip_directory *d, uint8_t *room, kw_error *err);

#endif
