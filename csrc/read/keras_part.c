/* keras_part.c -- a part of a file as HDF5, and what is wrong with it.
 *
 *     whole: never finished, cut, its root damaged  >  values that are not their own  >  single links and groups
 *
 * What is said of the whole is not said again of a part of it; faults of datasets stay with their tensor.
 */
#include <stdio.h>

#include "read/audit.h"
#include "read/keras.h"
#include "read/keras_tree.h"

enum { SIGNATURE_LEN = 8 }; /* of an HDF5 file */

/* Faults of single links and groups; those of datasets stay with their tensor. */
static int blame_nodes(kw_build *build, const kw_hdf5 *hdf5, kw_error *err) {
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        const kw_dataset *dataset = &hdf5->datasets[i];
        if (dataset->shared_at != KW_NOWHERE &&
            kw_build_fault(build, KW_OVERLAP, dataset->shared_at, hdf5->nodes[dataset->node].path, 0, 0, err,
                           "its %llu bytes at %llu are not its own", (unsigned long long)dataset->nbytes,
                           (unsigned long long)dataset->off) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        if (node->fault.code != KW_OK) {
            bool said = i == 0 && hdf5->fault.code == node->fault.code;
            if (!said && node->dataset == KW_NONE &&
                kw_build_fault(build, node->fault.code, node->fault.at, node->path, 0, 0, err, "%s",
                               node->fault.detail != NULL ? node->fault.detail : "") < 0)
                return -1;
        } else if (kw_keras_is_link(hdf5, i) &&
                   kw_build_fault(build, KW_LINK, KW_NOWHERE, node->path, 0, 0, err, "%s %.120s, not followed",
                                  node->kind == KW_NODE_SOFT       ? "a soft link to"
                                  : node->kind == KW_NODE_EXTERNAL ? "an external link to"
                                                                   : "a user-defined link of",
                                  node->target) < 0) {
            return -1;
        }
    }
    return 0;
}

/* What is wrong with an HDF5 file as a whole. */
static int blame_hdf5(kw_build *build, const kw_part *part, kw_error *err) {
    const kw_hdf5 *hdf5 = part->hdf5;
    uint64_t size = kw_source_size(part->source);
    const kw_fault *fault = &hdf5->fault;
    bool told = fault->code == KW_INTERRUPTED && fault->detail != NULL;
    if (hdf5->interrupted &&
        kw_build_fault(build, KW_INTERRUPTED, told ? fault->at : hdf5->base, part->name, size, hdf5->end, err, "%s",
                       told ? fault->detail : "the file was never finished") < 0)
        return -1;
    if (hdf5->truncated && !hdf5->interrupted &&
        kw_build_fault(build, KW_TRUNCATED, size, part->name, size, hdf5->end, err,
                       "the file ends before its last byte") < 0)
        return -1;
    /* The root being behind the end is what truncated says already. */
    bool said = fault->code == KW_INTERRUPTED || (hdf5->truncated && fault->code == KW_TRUNCATED);
    if (fault->code != KW_OK && !said &&
        kw_build_fault(build, fault->code, fault->at, part->name, 0, 0, err, "%s",
                       fault->detail != NULL ? fault->detail : "") < 0)
        return -1;
    return blame_nodes(build, hdf5, err);
}

int kw_keras_open_part(kw_build *build, kw_error *err) {
    kw_part *part = &build->file->parts[build->file->part_count - 1];
    kw_error why = {0};
    uint64_t size = kw_source_size(part->source);
    if (size < SIGNATURE_LEN)
        return kw_build_fault(build, KW_TRUNCATED, size, part->name, size, 0, err,
                              "the file ends within its signature");
    if (kw_hdf5_open(part->source, &part->hdf5, &why) < 0) {
        part->hdf5 = NULL;
        return kw_build_blame(build, &why, part->name, err);
    }
    char version[8];
    (void)snprintf(version, sizeof version, "%u", part->hdf5->superblock);
    if (kw_build_meta(build, "superblock", version, err) < 0) return -1;
    if (blame_hdf5(build, part, err) < 0) return -1;
    return build->audit ? kw_audit_part(build, part, err) : 0;
}
