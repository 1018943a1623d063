/* HDF5 structure: a sound tree is found whole; each lie is a fault where it was
 * told and its siblings are still listed; no length and no changed byte of a
 * small file makes opening crash or take long. */
#include <hdf5.h>
#include <time.h>

#include "check.h"
#include "hdf5_image.h"
#include "read/hdf5_private.h"

typedef struct opened {
    kw_source *source;
    kw_hdf5 *hdf5;
    kw_error err;
} opened;

static opened open_bytes(const void *bytes, size_t len) {
    opened o = {0};
    if (kw_source_open_memory(bytes, len, NULL, NULL, &o.source, &o.err) == 0)
        (void)kw_hdf5_open(o.source, &o.hdf5, &o.err);
    return o;
}

static void close_file(opened *o) {
    kw_hdf5_free(o->hdf5);
    kw_source_release(o->source);
    *o = (opened){0};
}

/* The node of a path; a missing one fails the test and gives an empty node. */
static kw_node node_of(const kw_hdf5 *hdf5, const char *path) {
    uint32_t node = hdf5 != NULL ? kw_hdf5_find_path(hdf5, 0, path) : KW_NONE;
    return CHECK(node != KW_NONE) ? hdf5->nodes[node] : (kw_node){.dataset = KW_NONE, .path = ""};
}

/* The dataset of a path. */
static kw_dataset dataset_of(const kw_hdf5 *hdf5, const char *path) {
    kw_node node = node_of(hdf5, path);
    return CHECK(node.dataset != KW_NONE) ? hdf5->datasets[node.dataset] : (kw_dataset){.rank = 0};
}

/* ---- samples ---- */

static const uint64_t shape_2_3[] = {2, 3};

/* A reference to the object 1 of a collection. */
static void put_reference(uint8_t *out, uint32_t len, uint64_t collection) {
    memset(out, 0, 16);
    memcpy(out, &len, 4);
    memcpy(out + 4, &collection, 8);
    out[12] = 1;
}

/* A Keras-like file: dense with attributes and two datasets, an alias of it, a soft link. */
static image make_sample(unsigned superblock) {
    float values[6] = {1, 2, 3, 4, 5, 6};
    image im = image_start(superblock);
    uint64_t data = image_data(&im, values, sizeof values), text = image_collection(&im, "dense/kernel", 12);
    uint64_t kernel = image_dataset(&im, 2, shape_2_3, data, sizeof values);
    uint64_t scalar = image_dataset(&im, 0, NULL, data, 4);
    messages m = {0};
    uint8_t reference[16];
    int32_t number = -7;
    put_reference(reference, 12, text);
    messages_attribute(&m, "names", body_vlen_text(), 1, 1, reference, 16);
    messages_attribute(&m, "fixed", body_text(4), 1, 2, "ab\0\0abcd", 8);
    messages_attribute(&m, "number", body_integer(4), 0, 0, &number, 4);
    messages_attribute(&m, "empty", body_float(8), 1, 0, NULL, 0);
    uint64_t dense = image_group(&im, (image_link[]){{"bias", scalar, NULL}, {"kernel", kernel, NULL}}, 2, &m);
    image_link links[] = {{"alias", dense, NULL}, {"dense", dense, NULL}, {"soft", 0, "/dense/kernel"}};
    if (superblock < 2) {
        image_finish(&im, image_group(&im, links, 3, NULL));
        return im;
    }
    messages root = {.version = 2};
    for (unsigned i = 0; i < 3; i++) messages_link(&root, links[2 - i]); /* to be sorted */
    image_finish(&im, image_header2(&im, &root));
    return im;
}

