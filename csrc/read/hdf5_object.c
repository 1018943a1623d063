/* hdf5_object.c -- object headers: chunks of messages.
 *
 *   version 1   |1|0|messages|references|size|....| type|size|flags|...|body| type|... |
 *   version 2   OHDR |2|flags| times? | limits? |size| type|size|flags|order?|body| ... |gap|checksum|
 *   more of it  OHCK has only messages in version 1, "OCHK" messages checksum in version 2
 *
 * A message may be shared: its body then names where the real one lies.
 *
 * HDF5 File Format Specification v3.0, IV.A.1 and IV.A.2.
 */
#include "read/hdf5_object.h"

#include "read/hdf5_checksum.h"
#include "read/hdf5_group.h"
#include "read/hdf5_shared.h"

/* Flags of a message, of a version 2 header; the place of a shared message. */
enum { MESSAGE_SHARED = 0x02, MESSAGE_MUST_KNOW = 0x80 };
enum { HEADER_ORDER = 0x04, HEADER_LIMITS = 0x10, HEADER_TIMES = 0x20 };
enum { SHARED_IN_HEAP = 1 };

/* A header while it is read. */
typedef struct header {
    kw_hdf5 *hdf5;
    kw_block *block;
    kw_ledger *ledger;
    unsigned version;
    bool has_order; /* version 2: messages carry a creation order */
} header;

typedef struct message {
    unsigned type, flags;
    kw_view body;
} message;

/* The next message of a chunk; false at its end, and (short_) when it is cut. */
static bool next_message(const header *h, kw_cursor *c, message *out) {
    size_t head_len = h->version == 1 ? 8 : h->has_order ? 6 : 4;
    if (kw_cursor_left(c) < head_len) return false;
    out->type = h->version == 1 ? kw_cursor_u16(c) : kw_cursor_u8(c);
    size_t len = kw_cursor_u16(c);
    out->flags = kw_cursor_u8(c);
    kw_cursor_skip(c, h->version == 1 ? 3 : h->has_order ? 2 : 0);
    out->body = kw_cursor_view(c, len);
    return !c->short_;
}

/* Keeps a damage of the object; -1 for fatal errors. */
static int note(kw_walk *walk, kw_object *object, const kw_error *cause, kw_error *err) {
    return kw_hdf5_note(walk->hdf5, &object->fault, cause, err);
}

/* Keeps the place of a further piece of the header. */
static int read_continuation(kw_walk *walk, kw_view body, kw_error *err) {
    const kw_hdf5_sizes *sizes = &walk->hdf5->more->sizes;
    kw_cursor c = kw_cursor_of(body);
    kw_header_chunk chunk = {.off = kw_cursor_address(&c, sizes)};
    chunk.len = kw_cursor_length(&c, sizes);
    if (c.short_) return kw_fail(err, KW_CORRUPT, body.off, "continuation message is cut");
    if (KW_GROW(walk->chunks, walk->chunk_count, walk->chunk_capacity, err) != 0) return -1;
    walk->chunks[walk->chunk_count++] = chunk;
    return 0;
}

static int read_symbol_table(kw_walk *walk, kw_view body, kw_object *object, kw_error *err) {
    kw_cursor c = kw_cursor_of(body);
    object->tree_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    object->heap_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    return c.short_ ? kw_fail(err, KW_CORRUPT, body.off, "symbol table message is cut") : 0;
}

/* Link info and attribute info: where the dense ones are. */
static int read_dense_info(kw_walk *walk, kw_view body, unsigned order_len, uint64_t *heap_at, uint64_t *tree_at,
                           kw_error *err) {
    kw_cursor c = kw_cursor_of(body);
    uint8_t version = kw_cursor_u8(&c), flags = kw_cursor_u8(&c);
    if (flags & 1) kw_cursor_skip(&c, order_len);
    *heap_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    *tree_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    if (c.short_ || version != 0) {
        *heap_at = *tree_at = KW_NOWHERE;
        return kw_fail(err, KW_CORRUPT, body.off, "info message of dense links or attributes");
    }
    return 0;
}

/* Messages of the superblock's extension. */
static int read_extension(kw_walk *walk, unsigned type, kw_view body, kw_object *object, kw_error *err) {
    kw_cursor c = kw_cursor_of(body);
    kw_cursor_skip(&c, 1);
    if (type == KW_MESSAGE_SHARED_TABLE) {
        object->shared_table_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
        object->shared_table_count = kw_cursor_u8(&c);
    } else {
        object->cache_image_at = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    }
    return c.short_ ? kw_fail(err, KW_CORRUPT, body.off, "superblock extension message is cut") : 0;
}

