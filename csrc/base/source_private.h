/* source_private.h -- what source.c and source_open.c share. */
#ifndef KW_BASE_SOURCE_PRIVATE_H
#define KW_BASE_SOURCE_PRIVATE_H

#include <stdatomic.h>
#include <time.h>

#include "base/source.h"

enum kind { FILE_KIND, FOLDER_KIND, MEMORY_KIND, CALLBACK_KIND, PART_KIND };

struct kw_source {
    atomic_int references;
    enum kind kind;
    uint64_t size;
    kw_source *whole; /* part: retained */
    uint64_t base;    /* part */
    int fd;           /* file and folder, else -1 */
    char *path;       /* file and folder */
    struct timespec modified;
    bool unsettled;      /* written to all the time while it was opened */
    const uint8_t *data; /* memory */
    kw_source_read_fn read;
    kw_source_free_fn release;
    void *context;
    struct kw_cache *cache; /* made at the first small read */
};

#endif
