/* fuzz_hdf5.c -- the structure of an HDF5 file: walked whole, each node and attribute looked up again. */
#include "read/hdf5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_hdf5 *hdf5 = NULL;
    kw_error err = {0};
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return 0;
    if (kw_hdf5_open(source, &hdf5, &err) == 0) {
        for (uint32_t i = 0; i < hdf5->node_count; i++) {
            const kw_node *node = &hdf5->nodes[i];
            if (node->parent != KW_NONE && kw_hdf5_find(hdf5, node->parent, node->name) == KW_NONE) __builtin_trap();
            (void)kw_hdf5_attr(hdf5, i, "weight_names");
        }
    }
    kw_hdf5_free(hdf5);
    kw_source_release(source);
    return 0;
}