/* A file of libhdf5's newest format, with dense links and attributes, in memory. */
static image make_dense(void) {
    image im = {0};
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), space = H5Screate(H5S_SCALAR);
    H5Pset_fapl_core(fapl, 1 << 16, false);
    H5Pset_libver_bounds(fapl, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t file = H5Fcreate("dense.h5", H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    hid_t group = H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 40; i++) {
        char name[48];
        int64_t value = i;
        (void)snprintf(name, sizeof name, "a link of some length %d", i);
        H5Gclose(H5Gcreate2(group, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        (void)snprintf(name, sizeof name, "attribute %d", i);
        hid_t attr = H5Acreate2(group, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(attr, H5T_NATIVE_INT64, &value);
        H5Aclose(attr);
    }
    H5Lcreate_external("other.h5", "/data", file, "external", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    ssize_t len = H5Fget_file_image(file, NULL, 0);
    image_put(&im, NULL, (size_t)len);
    H5Fget_file_image(file, im.bytes, (size_t)len);
    image_seal(&im, 0, IMAGE_V2_LEN); /* libhdf5 clears a flag in the copy and leaves the checksum */
    H5Fclose(file);
    H5Sclose(space);
    H5Pclose(fapl);
    return im;
}

/* ---- sound files ---- */

static void check_sample(const kw_hdf5 *hdf5) {
    CHECK_EQ(hdf5->fault.code, KW_OK);
    CHECK(!hdf5->truncated && !hdf5->interrupted);
    CHECK_EQ(hdf5->node_count, 6); /* root, alias, its two datasets, dense, soft */
    kw_node alias = node_of(hdf5, "alias"), dense = node_of(hdf5, "dense"), soft = node_of(hdf5, "soft");
    CHECK_EQ(alias.kind, KW_NODE_GROUP); /* the first in name order is the one that is read */
    CHECK_EQ(dense.kind, KW_NODE_ALIAS);
    CHECK_STR(dense.target, "alias");
    CHECK_EQ(dense.attr_count, 4);
    CHECK_EQ(soft.kind, KW_NODE_SOFT);
    CHECK_STR(soft.target, "/dense/kernel");
    CHECK_EQ(alias.next, 4);
    CHECK_EQ(kw_hdf5_find_path(hdf5, 0, "dense/kernel"), kw_hdf5_find_path(hdf5, 0, "/alias//kernel"));
    CHECK_EQ(kw_hdf5_find(hdf5, 0, "den"), KW_NONE);
    CHECK_EQ(kw_hdf5_find(hdf5, 0, "dense2"), KW_NONE);
    kw_dataset kernel = dataset_of(hdf5, "dense/kernel"), bias = dataset_of(hdf5, "alias/bias");
    CHECK_EQ(kernel.dtype, KW_DTYPE_FLOAT32);
    CHECK_EQ(kernel.rank, 2);
    CHECK(kernel.shape[0] == 2 && kernel.shape[1] == 3);
    CHECK_EQ(kernel.nbytes, 24);
    CHECK_EQ(kernel.storage, KW_STORAGE_CONTIGUOUS);
    CHECK_EQ(kernel.fault.code, KW_OK);
    CHECK(kernel.info == NULL);
    CHECK_EQ(bias.rank, 0);
    CHECK_EQ(bias.nbytes, 4);
    CHECK_EQ(bias.off, kernel.off);
}

static void check_attributes(const kw_hdf5 *hdf5) {
    uint32_t dense = kw_hdf5_find(hdf5, 0, "dense");
    const kw_attr *names = kw_hdf5_attr(hdf5, dense, "names"), *fixed = kw_hdf5_attr(hdf5, dense, "fixed");
    const kw_attr *number = kw_hdf5_attr(hdf5, dense, "number"), *empty = kw_hdf5_attr(hdf5, dense, "empty");
    CHECK(kw_hdf5_attr(hdf5, dense, "absent") == NULL);
    if (!CHECK(names && fixed && number && empty)) return;
    CHECK_EQ(names->kind, KW_ATTR_TEXT);
    CHECK(!names->scalar);
    CHECK_STR(names->texts[0], "dense/kernel");
    CHECK_EQ(names->text_lens[0], 12);
    CHECK_EQ(fixed->count, 2);
    CHECK_STR(fixed->texts[0], "ab");
    CHECK_STR(fixed->texts[1], "abcd");
    CHECK_EQ(number->kind, KW_ATTR_INT);
    CHECK(number->scalar);
    CHECK_EQ(number->integer, -7);
    CHECK_EQ(empty->kind, KW_ATTR_EMPTY);
    CHECK_EQ(empty->count, 0);
}

static void test_sound(void) {
    for (unsigned superblock = 0; superblock <= 3; superblock++) {
        if (superblock == 1) continue; /* as 0, with one more field */
        image im = make_sample(superblock);
        opened o = open_bytes(im.bytes, im.len);
        if (CHECK(o.hdf5 != NULL)) {
            CHECK_EQ(o.hdf5->superblock, superblock);
            check_sample(o.hdf5);
            check_attributes(o.hdf5);
        }
        close_file(&o);
        free(im.bytes);
    }
}

static void test_user_block(void) {
    image im = make_sample(0), moved = {0};
    image_put(&moved, NULL, 512);
    image_put(&moved, im.bytes, im.len);
    opened o = open_bytes(moved.bytes, moved.len);
    if (CHECK(o.hdf5 != NULL)) {
        CHECK_EQ(o.hdf5->base, 512);
        CHECK_EQ(o.hdf5->end, moved.len);
        check_sample(o.hdf5);
        check_attributes(o.hdf5);
        CHECK_EQ(dataset_of(o.hdf5, "dense/kernel").off, 512 + IMAGE_V0_LEN);
    }
    close_file(&o);
    free(moved.bytes);
    free(im.bytes);
}

static void test_dense(void) {
    image im = make_dense();
    opened o = open_bytes(im.bytes, im.len);
    if (CHECK(o.hdf5 != NULL)) {
        CHECK_EQ(o.hdf5->node_count, 43);
        CHECK_EQ(node_of(o.hdf5, "group").fault.code, KW_OK);
        CHECK_EQ(node_of(o.hdf5, "group").attr_count, 40);
        CHECK_EQ(node_of(o.hdf5, "group/a link of some length 39").kind, KW_NODE_GROUP);
        const kw_attr *attr = kw_hdf5_attr(o.hdf5, kw_hdf5_find(o.hdf5, 0, "group"), "attribute 17");
        if (CHECK(attr != NULL)) CHECK_EQ(attr->integer, 17);
        CHECK_EQ(node_of(o.hdf5, "external").kind, KW_NODE_EXTERNAL);
        CHECK_STR(node_of(o.hdf5, "external").target, "other.h5:/data");
        for (uint32_t i = 2; i < o.hdf5->node_count; i++)
            CHECK(o.hdf5->nodes[i].parent != 1 || o.hdf5->nodes[i - 1].parent != 1 ||
                  strcmp(o.hdf5->nodes[i - 1].name, o.hdf5->nodes[i].name) < 0);
    }
    close_file(&o);
    free(im.bytes);
}

/* ---- types ---- */

/* A file with one scalar dataset of a type, whose dtype is handed out; `type` is freed. */
static kw_dataset dataset_of_type(image type, unsigned len, kw_fault *fault) {
    image im = image_start(0);
    messages m = {0};
    uint64_t data = image_data(&im, NULL, 64);
    messages_space(&m, 0, NULL);
    messages_take(&m, 0x03, 0, type);
    messages_contiguous(&m, data, len);
    uint64_t header = image_header1(&im, &m);
    image_finish(&im, image_group(&im, (image_link[]){{"x", header, NULL}}, 1, NULL));
    opened o = open_bytes(im.bytes, im.len);
    kw_dataset dataset = dataset_of(o.hdf5, "x");
    *fault = dataset.fault;
    dataset.type_text = dataset.type_text != NULL ? "named" : NULL; /* its arena goes */
    close_file(&o);
    free(im.bytes);
    return dataset;
}

/* h5py's complex: a compound of version 3 with the floats r and i. */
static image body_complex(const char *first) {
    image b = {0}, part = body_float(4);
    image_uint(&b, 0x36, 1);
    image_uint(&b, 2, 3);
    image_uint(&b, 8, 4);
    for (unsigned i = 0; i < 2; i++) {
        image_put(&b, i == 0 ? first : "i", 2);
        image_uint(&b, 4 * i, 1);
        image_put(&b, part.bytes, part.len);
    }
    free(part.bytes);
    return b;
}

/* An enum of FALSE and TRUE over one byte. */
static image body_bool(unsigned yes) {
    image b = {0}, base = body_integer(1);
    image_uint(&b, 0x18, 1);
    image_uint(&b, 2, 3);
    image_uint(&b, 1, 4);
    image_put(&b, base.bytes, base.len);
    image_put(&b, "FALSE\0\0\0TRUE\0\0\0\0", 16);
    image_uint(&b, yes << 8, 2);
    free(base.bytes);
    return b;
}

static image body_opaque(unsigned len) {
    image b = {0};
    image_uint(&b, 0x15, 1);
    image_uint(&b, 0, 3);
    image_uint(&b, len, 4);
    return b;
}

static void test_types(void) {
    kw_fault fault;
    image b;
    CHECK_EQ(dataset_of_type(body_float(2), 2, &fault).dtype, KW_DTYPE_FLOAT16);
    CHECK_EQ(dataset_of_type(body_float(8), 8, &fault).dtype, KW_DTYPE_FLOAT64);
    CHECK_EQ(dataset_of_type(body_integer(8), 8, &fault).dtype, KW_DTYPE_INT64);
    CHECK_EQ(dataset_of_type(body_integer(3), 3, &fault).dtype, KW_DTYPE_NONE);
    CHECK_EQ(dataset_of_type(body_complex("r"), 8, &fault).dtype, KW_DTYPE_COMPLEX64);
    CHECK_EQ(dataset_of_type(body_complex("q"), 8, &fault).dtype, KW_DTYPE_NONE);
    CHECK_EQ(fault.code, KW_OK);
    CHECK_EQ(dataset_of_type(body_bool(1), 1, &fault).dtype, KW_DTYPE_BOOL);
    CHECK_EQ(dataset_of_type(body_bool(2), 1, &fault).dtype, KW_DTYPE_NONE);
    kw_dataset opaque = dataset_of_type(body_opaque(2), 2, &fault);
    CHECK(opaque.opaque && opaque.dtype == KW_DTYPE_BFLOAT16);
    CHECK_STR(dataset_of_type(body_opaque(3), 3, &fault).type_text, "named");
    CHECK_STR(dataset_of_type(body_text(5), 5, &fault).type_text, "named");
    (b = body_float(4)).bytes[1] |= 1;
    kw_dataset big = dataset_of_type(b, 4, &fault);
    CHECK(big.big_endian && big.dtype == KW_DTYPE_FLOAT32);
    (b = body_float(4)).bytes[16] = 126; /* bias */
    CHECK_EQ(dataset_of_type(b, 4, &fault).dtype, KW_DTYPE_NONE);
    (b = body_float(4)).bytes[0] = 0x1d; /* class 13 */
    (void)dataset_of_type(b, 4, &fault);
    CHECK_EQ(fault.code, KW_UNSUPPORTED);
    (b = body_float(4)).bytes[4] = 0;
    (void)dataset_of_type(b, 0, &fault);
    CHECK_EQ(fault.code, KW_CORRUPT);
}

/* ---- lies ---- */

/* Types that hold others, as bytes: version << 4 | class, 24 bits, size, properties. */
static void test_types_to_their_last_byte(void) {
#define U32(n) (n), 0, 0, 0
#define INT4 0x30, 0, 0, 0, U32(4), 0, 0, 32, 0
#define FLOAT4 0x31, 0x20, 31, 0, U32(4), 0, 0, 32, 0, 23, 8, 0, 23, U32(127)
    static const struct {
        uint8_t bytes[64];
        size_t len;
        int code;
    } rows[] = {
#define ROW(code, ...) {{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}), code}
        ROW(KW_OK, 0x36, 2, 0, 0, U32(8), 'a', 0, 0, INT4, 'b', 0, 4, INT4),
        ROW(KW_CORRUPT, 0x36, 2, 0, 0, U32(8), 'a', 0, 0, INT4, 'b', 0, 5, INT4), /* over the end */
        ROW(KW_CORRUPT, 0x36, 2, 0, 0, U32(8), 'a', 0, 0, INT4),                  /* one member less */
        ROW(KW_CORRUPT, 0x36, 0, 0, 0, U32(8)),
        ROW(KW_OK, 0x3a, 0, 0, 0, U32(24), 2, U32(2), U32(3), INT4),
        ROW(KW_CORRUPT, 0x3a, 0, 0, 0, U32(20), 2, U32(2), U32(3), INT4),
        ROW(KW_CORRUPT, 0x3a, 0, 0, 0, U32(4), 0, INT4),
        ROW(KW_OK, 0x38, 1, 0, 0, U32(4), INT4, 'x', 0, U32(7)),
        ROW(KW_CORRUPT, 0x38, 1, 0, 0, U32(4), FLOAT4, 'x', 0, U32(7)),
        ROW(KW_CORRUPT, 0x38, 9, 0, 0, U32(4), INT4, 'x', 0, U32(7)),
        ROW(KW_OK, 0x39, 0, 0, 0, U32(16), INT4),
        ROW(KW_CORRUPT, 0x39, 0, 0, 0, U32(16), 0x30, 0, 0, 0, U32(4), 8, 0, 32, 0), /* bits past its end */
        ROW(KW_CORRUPT, 0x39, 0, 0, 0, U32(16), 0x3f, 0, 0, 0, U32(4)),
        ROW(KW_CORRUPT, 0x39, 0, 0, 0, U32(16), 0x30, 0, 0, 0, U32(0), 0, 0, 0, 0),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        image type = {0};
        kw_fault fault = {0};
        image_put(&type, rows[i].bytes, rows[i].len);
        (void)dataset_of_type(type, rows[i].bytes[4], &fault);
        if (!CHECK_EQ(fault.code, rows[i].code)) (void)fprintf(stderr, "    row %zu\n", i);
    }
    image deep = {0};
    for (int i = 0; i < 40; i++) image_put(&deep, (const uint8_t[]){0x39, 0, 0, 0, U32(16)}, 8);
    image_put(&deep, (const uint8_t[]){INT4}, 12);
    kw_fault fault = {0};
    (void)dataset_of_type(deep, 16, &fault);
    CHECK_EQ(fault.code, KW_CORRUPT);
}

static void test_cycle(void) {
    image im = image_start(0);
    uint64_t offs[2], heap = image_heap(&im, (image_link[]){{"again", 0, NULL}}, 1, offs);
    uint64_t symbols = image_symbols(&im, (image_link[]){{"again", 0, NULL}}, 1, offs);
    uint64_t root = image_group_of(&im, image_tree(&im, 0, &symbols, 1), heap, NULL);
    image_patch(&im, symbols + 16, root, 8);
    image_finish(&im, root);
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->node_count, 2);
    CHECK_EQ(node_of(o.hdf5, "again").kind, KW_NODE_ALIAS);
    CHECK_STR(node_of(o.hdf5, "again").target, "");
    CHECK_EQ(node_of(o.hdf5, "again/again/again").kind, KW_NODE_ALIAS);
    CHECK_EQ(o.hdf5->nodes[0].fault.code, KW_OK);
    close_file(&o);
    free(im.bytes);
}

/* Two groups with one symbol table: the first has it, the other is damaged, the third is whole. */
static void test_claimed_twice(void) {
    image im = image_start(0);
    image_link leaf = {"leaf", 0, NULL};
    leaf.address = image_dataset(&im, 0, NULL, IMAGE_V0_LEN, 4);
    uint64_t offs[2], heap = image_heap(&im, &leaf, 1, offs), symbols = image_symbols(&im, &leaf, 1, offs);
    uint64_t tree = image_tree(&im, 0, &symbols, 1);
    uint64_t a = image_group_of(&im, tree, heap, NULL), b = image_group_of(&im, tree, heap, NULL);
    uint64_t c = image_group(&im, &leaf, 1, NULL);
    image_finish(&im, image_group(&im, (image_link[]){{"a", a, NULL}, {"b", b, NULL}, {"c", c, NULL}}, 3, NULL));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(node_of(o.hdf5, "a").fault.code, KW_OK);
    CHECK_EQ(node_of(o.hdf5, "b").fault.code, KW_ALIAS);
    CHECK_EQ(node_of(o.hdf5, "b").fault.at, heap);
    CHECK_EQ(kw_hdf5_find_path(o.hdf5, 0, "b/leaf"), KW_NONE);
    CHECK_EQ(node_of(o.hdf5, "c/leaf").kind, KW_NODE_ALIAS);
    close_file(&o);
    free(im.bytes);
}

/* A chain of nodes each of which names the next one twice: 2^60 ways, 61 nodes. */
static void test_deep_tree(void) {
    image im = image_start(0);
    uint64_t offs[2], heap = image_heap(&im, (image_link[]){{"x", 0, NULL}}, 1, offs);
    image_link link = {"x", image_dataset(&im, 0, NULL, IMAGE_V0_LEN, 4), NULL};
    uint64_t tree = image_symbols(&im, &link, 1, offs);
    for (unsigned level = 0; level < 60; level++) tree = image_tree(&im, level, (uint64_t[]){tree, tree}, 2);
    image_finish(&im, image_group_of(&im, tree, heap, NULL));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->nodes[0].fault.code, KW_ALIAS);
    CHECK_EQ(node_of(o.hdf5, "x").kind, KW_NODE_DATASET);
    CHECK_EQ(o.hdf5->node_count, 2);
    close_file(&o);
    free(im.bytes);
}

static void test_level_of_tree(void) {
    image im = image_start(0);
    uint64_t offs[2], heap = image_heap(&im, (image_link[]){{"x", 0, NULL}}, 1, offs);
    uint64_t tree = image_tree(&im, 3, NULL, 0);
    image_finish(&im, image_group_of(&im, image_tree(&im, 1, &tree, 1), heap, NULL));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->fault.code, KW_CORRUPT);
    CHECK_EQ(o.hdf5->fault.at, tree + 5);
    close_file(&o);
    free(im.bytes);
}

/* Values that share bytes with other values, or with a structure: small ones, and ones of many pages. */
static void test_shared_values(void) {
    static const float values[30000] = {1, 2, 3, 4, 5, 6};
    enum { SECOND_OFF = 20 };
    for (int i = 0; i < 6; i++) {
        uint64_t len = i < 3 ? 24 : sizeof values, shape[] = {len / sizeof *values};
        image im = image_start(0);
        uint64_t data = image_data(&im, values, len), free_data = image_data(&im, values, len);
        uint64_t first = image_dataset(&im, 1, shape, data, len);
        image_data(&im, values, len);
        const uint64_t places[] = {data + SECOND_OFF, first, free_data};
        uint64_t second = image_dataset(&im, 1, shape, places[i % 3], len);
        image_finish(&im, image_group(&im, (image_link[]){{"a", first, NULL}, {"b", second, NULL}}, 2, NULL));
        opened o = open_bytes(im.bytes, im.len);
        CHECK_EQ(dataset_of(o.hdf5, "a").shared_at, KW_NOWHERE);
        CHECK_EQ(dataset_of(o.hdf5, "b").shared_at, i % 3 < 2 ? places[i % 3] : KW_NOWHERE);
        CHECK_EQ(dataset_of(o.hdf5, "b").fault.code, KW_OK);
        close_file(&o);
        free(im.bytes);
    }
}

static void test_continuation_to_itself(void) {
    image im = image_start(0), b = {0};
    messages m = {0};
    image_uint(&b, IMAGE_V0_LEN, 8); /* where the header will be */
    image_uint(&b, 40, 8);
    messages_take(&m, 0x10, 0, b);
    uint64_t header = image_header1(&im, &m), sound = image_dataset(&im, 0, NULL, IMAGE_V0_LEN, 4);
    image_finish(&im, image_group(&im, (image_link[]){{"bad", header, NULL}, {"ok", sound, NULL}}, 2, NULL));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(header, IMAGE_V0_LEN);
    CHECK_EQ(node_of(o.hdf5, "bad").fault.code, KW_ALIAS);
    CHECK_EQ(node_of(o.hdf5, "ok").fault.code, KW_OK);
    close_file(&o);
    free(im.bytes);
}

/* The fault of a child "x" of the root whose header has these messages, and of its dataset. */
static void check_header(const messages *m, int code, const char *what) {
    image im = image_start(0);
    uint64_t header = image_header1(&im, m);
    image_finish(&im, image_group(&im, (image_link[]){{"x", header, NULL}}, 1, NULL));
    opened o = open_bytes(im.bytes, im.len);
    kw_node node = node_of(o.hdf5, "x");
    int got = node.dataset != KW_NONE ? o.hdf5->datasets[node.dataset].fault.code : node.fault.code;
    if (!CHECK_EQ(got, code)) fprintf(stderr, "    %s\n", what);
    close_file(&o);
    free(im.bytes);
}

static void test_sizes(void) {
    static const uint64_t huge[] = {1ull << 40}, wraps[] = {1ull << 33, 1ull << 33}, six[] = {6};
    uint64_t many[40] = {0};
    messages m = {0};
    messages_space(&m, 1, six);
    messages_float(&m, 4);
    messages_contiguous(&m, 96, 20);
    check_header(&m, KW_CORRUPT, "storage smaller than the shape");
    m = (messages){0};
    messages_space(&m, 1, six);
    messages_float(&m, 4);
    messages_contiguous(&m, 1000, 24);
    check_header(&m, KW_TRUNCATED, "data past the end");
    m = (messages){0};
    messages_space(&m, 1, huge);
    messages_float(&m, 4);
    messages_contiguous(&m, 96, 1ull << 42);
    check_header(&m, KW_BOMB, "a size far beyond the file");
    m = (messages){0};
    messages_space(&m, 1, huge);
    messages_float(&m, 4);
    messages_chunked(&m, 96, 2, (uint32_t[]){1024, 4});
    check_header(&m, KW_BOMB, "chunks far beyond the file");
    m = (messages){0};
    messages_space(&m, 2, wraps);
    messages_float(&m, 4);
    messages_contiguous(&m, 96, 0);
    check_header(&m, KW_BOMB, "a shape whose product wraps");
    m = (messages){0};
    messages_space(&m, 1, six);
    messages_float(&m, 4);
    messages_chunked(&m, 96, 2, (uint32_t[]){0, 4});
    check_header(&m, KW_CORRUPT, "chunks of size 0");
    m = (messages){0};
    messages_space(&m, 1, six);
    messages_float(&m, 4);
    messages_chunked(&m, 96, 3, (uint32_t[]){2, 2, 4});
    check_header(&m, KW_CORRUPT, "chunks of another rank");
    m = (messages){0};
    messages_space(&m, 40, many);
    messages_float(&m, 4);
    check_header(&m, KW_CORRUPT, "rank 40");
    m = (messages){0};
    messages_space(&m, 1, six);
    check_header(&m, KW_CORRUPT, "no datatype");
    messages_space(&m, 1, six);
    check_header(&m, KW_CORRUPT, "two dataspaces");
    m = (messages){0};
    messages_add(&m, 0x0d, 0, "remark", 7);
    check_header(&m, KW_CORRUPT, "no kind of object");
    messages_add(&m, 0x30, 0x80, "", 0);
    check_header(&m, KW_UNSUPPORTED, "a vital message of the future");
    m = (messages){0};
    messages_space(&m, 1, six);
    messages_float(&m, 4);
    messages_add(&m, 0x07, 0, "", 0);
    messages_contiguous(&m, IMAGE_NOWHERE, 24);
    check_header(&m, KW_EXTERNAL, "data in other files");
}

/* A damaged attribute is a fault of its own; the object and its other attributes stay. */
static void test_attribute(void) {
    image im = image_start(0);
    messages m = {0};
    uint8_t reference[16];
    uint64_t heap = image_collection(&im, "abc", 3);
    put_reference(reference, 4, heap);
    messages_attribute(&m, "long", body_vlen_text(), 0, 0, reference, 16);
    put_reference(reference, 2, heap);
    messages_attribute(&m, "short", body_vlen_text(), 0, 0, reference, 16);
    reference[12] = 9;
    messages_attribute(&m, "index", body_vlen_text(), 0, 0, reference, 16);
    messages_attribute(&m, "cut", body_text(100), 1, 100, "x", 1);
    image_finish(&im, image_group(&im, NULL, 0, &m));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->attr_count, 4);
    CHECK_EQ(kw_hdf5_attr(o.hdf5, 0, "long")->fault.code, KW_CORRUPT);
    CHECK_EQ(kw_hdf5_attr(o.hdf5, 0, "index")->fault.code, KW_CORRUPT);
    CHECK_EQ(kw_hdf5_attr(o.hdf5, 0, "cut")->fault.code, KW_CORRUPT);
    CHECK_EQ(kw_hdf5_attr(o.hdf5, 0, "short")->fault.code, KW_OK);
    CHECK_STR(kw_hdf5_attr(o.hdf5, 0, "short")->texts[0], "ab");
    CHECK_EQ(o.hdf5->nodes[0].fault.code, KW_OK);
    close_file(&o);
    free(im.bytes);
}

