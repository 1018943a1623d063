/* What few files have: heap objects that are huge or tiny, layouts and headers of the future, superblock extensions,
 * arrays of chunks that lie.  Made by hand, with right checksums. */
#include <libdeflate.h>
#include <math.h>

#include "check.h"
#include "hdf5_image.h"
#include "read/hdf5_heap.h"

typedef struct opened {
    kw_source *source;
    kw_hdf5 *hdf5;
    kw_error err;
} opened;

static opened open_image(const image *im) {
    opened o = {0};
    if (kw_source_open_memory(im->bytes, im->len, NULL, NULL, &o.source, &o.err) == 0)
        (void)kw_hdf5_open(o.source, &o.hdf5, &o.err);
    return o;
}

static void close_file(opened *o) {
    kw_hdf5_free(o->hdf5);
    kw_source_release(o->source);
}

/* A file whose root holds only "x", with this header; the image is freed by the caller. */
static void finish_with(image *im, const messages *m) {
    uint64_t header = image_header1(im, m);
    image_finish(im, image_group(im, (image_link[]){{"x", header, NULL}}, 1, NULL));
}

/* The code with which opening or reading "x" ends; KW_OK with its bytes in `out`.  The image is freed. */
static int read_x(image *im, const messages *m, void *out, size_t len) {
    finish_with(im, m);
    opened o = open_image(im);
    uint32_t node = o.hdf5 != NULL ? kw_hdf5_find(o.hdf5, 0, "x") : KW_NONE;
    int code = o.err.code;
    if (CHECK(node != KW_NONE)) {
        uint32_t dataset = o.hdf5->nodes[node].dataset;
        code = o.hdf5->nodes[node].fault.code;
        if (dataset != KW_NONE) code = o.hdf5->datasets[dataset].fault.code;
        if (code == KW_OK && CHECK(dataset != KW_NONE && o.hdf5->datasets[dataset].nbytes <= len) &&
            kw_hdf5_read(o.hdf5, dataset, out, &o.err) != 0)
            code = o.err.code;
    }
    close_file(&o);
    free(im->bytes);
    return code;
}

/* ---- fractal heap ---- */

typedef struct heap_shape {
    unsigned id_len, filters_len;
    uint64_t huge_tree, root;
} heap_shape;

/* A heap with direct blocks of 512 bytes; its address. */
static uint64_t put_heap(image *im, heap_shape shape) {
    uint64_t at = image_data(im, "FRHP", 5);
    image_uint(im, shape.id_len, 2);
    image_uint(im, shape.filters_len, 2);
    image_uint(im, 0, 1);
    image_uint(im, 400, 4); /* the longest managed object */
    image_uint(im, 0, 8);
    image_uint(im, shape.huge_tree, 8);
    for (unsigned i = 0; i < 10; i++) image_uint(im, 0, 8);
    image_uint(im, 4, 2);
    image_uint(im, 512, 8);
    image_uint(im, 512, 8);
    image_uint(im, 32, 2);
    image_uint(im, 0, 2);
    image_uint(im, shape.root, 8);
    image_uint(im, 0, 2);
    image_uint(im, 0, 4);
    image_seal(im, at, im->len - at);
    return at;
}

/* The tree of huge objects with one leaf of `count` records of address, length and key. */
static uint64_t put_huge_tree(image *im, const uint64_t (*records)[3], unsigned count) {
    uint64_t leaf = image_data(im, "BTLF\0\1", 6);
    for (unsigned i = 0; i < 3 * count; i++) image_uint(im, records[i / 3][i % 3], 8);
    image_uint(im, 0, 4);
    image_seal(im, leaf, im->len - leaf);
    uint64_t at = image_data(im, "BTHD\0\1", 6);
    image_uint(im, 512, 4);
    image_uint(im, 24, 2);
    image_uint(im, 0, 2);
    image_uint(im, 100 | 40 << 8, 2);
    image_uint(im, leaf, 8);
    image_uint(im, count, 2);
    image_uint(im, count, 8);
    image_uint(im, 0, 4);
    image_seal(im, at, im->len - at);
    return at;
}

