/* fuzz_read.c -- an HDF5 file: every dataset that is small enough is read, chunks and filters and all. */
#include <stdlib.h>

#include "read/hdf5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { BYTES_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_hdf5 *hdf5 = NULL;
    kw_error err = {0};
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return 0;
    if (kw_hdf5_open(source, &hdf5, &err) == 0) {
        for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
            const kw_dataset *dataset = &hdf5->datasets[i];
            if (dataset->fault.code != KW_OK || dataset->dtype == KW_DTYPE_NONE || dataset->nbytes > BYTES_MAX) continue;
            void *out = malloc((size_t)dataset->nbytes + 1);
            if (out != NULL) (void)kw_hdf5_read(hdf5, i, out, &err);
            free(out);
        }
    }
    kw_hdf5_free(hdf5);
    kw_source_release(source);
    return 0;
}