static void test_names(void) {
    image im = image_start(0);
    uint64_t x = image_dataset(&im, 0, NULL, IMAGE_V0_LEN, 4);
    image_link links[] = {{"", x, NULL}, {"a/b", x, NULL}, {"same", x, NULL}, {"same", x, NULL}, {"b", x, NULL}};
    image_finish(&im, image_group(&im, links, 5, NULL));
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->node_count, 3);
    CHECK_EQ(o.hdf5->nodes[0].fault.code, KW_CORRUPT);
    CHECK_EQ(node_of(o.hdf5, "b").kind, KW_NODE_DATASET);
    CHECK_EQ(node_of(o.hdf5, "same").kind, KW_NODE_ALIAS);
    close_file(&o);
    free(im.bytes);
}

static void test_checksum(void) {
    image im = make_sample(2);
    im.bytes[im.len - 5] ^= 1; /* in the root's header */
    opened o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->fault.code, KW_CHECKSUM);
    CHECK(!o.hdf5->interrupted);
    close_file(&o);
    im.bytes[20] ^= 1; /* in the superblock */
    o = open_bytes(im.bytes, im.len);
    CHECK_EQ(o.hdf5->fault.code, KW_CHECKSUM);
    CHECK_EQ(o.hdf5->node_count, 0);
    CHECK_EQ(kw_hdf5_find(o.hdf5, 0, "dense"), KW_NONE);
    CHECK_EQ(kw_hdf5_find_path(o.hdf5, 0, ""), KW_NONE);
    close_file(&o);
    free(im.bytes);
}

