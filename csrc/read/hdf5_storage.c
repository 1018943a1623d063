/* hdf5_storage.c -- where a dataset's bytes are: layout, fill value, filters.
 *
 *   layout 1, 2  |ver|rank|class|.....|address?|dimensions 32 ...|compact size, bytes|
 *   layout 3     |3|class| compact: |size 16|bytes|  contiguous: |address|size|
 *                          chunked: |rank + 1|address|dimensions 32 ...|element size|
 *   layout 4     |4|2|flags|rank + 1|width|dimensions ...|index type|its parameters|address|
 *   fill         |ver|when ..|defined|size|bytes|       filters  |ver|count| id|name?|flags|values ... |
 *
 * HDF5 File Format Specification v3.0, IV.A.2.e, f, i, l.
 */
#include <stdio.h>
#include <string.h>

#include "read/hdf5_filter.h"
#include "read/hdf5_object.h"

enum { CLASS_COMPACT = 0, CLASS_CONTIGUOUS = 1, CLASS_CHUNKED = 2, CLASS_VIRTUAL = 3 };
enum { SINGLE_HAS_FILTERS = 2 };

/* Bytes that Keras refuses to load from a file a thousand times smaller. */
#define BOMB_LEN ((uint64_t)4 << 30)
#define BOMB_RATIO 1000

static void read_compact(kw_cursor *c, uint64_t len, kw_stored *out) {
    out->data_at = kw_cursor_at(c);
    out->data_len = len;
    kw_cursor_skip(c, (size_t)len);
}

/* The dimensions of a chunk; the last one is the size of an element. */
static int read_chunk_shape(kw_cursor *c, unsigned rank_1, unsigned width, kw_stored *out, kw_error *err) {
    uint64_t at = kw_cursor_at(c);
    struct kw_layout_info *info = &out->info;
    if (rank_1 < 1 || rank_1 > KW_RANK_MAX + 1 || width < 1 || width > 8)
        return kw_fail(err, KW_CORRUPT, at, "chunk of %u dimensions", rank_1);
    info->chunk_rank = (uint8_t)(rank_1 - 1);
    info->chunk = out->chunk;
    for (unsigned i = 0; i < info->chunk_rank; i++) {
        out->chunk[i] = kw_cursor_uint(c, width);
        if (out->chunk[i] == 0 && !c->short_) return kw_fail(err, KW_CORRUPT, at, "chunk dimension of 0");
    }
    info->element_len = kw_cursor_uint(c, width);
    return 0;
}

static int read_layout12(kw_cursor *c, const kw_hdf5_sizes *sizes, kw_stored *out, kw_error *err) {
    unsigned rank = kw_cursor_u8(c);
    out->info.class_ = kw_cursor_u8(c);
    kw_cursor_skip(c, 5);
    uint64_t address = out->info.class_ != CLASS_COMPACT ? kw_cursor_address(c, sizes) : KW_NOWHERE;
    if (out->info.class_ == CLASS_CHUNKED) {
        out->info.index_at = address;
        return read_chunk_shape(c, rank, 4, out, err);
    }
    kw_cursor_skip(c, 4 * (size_t)rank); /* the shape again */
    if (out->info.class_ == CLASS_COMPACT) {
        read_compact(c, kw_cursor_u32(c), out);
    } else {
        out->data_at = address;
        out->data_len = UINT64_MAX; /* not recorded: the shape says it */
    }
    return 0;
}

/* The parameters of a version 4 index, then its address. */
static int read_index(kw_cursor *c, const kw_hdf5_sizes *sizes, struct kw_layout_info *info, kw_error *err) {
    static const uint8_t param_counts[] = {[KW_CHUNK_SINGLE] = 0,
                                           [KW_CHUNK_IMPLICIT] = 0,
                                           [KW_CHUNK_FIXED_ARRAY] = 1,
                                           [KW_CHUNK_EXTENSIBLE_ARRAY] = 5,
                                           [KW_CHUNK_BTREE2] = 6};
    info->index = kw_cursor_u8(c);
    if (info->index < KW_CHUNK_SINGLE || info->index > KW_CHUNK_BTREE2)
        return kw_fail(err, KW_UNSUPPORTED, kw_cursor_at(c), "chunk index of type %u", info->index);
    if (info->index == KW_CHUNK_SINGLE && (info->chunk_flags & SINGLE_HAS_FILTERS)) {
        info->single_len = kw_cursor_length(c, sizes);
        info->single_mask = kw_cursor_u32(c);
    }
    for (unsigned i = 0; i < param_counts[info->index]; i++) info->params[i] = kw_cursor_u8(c);
    info->index_at = kw_cursor_address(c, sizes);
    return 0;
}

