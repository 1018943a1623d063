/* hdf5_filter.h -- the bytes of one chunk as they were before the filter
 * pipeline: shuffle, deflate, fletcher32 and LZF are undone here; nbit,
 * scale-offset and szip are libhdf5's, whatever else has a name at most.
 */
#ifndef KW_READ_HDF5_FILTER_H
#define KW_READ_HDF5_FILTER_H

#include "read/hdf5_layout.h"

/* Filters by their registered number. */
enum {
    KW_FILTER_DEFLATE = 1,
    KW_FILTER_SHUFFLE = 2,
    KW_FILTER_FLETCHER32 = 3,
    KW_FILTER_SZIP = 4,
    KW_FILTER_NBIT = 5,
    KW_FILTER_SCALE_OFFSET = 6,
    KW_FILTER_LZF = 32000
};

/* Two buffers between which a chunk goes back and forth.  They grow by what has
 * been read and by what that can give, never by what is only declared. */
typedef struct kw_filter_room {
    uint8_t *data;  /* the chunk's bytes: `len` of them */
    uint8_t *spare;
    size_t len, data_capacity, spare_capacity;
} kw_filter_room;

#define KW_FILTER_ROOM_EMPTY ((kw_filter_room){NULL, NULL, 0, 0, 0})

/* Makes room->data hold `len` bytes, its contents unspecified.  0, or -1: KW_MEMORY. */
int kw_filter_room_reserve(kw_filter_room *room, size_t len, kw_error *err);
void kw_filter_room_free(kw_filter_room *room);

/* Undoes the filters of `info` from the last to the first, but for those whose
 * bit is set in `mask`, on the bytes in `room`, which came from `at` of the
 * source: exactly `chunk_len` bytes are left.  0, or -1: KW_CORRUPT,
 * KW_CHECKSUM, KW_UNSUPPORTED naming the filter and what to do, KW_MEMORY. */
int kw_filter_undo(const struct kw_layout_info *info, uint32_t mask, uint64_t chunk_len, uint64_t at,
                   kw_filter_room *room, kw_error *err);

/* True when libhdf5 decodes one of the filters. */
bool kw_filter_needs_library(const struct kw_layout_info *info);

/* The first filter that neither this library nor libhdf5 undoes; NULL when there is none. */
const kw_filter *kw_filter_find_unknown(const struct kw_layout_info *info);

/* KW_UNSUPPORTED, naming the filter and the remedy; returns -1. */
int kw_filter_refuse(const kw_filter *filter, uint64_t at, kw_error *err);

#endif
