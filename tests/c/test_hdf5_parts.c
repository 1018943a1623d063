/* csrc/read/hdf5_parts: a group that several threads walk is what one finds; what only one can tell is left to one. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "hdf5_image.h"
#include "read/hdf5_private.h"
#include "same_hdf5.h"

enum { LAYERS = 40, LINKS = 2, VALUES_LEN = 24, THREADS_MAX = 20, HEAP_LEN = 1 << 20 };

static char path[] = "/tmp/kwload-parts-XXXXXX";

/* What is said of the last layer that is not true of the others. */
typedef enum situation {
    SOUND,
    ONE_COLLECTION,   /* all attributes lie in one collection of the global heap */
    NO_ATTRIBUTES,
    ALIAS_OF_FIRST,   /* it is the first layer under another name */
    ALIAS_IN_PART,    /* it is the layer before it under another name */
    CYCLE,            /* it is the group that it is in */
    FIRSTS_VALUES,    /* its values are those of the first layer */
    NEIGHBOURS_VALUES,
    FIRSTS_TREE,      /* its links are those of the first layer */
    HEAP_IN_VALUES,   /* its attribute lies in a collection that begins in values of the first layer */
    COMMITTED_TYPE,   /* its values are of a type that is an object */
    NO_LAYOUT,
    DAMAGE_BEHIND,    /* an object that comes after all layers is none */
    GREAT_COLLECTION, /* as ONE_COLLECTION, of a mebibyte: more than may be kept when each part has it */
} situation;

/* A collection whose object 1 is the name of a layer's kernel, of `len` bytes in all. */
static uint64_t put_collection(image *im, unsigned layer, size_t len) {
    char text[32];
    (void)snprintf(text, sizeof text, "layer_%02u/kernel", layer);
    uint64_t at = image_collection(im, text, strlen(text));
    image_patch(im, at + 8, len, 8);
    image_put(im, NULL, len - (im->len - at)); /* an object of index 0 is free space up to the end */
    return at;
}

static uint64_t put_kernel(image *im, situation s, bool last, uint64_t values, uint64_t type) {
    static const uint64_t shape[] = {VALUES_LEN / 4};
    messages m = {0};
    image shared = {0};
    messages_space(&m, 1, shape);
    image_uint(&shared, 2, 2); /* version 2 */
    image_uint(&shared, type, 8);
    if (last && s == COMMITTED_TYPE) messages_add(&m, 0x03, 2, shared.bytes, shared.len);
    else messages_float(&m, 4);
    free(shared.bytes);
    if (!last || s != NO_LAYOUT) messages_contiguous(&m, values, VALUES_LEN);
    return image_header1(im, &m);
}

/* The attribute of a layer: a text in a collection. */
static void add_attribute(messages *m, uint64_t collection) {
    uint8_t reference[16] = {sizeof "layer_00/kernel" - 1};
    for (unsigned i = 0; i < 8; i++) reference[4 + i] = (uint8_t)(collection >> (8 * i));
    reference[12] = 1;
    messages_attribute(m, "names", body_vlen_text(), 1, 1, reference, sizeof reference);
}

/* The group of all layers; its address. */
static uint64_t put_layers(image *im, situation s) {
    static char names[LAYERS][16];
    image_link links[LAYERS];
    uint64_t first_values = 0, first_tree = 0, first_heap = 0, values = 0, before, offs[2 * LAYERS];
    uint64_t common = put_collection(im, 0, s == GREAT_COLLECTION ? HEAP_LEN : 64);
    messages committed = {0};
    messages_float(&committed, 4);
    uint64_t type = image_header1(im, &committed);
    for (unsigned i = 0; i < LAYERS; i++) {
        bool last = i + 1 == LAYERS;
        messages m = {0};
        image hidden = {0}; /* a collection in the values of a layer */
        uint64_t inside = put_collection(&hidden, 0, 64);
        before = values;
        values = image_data(im, hidden.bytes, hidden.len);
        free(hidden.bytes);
        if (i == 0) first_values = values;
        bool own = s != ONE_COLLECTION && s != GREAT_COLLECTION;
        uint64_t collection = own ? put_collection(im, i, 64) : common;
        if (last && s == HEAP_IN_VALUES) collection = first_values + inside;
        if (s != NO_ATTRIBUTES) add_attribute(&m, collection);
        uint64_t at = last && s == FIRSTS_VALUES ? first_values : last && s == NEIGHBOURS_VALUES ? before : values;
        image_link kernel = {"kernel", put_kernel(im, s, last, at, type), NULL};
        uint64_t off[2], heap = image_heap(im, &kernel, 1, off), symbols = image_symbols(im, &kernel, 1, off);
        uint64_t tree = image_tree(im, 0, &symbols, 1);
        if (i == 0) first_tree = tree, first_heap = heap;
        if (last && s == FIRSTS_TREE) tree = first_tree, heap = first_heap;
        (void)snprintf(names[i], sizeof names[i], "layer_%02u", i);
        links[i] = (image_link){names[i], image_group_of(im, tree, heap, &m), NULL};
        if (last && s == ALIAS_OF_FIRST) links[i].address = links[0].address;
        if (last && s == ALIAS_IN_PART) links[i].address = links[i - 1].address;
    }
    uint64_t heap = image_heap(im, links, LAYERS, offs), symbols = image_symbols(im, links, LAYERS, offs);
    uint64_t group = image_group_of(im, image_tree(im, 0, &symbols, 1), heap, NULL);
    if (s == CYCLE) image_patch(im, symbols + 8 + (LAYERS - 1) * 40 + 8, group, 8);
    return group;
}