static int read_layout34(kw_cursor *c, const kw_hdf5_sizes *sizes, kw_stored *out, kw_error *err) {
    struct kw_layout_info *info = &out->info;
    info->class_ = kw_cursor_u8(c);
    if (info->class_ == CLASS_COMPACT) {
        read_compact(c, kw_cursor_u16(c), out);
    } else if (info->class_ == CLASS_CONTIGUOUS) {
        out->data_at = kw_cursor_address(c, sizes);
        out->data_len = kw_cursor_length(c, sizes);
    } else if (info->class_ == CLASS_CHUNKED && info->version == 3) {
        unsigned rank = kw_cursor_u8(c);
        info->index_at = kw_cursor_address(c, sizes);
        return read_chunk_shape(c, rank, 4, out, err);
    } else if (info->class_ == CLASS_CHUNKED) {
        info->chunk_flags = kw_cursor_u8(c);
        unsigned rank = kw_cursor_u8(c), width = kw_cursor_u8(c);
        if (read_chunk_shape(c, rank, width, out, err) != 0) return -1;
        return read_index(c, sizes, info, err);
    }
    return 0;
}

static int read_layout(kw_hdf5 *hdf5, kw_view message, kw_stored *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    struct kw_layout_info *info = &out->info;
    info->version = kw_cursor_u8(&c);
    info->class_ = info->chunk_flags = info->chunk_rank = 0;
    info->index = KW_CHUNK_BTREE1;
    info->index_at = out->data_at = KW_NOWHERE;
    info->single_len = info->element_len = info->single_mask = 0;
    out->data_len = 0;
    if (info->version < 1 || info->version > 4)
        return kw_fail(err, KW_UNSUPPORTED, message.off, "data layout version %u", info->version);
    int result = info->version < 3 ? read_layout12(&c, &hdf5->more->sizes, out, err)
                                   : read_layout34(&c, &hdf5->more->sizes, out, err);
    if (result != 0) return -1;
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "data layout is cut");
    if (info->class_ > CLASS_VIRTUAL || (info->class_ == CLASS_VIRTUAL && info->version < 4))
        return kw_fail(err, KW_CORRUPT, message.off, "data layout class %u", info->class_);
    info->contiguous_len = info->class_ == CLASS_CONTIGUOUS ? out->data_len : 0;
    return 0;
}

/* Keeps the bytes of a fill value. */
static int keep_fill(kw_hdf5 *hdf5, kw_view bytes, kw_stored *out, kw_error *err) {
    if (kw_hdf5_spend(hdf5, bytes.len, err) != 0) return -1;
    char *copy = kw_arena_text(&hdf5->arena, bytes.data, bytes.len);
    if (copy == NULL) return kw_fail_memory(err);
    out->info.fill = (kw_view){.data = (const uint8_t *)copy, .len = bytes.len, .off = bytes.off};
    return 0;
}

static int read_fill(kw_hdf5 *hdf5, unsigned type, kw_view message, kw_stored *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    bool defined = true;
    if (type == KW_MESSAGE_FILL) {
        uint8_t version = kw_cursor_u8(&c);
        if (version < 1 || version > 3) return kw_fail(err, KW_CORRUPT, message.off, "fill value version %u", version);
        uint8_t flags = version == 3 ? kw_cursor_u8(&c) : 0;
        if (version < 3) kw_cursor_skip(&c, 2);
        uint8_t stored = version < 3 ? kw_cursor_u8(&c) : flags & 0x20;
        defined = version == 1 || stored != 0;
    }
    size_t len = defined ? kw_cursor_u32(&c) : 0;
    if (len == UINT32_MAX) len = 0; /* version 1 and 2: explicitly undefined */
    kw_view bytes = kw_cursor_view(&c, len);
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "fill value is cut");
    out->info.fill = (kw_view){0};
    return len > 0 ? keep_fill(hdf5, bytes, out, err) : 0;
}

