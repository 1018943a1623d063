/* build.h -- a kw_file while it grows: parts, facts and faults are added here by
 * whoever reads the container.
 */
#ifndef KW_READ_BUILD_H
#define KW_READ_BUILD_H

#include "base/view.h"
#include "read/read.h"

/* Of config.json, metadata.json and shard maps. */
#define KW_TEXT_LIMIT ((uint64_t)64 << 20)

typedef struct kw_build {
    kw_file *file;
    uint64_t inflate_left; /* bytes that inflating may still produce */
    bool audit;            /* kw_open_options.audit */
    size_t part_capacity, meta_capacity, fault_capacity;
} kw_build;

/* Adds a fault of the container; path and detail are copied.  After a thousand
 * of them one more says that the rest is not listed.  0 or KW_MEMORY. */
__attribute__((format(printf, 8, 9))) int kw_build_fault(kw_build *build, int code, uint64_t at, const char *path,
                                                         uint64_t a, uint64_t b, kw_error *err, const char *format,
                                                         ...);

/* The same from an error that a callee returned.  One that ends everything (no
 * memory, reading failed, the file changed) is handed on as *err: -1. */
int kw_build_blame(kw_build *build, const kw_error *cause, const char *path, kw_error *err);

/* Adds a fact, unless its key is there already; both are copied.  0 or KW_MEMORY. */
int kw_build_meta(kw_build *build, const char *key, const char *value, kw_error *err);
const char *kw_build_find_meta(const kw_build *build, const char *key); /* NULL when absent */

/* Adds a part with this source (taken over, also on failure) and this name
 * (copied).  The part, valid until the next one is added; NULL: KW_MEMORY. */
kw_part *kw_build_part(kw_build *build, kw_source *source, const char *name, kw_error *err);

/* Reads all of `source` into the file's arena, with a NUL behind it.  0, or -1:
 * KW_UNSUPPORTED when it is longer than KW_TEXT_LIMIT, or why it cannot be read. */
int kw_build_text(kw_build *build, kw_source *source, kw_view *out, kw_error *err);

/* Takes what metadata.json records (keras_version, date_saved, and a preset's
 * keras_hub_version and parameter_count) as facts.  0; KW_CORRUPT; KW_MEMORY. */
int kw_build_metadata(kw_build *build, kw_view json, kw_error *err);

#endif
