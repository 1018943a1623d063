/* audit.c -- bytes that nothing claims, chunks that cannot be what they say.
 *
 *     opening   structures and plain values are claimed in the ledger
 *     audit     + indexes of chunks, chunks (filters undone, nothing kept)
 *               --> overlaps, checksums, streams that are damaged; what is left over
 */
#include "read/audit.h"

#include "read/hdf5_extents.h"

/* Attributes that cannot be read; those that Keras needs are blamed by who asks for them. */
static int audit_attributes(kw_build *build, const kw_hdf5 *hdf5, kw_error *err) {
    for (uint32_t i = 0; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        for (uint32_t a = 0; node->kind != KW_NODE_ALIAS && a < node->attr_count; a++) {
            const kw_attr *attr = &hdf5->attrs[node->first_attr + a];
            if (attr->fault.code != KW_OK &&
                kw_build_fault(build, attr->fault.code, attr->fault.at, node->path, 0, 0, err, "attribute %.100s: %s",
                               attr->name, attr->fault.detail != NULL ? attr->fault.detail : "") < 0)
                return -1;
        }
    }
    return 0;
}

int kw_audit_part(kw_build *build, const kw_part *part, kw_error *err) {
    const kw_hdf5 *hdf5 = part->hdf5;
    if (hdf5 == NULL || hdf5->truncated || hdf5->interrupted) return 0; /* which says more */
    if (kw_extents_claim_great(part->hdf5, err) < 0) return -1;
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        kw_error why = {0};
        if (kw_hdf5_audit_dataset(part->hdf5, i, &why) == 0) continue;
        if (kw_build_blame(build, &why, hdf5->nodes[hdf5->datasets[i].node].path, err) < 0) return -1;
    }
    if (audit_attributes(build, hdf5, err) < 0) return -1;
    kw_audit audit = kw_hdf5_audit(hdf5);
    if (audit.unclaimed == 0) return 0;
    return kw_build_fault(build, KW_UNCLAIMED, audit.largest_off, part->name, audit.unclaimed, audit.largest_len, err, "%s", "");
}
