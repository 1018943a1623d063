/* zip_walk.h -- the members of a zip archive without its directory. */
#ifndef KW_READ_ZIP_WALK_H
#define KW_READ_ZIP_WALK_H

#include "read/zip_header.h"

/* Reads local headers from the start of the file.  `damage` is why the directory could not be read, NULL when there is
 * none: then what is missing at the end is a fault.  `room` has 64 KiB.  0, or -1 for what ends everything. */
int kw_zip_walk(kw_zip *zip, kw_build *build, const kw_error *damage, uint8_t *room, kw_error *err);

#endif