/* The client data of a filter, into the arena; 0 or -1. */
static int read_filter_values(kw_hdf5 *hdf5, kw_cursor *c, kw_filter *filter, kw_error *err) {
    uint64_t at = kw_cursor_at(c);
    kw_view bytes = kw_cursor_view(c, 4 * (size_t)filter->value_count);
    if (c->short_) return kw_fail(err, KW_CORRUPT, at, "filter message is cut");
    if (kw_hdf5_spend(hdf5, bytes.len, err) != 0) return -1;
    uint32_t *values = kw_arena_alloc(&hdf5->arena, bytes.len);
    if (values == NULL) return kw_fail_memory(err);
    kw_cursor v = kw_cursor_of(bytes);
    for (uint32_t i = 0; i < filter->value_count; i++) values[i] = kw_cursor_u32(&v);
    filter->values = values;
    return 0;
}

/* The name of a filter, into the arena; NULL name when there is none. */
static int read_filter_name(kw_hdf5 *hdf5, kw_cursor *c, size_t len, kw_filter *filter, kw_error *err) {
    kw_view name = kw_cursor_view(c, len);
    filter->name = NULL;
    if (c->short_ || len == 0) return 0;
    if (kw_hdf5_spend(hdf5, len, err) != 0) return -1;
    filter->name = kw_arena_text(&hdf5->arena, name.data, strnlen((const char *)name.data, name.len));
    return filter->name != NULL ? 0 : kw_fail_memory(err);
}

static int read_filters(kw_hdf5 *hdf5, kw_view message, kw_stored *out, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    uint8_t version = kw_cursor_u8(&c), count = kw_cursor_u8(&c);
    if (version != 1 && version != 2)
        return kw_fail(err, KW_CORRUPT, message.off, "filter message version %u", version);
    if (count > KW_FILTERS_MAX) return kw_fail(err, KW_CORRUPT, message.off, "%u filters", count);
    if (version == 1) kw_cursor_skip(&c, 6);
    for (unsigned i = 0; i < count; i++) {
        kw_filter *filter = &out->filters[i];
        filter->id = kw_cursor_u16(&c);
        size_t name_len = version == 1 || filter->id >= 256 ? kw_cursor_u16(&c) : 0;
        if (version == 1) name_len = (name_len + 7) / 8 * 8;
        filter->flags = kw_cursor_u16(&c);
        filter->value_count = kw_cursor_u16(&c);
        if (read_filter_name(hdf5, &c, name_len, filter, err) != 0) return -1;
        if (read_filter_values(hdf5, &c, filter, err) != 0) return -1;
        if (version == 1 && filter->value_count % 2 != 0) kw_cursor_skip(&c, 4);
    }
    if (c.short_) return kw_fail(err, KW_CORRUPT, message.off, "filter message is cut");
    out->info.filters = out->filters;
    out->info.filter_count = count;
    return 0;
}

int kw_storage_read(kw_hdf5 *hdf5, unsigned type, kw_view message, kw_stored *stored, kw_error *err) {
    if (type == KW_MESSAGE_LAYOUT) return read_layout(hdf5, message, stored, err);
    if (type == KW_MESSAGE_FILTERS) return read_filters(hdf5, message, stored, err);
    return read_fill(hdf5, type, message, stored, err);
}

/* ---- the dataset ---- */

static const char *filter_name(const kw_filter *filter) {
    static const struct {
        uint16_t id;
        const char *name;
    } known[] = {{1, "deflate"}, {2, "shuffle"},   {3, "fletcher32"}, {4, "szip"},        {5, "nbit"},
                 {6, "scaleoffset"}, {307, "bzip2"}, {32000, "lzf"},  {32001, "blosc"},   {32004, "lz4"},
                 {32008, "bitshuffle"}, {32013, "zfp"}, {32015, "zstd"}, {32026, "blosc2"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].id == filter->id) return known[i].name;
    return filter->name;
}

/* The filters in words; NULL when memory is short. */
static const char *describe_filters(kw_hdf5 *hdf5, const struct kw_layout_info *info) {
    char text[256] = "";
    size_t len = 0;
    for (unsigned i = 0; i < info->filter_count && len < sizeof text; i++) {
        const char *name = filter_name(&info->filters[i]), *comma = i > 0 ? ", " : "";
        int n = name != NULL ? snprintf(text + len, sizeof text - len, "%s%s", comma, name)
                             : snprintf(text + len, sizeof text - len, "%sfilter %u", comma, info->filters[i].id);
        len += (size_t)n;
    }
    return kw_arena_text(&hdf5->arena, text, strlen(text));
}

