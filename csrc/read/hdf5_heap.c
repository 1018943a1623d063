/* hdf5_heap.c -- local and global heap.
 *
 *   local    HEAP |0|segment size|free list|segment address|  -->  |name\0|name\0| ...
 *   global   GCOL |1|size| index|references|size|bytes.....| index|..|size|bytes..| 0|..|free.... |
 *
 * HDF5 File Format Specification v3.0, III.D and III.E.
 */
#include "read/hdf5_heap.h"

#include <stdlib.h>
#include <string.h>

int kw_local_heap_load(kw_hdf5 *hdf5, uint64_t address, kw_block *block, kw_view *out, kw_error *err) {
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    kw_view head;
    uint64_t head_len = 8 + 2u * sizes->length_len + sizes->offset_len;
    if (kw_block_peek(hdf5, block, address, head_len, &head, err) != 0) return -1;
    if (!kw_view_starts(head, "HEAP", 4)) return kw_fail(err, KW_CORRUPT, address, "local heap signature");
    kw_cursor c = kw_cursor_of(head);
    kw_cursor_skip(&c, 8);
    uint64_t len = kw_cursor_length(&c, sizes);
    kw_cursor_skip(&c, sizes->length_len); /* the free list is of no use to a reader */
    uint64_t segment = kw_cursor_address(&c, sizes);
    if (head.data[4] != 0) return kw_fail(err, KW_UNSUPPORTED, address + 4, "local heap version %u", head.data[4]);
    if (segment == address + head_len && kw_add(head_len, len, &len)) { /* as libhdf5 lays it out */
        if (kw_block_extend(hdf5, &hdf5->more->ledger, block, len, &head, err) != 0) return -1;
        *out = (kw_view){.data = head.data + head_len, .len = head.len - (size_t)head_len, .off = segment};
        return 0;
    }
    if (kw_block_extend(hdf5, &hdf5->more->ledger, block, head_len, &head, err) != 0) return -1;
    return kw_block_load(hdf5, &hdf5->more->ledger, block, segment, len, out, err);
}

const char *kw_local_heap_text(kw_view heap, uint64_t off, size_t *len) {
    if (off >= heap.len) return NULL;
    const uint8_t *start = heap.data + off;
    const uint8_t *end = memchr(start, 0, heap.len - (size_t)off);
    if (end == NULL) return NULL;
    *len = (size_t)(end - start);
    return (const char *)start;
}

/* ---- global heap ---- */

typedef struct object {
    uint32_t index;
    uint64_t off, len; /* in the collection */
} object;

struct kw_collection {
    uint64_t address, len; /* in the source */
    uint8_t *data; /* in the file's arena */
    object *objects; /* by index */
    size_t count, capacity;
    kw_error failed; /* why there are not all of them */
};

static int compare_objects(const void *a, const void *b) {
    uint32_t x = ((const object *)a)->index, y = ((const object *)b)->index;
    return (x > y) - (x < y);
}

static uint64_t pad8(uint64_t len) { return (len + 7) & ~(uint64_t)7; }

/* Lists the objects of a collection; 0 or -1 with those before the damage listed. */
static int list_objects(const kw_hdf5_sizes *sizes, kw_view view, struct kw_collection *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(view);
    size_t object_head = 8 + (size_t)sizes->length_len, head_len = (size_t)pad8(object_head);
    kw_cursor_skip(&c, head_len);
    while (kw_cursor_left(&c) >= head_len) {
        uint64_t at = kw_cursor_at(&c);
        object o = {.index = kw_cursor_u16(&c)};
        kw_cursor_skip(&c, 6);
        o.len = kw_cursor_length(&c, sizes);
        kw_cursor_skip(&c, head_len - object_head);
        o.off = c.pos;
        if (o.index == 0) return 0; /* free space: the rest */
        if (o.len > kw_cursor_left(&c)) return kw_fail(err, KW_CORRUPT, at, "global heap object is cut");
        if (KW_GROW(out->objects, out->count, out->capacity, err) != 0) return -1;
        out->objects[out->count++] = o;
        uint64_t padded = pad8(o.len);
        kw_cursor_skip(&c, padded <= kw_cursor_left(&c) ? (size_t)padded : kw_cursor_left(&c));
    }
    return 0;
}

/* Objects come with rising indexes as a rule; makes that true, and finds doubles. */
static int sort_objects(struct kw_collection *collection, uint64_t at, kw_error *err) {
    bool sorted = true;
    for (size_t i = 1; i < collection->count; i++)
        sorted = sorted && collection->objects[i - 1].index < collection->objects[i].index;
    if (sorted) return 0;
    qsort(collection->objects, collection->count, sizeof *collection->objects, compare_objects);
    for (size_t i = 1; i < collection->count; i++)
        if (collection->objects[i - 1].index == collection->objects[i].index)
            return kw_fail(err, KW_CORRUPT, at, "two global heap objects of one index");
    return 0;
}

