/* hostile.h -- any bytes as a weight file: opened with an audit, listed, read and verified, from memory. */
#ifndef KW_TESTS_HOSTILE_H
#define KW_TESTS_HOSTILE_H

#include <stdlib.h>

#include "read/read.h"

enum { HOSTILE_TENSOR_MAX = 1 << 16, HOSTILE_INFLATE_MAX = 1 << 20 };

/* Reads every tensor that is small enough to be read many thousand times a second.  False: no memory. */
static inline bool hostile_read(kw_file *file) {
    for (uint32_t i = 0; i < file->table.tensor_count; i++) {
        const kw_tensor *tensor = &file->table.tensors[i];
        kw_error err = {0};
        if (tensor->fault.code != KW_OK || tensor->dtype == KW_DTYPE_NONE || tensor->nbytes > HOSTILE_TENSOR_MAX) continue;
        void *out = malloc((size_t)tensor->nbytes + 1);
        if (out != NULL) kw_file_read(file, i, out, &err);
        free(out);
        if (err.code == KW_MEMORY) return false;
    }
    return true;
}

/* False when memory was short, which no file of this size may cause. */
static inline bool hostile_run(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_file *file = NULL;
    kw_error err = {0};
    kw_open_options options = {.inflate_limit = HOSTILE_INFLATE_MAX, .audit = true};
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return err.code != KW_MEMORY;
    bool fine = true;
    if (kw_file_open(source, &options, &file, &err) == 0) {
        fine = hostile_read(file);
        kw_file_verify(file, 1, &err);
    }
    kw_file_free(file);
    kw_source_release(source);
    return fine && err.code != KW_MEMORY;
}

#endif