/* One message that is not shared; unknown types are passed over. */
static int read_message(kw_walk *walk, unsigned type, kw_view body, kw_object *object, kw_error *err) {
    switch (type) {
    case KW_MESSAGE_SPACE: return kw_space_read(body, &walk->hdf5->more->sizes, &object->space, err);
    case KW_MESSAGE_TYPE: return kw_type_read(body, &walk->hdf5->arena, &object->type, err);
    case KW_MESSAGE_OLD_FILL:
        if (kw_object_has(object, KW_MESSAGE_FILL)) return 0; /* the newer one counts */
        return kw_storage_read(walk->hdf5, type, body, &object->stored, err);
    case KW_MESSAGE_FILL:
    case KW_MESSAGE_LAYOUT:
    case KW_MESSAGE_FILTERS: return kw_storage_read(walk->hdf5, type, body, &object->stored, err);
    case KW_MESSAGE_LINK_INFO:
        return read_dense_info(walk, body, 8, &object->link_heap_at, &object->link_tree_at, err);
    case KW_MESSAGE_ATTRIBUTE_INFO:
        return read_dense_info(walk, body, 2, &object->attribute_heap_at, &object->attribute_tree_at, err);
    case KW_MESSAGE_LINK: return object->node != KW_NONE ? kw_link_read(walk, object->node, body, err) : 0;
    case KW_MESSAGE_ATTRIBUTE: return object->node != KW_NONE ? kw_attribute_read(walk, body, err) : 0;
    case KW_MESSAGE_CONTINUATION: return read_continuation(walk, body, err);
    case KW_MESSAGE_SYMBOL_TABLE: return read_symbol_table(walk, body, object, err);
    case KW_MESSAGE_SHARED_TABLE:
    case KW_MESSAGE_CACHE_IMAGE: return read_extension(walk, type, body, object, err);
    default: return 0;
    }
}

/* One message that is shared: in the heap, as other objects can share datatypes only. */
static int read_shared(kw_walk *walk, unsigned type, kw_view body, kw_object *object, kw_error *err) {
    if (type == KW_MESSAGE_TYPE) return kw_shared_type(walk, body, &object->type, err);
    kw_cursor c = kw_cursor_of(body);
    kw_view real;
    if (kw_cursor_u8(&c) != 3 || kw_cursor_u8(&c) != SHARED_IN_HEAP)
        return kw_fail(err, KW_UNSUPPORTED, body.off, "shared message of type %u", type);
    if (kw_shared_load(walk, type, kw_cursor_view(&c, 8), &real, err) != 0) return -1;
    return read_message(walk, type, real, object, err);
}

/* True for messages that an object can have only one of. */
static bool is_single(unsigned type) {
    return type == KW_MESSAGE_SPACE || type == KW_MESSAGE_TYPE || type == KW_MESSAGE_LAYOUT ||
           type == KW_MESSAGE_FILTERS || type == KW_MESSAGE_FILL || type == KW_MESSAGE_SYMBOL_TABLE ||
           type == KW_MESSAGE_LINK_INFO || type == KW_MESSAGE_ATTRIBUTE_INFO;
}

/* Takes one message in; damage goes to the object.  -1 only for fatal errors. */
static int take_message(kw_walk *walk, unsigned type, unsigned flags, kw_view body, kw_object *object,
                        kw_error *err) {
    kw_error cause;
    int result = 0;
    if (type >= KW_MESSAGE_COUNT) {
        if (flags & MESSAGE_MUST_KNOW)
            result = kw_fail(&cause, KW_UNSUPPORTED, body.off, "message type %u, marked as vital", type);
    } else if (is_single(type) && kw_object_has(object, type)) {
        result = kw_fail(&cause, KW_CORRUPT, body.off, "two messages of type %u", type);
    } else if (flags & MESSAGE_SHARED) {
        result = read_shared(walk, type, body, object, &cause);
    } else {
        result = read_message(walk, type, body, object, &cause);
    }
    if (result == 0 && type < KW_MESSAGE_COUNT) object->has |= 1u << type;
    return result == 0 ? 0 : note(walk, object, &cause, err);
}

/* Takes in the messages of one chunk; 0 or -1 with the damage of the framing. */
static int take_chunk(kw_walk *walk, const header *h, kw_cursor c, kw_object *object, kw_error *err) {
    message m;
    while (next_message(h, &c, &m))
        if (m.type != KW_MESSAGE_NIL && take_message(walk, m.type, m.flags, m.body, object, err) != 0) return -1;
    return c.short_ ? kw_fail(err, KW_CORRUPT, kw_cursor_at(&c), "header message is longer than the header") : 0;
}

/* True when the first `len` bytes, which the view has, are zero. */
static bool is_zero(kw_view view, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (view.data[i] != 0) return false;
    return true;
}