/* The code with which looking up an ID ends; KW_OK when the object is `text`. */
static int look_up(kw_fractal_heap *heap, const void *id, size_t len, const char *text) {
    kw_error err = {0};
    kw_view out = {0};
    if (kw_fractal_heap_find(heap, (kw_view){.data = id, .len = len, .off = 0}, &out, &err) != 0) return err.code;
    CHECK_EQ(out.len, strlen(text));
    CHECK_MEM(out.data, text, strlen(text));
    return KW_OK;
}

/* Opens the heap of a file that is otherwise empty. */
static kw_fractal_heap *open_heap(image *im, uint64_t at, opened *o) {
    kw_fractal_heap *heap = NULL;
    image_finish(im, image_group(im, NULL, 0, NULL));
    *o = open_image(im);
    if (CHECK(o->hdf5 != NULL)) CHECK_EQ(kw_fractal_heap_open(o->hdf5, at, &heap, &o->err), 0);
    return heap;
}

static void test_tiny_objects(void) {
    for (unsigned id_len = 8; id_len <= 30; id_len += 22) { /* longer IDs have a length of twelve bits */
        image im = image_start(0);
        opened o;
        kw_fractal_heap *heap = open_heap(&im, put_heap(&im, (heap_shape){id_len, 0, IMAGE_NOWHERE, IMAGE_NOWHERE}), &o);
        const char *id = id_len == 8 ? "\x24tiny!" : "\x20\4tiny!", *cut = id_len == 8 ? "\x27tiny" : "\x20\7tiny";
        CHECK_EQ(look_up(heap, id, strlen(id), "tiny!"), KW_OK);
        CHECK_EQ(look_up(heap, cut, strlen(cut), ""), KW_CORRUPT);
        CHECK_EQ(look_up(heap, "\x30tiny!", 6, ""), KW_CORRUPT); /* a type that there is not */
        CHECK_EQ(look_up(heap, "\x40tiny!", 6, ""), KW_CORRUPT); /* and a version */
        CHECK_EQ(look_up(heap, "\0\0\0\0\0\1\0\0", 8, ""), KW_CORRUPT); /* managed, where no block is */
        kw_fractal_heap_close(heap);
        close_file(&o);
        free(im.bytes);
    }
}

/* The address and length in the ID itself, where it has room for them. */
static void test_huge_in_id(void) {
    image im = image_start(0), id = {0}, far = {0};
    opened o;
    uint64_t object = image_data(&im, "a huge object", 13);
    kw_fractal_heap *heap = open_heap(&im, put_heap(&im, (heap_shape){17, 0, IMAGE_NOWHERE, IMAGE_NOWHERE}), &o);
    image_uint(&id, 0x10, 1);
    image_uint(&id, object, 8);
    image_uint(&id, 13, 8);
    image_uint(&far, 0x10, 1);
    image_uint(&far, 1 << 20, 8);
    image_uint(&far, 13, 8);
    CHECK_EQ(look_up(heap, id.bytes, id.len, "a huge object"), KW_OK);
    CHECK_EQ(look_up(heap, id.bytes, id.len, ""), KW_ALIAS); /* its bytes are claimed once */
    CHECK_EQ(look_up(heap, far.bytes, far.len, ""), KW_CORRUPT);
    CHECK_EQ(look_up(heap, id.bytes, 9, ""), KW_CORRUPT);
    kw_fractal_heap_close(heap);
    close_file(&o);
    free(id.bytes);
    free(far.bytes);
    free(im.bytes);
}