/* What the declared size says about an extent that is not whole in the source: 0 or -1. */
static int check_extent(const kw_hdf5 *hdf5, uint64_t off, uint64_t len, kw_error *err) {
    uint64_t size = kw_source_size(hdf5->source), scaled;
    if (kw_in_range(off, len, size)) return 0;
    bool large = len > BOMB_LEN && kw_mul(size, BOMB_RATIO, &scaled) && len > scaled;
    if (large && !kw_in_range(off, len, hdf5->end))
        return kw_fail(err, KW_BOMB, off, "%llu bytes declared in a file of %llu", (unsigned long long)len,
                       (unsigned long long)size);
    return kw_fail(err, KW_TRUNCATED, off < size ? size : off, "data ends at byte %llu of a file of %llu",
                   (unsigned long long)(off > UINT64_MAX - len ? UINT64_MAX : off + len), (unsigned long long)size);
}

/* Compact and contiguous storage: checks that the bytes are there. */
static int check_bytes(const kw_hdf5 *hdf5, const kw_object *object, kw_dataset *dataset, kw_error *err) {
    const kw_stored *stored = &object->stored;
    if (stored->data_len < dataset->nbytes)
        return kw_fail(err, KW_CORRUPT, stored->data_at, "storage of %llu bytes for a tensor of %llu",
                       (unsigned long long)stored->data_len, (unsigned long long)dataset->nbytes);
    dataset->off = stored->data_at;
    return check_extent(hdf5, stored->data_at, dataset->nbytes, err);
}

/* Storage that need not lie in the file: refuses absurd sizes. */
static int check_declared(const kw_hdf5 *hdf5, const kw_dataset *dataset, kw_error *err) {
    uint64_t stored_max = dataset->storage == KW_STORAGE_FILL ? 0 : kw_source_size(hdf5->source), scaled;
    if (dataset->nbytes <= BOMB_LEN) return 0;
    if (!kw_mul(stored_max, BOMB_RATIO, &scaled) || dataset->nbytes <= scaled) return 0;
    return kw_fail(err, KW_BOMB, KW_NOWHERE, "%llu bytes declared, at most %llu stored",
                   (unsigned long long)dataset->nbytes, (unsigned long long)stored_max);
}

/* Works out storage and offset; 0 or -1 with the dataset's fault. */
static int place(const kw_hdf5 *hdf5, const kw_object *object, kw_dataset *dataset, kw_error *err) {
    const kw_stored *stored = &object->stored;
    if (kw_object_has(object, KW_MESSAGE_EXTERNAL))
        return kw_fail(err, KW_EXTERNAL, KW_NOWHERE, "data lies in another file");
    if (stored->info.class_ == CLASS_VIRTUAL)
        return kw_fail(err, KW_VIRTUAL, KW_NOWHERE, "a virtual dataset maps other files");
    if (stored->info.class_ == CLASS_CHUNKED) {
        if (stored->info.chunk_rank != dataset->rank || stored->info.element_len != object->type.len)
            return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "chunks do not fit the dataset's rank or element");
        dataset->storage = stored->info.index_at == KW_NOWHERE ? KW_STORAGE_FILL : KW_STORAGE_CHUNKED;
        if (check_declared(hdf5, dataset, err) != 0) return -1;
        const kw_filter *unknown = kw_filter_find_unknown(&stored->info);
        bool needed = dataset->storage == KW_STORAGE_CHUNKED && dataset->nbytes > 0 && unknown != NULL;
        return needed ? kw_filter_refuse(unknown, stored->info.index_at, err) : 0;
    }
    if (stored->data_at == KW_NOWHERE || dataset->nbytes == 0) return check_declared(hdf5, dataset, err);
    dataset->storage = stored->info.class_ == CLASS_COMPACT ? KW_STORAGE_COMPACT : KW_STORAGE_CONTIGUOUS;
    return check_bytes(hdf5, object, dataset, err);
}

