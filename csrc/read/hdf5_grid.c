/* hdf5_grid.c -- a dataset cut into chunks.
 *
 *     | chunk 0 | chunk 1 | ch|      the last of a row reaches over the edge
 *     | chunk 3 | chunk 4 | ch|
 *
 * HDF5 File Format Specification v3.0: IV.A.2.i (data layout).
 */
#include "read/hdf5_finder.h"

int kw_grid_make(const kw_dataset *dataset, kw_grid *grid, kw_error *err) {
    const struct kw_layout_info *info = dataset->info;
    uint64_t nbytes = info->element_len;
    bool fits = true;
    *grid = (kw_grid){.rank = dataset->rank, .shape = dataset->shape, .chunk = info->chunk, .total = 1,
                      .chunk_len = info->element_len};
    if (dataset->rank == 0 || dataset->rank > KW_RANK_MAX || info->chunk_rank != dataset->rank) {
        return kw_fail(err, KW_CORRUPT, info->index_at, "chunks of rank %u for a dataset of rank %u",
                       (unsigned)info->chunk_rank, (unsigned)dataset->rank);
    }
    for (unsigned d = 0; d < grid->rank && fits; d++) {
        uint64_t shape = dataset->shape[d], chunk = info->chunk[d], most = info->max_shape[d];
        if (chunk == 0 || most < shape) {
            return kw_fail(err, KW_CORRUPT, info->index_at,
                           "dimension %u: %llu elements in chunks of %llu, at most %llu", d,
                           (unsigned long long)shape, (unsigned long long)chunk, (unsigned long long)most);
        }
        grid->counts[d] = kw_divide_up(shape, chunk);
        grid->max_counts[d] = most == UINT64_MAX ? UINT64_MAX : kw_divide_up(most, chunk);
        fits = kw_mul(nbytes, shape, &nbytes) && kw_mul(grid->chunk_len, chunk, &grid->chunk_len) &&
               kw_mul(grid->total, grid->counts[d], &grid->total);
    }
    if (!fits || nbytes != dataset->nbytes || grid->chunk_len == 0 || grid->chunk_len > UINT32_MAX) {
        return kw_fail(err, KW_CORRUPT, info->index_at, "chunks do not fit the shape and type of the dataset");
    }
    return 0;
}

void kw_grid_place(const kw_grid *grid, uint64_t number, uint64_t *place) {
    for (unsigned d = grid->rank; d > 0; d--) {
        place[d - 1] = number % grid->counts[d - 1];
        number /= grid->counts[d - 1];
    }
}

bool kw_chunk_is_filtered(const kw_dataset *dataset, const kw_grid *grid, const uint64_t *place) {
    enum { EDGE_UNFILTERED = 1 };
    if (dataset->info->filter_count == 0) return false;
    if (!(dataset->info->chunk_flags & EDGE_UNFILTERED)) return true;
    for (unsigned d = 0; d < grid->rank; d++) {
        if (place[d] == grid->counts[d] - 1 && grid->shape[d] % grid->chunk[d] != 0) return false;
    }
    return true;
}
