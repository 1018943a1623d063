/* same_hdf5.h -- what is different in two readings of a file, down to the bytes of its datasets. */
#ifndef KW_TESTS_SAME_HDF5_H
#define KW_TESTS_SAME_HDF5_H

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "read/hdf5.h"

enum { SAME_BYTES_MAX = 1 << 20 };

static inline bool same_text(const char *a, const char *b) { return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0); }

static inline bool same_fault(const kw_fault *a, const kw_fault *b) {
    return a->code == b->code && (a->code == KW_OK || (a->at == b->at && same_text(a->detail, b->detail)));
}

static inline bool same_attr(const kw_attr *a, const kw_attr *b) {
    if (!same_text(a->name, b->name) || a->kind != b->kind || !same_fault(&a->fault, &b->fault)) return false;
    if (a->fault.code != KW_OK) return true;
    if (a->scalar != b->scalar || a->count != b->count || a->integer != b->integer) return false;
    if (memcmp(&a->number, &b->number, sizeof a->number) != 0) return false;
    for (uint32_t i = 0; a->kind == KW_ATTR_TEXT && i < a->count; i++)
        if (a->text_lens[i] != b->text_lens[i] || memcmp(a->texts[i], b->texts[i], a->text_lens[i]) != 0) return false;
    return true;
}

static inline bool same_node(const kw_hdf5 *one, const kw_hdf5 *other, uint32_t i) {
    const kw_node *a = &one->nodes[i], *b = &other->nodes[i];
    if (!same_text(a->name, b->name) || !same_text(a->path, b->path) || !same_text(a->target, b->target)) return false;
    if (a->parent != b->parent || a->next != b->next || a->kind != b->kind || a->address != b->address) return false;
    if (a->dataset != b->dataset || a->attr_count != b->attr_count || !same_fault(&a->fault, &b->fault)) return false;
    if (kw_hdf5_find_path(one, 0, a->path) != kw_hdf5_find_path(other, 0, b->path)) return false;
    for (uint32_t k = 0; k < a->attr_count; k++)
        if (!same_attr(&one->attrs[a->first_attr + k], &other->attrs[b->first_attr + k])) return false;
    return true;
}

/* The checksum of a dataset's bytes, or the code of what keeps them from being read. */
static inline uint64_t bytes_of(kw_hdf5 *hdf5, uint32_t i) {
    const kw_dataset *dataset = &hdf5->datasets[i];
    if (dataset->fault.code != KW_OK || dataset->nbytes > SAME_BYTES_MAX || dataset->dtype == KW_DTYPE_NONE) return 0;
    /* Of coded bytes that end too soon szip's decoder makes values of whatever is in the memory. */
    if (dataset->filter_text != NULL && strstr(dataset->filter_text, "szip") != NULL) return 0;
    kw_error err = {0};
    uint8_t *bytes = malloc((size_t)dataset->nbytes + 1);
    if (bytes == NULL) abort();
    int result = kw_hdf5_read(hdf5, i, bytes, &err);
    uint64_t sum = result == 0 ? kw_crc32(0, bytes, (size_t)dataset->nbytes) : (uint64_t)err.code << 32;
    free(bytes);
    return sum;
}

static inline bool same_dataset(kw_hdf5 *one, kw_hdf5 *other, uint32_t i) {
    const kw_dataset *a = &one->datasets[i], *b = &other->datasets[i];
    if (a->node != b->node || a->rank != b->rank || a->dtype != b->dtype || a->storage != b->storage) return false;
    if (a->nbytes != b->nbytes || a->off != b->off || a->shared_at != b->shared_at) return false;
    if (!same_text(a->type_text, b->type_text) || !same_text(a->filter_text, b->filter_text)) return false;
    if (!same_fault(&a->fault, &b->fault) || (a->shape == NULL) != (b->shape == NULL)) return false;
    if (a->shape != NULL && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0) return false;
    return bytes_of(one, i) == bytes_of(other, i);
}

/* What is different, or NULL. */
static inline const char *same_hdf5(kw_hdf5 *a, kw_hdf5 *b) {
    if (a->node_count != b->node_count || a->attr_count != b->attr_count || a->dataset_count != b->dataset_count) return "counts";
    if (!same_fault(&a->fault, &b->fault) || a->truncated != b->truncated || a->interrupted != b->interrupted) return "file";
    for (uint32_t i = 0; i < a->node_count; i++)
        if (!same_node(a, b, i)) return a->nodes[i].path;
    for (uint32_t i = 0; i < a->dataset_count; i++)
        if (!same_dataset(a, b, i)) return a->nodes[a->datasets[i].node].path;
    kw_audit x = kw_hdf5_audit(a), y = kw_hdf5_audit(b);
    return x.unclaimed != y.unclaimed || x.largest_off != y.largest_off || x.largest_len != y.largest_len ? "claims" : NULL;
}

#endif
