/* fuzz_open.c -- any bytes as a weight file: opened, listed and read, from memory. */
#include <stdlib.h>

#include "read/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Reads every tensor that is small enough to be read many thousand times a second. */
static void read_all(kw_file *file) {
    for (uint32_t i = 0; i < file->table.tensor_count; i++) {
        const kw_tensor *tensor = &file->table.tensors[i];
        kw_error err = {0};
        if (tensor->fault.code != KW_OK || tensor->dtype == KW_DTYPE_NONE || tensor->nbytes > 1 << 16) continue;
        void *out = malloc((size_t)tensor->nbytes + 1);
        if (out != NULL) kw_file_read(file, i, out, &err);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_file *file = NULL;
    kw_error err = {0};
    kw_open_options options = {.inflate_limit = 1 << 20};
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return 0;
    if (kw_file_open(source, &options, &file, &err) == 0) {
        read_all(file);
        kw_file_verify(file, 1, &err);
    }
    kw_file_free(file);
    kw_source_release(source);
    return 0;
}