/* A key, which a tree has the address of. */
static void test_huge_in_tree(void) {
    image im = image_start(0);
    opened o;
    uint64_t second = image_data(&im, "the second", 10), first = image_data(&im, "the first", 9);
    uint64_t tree = put_huge_tree(&im, (const uint64_t[][3]){{second, 10, 2}, {first, 9, 1}}, 2);
    kw_fractal_heap *heap = open_heap(&im, put_heap(&im, (heap_shape){8, 0, tree, IMAGE_NOWHERE}), &o);
    CHECK_EQ(look_up(heap, "\x10\1\0\0\0\0\0\0", 8, "the first"), KW_OK);
    CHECK_EQ(look_up(heap, "\x10\2\0\0\0\0\0\0", 8, "the second"), KW_OK);
    CHECK_EQ(look_up(heap, "\x10\3\0\0\0\0\0\0", 8, ""), KW_CORRUPT);
    CHECK_EQ(look_up(heap, "\x10\1\0", 3, ""), KW_CORRUPT);
    kw_fractal_heap_close(heap);
    close_file(&o);
    free(im.bytes);
    im = image_start(0);
    heap = open_heap(&im, put_heap(&im, (heap_shape){8, 0, 8, IMAGE_NOWHERE}), &o); /* no tree there */
    CHECK_EQ(look_up(heap, "\x10\1\0\0\0\0\0\0", 8, ""), KW_CORRUPT);
    CHECK_EQ(look_up(heap, "\x10\1\0\0\0\0\0\0", 8, ""), KW_CORRUPT); /* which is not tried again */
    kw_fractal_heap_close(heap);
    close_file(&o);
    free(im.bytes);
}

/* ---- headers ---- */

static image body_bytes(const char *bytes, size_t len) {
    image b = {0};
    image_put(&b, bytes, len);
    return b;
}

/* Messages of a dataset of three floats without storage. */
static messages three_floats(void) {
    messages m = {0};
    messages_space(&m, 1, (uint64_t[]){3});
    messages_float(&m, 4);
    return m;
}

/* A layout that this reader does not know is a matter of its dataset. */
static void test_unknown_layouts(void) {
    static const char layouts[][16] = {
        {5, 2}, {99, 1}, {0, 1}, {4, 2, 0, 2, 1, 3, 4, 6}, {4, 2, 0, 2, 1, 3, 4, 0}}; /* 6 and 0: kinds of index */
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        image im = image_start(0);
        messages m = three_floats();
        uint64_t sound = image_dataset(&im, 0, NULL, IMAGE_V0_LEN, 4);
        messages_take(&m, 0x08, 0, body_bytes(layouts[i], sizeof layouts[i]));
        uint64_t header = image_header1(&im, &m);
        image_finish(&im, image_group(&im, (image_link[]){{"new", header, NULL}, {"ok", sound, NULL}}, 2, NULL));
        opened o = open_image(&im);
        if (CHECK(o.hdf5 != NULL && o.hdf5->dataset_count == 2)) {
            CHECK_EQ(o.hdf5->fault.code, KW_OK);
            CHECK_EQ(o.hdf5->datasets[0].fault.code, KW_UNSUPPORTED);
            CHECK_EQ(o.hdf5->datasets[0].dtype, KW_DTYPE_FLOAT32);
            CHECK_EQ(o.hdf5->datasets[0].shape[0], 3);
            CHECK_EQ(o.hdf5->datasets[1].fault.code, KW_OK);
        }
        close_file(&o);
        free(im.bytes);
    }
}

static void test_fill_of_another_length(void) {
    float out[3];
    image im = image_start(0);
    messages m = three_floats();
    messages_contiguous(&m, IMAGE_NOWHERE, 12);
    messages_take(&m, 0x05, 0, body_bytes("\2\2\2\1\4\0\0\0\0\0\x80\x3f", 12));
    CHECK_EQ(read_x(&im, &m, out, sizeof out), KW_OK);
    CHECK(out[0] == 1 && out[1] == 1 && out[2] == 1);
    im = image_start(0);
    m = three_floats();
    messages_contiguous(&m, IMAGE_NOWHERE, 12);
    messages_take(&m, 0x05, 0, body_bytes("\2\2\2\1\2\0\0\0\x80\x3f", 10));
    CHECK_EQ(read_x(&im, &m, out, sizeof out), KW_CORRUPT);
}