/* Fills in type, shape and size; 0 or -1 with the dataset's fault. */
static int describe(kw_hdf5 *hdf5, const kw_object *object, kw_dataset *dataset, kw_error *err) {
    const kw_space *space = &object->space;
    if (!kw_object_has(object, KW_MESSAGE_SPACE) || !kw_object_has(object, KW_MESSAGE_TYPE))
        return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "dataset without %s",
                       kw_object_has(object, KW_MESSAGE_SPACE) ? "datatype" : "dataspace");
    dataset->dtype = space->null ? KW_DTYPE_NONE : object->type.dtype;
    dataset->big_endian = object->type.big_endian;
    dataset->opaque = object->type.opaque;
    dataset->type_text = space->null ? "nothing (null dataspace)" : object->type.text;
    dataset->rank = space->rank;
    uint64_t *shape = kw_arena_alloc(&hdf5->arena, space->rank * sizeof *shape);
    if (shape == NULL) return kw_fail_memory(err);
    memcpy(shape, space->shape, space->rank * sizeof *shape);
    dataset->shape = shape;
    if (space->count == UINT64_MAX || !kw_mul(space->count, object->type.len, &dataset->nbytes) ||
        dataset->nbytes > INT64_MAX) {
        dataset->nbytes = 0;
        return kw_fail(err, KW_BOMB, KW_NOWHERE, "shape of more than 2^63 bytes");
    }
    if (!kw_object_has(object, KW_MESSAGE_LAYOUT))
        return kw_fail(err, KW_CORRUPT, KW_NOWHERE, "dataset without layout");
    return place(hdf5, object, dataset, err);
}

/* A copy in the arena; NULL when memory is short. */
static const void *keep_array(kw_hdf5 *hdf5, const void *items, size_t len) {
    void *copy = kw_arena_alloc(&hdf5->arena, len);
    if (copy != NULL && len > 0) memcpy(copy, items, len);
    return copy;
}

/* Keeps what hdf5_chunk needs of a dataset whose bytes are not at `off`. */
static int keep_info(kw_hdf5 *hdf5, const kw_object *object, kw_dataset *dataset, kw_error *err) {
    const struct kw_layout_info *info = &object->stored.info;
    if (info->filter_count > 0) {
        dataset->filter_text = describe_filters(hdf5, info);
        if (dataset->filter_text == NULL) return kw_fail_memory(err);
    }
    if (dataset->storage == KW_STORAGE_CONTIGUOUS || dataset->storage == KW_STORAGE_COMPACT) return 0;
    bool chunked = info->class_ == CLASS_CHUNKED;
    size_t filters_len = info->filter_count * sizeof *info->filters;
    size_t rank_len = dataset->rank * sizeof *info->max_shape;
    size_t chunk_len = chunked ? info->chunk_rank * sizeof *info->chunk : 0;
    if (kw_hdf5_spend(hdf5, sizeof *info + filters_len + rank_len + chunk_len, err) != 0) return -1;
    struct kw_layout_info *copy = kw_arena_alloc(&hdf5->arena, sizeof *copy);
    if (copy == NULL) return kw_fail_memory(err);
    *copy = *info;
    copy->element_len = object->type.len;
    copy->filters = keep_array(hdf5, info->filters, filters_len);
    copy->max_shape = keep_array(hdf5, object->space.max_shape, rank_len);
    copy->chunk = keep_array(hdf5, info->chunk, chunk_len);
    if (copy->filters == NULL || copy->max_shape == NULL || copy->chunk == NULL) return kw_fail_memory(err);
    dataset->info = copy;
    return 0;
}

int kw_dataset_add(kw_walk *walk, const kw_object *object, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    kw_error cause;
    if (KW_GROW(hdf5->datasets, hdf5->dataset_count, hdf5->more->dataset_capacity, err) != 0) return -1;
    kw_dataset *dataset = &hdf5->datasets[hdf5->dataset_count];
    *dataset = (kw_dataset){.node = object->node, .off = KW_NOWHERE, .storage = KW_STORAGE_FILL};
    hdf5->nodes[object->node].dataset = hdf5->dataset_count++;
    dataset->fault = object->fault;
    if (kw_hdf5_spend(hdf5, sizeof *dataset, &cause) != 0 || describe(hdf5, object, dataset, &cause) != 0) {
        if (kw_hdf5_note(hdf5, &dataset->fault, &cause, err) != 0) return -1;
        if (cause.code == KW_CORRUPT) return 0;
    }
    return keep_info(hdf5, object, dataset, &cause) == 0 ? 0 : kw_hdf5_note(hdf5, &dataset->fault, &cause, err);
}