/* ---- files that were not finished, or not copied whole ---- */

static void test_interrupted(void) {
    image im = image_start(0);
    uint64_t root = image_data(&im, NULL, 512);
    image_finish(&im, root);
    opened o = open_bytes(im.bytes, im.len);
    CHECK(o.hdf5->interrupted);
    CHECK_EQ(o.hdf5->fault.code, KW_INTERRUPTED);
    close_file(&o);
    free(im.bytes);

    im = make_sample(3); /* still marked as open for writing, and longer than recorded */
    image_patch(&im, 11, 1, 1);
    image_patch(&im, 28, im.len - 8, 8);
    image_seal(&im, 0, IMAGE_V2_LEN);
    o = open_bytes(im.bytes, im.len);
    CHECK(o.hdf5->interrupted && !o.hdf5->truncated);
    close_file(&o);
    image_patch(&im, 11, 0, 1);
    image_seal(&im, 0, IMAGE_V2_LEN);
    o = open_bytes(im.bytes, im.len);
    CHECK(!o.hdf5->interrupted && o.hdf5->fault.code == KW_OK);
    close_file(&o);
    free(im.bytes);

    im = make_sample(0); /* libraries of this version left the flag in files they had finished */
    image_patch(&im, 20, 3, 4);
    image_patch(&im, 40, im.len - 8, 8);
    o = open_bytes(im.bytes, im.len);
    CHECK(!o.hdf5->interrupted);
    close_file(&o);
    free(im.bytes);
}