/* Reads a collection into the arena and lists its objects; 0 or -1. */
static int load_collection(kw_hdf5 *hdf5, kw_ledger *ledger, struct kw_collection *out, kw_error *err) {
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    kw_block block = KW_BLOCK_EMPTY;
    kw_view view;
    uint64_t address = out->address, head_len = pad8(8 + (uint64_t)sizes->length_len), len = 0;
    int result = kw_block_load(hdf5, NULL, &block, address, head_len, &view, err);
    if (result == 0) {
        kw_cursor c = kw_cursor_of(view);
        kw_cursor_skip(&c, 8);
        len = kw_cursor_length(&c, sizes);
        if (!kw_view_starts(view, "GCOL\1", 5)) result = kw_fail(err, KW_CORRUPT, address, "global heap signature");
        else if (len < head_len) result = kw_fail(err, KW_CORRUPT, address + 8, "global heap size");
    }
    kw_block_free(&block);
    if (result != 0) return -1;
    if (!kw_in_range(address, len, kw_source_size(hdf5->source)))
        return kw_fail(err, KW_TRUNCATED, kw_source_size(hdf5->source), "global heap past the end of the file");
    out->len = len;
    if (kw_ledger_claim(ledger, address, len, err) != 0 || kw_hdf5_spend(hdf5, len, err) != 0) return -1;
    out->data = kw_arena_alloc(&hdf5->arena, (size_t)len + 1);
    if (out->data == NULL) return kw_fail_memory(err);
    if (kw_source_read(hdf5->source, address, out->data, (size_t)len, err) != 0) return -1;
    view = (kw_view){.data = out->data, .len = (size_t)len, .off = address};
    if (list_objects(sizes, view, out, &out->failed) != 0 && kw_error_is_fatal(&out->failed)) {
        *err = out->failed;
        return -1;
    }
    return sort_objects(out, address, err);
}

/* The collection at `address`, read at its first use; NULL when memory is short or reading failed. */
static const struct kw_collection *find_collection(kw_hdf5 *hdf5, kw_global_heap *heap, uint64_t address,
                                                   kw_error *err) {
    uint32_t known = kw_addresses_find(&heap->addresses, address);
    if (known != KW_NONE) return &heap->collections[known];
    if (KW_GROW(heap->collections, heap->count, heap->capacity, err) != 0) return NULL;
    struct kw_collection *collection = &heap->collections[heap->count];
    *collection = (struct kw_collection){.address = address};
    if (kw_addresses_add(&heap->addresses, address, (uint32_t)heap->count, err) != 0) return NULL;
    heap->count++;
    kw_error cause;
    if (load_collection(hdf5, heap->ledger, collection, &cause) == 0) return collection;
    collection->count = 0;
    collection->failed = cause;
    if (!kw_error_is_fatal(&cause)) return collection;
    *err = cause;
    return NULL;
}

int kw_global_heap_find(kw_hdf5 *hdf5, kw_global_heap *heap, uint64_t address, uint32_t index, kw_span *out,
                        kw_error *err) {
    const struct kw_collection *collection = find_collection(hdf5, heap, address, err);
    if (collection == NULL) return -1;
    object key = {.index = index};
    const object *o = NULL;
    if (collection->count > 0)
        o = bsearch(&key, collection->objects, collection->count, sizeof key, compare_objects);
    if (o == NULL && collection->failed.code != KW_OK) {
        *err = collection->failed;
        return -1;
    }
    if (o == NULL) return kw_fail(err, KW_CORRUPT, address, "global heap has no object %u", (unsigned)index);
    *out = (kw_span){.data = collection->data + o->off, .len = o->len};
    return 0;
}

int kw_global_heap_join(kw_global_heap *heap, kw_global_heap *other, kw_error *err) {
    for (size_t i = 0; i < other->count; i++) {
        struct kw_collection *collection = &other->collections[i];
        if (kw_addresses_find(&heap->addresses, collection->address) != KW_NONE) continue;
        if (kw_ledger_claim(heap->ledger, collection->address, collection->len, err) != 0) return -1;
        if (KW_GROW(heap->collections, heap->count, heap->capacity, err) != 0) return -1;
        if (kw_addresses_add(&heap->addresses, collection->address, (uint32_t)heap->count, err) != 0) return -1;
        heap->collections[heap->count++] = *collection;
        collection->objects = NULL;
    }
    return 0;
}

void kw_global_heap_free(kw_global_heap *heap) {
    for (size_t i = 0; i < heap->count; i++) free(heap->collections[i].objects);
    free(heap->collections);
    kw_addresses_free(&heap->addresses);
    *heap = (kw_global_heap){0};
}