static void test_filter_messages(void) {
    static const char many[] = {1, 33, 0, 0, 0, 0, 0, 0}, version[] = {3, 1, 0, 0}, cut[] = {2, 1, 1, 0, 0, 0, 9, 0};
    const image bodies[] = {body_bytes(many, 8), body_bytes(version, 4), body_bytes(cut, 8)};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        image im = image_start(0);
        messages m = three_floats();
        messages_chunked(&m, IMAGE_NOWHERE, 2, (uint32_t[]){3, 4});
        messages_take(&m, 0x0b, 0, bodies[i]);
        float out[3];
        CHECK_EQ(read_x(&im, &m, out, sizeof out), KW_CORRUPT);
    }
}

/* The complex numbers of newer libhdf5: a class of their own over a float. */
static void test_complex_class(void) {
    for (unsigned len = 8; len <= 9; len++) {
        float value[2] = {1.5f, -2}, out[3];
        image im = image_start(0), type = {0}, part = body_float(4);
        uint64_t data = image_data(&im, value, sizeof value);
        messages m = {0};
        image_uint(&type, 0x5b, 1); /* version 5, class 11 */
        image_uint(&type, 0, 3);
        image_uint(&type, len, 4);
        image_put(&type, part.bytes, part.len);
        free(part.bytes);
        messages_space(&m, 0, NULL);
        messages_take(&m, 0x03, 0, type);
        messages_contiguous(&m, data, len);
        CHECK_EQ(read_x(&im, &m, out, sizeof out), len == 8 ? KW_OK : KW_CORRUPT);
        if (len == 8) CHECK_MEM(out, value, sizeof value);
    }
}

/* Every kind of binary16 that there is, and what is no number. */
static void test_half_attributes(void) {
    static const struct {
        uint16_t bits;
        double value;
    } halves[] = {{0x3e00, 1.5}, {0xc500, -5}, {0x0001, 0x1p-24}, {0x0400, 0x1p-14}, {0x7bff, 65504}, {0x8000, 0},
                  {0x7c00, INFINITY}};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        image im = image_start(0), type = {0}, part = body_float(4);
        messages m = {0};
        uint16_t bits[] = {halves[i].bits, 0x7e00};
        messages_attribute(&m, "half", body_float(2), 0, 0, bits, 2);
        messages_attribute(&m, "nan", body_float(2), 0, 0, bits + 1, 2);
        image_uint(&type, 0x5b, 1);
        image_uint(&type, 0, 3);
        image_uint(&type, 8, 4);
        image_put(&type, part.bytes, part.len);
        free(part.bytes);
        messages_attribute(&m, "complex", type, 0, 0, "12345678", 8);
        image_finish(&im, image_group(&im, NULL, 0, &m));
        opened o = open_image(&im);
        const kw_attr *half = kw_hdf5_attr(o.hdf5, 0, "half"), *nan = kw_hdf5_attr(o.hdf5, 0, "nan");
        const kw_attr *complex = kw_hdf5_attr(o.hdf5, 0, "complex");
        if (CHECK(half != NULL && nan != NULL && complex != NULL)) {
            CHECK_EQ(half->kind, KW_ATTR_FLOAT);
            CHECK(half->number >= halves[i].value && half->number <= halves[i].value);
            CHECK_EQ(signbit(half->number) != 0, halves[i].bits >> 15);
            CHECK(isnan(nan->number));
            CHECK_EQ(complex->kind, KW_ATTR_OTHER);
        }
        close_file(&o);
        free(im.bytes);
    }
}