/* Data behind all structure: a cut leaves the tree, and tells which tensors are whole. */
static void test_truncated_data(void) {
    image im = image_start(0);
    uint64_t at[2], six[] = {6};
    for (unsigned i = 0; i < 2; i++) at[i] = image_dataset(&im, 1, six, 0, 24);
    uint64_t root = image_group(&im, (image_link[]){{"a", at[0], NULL}, {"b", at[1], NULL}}, 2, NULL);
    uint64_t data = image_data(&im, NULL, 48);
    for (unsigned i = 0; i < 2; i++) image_patch(&im, at[i] + 16 + 8 + 16 + 8 + 24 + 8 + 2, data + 24 * i, 8);
    image_finish(&im, root);
    opened o = open_bytes(im.bytes, im.len - 5);
    CHECK(o.hdf5->truncated);
    CHECK_EQ(dataset_of(o.hdf5, "a").off, data);
    CHECK_EQ(dataset_of(o.hdf5, "a").fault.code, KW_OK);
    CHECK_EQ(dataset_of(o.hdf5, "b").fault.code, KW_TRUNCATED);
    CHECK_EQ(dataset_of(o.hdf5, "b").fault.at, im.len - 5);
    close_file(&o);
    free(im.bytes);
}

/* ---- every length, every byte ---- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What must hold of any file that opens at all. */
static bool is_consistent(const kw_hdf5 *hdf5, size_t len) {
    for (uint32_t i = 1; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        if (node->parent >= i || node->next <= i || node->next > hdf5->node_count || node->name[0] == 0) return false;
        if (node->first_attr + node->attr_count > hdf5->attr_count) return false;
    }
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        const kw_dataset *dataset = &hdf5->datasets[i];
        bool here = dataset->storage == KW_STORAGE_CONTIGUOUS || dataset->storage == KW_STORAGE_COMPACT;
        if (here && dataset->fault.code == KW_OK && !kw_in_range(dataset->off, dataset->nbytes, len)) return false;
    }
    return true;
}