/* The layers between two objects that one thread walks; the file at `path`, of a time when nobody reads it. */
static void write_situation(situation s) {
    static const struct timespec long_ago[2];
    image im = image_start(0);
    uint64_t values = image_data(&im, "0123", 4), first = image_dataset(&im, 0, NULL, values, 4);
    uint64_t layers = put_layers(&im, s);
    messages none = {0};
    if (s != DAMAGE_BEHIND) messages_float(&none, 4);
    uint64_t behind = image_header1(&im, &none);
    image_finish(&im, image_group(&im, (image_link[]){{"a", first, NULL}, {"layers", layers, NULL}, {"z", behind, NULL}}, 3, NULL));
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL)) abort();
    CHECK_EQ(fwrite(im.bytes, 1, im.len, file), im.len);
    CHECK_EQ(fflush(file), 0);
    CHECK_EQ(futimens(fileno(file), long_ago), 0);
    CHECK_EQ(fclose(file), 0);
    free(im.bytes);
}

static kw_hdf5 *open_by(kw_source *source, int threads) {
    kw_hdf5 *hdf5 = NULL;
    kw_error err = {0};
    CHECK_EQ(kw_hdf5_open_by(source, (kw_threads){threads, LINKS}, &hdf5, &err), 0);
    if (hdf5 == NULL) abort();
    return hdf5;
}

/* True when what several threads found stands: only they claim values before all is read. */
static bool was_parted(const kw_hdf5 *hdf5) {
    for (uint32_t i = 0; i < hdf5->dataset_count; i++)
        if (hdf5->datasets[i].claimed) return true;
    return false;
}

/* The first fault of an object, an attribute or a dataset; KW_OVERLAP for values that share bytes. */
static int first_fault(const kw_hdf5 *hdf5) {
    for (uint32_t i = 0; i < hdf5->node_count; i++)
        if (hdf5->nodes[i].fault.code != KW_OK) return (int)hdf5->nodes[i].fault.code;
    for (uint32_t i = 0; i < hdf5->attr_count; i++)
        if (hdf5->attrs[i].fault.code != KW_OK) return (int)hdf5->attrs[i].fault.code;
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        if (hdf5->datasets[i].fault.code != KW_OK) return (int)hdf5->datasets[i].fault.code;
        if (hdf5->datasets[i].shared_at != KW_NOWHERE) return KW_OVERLAP;
    }
    return KW_OK;
}

/* Reads the file by one thread, who finds this fault, and by several, of whom up to `most` may find all there is. */
static void check_alike(int fault, int most) {
    static const int threads[] = {2, 3, 7, THREADS_MAX};
    kw_source *source = NULL;
    kw_error err = {0};
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0)) return;
    kw_hdf5 *one = open_by(source, 1);
    CHECK(!was_parted(one));
    CHECK_EQ(first_fault(one), fault);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        kw_hdf5 *several = open_by(source, threads[i]);
        const char *wrong = same_hdf5(one, several);
        if (!CHECK_STR(wrong, NULL)) (void)fprintf(stderr, "    by %d threads\n", threads[i]);
        CHECK_EQ(was_parted(several), threads[i] <= most);
        static const char last[] = "layers/layer_39/kernel"; /* also where the layer is an alias */
        CHECK_EQ(kw_hdf5_find_path(several, 0, last), kw_hdf5_find_path(one, 0, last));
        kw_hdf5_free(several);
    }
    kw_hdf5_free(one);
    kw_source_release(source);
}

static void test_each_situation(void) {
    static const struct {
        situation situation;
        int fault, most;
    } cases[] = {
        {SOUND, KW_OK, THREADS_MAX},
        {ONE_COLLECTION, KW_OK, THREADS_MAX},
        {NO_ATTRIBUTES, KW_OK, THREADS_MAX},
        {ALIAS_OF_FIRST, KW_OK, 0},
        {ALIAS_IN_PART, KW_OK, THREADS_MAX},
        {CYCLE, KW_OK, 0},
        {FIRSTS_VALUES, KW_OVERLAP, 0},
        {NEIGHBOURS_VALUES, KW_OVERLAP, 0},
        {FIRSTS_TREE, KW_ALIAS, 0},
        {HEAP_IN_VALUES, KW_OVERLAP, 0},
        {COMMITTED_TYPE, KW_OK, 0},
        {NO_LAYOUT, KW_CORRUPT, 0},
        {DAMAGE_BEHIND, KW_CORRUPT, 0},
        {GREAT_COLLECTION, KW_OK, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_situation(cases[i].situation);
        check_alike(cases[i].fault, cases[i].most);
    }
}

/* Each part has the file open once more. */
static void test_no_descriptor_is_left(void) {
    write_situation(SOUND);
    kw_source *source = NULL;
    kw_error err = {0};
    struct rlimit limit, none;
    if (!CHECK_EQ(kw_source_open_path(path, &source, &err), 0) || !CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0)) return;
    kw_hdf5 *one = open_by(source, 1);
    none = limit;
    none.rlim_cur = 1; /* standard input has it */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    kw_hdf5 *several = open_by(source, 3);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(!was_parted(several));
    CHECK_STR(same_hdf5(one, several), NULL);
    kw_hdf5_free(one);
    kw_hdf5_free(several);
    kw_source_release(source);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    (void)close(fd);
    RUN(test_each_situation);
    RUN(test_no_descriptor_is_left);
    CHECK_EQ(unlink(path), 0);
    return check_result(__FILE__);
}
