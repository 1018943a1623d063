/* detect.h -- what a file is, by its first bytes and a little more; never by
 * its name, which lies in both directions.
 */
#ifndef KW_READ_DETECT_H
#define KW_READ_DETECT_H

#include "base/arena.h"
#include "read/read.h"

/* Zip archives and JSON texts are told apart further by who reads them
 * (zip.h, shards.h): here they are KW_CONTENT_ZIP and KW_CONTENT_JSON.  *title
 * (in the arena, or NULL) is what helps a reader: the title of a web page, oid
 * and size of a Git LFS pointer, the beginning of a text.  0; -1 when the bytes
 * cannot be read. */
int kw_detect(kw_source *source, kw_arena *arena, kw_content *content, const char **title, kw_error *err);

#endif