/* Opens from memory of its exact size, so that a sanitizer sees a byte too far. */
static bool survives(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    double start = seconds();
    opened o = open_bytes(copy, len);
    bool ok = o.hdf5 == NULL ? o.err.code != KW_OK : is_consistent(o.hdf5, len);
    close_file(&o);
    free(copy);
    return ok && seconds() - start < 2.0;
}

static void check_lengths(const image *im) {
    for (size_t len = 0; len < im->len; len++)
        if (!CHECK(survives(im->bytes, len))) fprintf(stderr, "    length %zu\n", len);
}

static void check_bytes(image *im) {
    for (size_t i = 0; i < im->len; i++) {
        uint8_t was = im->bytes[i];
        const uint8_t values[] = {0, 0xff, was ^ 1, was ^ 0x80, (uint8_t)(was + 1), (uint8_t)(was - 1)};
        for (size_t k = 0; k < sizeof values; k++) {
            im->bytes[i] = values[k];
            if (!CHECK(survives(im->bytes, im->len))) fprintf(stderr, "    byte %zu = %u\n", i, values[k]);
        }
        im->bytes[i] = was;
    }
}

/* The same behind right checksums: the block [at, at + len) is sealed again after each change. */
static void check_sealed_bytes(image *im, size_t at, size_t len) {
    for (size_t i = at; i < at + len - 4; i++) {
        uint8_t was = im->bytes[i];
        for (unsigned k = 0; k < 3; k++) {
            im->bytes[i] = k == 0 ? 0 : k == 1 ? 0xff : (uint8_t)(was + 1);
            image_seal(im, at, len);
            if (!CHECK(survives(im->bytes, im->len))) fprintf(stderr, "    sealed byte %zu\n", i);
        }
        im->bytes[i] = was;
        image_seal(im, at, len);
    }
}