/* Loads the first chunk of a version 2 header; *out is at its messages. */
static int load_v2(header *h, uint64_t address, kw_view prefix, kw_cursor *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(prefix);
    kw_cursor_skip(&c, 4);
    uint8_t version = kw_cursor_u8(&c), flags = kw_cursor_u8(&c);
    if (version != 2) return kw_fail(err, KW_UNSUPPORTED, address + 4, "object header version %u", version);
    if (flags & HEADER_TIMES) kw_cursor_skip(&c, 16);
    if (flags & HEADER_LIMITS) kw_cursor_skip(&c, 4);
    uint64_t len = kw_cursor_uint(&c, 1u << (flags & 3)), all;
    if (c.short_ || !kw_add(len, c.pos + 4, &all)) return kw_fail(err, KW_CORRUPT, address, "object header is cut");
    kw_view view = prefix;
    if (kw_block_extend(h->hdf5, h->ledger, h->block, all, &view, err) != 0) return -1;
    if (kw_hdf5_checksum_verify(view, "object header", err) != 0) return -1;
    h->version = 2;
    h->has_order = flags & HEADER_ORDER;
    view.len -= 4;
    *out = kw_cursor_of(view);
    kw_cursor_skip(out, c.pos);
    return 0;
}

/* Loads the first chunk of either version; *out is at its messages. */
static int load_first(header *h, uint64_t address, kw_cursor *out, kw_error *err) {
    enum { PREFIX_LEN = 16 };
    kw_view view;
    if (kw_block_peek(h->hdf5, h->block, address, PREFIX_LEN, &view, err) != 0) return -1;
    if (is_zero(view, PREFIX_LEN)) return kw_fail(err, KW_INTERRUPTED, address, "object header was never written");
    if (kw_view_starts(view, "OHDR", 4)) return load_v2(h, address, view, out, err);
    kw_cursor c = kw_cursor_of(view);
    if (kw_cursor_u8(&c) != 1) return kw_fail(err, KW_CORRUPT, address, "object header signature");
    kw_cursor_skip(&c, 7);
    uint64_t all = 16 + (uint64_t)kw_cursor_u32(&c);
    if (kw_block_extend(h->hdf5, h->ledger, h->block, all, &view, err) != 0) return -1;
    h->version = 1;
    *out = kw_cursor_of(view);
    kw_cursor_skip(out, 16);
    return 0;
}

/* Loads a further chunk; *out is at its messages. */
static int load_more(const header *h, kw_header_chunk chunk, kw_cursor *out, kw_error *err) {
    kw_view view;
    if (kw_block_load(h->hdf5, h->ledger, h->block, chunk.off, chunk.len, &view, err) != 0) return -1;
    *out = kw_cursor_of(view);
    if (h->version == 1) return 0;
    if (!kw_view_starts(view, "OCHK", 4)) return kw_fail(err, KW_CORRUPT, chunk.off, "header continuation signature");
    if (kw_hdf5_checksum_verify(view, "header continuation", err) != 0) return -1;
    out->view.len -= 4;
    kw_cursor_skip(out, 4);
    return 0;
}

/* Reads all chunks of a header; a damaged continuation leaves the others. */
static int read_chunks(kw_walk *walk, uint64_t address, kw_object *object, kw_error *err) {
    header h = {.hdf5 = walk->hdf5, .block = &walk->header, .ledger = &walk->hdf5->more->ledger};
    kw_cursor c = {0};
    kw_error cause;
    walk->chunk_count = 0;
    if (load_first(&h, address, &c, &cause) != 0) return note(walk, object, &cause, err);
    if (take_chunk(walk, &h, c, object, &cause) != 0 && note(walk, object, &cause, err) != 0) return -1;
    for (size_t i = 0; i < walk->chunk_count; i++) {
        if (load_more(&h, walk->chunks[i], &c, &cause) == 0 && take_chunk(walk, &h, c, object, &cause) == 0) continue;
        if (note(walk, object, &cause, err) != 0) return -1;
    }
    return 0;
}

typedef struct dense {
    kw_walk *walk;
    kw_object *object;
    kw_fractal_heap *heap;
} dense;

/* One record of the name index of dense attributes: heap ID, flags, order, hash. */
static int take_dense_attribute(void *context, kw_view record, kw_error *err) {
    dense *d = context;
    kw_cursor c = kw_cursor_of(record);
    kw_view id = kw_cursor_view(&c, 8), body;
    unsigned flags = kw_cursor_u8(&c);
    kw_error cause;
    int result = flags & MESSAGE_SHARED ? kw_shared_load(d->walk, KW_MESSAGE_ATTRIBUTE, id, &body, &cause)
                                        : kw_fractal_heap_find(d->heap, id, &body, &cause);
    if (result == 0) result = kw_attribute_read(d->walk, body, &cause);
    return result == 0 ? 0 : note(d->walk, d->object, &cause, err);
}

