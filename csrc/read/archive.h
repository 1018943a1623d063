/* archive.h -- a zip archive as a person meets it: a .keras file, or something
 * else that is a zip too.
 */
#ifndef KW_READ_ARCHIVE_H
#define KW_READ_ARCHIVE_H

#include "read/build.h"

/* Reads the archive that the file was opened on: sets its content and title,
 * takes config.json and metadata.json, and adds the part model.weights.h5
 * (named as the member is, not yet opened as HDF5).  0, or -1 for what ends
 * everything. */
int kw_archive_open(kw_build *build, kw_error *err);

#endif
