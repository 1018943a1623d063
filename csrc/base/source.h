/* source.h -- where bytes come from: a file, memory, a callback, or a part of
 * another source (a member of a zip).  Path and permission errors occur here
 * and nowhere else.
 *
 * Structure is read through kw_source_read into owned memory, never through a
 * mapping: a mapping of a file that another process truncates is SIGBUS.  Small
 * reads of a file go through a cache of a bounded number of blocks, so a walk
 * over metadata costs few system calls.  No lock on the file is taken.
 *
 * Thread-safety: kw_source_read uses the cache and is for one thread at a time;
 * kw_source_pread bypasses it and may be called from many.
 */
#ifndef KW_BASE_SOURCE_H
#define KW_BASE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct kw_source kw_source;

/* Reads exactly `len` bytes at `off`; 0, or -1 with *err set.  May be called
 * from several threads at once. */
typedef int (*kw_source_read_fn)(void *context, uint64_t off, void *out, size_t len, kw_error *err);
typedef void (*kw_source_free_fn)(void *context);

/* Each constructor returns 0 with *out owned by the caller (one reference). */

/* A regular file.  KW_NOT_FOUND, KW_DENIED, KW_DIRECTORY, KW_DANGLING,
 * KW_NOT_REGULAR, KW_IO. */
int kw_source_open_path(const char *path, kw_source **out, kw_error *err);

/* A file named `name` in the folder of a path source (or, when `folder` is a
 * folder's path source made by kw_source_open_folder, in it).  `name` must be a
 * plain file name: no '/', not "..", no NUL; else KW_LINK. */
int kw_source_open_sibling(const kw_source *source, const char *name, kw_source **out, kw_error *err);

/* A folder: a source of size 0 whose siblings are the files in it. */
int kw_source_open_folder(const char *path, kw_source **out, kw_error *err);

/* Bytes that outlive the source; `release` (may be NULL) is called once, at the
 * end, also when the constructor fails. */
int kw_source_open_memory(const void *data, size_t len, kw_source_free_fn release, void *context, kw_source **out,
                          kw_error *err);

int kw_source_open_callback(uint64_t size, kw_source_read_fn read, kw_source_free_fn release, void *context,
                            kw_source **out, kw_error *err);

/* The bytes [off, off + len) of `whole`, which it retains.  Offsets in errors
 * and tensors are the part's own; kw_source_base gives what to add. */
int kw_source_open_part(kw_source *whole, uint64_t off, uint64_t len, kw_source **out, kw_error *err);

/* The same bytes of a file source (one with a descriptor) or a part of one, read through a cache of their own: for
 * another thread.  KW_IO when there is no descriptor to be had. */
int kw_source_open_twin(kw_source *source, kw_source **out, kw_error *err);

kw_source *kw_source_retain(kw_source *source);
void kw_source_release(kw_source *source); /* NULL is allowed */

uint64_t kw_source_size(const kw_source *source);

/* The path that a file or folder was opened by, or NULL (parts: the whole's). */
const char *kw_source_path(const kw_source *source);

/* The outermost source and the offset of this one's first byte in it. */
kw_source *kw_source_whole(kw_source *source);
uint64_t kw_source_base(const kw_source *source);

/* The bytes when they are in memory already (memory sources and their parts). */
const uint8_t *kw_source_memory(const kw_source *source);

/* The descriptor of a file source or a part of one, else -1.  Not to be closed. */
int kw_source_fd(const kw_source *source);

/* Exactly `len` bytes at `off`.  Past the end: KW_TRUNCATED at the first byte
 * that is not there. */
int kw_source_read(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err);
int kw_source_pread(kw_source *source, uint64_t off, void *out, size_t len, kw_error *err);

/* The bytes at `off` where kw_source_read would only copy them from memory that
 * lasts as long as the source, else NULL: ask, and read when there are none. */
const uint8_t *kw_source_peek(kw_source *source, uint64_t off, size_t len);

/* KW_CHANGED when size or modification time of the opened file differ from those
 * at opening.  A new file moved to its path is no change: the old one is read on. */
int kw_source_unchanged(kw_source *source, kw_error *err);

#endif