/* Appends the attributes that lie in a fractal heap. */
static int read_dense_attributes(kw_walk *walk, kw_object *object, kw_error *err) {
    kw_error cause;
    dense d = {.walk = walk, .object = object};
    kw_hdf5 *hdf5 = walk->hdf5;
    int result = kw_fractal_heap_open(hdf5, object->attribute_heap_at, &d.heap, &cause);
    if (result == 0)
        result = kw_btree2_walk(hdf5, &hdf5->more->ledger, object->attribute_tree_at, 8, 17, take_dense_attribute, &d,
                                &cause);
    kw_fractal_heap_close(d.heap);
    return result == 0 ? 0 : note(walk, object, &cause, err);
}

int kw_object_read(kw_walk *walk, uint64_t address, kw_object *object, kw_error *err) {
    object->has = 0;
    object->fault = (kw_fault){0};
    object->stored.info.filter_count = 0;
    object->stored.info.fill = (kw_view){0};
    object->link_heap_at = object->link_tree_at = KW_NOWHERE;
    object->attribute_heap_at = object->attribute_tree_at = KW_NOWHERE;
    object->shared_table_at = object->cache_image_at = KW_NOWHERE;
    if (read_chunks(walk, address, object, err) != 0) return -1;
    if (object->attribute_heap_at == KW_NOWHERE || object->node == KW_NONE) return 0;
    return read_dense_attributes(walk, object, err);
}

/* ---- shared messages ---- */

/* Looks for a datatype message in a chunk, and keeps the places of further ones. */
static int find_type(kw_walk *walk, const header *h, kw_cursor c, kw_type *out, bool *found, kw_error *err) {
    message m;
    while (!*found && next_message(h, &c, &m)) {
        if (m.flags & MESSAGE_SHARED) continue;
        if (m.type == KW_MESSAGE_CONTINUATION && read_continuation(walk, m.body, err) != 0) return -1;
        *found = m.type == KW_MESSAGE_TYPE;
        if (*found && kw_type_read(m.body, &walk->hdf5->arena, out, err) != 0) return -1;
    }
    return 0;
}

/* Reads the datatype message of the header at `address`. */
static int read_committed_type(kw_walk *walk, uint64_t address, kw_type *out, kw_error *err) {
    kw_block block = KW_BLOCK_EMPTY;
    header h = {.hdf5 = walk->hdf5, .block = &block, .ledger = &walk->type_ledger};
    kw_cursor c = {0};
    bool found = false;
    size_t outer = walk->chunk_count; /* those of the header that refers to this one come before */
    int result = load_first(&h, address, &c, err);
    if (result == 0) result = find_type(walk, &h, c, out, &found, err);
    for (size_t i = outer; result == 0 && !found && i < walk->chunk_count; i++) {
        result = load_more(&h, walk->chunks[i], &c, err);
        if (result == 0) result = find_type(walk, &h, c, out, &found, err);
    }
    walk->chunk_count = outer;
    kw_block_free(&block);
    if (result == 0 && !found) return kw_fail(err, KW_CORRUPT, address, "no datatype where a message refers to");
    return result;
}

int kw_shared_type(kw_walk *walk, kw_view body, kw_type *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(body);
    uint8_t version = kw_cursor_u8(&c), place = kw_cursor_u8(&c);
    if (version == 3 && place == SHARED_IN_HEAP) {
        kw_view real;
        if (kw_shared_load(walk, KW_MESSAGE_TYPE, kw_cursor_view(&c, 8), &real, err) != 0) return -1;
        return kw_type_read(real, &walk->hdf5->arena, out, err);
    }
    if (version == 1) kw_cursor_skip(&c, 6u + walk->hdf5->more->sizes.length_len);
    uint64_t address = kw_cursor_address(&c, &walk->hdf5->more->sizes);
    if (c.short_ || version < 1 || version > 3) return kw_fail(err, KW_CORRUPT, body.off, "shared message");
    uint32_t known = kw_addresses_find(&walk->type_addresses, address);
    if (known == KW_NONE) {
        if (KW_GROW(walk->types, walk->type_count, walk->type_capacity, err) != 0) return -1;
        if (read_committed_type(walk, address, &walk->types[walk->type_count], err) != 0) return -1;
        known = (uint32_t)walk->type_count++;
        if (kw_addresses_add(&walk->type_addresses, address, known, err) != 0) return -1;
    }
    *out = walk->types[known];
    return 0;
}
