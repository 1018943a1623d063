/* hdf5_extents.c -- values that overlap.
 *
 *     ledger   |superblock|header|....kernel....|..bias..|
 *     another             |......other......|               shares bytes: KW_OVERLAP
 *
 * libhdf5 allots each byte once, so a file with an overlap was made or changed by
 * something else.  Chunks are claimed when they are looked for (read/hdf5_index.h).
 */
#include "read/hdf5_extents.h"

#include "read/hdf5_private.h"

/* What libhdf5 leaves by itself: the rest of a block of metadata and of one of small values, 2 KiB each in h5py, which
 * may stand side by side (H5Pset_meta_block_size, H5Pset_small_data_block_size). */
enum { LEFT_OVER = 4096 };

int kw_extents_claim(kw_hdf5 *hdf5, kw_error *err) {
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        kw_dataset *dataset = &hdf5->datasets[i];
        kw_error cause = {0};
        dataset->shared_at = KW_NOWHERE;
        if (dataset->storage != KW_STORAGE_CONTIGUOUS || dataset->fault.code != KW_OK) continue;
        if (kw_ledger_claim(&hdf5->more->ledger, dataset->off, dataset->nbytes, &cause) == 0) continue;
        if (cause.code == KW_MEMORY) return kw_fail_memory(err);
        dataset->shared_at = cause.at;
    }
    return 0;
}

kw_audit kw_hdf5_audit(const kw_hdf5 *hdf5) {
    const kw_ledger *ledger = &hdf5->more->ledger;
    uint64_t end = kw_source_size(hdf5->source);
    kw_audit audit = {0};
    for (uint64_t at = hdf5->base; (at = kw_ledger_next(ledger, at, end, false)) < end;) {
        uint64_t stop = kw_ledger_next(ledger, at, end, true);
        if (at < hdf5->end && stop > hdf5->end) stop = hdf5->end; /* what is behind the file's own end is no gap in it */
        uint64_t len = stop - at;
        if (at >= hdf5->end || len >= LEFT_OVER) audit.unclaimed += len;
        if ((at >= hdf5->end || len >= LEFT_OVER) && len > audit.largest_len) {
            audit.largest_off = at;
            audit.largest_len = len;
        }
        at = stop;
    }
    return audit;
}
