/* fuzz_inflate.c -- the filters of chunks and the streams of archives, on bytes that nobody made.
 *
 *     byte 0: which filters, in which order    1: bytes an element    2, 3: bytes of the chunk
 */
#include <stdlib.h>
#include <string.h>

#include "read/hdf5_filter.h"
#include "read/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEAD = 4, FILTERS = 3 };

static void undo(const uint8_t *data, size_t len, unsigned choice, uint32_t element, uint64_t chunk_len) {
    static const uint16_t ids[] = {KW_FILTER_DEFLATE, KW_FILTER_SHUFFLE, KW_FILTER_FLETCHER32, KW_FILTER_LZF};
    const uint32_t values[] = {element, 0, (uint32_t)chunk_len};
    kw_filter filters[FILTERS];
    kw_filter_room room = KW_FILTER_ROOM_EMPTY;
    kw_error err = {0};
    for (unsigned i = 0; i < FILTERS; i++) {
        filters[i] = (kw_filter){.id = ids[choice >> 2 * i & 3], .value_count = 3, .values = values};
    }
    struct kw_layout_info info = {.element_len = element, .filter_count = FILTERS, .filters = filters};
    if (kw_filter_room_reserve(&room, len, &err) == 0) {
        if (len > 0) memcpy(room.data, data, len);
        bool undone = kw_filter_undo(&info, choice >> 6, chunk_len, 0, &room, &err) == 0;
        if (undone && room.len != chunk_len) __builtin_trap();
    }
    kw_filter_room_free(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_error err = {0};
    size_t got;
    if (len < HEAD) return 0;
    uint32_t element = data[1] % 16u;
    uint64_t chunk_len = (uint64_t)data[2] | (uint64_t)data[3] << 8;
    undo(data + HEAD, len - HEAD, data[0], element, chunk_len);
    uint8_t *out = malloc((size_t)chunk_len + 1);
    kw_view in = {data + HEAD, len - HEAD, 0};
    if (out != NULL) {
        (void)kw_inflate_raw(in, out, (size_t)chunk_len, &err);
        if (kw_inflate_zlib(in, out, (size_t)chunk_len, &got, &err) == 0 && got > chunk_len) __builtin_trap();
    }
    free(out);
    return 0;
}
