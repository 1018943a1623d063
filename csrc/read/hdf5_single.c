/* hdf5_single.c -- the smallest HDF5 file that holds one filtered chunk.
 *
 *     superblock 2 | OHDR of the root: link info, group info, link "0" ----+
 *                  | OHDR of the dataset <---------------------------------+
 *                  |   dataspace (chunk_len), unsigned bytes, fill value,
 *                  |   layout 4: a single chunk with filters -----+
 *                  |   pipeline 2: the filter                     |
 *                  | the chunk <---------------------------------+
 *
 * HDF5 File Format Specification v3.0, II.A (Superblock), IV.A.1.b (Version 2
 * object header), IV.A.2.b, c, d, f, g, i, k, l (messages).
 */
#include "read/hdf5_single.h"

#include <stdlib.h>
#include <string.h>

#include "read/hdf5_checksum.h"

enum {
    SUPERBLOCK_LEN = 48,
    SPACE = 0x01,
    LINK_INFO = 0x02,
    TYPE = 0x03,
    FILL = 0x05,
    LINK = 0x06,
    LAYOUT = 0x08,
    GROUP_INFO = 0x0a,
    PIPELINE = 0x0b,
    HEADER_HEAD = 7,
    HEADER_MAX = 512,
};

/* Bytes that are being written; what is written here always has room. */
typedef struct writer {
    uint8_t *bytes;
    size_t len;
} writer;

static void put(writer *w, uint64_t value, unsigned width) {
    for (unsigned i = 0; i < width; i++) w->bytes[w->len++] = (uint8_t)(value >> 8 * i);
}

static void put_text(writer *w, const char *text) {
    while (*text != '\0') put(w, (uint8_t)*text++, 1);
}

static void put_checksum(writer *w, size_t from) { put(w, kw_hdf5_checksum(w->bytes + from, w->len - from), 4); }

/* The head of a message; its length goes into where end_message finds it. */
static size_t begin_message(writer *w, unsigned type) {
    put(w, type, 1);
    put(w, 0, 2);
    put(w, 0, 1);
    return w->len;
}

static void end_message(writer *w, size_t from) {
    writer head = {w->bytes, from - 3};
    put(&head, w->len - from, 2);
}

/* The head of an object header, and its end: the length and the checksum. */
static size_t begin_header(writer *w) {
    size_t at = w->len;
    put_text(w, "OHDR");
    put(w, 2, 1);
    put(w, 0, 1); /* no times, one byte for the length */
    put(w, 0, 1);
    return at;
}

static void end_header(writer *w, size_t at) {
    w->bytes[at + HEADER_HEAD - 1] = (uint8_t)(w->len - at - HEADER_HEAD);
    put_checksum(w, at);
}

/* The root group with its link. */
static void put_root(writer *w) {
    size_t header = begin_header(w), message = begin_message(w, LINK_INFO);
    put(w, 0, 2); /* version, no creation order */
    put(w, UINT64_MAX, 8);
    put(w, UINT64_MAX, 8);
    end_message(w, message);
    message = begin_message(w, GROUP_INFO);
    put(w, 0, 2);
    end_message(w, message);
    message = begin_message(w, LINK);
    put(w, 1, 1);
    put(w, 0, 1);
    put(w, sizeof KW_SINGLE_NAME - 1, 1);
    put_text(w, KW_SINGLE_NAME);
    put(w, w->len + 8 + 4, 8); /* the dataset follows this and the checksum */
    end_message(w, message);
    end_header(w, header);
}

static void put_pipeline(writer *w, uint16_t id, const uint32_t *values, uint32_t value_count) {
    size_t message = begin_message(w, PIPELINE);
    put(w, 2, 1);
    put(w, 1, 1);
    put(w, id, 2);
    put(w, 0, 2); /* not optional */
    put(w, value_count, 2);
    for (uint32_t i = 0; i < value_count; i++) put(w, values[i], 4);
    end_message(w, message);
}

/* The dataset; its chunk's address is where the header ends. */
static void put_dataset(writer *w, uint16_t id, const uint32_t *values, uint32_t value_count, uint64_t stored_len,
                        uint64_t chunk_len) {
    size_t header = begin_header(w), message = begin_message(w, SPACE);
    put(w, 2, 1);
    put(w, 1, 1); /* one dimension, no maximum */
    put(w, 0, 1);
    put(w, 1, 1);
    put(w, chunk_len, 8);
    end_message(w, message);
    message = begin_message(w, TYPE);
    put(w, 0x10, 4); /* version 1, fixed-point, unsigned */
    put(w, 1, 4);
    put(w, 0, 2);
    put(w, 8, 2);
    end_message(w, message);
    message = begin_message(w, FILL);
    put(w, 3, 1);
    put(w, 0x0b, 1); /* allocated as it grows, written if set; none is */
    end_message(w, message);
    put_pipeline(w, id, values, value_count);
    message = begin_message(w, LAYOUT);
    put(w, 4, 1);
    put(w, 2, 1);
    put(w, 2, 1); /* a single chunk with filters */
    put(w, 2, 1);
    put(w, 8, 1);
    put(w, chunk_len, 8);
    put(w, 1, 8); /* the element */
    put(w, KW_CHUNK_SINGLE, 1);
    put(w, stored_len, 8);
    put(w, 0, 4);
    put(w, w->len + 8 + 4, 8); /* the chunk follows this and the checksum */
    end_message(w, message);
    end_header(w, header);
}

static void put_superblock(writer *w, uint64_t end) {
    static const uint8_t signature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    memcpy(w->bytes, signature, sizeof signature);
    w->len = sizeof signature;
    put(w, 2, 1);
    put(w, 8, 1);
    put(w, 8, 1);
    put(w, 0, 1);
    put(w, 0, 8);
    put(w, UINT64_MAX, 8);
    put(w, end, 8);
    put(w, SUPERBLOCK_LEN, 8);
    put_checksum(w, 0);
}

int kw_single_make(uint16_t id, const uint32_t *values, uint32_t value_count, kw_view stored, uint64_t chunk_len,
                   uint8_t **out, size_t *len, kw_error *err) {
    size_t room;
    if (value_count > KW_SINGLE_VALUES_MAX || __builtin_add_overflow(stored.len, SUPERBLOCK_LEN + HEADER_MAX, &room)) {
        return kw_fail_memory(err);
    }
    writer w = {.bytes = malloc(room), .len = SUPERBLOCK_LEN};
    if (w.bytes == NULL) return kw_fail_memory(err);
    put_root(&w);
    put_dataset(&w, id, values, value_count, stored.len, chunk_len);
    writer head = {.bytes = w.bytes};
    put_superblock(&head, w.len + stored.len);
    memcpy(w.bytes + w.len, stored.data, stored.len);
    *out = w.bytes;
    *len = w.len + stored.len;
    return 0;
}
