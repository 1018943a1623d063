/* zip_extents.h -- which bytes of an archive its members have. */
#ifndef KW_READ_ZIP_EXTENTS_H
#define KW_READ_ZIP_EXTENTS_H

#include "read/zip_directory.h"

/* Faults for members whose bytes another member, or the directory, has too, or
 * that go on behind the end; for an audit also for the bytes that are nobody's.
 * 0, or -1 for what ends everything. */
int kw_zip_compare_extents(const kw_zip *zip, kw_build *build, const kw_zip_directory *d, kw_error *err);

#endif