/* Neither of the texts of an external link ends. */
static void test_external_link(void) {
    static const char *const values[] = {"\0other.h5", "\0other.h5\0/d", ""};
    static const size_t lens[] = {9, 12, 0};
    for (size_t i = 0; i < 3; i++) {
        image im = image_start(2), b = {0};
        messages root = {.version = 2};
        image_uint(&b, 0x0801, 2); /* version 1, the type follows */
        image_uint(&b, 64, 1);
        image_uint(&b, 1, 1);
        image_put(&b, "e", 1);
        image_uint(&b, lens[i], 2);
        image_put(&b, values[i], lens[i]);
        messages_take(&root, 0x06, 0, b);
        image_finish(&im, image_header2(&im, &root));
        opened o = open_image(&im);
        CHECK_EQ(o.hdf5->nodes[0].fault.code, KW_CORRUPT);
        close_file(&o);
        free(im.bytes);
    }
}

/* A file of superblock 2 whose extension has one message; the code of the file. */
static int extension_code(unsigned type, const char *body, size_t len) {
    enum { EXTENSION_AT = 20 };
    image im = image_start(2);
    messages extension = {.version = 2}, root = {.version = 2};
    messages_take(&extension, type, 0, body_bytes(body, len));
    uint64_t at = image_header2(&im, &extension);
    messages_take(&root, 0x02, 0, body_bytes("\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 18));
    image_finish(&im, image_header2(&im, &root));
    image_patch(&im, EXTENSION_AT, at, 8);
    image_seal(&im, 0, IMAGE_V2_LEN);
    opened o = open_image(&im);
    int code = o.hdf5 != NULL ? o.hdf5->fault.code : o.err.code;
    close_file(&o);
    free(im.bytes);
    return code;
}

static void test_superblock_extension(void) {
    CHECK_EQ(extension_code(0x0d, "a remark", 9), KW_OK);
    CHECK_EQ(extension_code(0x14, "\0NCSAfami\0\0", 11), KW_UNSUPPORTED); /* a driver: other files */
    CHECK_EQ(extension_code(0x18, "\0\x30\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0", 17), KW_UNSUPPORTED); /* a cache image */
    CHECK_EQ(extension_code(0x0f, "\0\x30\0\0\0\0\0\0\0\x09", 10), KW_CORRUPT); /* nine tables of shared messages */
    CHECK_EQ(extension_code(0x0f, "\0\x30\0\0\0\0\0\0\0\x01", 10), KW_ALIAS); /* one, in an object header */
    CHECK_EQ(extension_code(0x0f, "\0\x30\0", 3), KW_CORRUPT);
}

/* ---- arrays of chunks ---- */

typedef struct array {
    unsigned version, client, element_len, page_bits;
    uint64_t count, belongs_to; /* 0: to the array */
    const char *signature;
} array;

/* Messages of 6 floats that may become `max`, in chunks of two, with an index of this type. */
static messages chunked_floats(unsigned index, const char *parameters, size_t len, uint64_t max, uint64_t at) {
    image space = body_space(1, (uint64_t[]){6}), layout = {0};
    messages m = {0};
    space.bytes[2] = 1; /* the greatest shape follows */
    image_uint(&space, max, 8);
    messages_take(&m, 0x01, 0, space);
    messages_float(&m, 4);
    image_put(&layout, "\4\2\0\2\1\2\4", 7);
    image_uint(&layout, index, 1);
    image_put(&layout, parameters, len);
    image_uint(&layout, at, 8);
    messages_take(&m, 0x08, 0, layout);
    return m;
}

/* What reading six floats in a fixed array with such a header and block gives. */
static int read_fixed_array(array a, uint64_t max) {
    float values[6] = {1, 2, 3, 4, 5, 6}, out[6] = {0};
    image im = image_start(0);
    uint64_t data = image_data(&im, values, sizeof values), block = image_data(&im, a.signature, 4);
    image_uint(&im, a.version, 1);
    image_uint(&im, a.client, 1);
    size_t belongs = im.len;
    image_uint(&im, 0, 8);
    if (a.count > UINT64_C(1) << (a.page_bits & 63)) image_uint(&im, 0xff, 1); /* its pages, all written */
    else for (unsigned i = 0; i < 3; i++) image_uint(&im, data + 8 * i, 8);
    image_uint(&im, 0, 4);
    size_t block_len = im.len - block;
    uint64_t header = image_data(&im, "FAHD\0\0", 6);
    image_uint(&im, a.element_len, 1);
    image_uint(&im, a.page_bits, 1);
    image_uint(&im, a.count, 8);
    image_uint(&im, block, 8);
    image_uint(&im, 0, 4);
    image_seal(&im, header, im.len - header);
    image_patch(&im, belongs, a.belongs_to != 0 ? a.belongs_to : header, 8);
    image_seal(&im, block, block_len);
    messages m = chunked_floats(3, "\12", 1, max, header);
    int code = read_x(&im, &m, out, sizeof out);
    if (code == KW_OK) CHECK_MEM(out, values, sizeof values);
    return code;
}

static void test_fixed_array(void) {
    const array sound = {.element_len = 8, .page_bits = 10, .count = 3, .signature = "FADB"};
    array a = sound;
    CHECK_EQ(read_fixed_array(sound, 6), KW_OK);
    a.version = 1;
    CHECK_EQ(read_fixed_array(a, 6), KW_UNSUPPORTED);
    a = sound, a.client = 1;
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    a = sound, a.belongs_to = 96;
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    a = sound, a.signature = "FADC";
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    a = sound, a.element_len = 9;
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    a = sound, a.page_bits = 64;
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    a = sound, a.count = 4;
    CHECK_EQ(read_fixed_array(a, 6), KW_CORRUPT);
    CHECK_EQ(read_fixed_array(sound, 4), KW_CORRUPT); /* at most smaller than it is */
    a = sound, a.count = UINT64_C(1) << 62, a.page_bits = 61; /* pages whose length has no number */
    CHECK_EQ(read_fixed_array(a, UINT64_C(1) << 63), KW_CORRUPT);
}

/* A header of an extensible array: the code of a dataset with it. */
static int read_extensible_array(const char *numbers, uint64_t max, uint64_t block) {
    float out[6];
    image im = image_start(0);
    uint64_t header = image_data(&im, "EAHD\0\0\10", 7);
    image_put(&im, numbers, 5);
    for (unsigned i = 0; i < 6; i++) image_uint(&im, 0, 8);
    image_uint(&im, block, 8);
    image_uint(&im, 0, 4);
    image_seal(&im, header, im.len - header);
    messages m = chunked_floats(4, numbers, 5, max, header);
    return read_x(&im, &m, out, sizeof out);
}

static void test_extensible_array(void) {
    const char *usual = "\40\4\20\4\12";
    CHECK_EQ(read_extensible_array(usual, UINT64_MAX, IMAGE_NOWHERE), KW_OK); /* nothing is stored */
    CHECK_EQ(read_extensible_array(usual, 8, IMAGE_NOWHERE), KW_CORRUPT);     /* nothing is unlimited */
    CHECK_EQ(read_extensible_array(usual, UINT64_MAX, 1 << 20), KW_CORRUPT);   /* its block lies nowhere */
    CHECK_EQ(read_extensible_array("\40\4\21\4\12", UINT64_MAX, IMAGE_NOWHERE), KW_CORRUPT); /* no power of two */
    CHECK_EQ(read_extensible_array("\77\4\20\4\12", UINT64_MAX, IMAGE_NOWHERE), KW_CORRUPT); /* 2^63 elements */
    CHECK_EQ(read_extensible_array("\40\4\20\1\12", UINT64_MAX, IMAGE_NOWHERE), KW_CORRUPT);
    CHECK_EQ(read_extensible_array("\4\4\20\4\12", UINT64_MAX, IMAGE_NOWHERE), KW_CORRUPT);
}

/* A scalar has no chunks. */
static void test_chunks_of_a_scalar(void) {
    float out;
    image im = image_start(0);
    messages m = {0};
    messages_space(&m, 0, NULL);
    messages_float(&m, 4);
    messages_chunked(&m, 96, 1, (uint32_t[]){4});
    CHECK_EQ(read_x(&im, &m, &out, sizeof out), KW_CORRUPT);
}

/* Chunks of nothing declared by a greatest shape whose grid has no number. */
static void test_grid_without_number(void) {
    float out[4] = {0};
    image im = image_start(0), space = body_space(2, (uint64_t[]){2, 2}), layout = {0};
    messages m = {0};
    space.bytes[2] = 1;
    image_uint(&space, UINT64_C(1) << 40, 8);
    image_uint(&space, UINT64_C(1) << 40, 8);
    messages_take(&m, 0x01, 0, space);
    messages_float(&m, 4);
    image_put(&layout, "\4\2\0\3\1\1\1\4\3\12", 10);
    image_uint(&layout, 96, 8);
    messages_take(&m, 0x08, 0, layout);
    CHECK_EQ(read_x(&im, &m, out, sizeof out), KW_CORRUPT);
}

/* ---- filters ---- */

typedef struct filter {
    unsigned id, count;
    uint32_t values[40];
} filter;

/* What reading `len` bytes in one chunk, which was stored as `stored` by these filters, gives. */
static int read_filtered(const filter *filters, unsigned count, const void *stored, size_t stored_len, void *out, size_t len) {
    image im = image_start(0), layout = {0}, pipeline = {0};
    uint64_t at = image_data(&im, stored, stored_len);
    messages m = {0};
    messages_space(&m, 1, (uint64_t[]){len});
    messages_take(&m, 0x03, 0, body_integer(1));
    image_uint(&pipeline, 2 | count << 8, 2);
    for (unsigned i = 0; i < count; i++) {
        image_uint(&pipeline, filters[i].id, 2);
        image_uint(&pipeline, 0, 2);
        image_uint(&pipeline, filters[i].count, 2);
        for (unsigned v = 0; v < filters[i].count; v++) image_uint(&pipeline, filters[i].values[v], 4);
    }
    messages_take(&m, 0x0b, 0, pipeline);
    image_put(&layout, "\4\2\2\2\4", 5);
    image_uint(&layout, len, 4);
    image_uint(&layout, 1, 4);
    image_uint(&layout, 1, 1); /* a single chunk */
    image_uint(&layout, stored_len, 8);
    image_uint(&layout, 0, 4);
    image_uint(&layout, at, 8);
    messages_take(&m, 0x08, 0, layout);
    return read_x(&im, &m, out, len);
}

enum { DEFLATE = 1, SHUFFLE = 2, NBIT = 5, SCALE_OFFSET = 6 };

/* 64 numbers of four bits each; what does not fit them never gets to libhdf5. */
static void test_nbit(void) {
    enum { PACKED, ELEMENTS = 2, CLASS, SIZE, ORDER, PRECISION, OFFSET };
    const filter sound = {NBIT, 8, {8, 0, 64, 1, 1, 0, 4, 0}};
    static const struct {
        unsigned at;
        uint32_t value;
        int code;
    } lies[] = {{PACKED, 9, KW_CORRUPT},   {ELEMENTS, 65, KW_CORRUPT}, {ELEMENTS, 1u << 31, KW_CORRUPT},
                {SIZE, 2, KW_CORRUPT},     {ORDER, 2, KW_CORRUPT},     {PRECISION, 0, KW_CORRUPT},
                {PRECISION, 9, KW_CORRUPT}, {OFFSET, 5, KW_CORRUPT},   {OFFSET, UINT32_MAX, KW_CORRUPT},
                {CLASS, 2, KW_UNSUPPORTED}}; /* of arrays */
    uint8_t stored[32], out[64];
    for (size_t i = 0; i < sizeof stored; i++) stored[i] = (uint8_t)(2 * i % 16 << 4 | (2 * i + 1) % 16);
    CHECK_EQ(read_filtered(&sound, 1, stored, 32, out, 64), KW_OK);
    for (size_t i = 0; i < sizeof out; i++) CHECK_EQ(out[i], i % 16);
    CHECK_EQ(read_filtered(&sound, 1, stored, 31, out, 64), KW_CORRUPT);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        filter lie = sound;
        lie.values[lies[i].at] = lies[i].value;
        CHECK_EQ(read_filtered(&lie, 1, stored, 32, out, 64), lies[i].code);
    }
    CHECK_EQ(read_filtered(&(filter){NBIT, 2, {2, 0}}, 1, stored, 32, out, 64), KW_CORRUPT);
    CHECK_EQ(read_filtered(&(filter){NBIT, 8, {8, 1}}, 1, "idle", 4, out, 4), KW_OK); /* it says that it does nothing */
    CHECK_MEM(out, "idle", 4);
    const filter behind[] = {{DEFLATE, 1, {4}}, sound}; /* behind a compressor nobody knows how much it had */
    CHECK_EQ(read_filtered(behind, 2, stored, 32, out, 64), KW_UNSUPPORTED);
}

static void test_too_many_values(void) {
    uint8_t out[64];
    CHECK_EQ(read_filtered(&(filter){SCALE_OFFSET, 33, {0}}, 1, "stored", 6, out, 64), KW_UNSUPPORTED);
    CHECK_EQ(read_filtered(&(filter){SCALE_OFFSET, 19, {0}}, 1, "stored", 6, out, 64), KW_CORRUPT);
}

/* What comes out has to be as long as the chunk. */
static void test_length_of_a_chunk(void) {
    uint8_t out[8];
    CHECK_EQ(read_filtered(&(filter){SHUFFLE, 1, {4}}, 1, "15263748", 8, out, 8), KW_OK);
    CHECK_MEM(out, "12345678", 8);
    CHECK_EQ(read_filtered(&(filter){SHUFFLE, 1, {4}}, 1, "1526374", 7, out, 8), KW_CORRUPT);
}

/* A mebibyte of zeros in a kilobyte, and that in some bytes: from so few no more memory is taken than can come out. */
static void test_deflated_twice(void) {
    enum { LEN = 1 << 20 };
    static uint8_t zeros[LEN], once[LEN], twice[LEN], out[LEN];
    static const filter both[] = {{DEFLATE, 1, {6}}, {DEFLATE, 1, {6}}};
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(12);
    size_t once_len = libdeflate_zlib_compress(deflater, zeros, LEN, once, LEN);
    size_t twice_len = libdeflate_zlib_compress(deflater, once, once_len, twice, LEN);
    CHECK(twice_len < 100);
    memset(out, 1, LEN);
    CHECK_EQ(read_filtered(both, 2, twice, twice_len, out, LEN), KW_OK);
    CHECK_MEM(out, zeros, LEN);
    libdeflate_free_compressor(deflater);
}

int main(void) {
    RUN(test_nbit);
    RUN(test_too_many_values);
    RUN(test_length_of_a_chunk);
    RUN(test_deflated_twice);
    RUN(test_tiny_objects);
    RUN(test_huge_in_id);
    RUN(test_huge_in_tree);
    RUN(test_unknown_layouts);
    RUN(test_fill_of_another_length);
    RUN(test_filter_messages);
    RUN(test_complex_class);
    RUN(test_half_attributes);
    RUN(test_external_link);
    RUN(test_superblock_extension);
    RUN(test_fixed_array);
    RUN(test_extensible_array);
    RUN(test_chunks_of_a_scalar);
    RUN(test_grid_without_number);
    return check_result(__FILE__);
}