/* The next block with this signature at or after `from`, or the image's length. */
static size_t find_block(const image *im, const char *signature, size_t from) {
    while (from + 4 <= im->len && memcmp(im->bytes + from, signature, 4) != 0) from++;
    return from + 4 <= im->len ? from : im->len;
}

static void test_every_length_and_byte(void) {
    for (unsigned superblock = 0; superblock <= 2; superblock += 2) {
        image im = make_sample(superblock);
        check_lengths(&im);
        check_bytes(&im);
        if (superblock == 2) check_sealed_bytes(&im, 0, IMAGE_V2_LEN);
        size_t header = find_block(&im, "OHDR", 0);
        if (header < im.len) check_sealed_bytes(&im, header, im.len - header); /* the root's: the last block */
        free(im.bytes);
    }
}

static void test_every_dense_byte(void) {
    image im = make_dense();
    for (size_t len = 0; len < im.len; len += 37)
        if (!CHECK(survives(im.bytes, len))) fprintf(stderr, "    length %zu\n", len);
    for (size_t at = find_block(&im, "FRHP", 0); at < im.len; at = find_block(&im, "FRHP", at + 4))
        check_sealed_bytes(&im, at, 146);
    for (size_t at = find_block(&im, "BTHD", 0); at < im.len; at = find_block(&im, "BTHD", at + 4))
        check_sealed_bytes(&im, at, 38);
    free(im.bytes);
}

