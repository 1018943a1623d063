/* hdf5_image.h -- HDF5 files made by hand, byte by byte, so that a test can tell any lie.
 *
 *     image im = image_start(0);                        superblock version 0
 *     messages m = {0};
 *     messages_space(&m, 2, (uint64_t[]){2, 3});
 *     messages_float(&m, 4);
 *     messages_contiguous(&m, at, 24);
 *     uint64_t kernel = image_header1(&im, &m);
 *     uint64_t root = image_group(&im, (image_link[]){{"kernel", kernel}}, 1, NULL);
 *     image_finish(&im, root);                          im.bytes, im.len
 */
#ifndef KW_TESTS_HDF5_IMAGE_H
#define KW_TESTS_HDF5_IMAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "read/hdf5_checksum.h"

#define IMAGE_NOWHERE UINT64_MAX

typedef struct image {
    uint8_t *bytes;
    size_t len, capacity;
    unsigned superblock;
} image;

typedef struct image_link {
    const char *name;
    uint64_t address;
    const char *target; /* a soft link */
} image_link;

/* The messages of a header that is being made. */
typedef struct messages {
    uint8_t bytes[4096];
    size_t len;
    unsigned count;
    unsigned version; /* of the header: 0 and 1 alike, or 2 */
} messages;

/* ---- bytes ---- */

static inline void image_put(image *im, const void *bytes, size_t len) {
    if (len == 0) return;
    while (im->len + len > im->capacity) {
        im->capacity = im->capacity ? im->capacity * 2 : 4096;
        im->bytes = realloc(im->bytes, im->capacity);
        if (im->bytes == NULL) abort();
    }
    if (bytes != NULL) memcpy(im->bytes + im->len, bytes, len);
    else memset(im->bytes + im->len, 0, len);
    im->len += len;
}

static inline void image_uint(image *im, uint64_t value, unsigned width) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    image_put(im, bytes, width);
}

static inline void image_align(image *im) { image_put(im, NULL, (8 - im->len % 8) % 8); }

