/* hdf5_extents.c -- values that overlap.
 *
 *     ledger   |superblock|header|....kernel....|..bias..|
 *     another             |......other......|               shares bytes: KW_OVERLAP
 *
 * libhdf5 allots each byte once, so a file with an overlap was made or changed by
 * something else.  Small values are claimed in the ledger; great ones, which
 * would be many entries each, are sorted and held against each other and against
 * the pages of the ledger.  Chunks are claimed when they are looked for
 * (read/hdf5_index.h).
 */
#include "read/hdf5_extents.h"

#include <stdlib.h>

#include "read/hdf5_private.h"

enum { GREAT_LEN = 1 << 16 };

/* What libhdf5 leaves by itself: the rest of a block of metadata and of one of small values, 2 KiB each in h5py, which
 * may stand side by side (H5Pset_meta_block_size, H5Pset_small_data_block_size). */
enum { LEFT_OVER = 4096 };

/* The values of a dataset that are not claimed in the ledger. */
typedef struct extent {
    uint64_t off, end;
    kw_dataset *dataset;
} extent;

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    return x->off < y->off ? -1 : x->off > y->off;
}

static bool is_plain(const kw_dataset *dataset) {
    return dataset->storage == KW_STORAGE_CONTIGUOUS && dataset->fault.code == KW_OK;
}

/* Claims the values of a dataset, which get `shared_at` when something has the bytes; 0, or KW_MEMORY. */
static int claim(kw_hdf5 *hdf5, kw_dataset *dataset, kw_error *err) {
    kw_error cause = {0};
    if (kw_ledger_claim(&hdf5->more->ledger, dataset->off, dataset->nbytes, &cause) == 0) return 0;
    if (cause.code == KW_MEMORY) return kw_fail_memory(err);
    dataset->shared_at = cause.at;
    return 0;
}

/* Great values against each other: those that begin before what comes before them has ended. */
static void compare_great(extent *extents, size_t count) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && extents[i].off < end) extents[i].dataset->shared_at = extents[i].off;
        if (extents[i].end > end) end = extents[i].end;
    }
}

/* Great values against the bytes [from, to) of the ledger. */
static void compare_page(const kw_ledger *ledger, extent *extents, size_t count, uint64_t from, uint64_t to) {
    size_t low = 0, high = count; /* the first that begins behind `from` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extents[middle].off <= from) low = middle + 1;
        else high = middle;
    }
    for (size_t i = low > 0 ? low - 1 : 0; i < count && extents[i].off < to; i++) {
        uint64_t start = extents[i].off > from ? extents[i].off : from, stop = extents[i].end < to ? extents[i].end : to;
        if (start >= stop || extents[i].dataset->shared_at != KW_NOWHERE) continue;
        uint64_t at = kw_ledger_next(ledger, start, stop, true);
        if (at < stop) extents[i].dataset->shared_at = at;
    }
}

int kw_extents_claim_small(kw_hdf5 *hdf5, uint32_t first, kw_error *err) {
    for (uint32_t i = first; i < hdf5->dataset_count; i++) {
        kw_dataset *dataset = &hdf5->datasets[i];
        if (!is_plain(dataset) || dataset->nbytes >= GREAT_LEN) continue;
        if (kw_ledger_claim(&hdf5->more->ledger, dataset->off, dataset->nbytes, err) != 0) return -1;
        dataset->claimed = true;
    }
    return 0;
}

int kw_extents_claim(kw_hdf5 *hdf5, kw_error *err) {
    const kw_ledger *ledger = &hdf5->more->ledger;
    size_t great = 0, count = 0;
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        kw_dataset *dataset = &hdf5->datasets[i];
        dataset->shared_at = KW_NOWHERE;
        great += is_plain(dataset) && dataset->nbytes >= GREAT_LEN;
    }
    extent *extents = malloc((great + 1) * sizeof *extents);
    if (extents == NULL) return kw_fail_memory(err);
    int result = 0;
    for (uint32_t i = 0; i < hdf5->dataset_count && result == 0; i++) {
        kw_dataset *dataset = &hdf5->datasets[i];
        if (!is_plain(dataset) || dataset->claimed) continue;
        if (dataset->nbytes >= GREAT_LEN) extents[count++] = (extent){dataset->off, dataset->off + dataset->nbytes, dataset};
        else result = claim(hdf5, dataset, err);
    }
    if (count > 0) qsort(extents, count, sizeof *extents, compare_extents);
    compare_great(extents, count);
    for (size_t i = 0; i < ledger->capacity && count > 0; i++) {
        uint64_t off, len;
        if (kw_ledger_slot(ledger, i, &off, &len)) compare_page(ledger, extents, count, off, off + len);
    }
    free(extents);
    return result;
}

int kw_extents_claim_great(kw_hdf5 *hdf5, kw_error *err) {
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        kw_dataset *dataset = &hdf5->datasets[i];
        if (!is_plain(dataset) || dataset->nbytes < GREAT_LEN || dataset->shared_at != KW_NOWHERE) continue;
        if (claim(hdf5, dataset, err) != 0) return -1;
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
