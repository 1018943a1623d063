/* map.h -- a private, read-only mapping of a file, made when someone asks for
 * zero-copy views.
 *
 * A mapping is a promise by whoever owns the file: when the file is overwritten
 * the views change with it, when it is cut, touching the lost pages is SIGBUS.
 */
#ifndef KW_BASE_MAP_H
#define KW_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"

typedef struct kw_map {
    const uint8_t *data;
    size_t len;
} kw_map;

/* Maps the whole file behind a path source or a part of one; an empty file gives
 * NULL and 0.  Fails with KW_CHANGED when the file is no longer as it was opened,
 * KW_UNSUPPORTED when there is no file. */
int kw_map_open(kw_source *source, kw_map *out, kw_error *err);
void kw_map_close(kw_map *map);

#endif