/* Overwrites a number. */
static inline void image_patch(image *im, size_t at, uint64_t value, unsigned width) {
    for (unsigned i = 0; i < width; i++) im->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

/* Makes the checksum right that ends the block [at, at + len). */
static inline void image_seal(image *im, size_t at, size_t len) {
    image_patch(im, at + len - 4, kw_hdf5_checksum(im->bytes + at, len - 4), 4);
}

/* Raw data; its address. */
static inline uint64_t image_data(image *im, const void *bytes, size_t len) {
    image_align(im);
    uint64_t at = im->len;
    image_put(im, bytes, len);
    return at;
}

/* ---- superblock ---- */

enum { IMAGE_V0_LEN = 96, IMAGE_V2_LEN = 48 };

static inline image image_start(unsigned superblock) {
    image im = {.superblock = superblock};
    image_put(&im, NULL, superblock < 2 ? IMAGE_V0_LEN : IMAGE_V2_LEN);
    return im;
}

/* Writes the superblock in front. */
static inline void image_finish(image *im, uint64_t root) {
    image sb = {0};
    image_put(&sb, "\x89HDF\r\n\x1a\n", 8);
    if (im->superblock < 2) {
        image_uint(&sb, 0, 5);
        image_uint(&sb, 8, 1);
        image_uint(&sb, 8, 1);
        image_uint(&sb, 0, 1);
        image_uint(&sb, 4, 2);
        image_uint(&sb, 16, 2);
        image_uint(&sb, 0, 4);
        image_uint(&sb, 0, 8);
        image_uint(&sb, IMAGE_NOWHERE, 8);
        image_uint(&sb, im->len, 8);
        image_uint(&sb, IMAGE_NOWHERE, 8);
        image_uint(&sb, 0, 8);
        image_uint(&sb, root, 8);
    } else {
        image_uint(&sb, im->superblock, 1);
        image_uint(&sb, 8, 1);
        image_uint(&sb, 8, 1);
        image_uint(&sb, 0, 1);
        image_uint(&sb, 0, 8);
        image_uint(&sb, IMAGE_NOWHERE, 8);
        image_uint(&sb, im->len, 8);
        image_uint(&sb, root, 8);
    }
    memcpy(im->bytes, sb.bytes, sb.len);
    if (im->superblock >= 2) image_seal(im, 0, IMAGE_V2_LEN);
    free(sb.bytes);
}

/* ---- messages ---- */

static inline void messages_add(messages *m, unsigned type, unsigned flags, const void *body, size_t len) {
    size_t padded = m->version == 2 ? len : (len + 7) / 8 * 8, head = m->version == 2 ? 4 : 8;
    uint8_t *p = m->bytes + m->len;
    if (m->len + head + padded > sizeof m->bytes) abort();
    memset(p, 0, head + padded);
    p[0] = (uint8_t)type;
    p[m->version == 2 ? 1 : 2] = (uint8_t)padded;
    p[m->version == 2 ? 2 : 3] = (uint8_t)(padded >> 8);
    p[m->version == 2 ? 3 : 4] = (uint8_t)flags;
    memcpy(p + head, body, len);
    m->len += head + padded;
    m->count++;
}

/* A message whose body was put together as an image; the body is freed. */
static inline void messages_take(messages *m, unsigned type, unsigned flags, image body) {
    messages_add(m, type, flags, body.bytes, body.len);
    free(body.bytes);
}

static inline image body_space(unsigned rank, const uint64_t *shape) {
    image b = {0};
    image_uint(&b, 1, 1);
    image_uint(&b, rank, 1);
    image_uint(&b, 0, 6);
    for (unsigned i = 0; i < rank; i++) image_uint(&b, shape[i], 8);
    return b;
}

static inline image body_float(unsigned len) {
    image b = {0};
    unsigned exponent = len == 4 ? 8 : len == 8 ? 11 : 5, mantissa = 8 * len - 1 - exponent;
    image_uint(&b, 0x11, 1);
    image_uint(&b, 0x20 | (8 * len - 1) << 8, 3);
    image_uint(&b, len, 4);
    image_uint(&b, 0, 2);
    image_uint(&b, 8 * len, 2);
    image_uint(&b, mantissa, 1);
    image_uint(&b, exponent, 1);
    image_uint(&b, 0, 1);
    image_uint(&b, mantissa, 1);
    image_uint(&b, (1u << (exponent - 1)) - 1, 4);
    return b;
}

static inline image body_integer(unsigned len) {
    image b = {0};
    image_uint(&b, 0x10, 1);
    image_uint(&b, 0x08, 3);
    image_uint(&b, len, 4);
    image_uint(&b, 0, 2);
    image_uint(&b, 8 * len, 2);
    return b;
}

/* A text of a fixed length, padded with NULs. */
static inline image body_text(unsigned len) {
    image b = {0};
    image_uint(&b, 0x13, 1);
    image_uint(&b, 0x01, 3);
    image_uint(&b, len, 4);
    return b;
}

static inline image body_vlen_text(void) {
    image b = {0}, base = body_text(1);
    image_uint(&b, 0x19, 1);
    image_uint(&b, 0x01, 3);
    image_uint(&b, 16, 4);
    image_put(&b, base.bytes, base.len);
    free(base.bytes);
    return b;
}

static inline void messages_space(messages *m, unsigned rank, const uint64_t *shape) {
    messages_take(m, 0x01, 0, body_space(rank, shape));
}

static inline void messages_float(messages *m, unsigned len) { messages_take(m, 0x03, 0, body_float(len)); }

/* Layout version 3, contiguous. */
static inline void messages_contiguous(messages *m, uint64_t at, uint64_t len) {
    image b = {0};
    image_uint(&b, 3, 1);
    image_uint(&b, 1, 1);
    image_uint(&b, at, 8);
    image_uint(&b, len, 8);
    messages_take(m, 0x08, 0, b);
}

/* Layout version 3, chunked, with a version 1 B-tree; the last dimension is the element's size. */
static inline void messages_chunked(messages *m, uint64_t tree, unsigned rank_1, const uint32_t *dims) {
    image b = {0};
    image_uint(&b, 3, 1);
    image_uint(&b, 2, 1);
    image_uint(&b, rank_1, 1);
    image_uint(&b, tree, 8);
    for (unsigned i = 0; i < rank_1; i++) image_uint(&b, dims[i], 4);
    messages_take(m, 0x08, 0, b);
}

/* An attribute (version 1); `type` is freed.  Rank 0 is a scalar, else `count` is the shape. */
static inline void messages_attribute(messages *m, const char *name, image type, unsigned rank, uint64_t count,
                                      const void *values, size_t len) {
    image b = {0}, space = body_space(rank, &count);
    image_uint(&b, 1, 2);
    image_uint(&b, strlen(name) + 1, 2);
    image_uint(&b, type.len, 2);
    image_uint(&b, space.len, 2);
    image_put(&b, name, strlen(name) + 1);
    image_align(&b);
    image_put(&b, type.bytes, type.len);
    image_align(&b);
    image_put(&b, space.bytes, space.len);
    image_align(&b);
    image_put(&b, values, len);
    free(type.bytes);
    free(space.bytes);
    messages_take(m, 0x0c, 0, b);
}

/* A hard link, or a soft one when `target` is given (a message of newer groups). */
static inline void messages_link(messages *m, image_link link) {
    image b = {0};
    image_uint(&b, 1, 1);
    image_uint(&b, link.target != NULL ? 0x08 : 0, 1);
    if (link.target != NULL) image_uint(&b, 1, 1);
    image_uint(&b, strlen(link.name), 1);
    image_put(&b, link.name, strlen(link.name));
    if (link.target == NULL) image_uint(&b, link.address, 8);
    else image_uint(&b, strlen(link.target), 2);
    if (link.target != NULL) image_put(&b, link.target, strlen(link.target));
    messages_take(m, 0x06, 0, b);
}

/* ---- headers and groups ---- */

/* An object header of version 1; its address. */
static inline uint64_t image_header1(image *im, const messages *m) {
    image_align(im);
    uint64_t at = im->len;
    image_uint(im, 1, 2);
    image_uint(im, m->count, 2);
    image_uint(im, 1, 4);
    image_uint(im, m->len, 4);
    image_uint(im, 0, 4);
    image_put(im, m->bytes, m->len);
    return at;
}

/* An object header of version 2; its address. */
static inline uint64_t image_header2(image *im, const messages *m) {
    image_align(im);
    uint64_t at = im->len;
    image_put(im, "OHDR\2\1", 6); /* the size of the messages has two bytes */
    image_uint(im, m->len, 2);
    image_put(im, m->bytes, m->len);
    image_uint(im, 0, 4);
    image_seal(im, at, im->len - at);
    return at;
}

/* A node of a version 1 B-tree of a group. */
static inline uint64_t image_tree(image *im, unsigned level, const uint64_t *children, unsigned count) {
    image_align(im);
    uint64_t at = im->len;
    image_put(im, "TREE", 4);
    image_uint(im, 0, 1);
    image_uint(im, level, 1);
    image_uint(im, count, 2);
    image_uint(im, IMAGE_NOWHERE, 8);
    image_uint(im, IMAGE_NOWHERE, 8);
    for (unsigned i = 0; i < count; i++) {
        image_uint(im, 0, 8);
        image_uint(im, children[i], 8);
    }
    image_uint(im, 0, 8);
    return at;
}

/* The local heap with the names (and targets) of some links; the offset of each goes to `offs` (two a link). */
static inline uint64_t image_heap(image *im, const image_link *links, unsigned count, uint64_t *offs) {
    image names = {0};
    image_put(&names, NULL, 8);
    for (unsigned i = 0; i < count; i++) {
        offs[2 * i] = names.len;
        image_put(&names, links[i].name, strlen(links[i].name) + 1);
        image_align(&names);
        offs[2 * i + 1] = names.len;
        if (links[i].target != NULL) image_put(&names, links[i].target, strlen(links[i].target) + 1);
        image_align(&names);
    }
    image_align(im);
    uint64_t at = im->len;
    image_put(im, "HEAP\0\0\0\0", 8);
    image_uint(im, names.len, 8);
    image_uint(im, IMAGE_NOWHERE, 8);
    image_uint(im, at + 32, 8);
    image_put(im, names.bytes, names.len);
    free(names.bytes);
    return at;
}

/* A symbol table node. */
static inline uint64_t image_symbols(image *im, const image_link *links, unsigned count, const uint64_t *offs) {
    image_align(im);
    uint64_t at = im->len;
    image_put(im, "SNOD\1\0", 6);
    image_uint(im, count, 2);
    for (unsigned i = 0; i < count; i++) {
        image_uint(im, offs[2 * i], 8);
        image_uint(im, links[i].target != NULL ? IMAGE_NOWHERE : links[i].address, 8);
        image_uint(im, links[i].target != NULL ? 2 : 0, 8);
        image_uint(im, links[i].target != NULL ? offs[2 * i + 1] : 0, 8);
        image_uint(im, 0, 8);
    }
    return at;
}

/* The header of a group with a symbol table; `more` (may be NULL) are further messages. */
static inline uint64_t image_group_of(image *im, uint64_t tree, uint64_t heap, const messages *more) {
    messages m = {0};
    image b = {0};
    if (more != NULL) m = *more;
    image_uint(&b, tree, 8);
    image_uint(&b, heap, 8);
    messages_take(&m, 0x11, 0, b);
    return image_header1(im, &m);
}

/* A group with a symbol table of up to 64 links, in name order. */
static inline uint64_t image_group(image *im, const image_link *links, unsigned count, const messages *more) {
    uint64_t offs[128];
    if (count > 64) abort();
    uint64_t heap = image_heap(im, links, count, offs);
    uint64_t symbols = image_symbols(im, links, count, offs);
    return image_group_of(im, image_tree(im, 0, &symbols, 1), heap, more);
}

/* A global heap collection with one object, whose index is 1; its address. */
static inline uint64_t image_collection(image *im, const void *bytes, size_t len) {
    image_align(im);
    uint64_t at = im->len, padded = (len + 7) / 8 * 8;
    image_put(im, "GCOL\1\0\0\0", 8);
    image_uint(im, 32 + padded, 8);
    image_uint(im, 1, 8);
    image_uint(im, len, 8);
    image_put(im, bytes, len);
    image_align(im);
    return at;
}

/* A dataset of float32, contiguous, version 1 header. */
static inline uint64_t image_dataset(image *im, unsigned rank, const uint64_t *shape, uint64_t at, uint64_t len) {
    messages m = {0};
    messages_space(&m, rank, shape);
    messages_float(&m, 4);
    messages_contiguous(&m, at, len);
    return image_header1(im, &m);
}

#endif