/* ---- no HDF5 at all ---- */

static void test_foreign(void) {
    static const char *const texts[] = {"", "\x89HDF\r\n", "PK\3\4 and so on", "\x89HDF\r\n\x1a\r and so on"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        opened o = open_bytes(texts[i], strlen(texts[i]));
        CHECK(o.hdf5 == NULL);
        CHECK_EQ(o.err.code, KW_NOT_WEIGHTS);
        close_file(&o);
    }
    opened o = open_bytes("\x89HDF\r\n\x1a\n\7", 9); /* a version of the future */
    CHECK_EQ(o.hdf5->fault.code, KW_UNSUPPORTED);
    close_file(&o);
}

int main(void) {
    RUN(test_sound);
    RUN(test_user_block);
    RUN(test_dense);
    RUN(test_types);
    RUN(test_types_to_their_last_byte);
    RUN(test_cycle);
    RUN(test_claimed_twice);
    RUN(test_deep_tree);
    RUN(test_level_of_tree);
    RUN(test_shared_values);
    RUN(test_continuation_to_itself);
    RUN(test_sizes);
    RUN(test_attribute);
    RUN(test_names);
    RUN(test_checksum);
    RUN(test_interrupted);
    RUN(test_truncated_data);
    RUN(test_every_length_and_byte);
    RUN(test_every_dense_byte);
    RUN(test_foreign);
    return check_result(__FILE__);
}
