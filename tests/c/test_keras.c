/* test_keras.c -- every layout of Keras, written here by libhdf5 into memory, and every container around one. */
#include <hdf5.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc.h"
#include "check.h"
#include "hdf5_image.h"
#include "read/hdf5_checksum.h"
#include "read/read.h"

/* ---- writing ---- */

static hid_t begin_as(H5F_libver_t version) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_libver_bounds(access, version, H5F_LIBVER_V18);
    hid_t file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    return file;
}

static hid_t begin(void) { return begin_as(H5F_LIBVER_EARLIEST); }

/* The bytes of the file, which is closed; the caller frees them. */
static uint8_t *finish(hid_t file, size_t *len) {
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    ssize_t size = H5Fget_file_image(file, NULL, 0);
    uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
    if (bytes == NULL || H5Fget_file_image(file, bytes, (size_t)size) != size) abort();
    H5Fclose(file);
    /* An image's superblock differs from the file's in its flags; libhdf5 leaves the old checksum. */
    uint32_t sum = kw_hdf5_checksum(bytes, 44);
    for (unsigned i = 0; bytes[8] >= 2 && i < 4; i++) bytes[44 + i] = (uint8_t)(sum >> (8 * i));
    *len = (size_t)size;
    return bytes;
}

static void group(hid_t file, const char *path) {
    hid_t make = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(make, 1);
    H5Gclose(H5Gcreate2(file, path, make, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(make);
}

/* A vector of `count` floats: first, first + 1, ... */
static void dataset(hid_t file, const char *path, hsize_t count, float first) {
    float values[64];
    hid_t make = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(1, &count, NULL);
    for (hsize_t i = 0; i < count; i++) values[i] = first + (float)i;
    H5Pset_create_intermediate_group(make, 1);
    hid_t set = H5Dcreate2(file, path, H5T_IEEE_F32LE, space, make, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(make);
}

static void attribute(hid_t file, const char *path, const char *name, hid_t type, hid_t space, const void *value) {
    hid_t object = H5Oopen(file, path, H5P_DEFAULT),
          attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attr, type, value);
    H5Aclose(attr);
    H5Oclose(object);
}

/* A list of texts of variable length, ended by NULL; an empty one is float64 of shape (0,), as h5py writes it. */
static void list(hid_t file, const char *path, const char *name, const char *const *texts) {
    hsize_t count = 0;
    while (texts[count] != NULL) count++;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    double nothing = 0;
    if (count > 0)
        attribute(file, path, name, type, space, texts);
    else
        attribute(file, path, name, H5T_IEEE_F64LE, space, &nothing);
    H5Sclose(space);
    H5Tclose(type);
}

#define LIST(file, path, name, ...) list(file, path, name, (const char *const[]){__VA_ARGS__, NULL})
#define NO_LIST(file, path, name) list(file, path, name, (const char *const[]){NULL})

static void text(hid_t file, const char *path, const char *name, const char *value) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    attribute(file, path, name, type, space, &value);
    H5Sclose(space);
    H5Tclose(type);
}

static void number(hid_t file, const char *path, const char *name, int64_t value) {
    hid_t space = H5Screate(H5S_SCALAR);
    attribute(file, path, name, H5T_NATIVE_INT64, space, &value);
    H5Sclose(space);
}

/* ---- reading ---- */

static kw_file *open_bytes(const void *bytes, size_t len) {
    kw_source *source;
    kw_file *file = NULL;
    kw_error err = {0};
    void *copy = malloc(len + (len == 0));
    if (copy == NULL || kw_source_open_memory(memcpy(copy, bytes, len), len, free, copy, &source, &err) < 0) abort();
    if (kw_file_open(source, NULL, &file, &err) < 0) file = NULL;
    kw_source_release(source);
    return file;
}

/* Opens what was written; never NULL. */
static kw_file *open_written(hid_t h5) {
    size_t len;
    uint8_t *bytes = finish(h5, &len);
    kw_file *file = open_bytes(bytes, len);
    free(bytes);
    if (file == NULL) abort();
    return file;
}

/* The same, adding the time that opening took to *seconds. */
static kw_file *open_timed(hid_t h5, double *seconds) {
    size_t len;
    uint8_t *bytes = finish(h5, &len);
    clock_t start = clock();
    kw_file *file = open_bytes(bytes, len);
    *seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
    free(bytes);
    if (file == NULL) abort();
    return file;
}

static kw_file *open_path(const char *path) {
    kw_source *source;
    kw_file *file = NULL;
    kw_error err = {0};
    if (kw_source_open_path(path, &source, &err) < 0 && kw_source_open_folder(path, &source, &err) < 0) return NULL;
    if (kw_file_open(source, NULL, &file, &err) < 0) file = NULL;
    kw_source_release(source);
    return file;
}

/* The whole table on one line: path|name[slots]flags, the flags as letters. */
static const char *shown(const kw_file *file) {
    static char out[4096];
    static const char letters[] = "NALOMT...U.";
    size_t len = (size_t)snprintf(out, sizeof out, "%s:", kw_layout_name(file->table.layout));
    for (uint32_t g = 0; g < file->table.group_count; g++) {
        const kw_group *one = &file->table.groups[g];
        len += (size_t)snprintf(out + len, sizeof out - len, " %s|%s[", one->path, one->name != NULL ? one->name : "-");
        for (uint32_t i = 0; i < one->count; i++) {
            const kw_slot *slot = &file->table.slots[one->first + i];
            len += (size_t)snprintf(out + len, sizeof out - len, "%s%s=%d", i > 0 ? " " : "", slot->name,
                                    (int)slot->tensor);
        }
        len += (size_t)snprintf(out + len, sizeof out - len, "]");
        for (unsigned bit = 0; letters[bit] != '\0'; bit++)
            if (one->flags & 1u << bit) len += (size_t)snprintf(out + len, sizeof out - len, "%c", letters[bit]);
        if (one->fault.code != KW_OK) len += (size_t)snprintf(out + len, sizeof out - len, "!%d", one->fault.code);
    }
    return out;
}

static const char *meta(const kw_file *file, const char *key) {
    for (uint32_t i = 0; i < file->meta_count; i++)
        if (strcmp(file->metas[i].key, key) == 0) return file->metas[i].value;
    return NULL;
}

static const kw_container_fault *fault_of(const kw_file *file, int code) {
    for (uint32_t i = 0; i < file->fault_count; i++)
        if (file->faults[i].fault.code == code) return &file->faults[i];
    return NULL;
}

static const kw_tensor *tensor(const kw_file *file, const char *path) {
    for (uint32_t i = 0; i < file->table.tensor_count; i++)
        if (strcmp(file->table.tensors[i].path, path) == 0) return &file->table.tensors[i];
    return NULL;
}

/* True when the tensor of this path can be read and begins with this value. */
static bool begins_with(kw_file *file, const char *path, float first) {
    const kw_tensor *t = tensor(file, path);
    float values[64];
    kw_error err = {0};
    if (t == NULL || t->nbytes > sizeof values) return false;
    return kw_file_read(file, (uint32_t)(t - file->table.tensors), values, &err) == 0 && values[0] == first;
}

/* ---- the layouts ---- */

/* Two layers, the second without weights, below `root`. */
static void write_legacy(hid_t h5, const char *root) {
    char path[64];
    LIST(h5, root, "layer_names", "second", "dense_3", "gone");
    snprintf(path, sizeof path, "%s/second/second/kernel:0", root);
    dataset(h5, path, 6, 1);
    snprintf(path, sizeof path, "%s/second/second/bias:0", root);
    dataset(h5, path, 2, 2);
    snprintf(path, sizeof path, "%s/second", root);
    LIST(h5, path, "weight_names", "second/kernel:0", "second/bias:0", "second/lost:0");
    snprintf(path, sizeof path, "%s/dense_3", root);
    group(h5, path);
    NO_LIST(h5, path, "weight_names");
}

static void test_legacy(void) {
    hid_t h5 = begin();
    write_legacy(h5, "/");
    text(h5, "/", "keras_version", "2.9.0");
    text(h5, "/", "backend", "tensorflow");
    dataset(h5, "/stray", 1, 9);
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file),
              "legacy: second|second[second/kernel:0=1 second/bias:0=0 second/lost:0=-1]N dense_3|dense_3[]NU "
              "gone|gone[]NA");
    CHECK_EQ(file->content, KW_CONTENT_HDF5);
    CHECK_EQ(file->fault_count, 0);
    CHECK_STR(meta(file, "keras_version"), "2.9.0");
    CHECK_STR(meta(file, "backend"), "tensorflow");
    CHECK_STR(meta(file, "written_by"), NULL);
    CHECK_STR(tensor(file, "second/second/kernel:0")->layer, "second");
    CHECK_STR(tensor(file, "second/second/kernel:0")->variable, "kernel");
    CHECK_EQ(tensor(file, "stray")->group, KW_NONE);
    CHECK_STR(tensor(file, "stray")->variable, "stray");
    CHECK(begins_with(file, "second/second/kernel:0", 1));
    CHECK(begins_with(file, "stray", 9));
    kw_file_free(file);
}

static void test_legacy_lists(void) {
    hid_t h5 = begin();
    LIST(h5, "/", "layer_names0", "a", "b");
    LIST(h5, "/", "layer_names1", "c");
    LIST(h5, "/", "layer_names3", "not reached");
    dataset(h5, "/a/k", 1, 1);
    LIST(h5, "/a", "weight_names0", "k");
    LIST(h5, "/a", "weight_names1", "/a/k");
    group(h5, "/b");
    group(h5, "/c");
    number(h5, "/c", "weight_names", 3);
    dataset(h5, "/top_level_model_weights/t:0", 1, 1);
    LIST(h5, "/top_level_model_weights", "weight_names", "t:0");
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file),
              "legacy: a|a[k=0 /a/k=0]N b|b[]NL c|c[]N!204 top_level_model_weights|top_level_model_weights[t:0=1]NT");
    CHECK_STR(meta(file, "written_by"), "Keras 1");
    kw_file_free(file);
}

static void test_legacy_repeats(void) {
    hid_t h5 = begin();
    dataset(h5, "/a/k", 1, 1);
    LIST(h5, "/a", "weight_names", "k");
    H5Lcreate_hard(h5, "/a", h5, "/b", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/a", h5, "/s", H5P_DEFAULT, H5P_DEFAULT);
    LIST(h5, "/", "layer_names", "a", "a", "b", "s");
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "legacy: a|a[k=0]N a|a[]N!605 a|b[]N!605 s|s[]NA");
    if (CHECK(fault_of(file, KW_LINK) != NULL)) CHECK_STR(fault_of(file, KW_LINK)->path, "s");
    kw_file_free(file);
}

static void test_whole_model(void) {
    hid_t h5 = begin();
    group(h5, "/model_weights");
    write_legacy(h5, "/model_weights");
    text(h5, "/model_weights", "keras_version", "2.4.0");
    text(h5, "/", "model_config", "{\"class_name\": \"Sequential\"}");
    dataset(h5, "/optimizer_weights/Adam/m/dense/kernel:0", 3, 1);
    LIST(h5, "/optimizer_weights", "weight_names", "Adam/m/dense/kernel:0");
    kw_file *file = open_written(h5);
    CHECK_STR(
        shown(file),
        "legacy-model: model_weights/second|second[second/kernel:0=1 second/bias:0=0 second/lost:0=-1]N "
        "model_weights/dense_3|dense_3[]NU model_weights/gone|gone[]NA optimizer_weights|-[Adam/m/dense/kernel:0=2]O");
    CHECK_STR(meta(file, "keras_version"), "2.4.0");
    if (CHECK_EQ(file->config_len, 28)) CHECK_MEM(file->config, "{\"class_name\": \"Sequential\"}", 28);
    CHECK_STR(tensor(file, "optimizer_weights/Adam/m/dense/kernel:0")->layer, "optimizer_weights");
    kw_file_free(file);
}

static void test_keras0(void) {
    hid_t h5 = begin();
    number(h5, "/", "nb_layers", 2);
    for (int k = 0; k < 2; k++) {
        char path[32];
        snprintf(path, sizeof path, "/layer_%d", k);
        group(h5, path);
        number(h5, path, "nb_params", 2 * k);
    }
    dataset(h5, "/layer_1/param_0", 4, 1);
    dataset(h5, "/layer_1/param_1", 2, 1);
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "keras-0: layer_0|-[] layer_1|-[param_0=0 param_1=1]");
    CHECK_STR(meta(file, "written_by"), "Keras 0.3 to 1.0");
    CHECK_EQ(file->fault_count, 0);
    kw_file_free(file);
    h5 = begin();
    number(h5, "/", "nb_layers", INT64_MAX);
    file = open_written(h5);
    CHECK_STR(shown(file), "keras-0:");
    CHECK(fault_of(file, KW_CORRUPT) != NULL);
    kw_file_free(file);
}

static void test_hf_shard(void) {
    hid_t h5 = begin();
    dataset(h5, "/bert/b/kernel:0", 1, 1);
    dataset(h5, "/bert/b/bias:0", 1, 1);
    dataset(h5, "/bert/a/kernel:0", 1, 1);
    LIST(h5, "/", "layer_names", "bert/b/kernel:0", "bert/a/kernel:0", "bert/b/bias:0");
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "hf-shard: bert/b|-[bert/b/kernel:0=2 bert/b/bias:0=1] bert/a|-[bert/a/kernel:0=0]");
    CHECK_STR(tensor(file, "bert/b/bias:0")->variable, "bias");
    kw_file_free(file);
}

static void write_v3(hid_t h5) {
    char key[32];
    for (int i = 0; i < 11; i++) {
        snprintf(key, sizeof key, "/layers/dense/vars/%d", i);
        dataset(h5, key, 1, (float)i);
    }
    dataset(h5, "/layers/dense/vars/idf_weights", 1, 1);
    text(h5, "/layers/dense/vars", "name", "dense_7");
    dataset(h5, "/layers/lstm/cell/vars/0", 1, 1);
    group(h5, "/layers/lstm/vars");
    text(h5, "/layers/lstm/vars", "name", "reader");
    dataset(h5, "/optimizer/vars/0", 1, 1);
    group(h5, "/vars");
}

static const char v3_shown[] =
    "keras-3: layers/dense|dense_7[0=0 1=1 2=3 3=4 4=5 5=6 6=7 7=8 8=9 9=10 10=2 idf_weights=11]NU "
    "layers/lstm/cell|-[0=12] layers/lstm|reader[]N optimizer|-[0=13]O |-[]";

static void test_v3(void) {
    hid_t h5 = begin();
    write_v3(h5);
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), v3_shown);
    CHECK_STR(tensor(file, "layers/dense/vars/10")->layer, "dense_7");
    CHECK_STR(tensor(file, "layers/dense/vars/10")->variable, "10");
    CHECK_STR(tensor(file, "layers/lstm/cell/vars/0")->layer, "layers/lstm/cell");
    CHECK_STR(meta(file, "written_by"), "Keras 3.6 or newer");
    CHECK(begins_with(file, "layers/dense/vars/10", 10));
    kw_file_free(file);
}

static void test_v3_links(void) {
    hid_t h5 = begin();
    dataset(h5, "/layers/a/vars/0", 1, 1);
    group(h5, "/layers/b/vars");
    group(h5, "/layers/c");
    H5Lcreate_hard(h5, "/layers/a/vars/0", h5, "/layers/b/vars/0", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(h5, "/layers/a/vars", h5, "/layers/c/vars", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(h5, "/layers", h5, "/layers/c/up", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/x", h5, "/layers/b/vars/1", H5P_DEFAULT, H5P_DEFAULT);
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "keras-3: layers/a|-[0=0] layers/b|-[0=0 1=-1]!601 layers/c|-[]!605");
    if (CHECK(fault_of(file, KW_ALIAS) != NULL)) CHECK_STR(fault_of(file, KW_ALIAS)->path, "layers/c/up");
    if (CHECK(fault_of(file, KW_LINK) != NULL)) CHECK_STR(fault_of(file, KW_LINK)->path, "layers/b/vars/1");
    CHECK_EQ(file->table.tensor_count, 1);
    kw_file_free(file);
}

/* One text of 4,000 bytes that twelve thousand entries of lists name: more than the budget is a fault. */
static void test_one_text(void) {
    enum { LEN = 4000, GROUPS = 60, ENTRIES = 200 };
    static char path[LEN + 1], names[GROUPS][16];
    static uint8_t values[16 * ENTRIES];
    image im = image_start(0);
    image_link links[GROUPS + 1];
    memset(path, 'z', LEN);
    path[0] = '/';
    uint64_t data = image_data(&im, "\0\0\200?", 4), heap = image_collection(&im, path, LEN);
    for (int i = 0; i < ENTRIES; i++) {
        image reference = {0};
        image_uint(&reference, LEN, 4);
        image_uint(&reference, heap, 8);
        image_uint(&reference, 1, 4);
        memcpy(values + 16 * i, reference.bytes, 16);
        free(reference.bytes);
    }
    messages listed = {0}, root = {0};
    messages_attribute(&listed, "weight_names", body_vlen_text(), 1, ENTRIES, values, sizeof values);
    char layers[4 * GROUPS];
    for (int i = 0; i < GROUPS; i++) {
        snprintf(names[i], sizeof names[i], "g%02d", i);
        memcpy(layers + 4 * i, names[i], 4);
        links[i] = (image_link){.name = names[i], .address = image_group(&im, NULL, 0, &listed)};
    }
    messages_attribute(&root, "layer_names", body_text(4), 1, GROUPS, layers, sizeof layers);
    links[GROUPS] =
        (image_link){.name = path + 1, .address = image_dataset(&im, 1, (const uint64_t[]){1}, data, 4)};
    image_finish(&im, image_group(&im, links, GROUPS + 1, &root));
    kw_file *file = open_bytes(im.bytes, im.len);
    if (CHECK(file != NULL)) {
        CHECK_EQ(file->table.group_count, GROUPS);
        CHECK_EQ(file->table.groups[0].count, ENTRIES);
        CHECK_EQ(file->table.groups[GROUPS - 1].fault.code, KW_BOMB);
        CHECK(file->table.arena.used < 2 * im.len + (10u << 20));
    }
    kw_file_free(file);
    free(im.bytes);
}

/* Lists that fit the budget, whose rows do not: what was read until then stays. */
static void test_many_rows(void) {
    enum { PIECES = 400, NAMES = 900 };
    char name[32];
    hid_t h5 = begin(), type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, (const hsize_t[]){NAMES}, NULL);
    static char letters[NAMES];
    memset(letters, 'b', sizeof letters);
    for (int i = 0; i < PIECES; i++) {
        snprintf(name, sizeof name, "layer_names%d", i);
        attribute(h5, "/", name, type, space, letters);
    }
    H5Sclose(space);
    H5Tclose(type);
    kw_file *file = open_written(h5);
    CHECK(fault_of(file, KW_BOMB) != NULL);
    CHECK(file->table.arena.used < 16u << 20);
    kw_file_free(file);
}

/* Small layers in the newest format, whose data need not lie in the file: each is an object like any other. */
static void test_many_small(void) {
    enum { LAYERS = 8000, VARIABLES = 2 };
    double seconds = 0;
    char path[64];
    hid_t h5 = begin_as(H5F_LIBVER_V18);
    hid_t space = H5Screate_simple(1, (const hsize_t[]){2}, NULL), make = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(make, 1);
    for (int i = 0; i < LAYERS * VARIABLES; i++) {
        snprintf(path, sizeof path, "/layers/dense_%d/vars/%d", i / VARIABLES, i % VARIABLES);
        H5Dclose(H5Dcreate2(h5, path, H5T_IEEE_F32LE, space, make, H5P_DEFAULT, H5P_DEFAULT));
    }
    H5Pclose(make);
    H5Sclose(space);
    kw_file *file = open_timed(h5, &seconds);
    CHECK_EQ(file->table.group_count, LAYERS);
    CHECK_EQ(file->table.tensor_count, LAYERS * VARIABLES);
    CHECK_EQ(file->fault_count, 0);
    CHECK(seconds < 1);
    kw_file_free(file);
}

/* A list in a thousand pieces is put together once, whatever other attributes there are. */
static void test_many_pieces(void) {
    enum { PIECES = 1024, OTHERS = 30000, NAMES = 64 };
    static const char *names[NAMES + 1];
    double seconds = 0;
    char name[32];
    hid_t h5 = begin_as(H5F_LIBVER_V18);
    for (int i = 0; i < NAMES; i++) names[i] = "b";
    for (int i = 0; i < OTHERS; i++) {
        snprintf(name, sizeof name, "layer_name%d", i);
        number(h5, "/", name, i);
    }
    for (int i = 0; i < PIECES; i++) {
        snprintf(name, sizeof name, "layer_names%d", i);
        list(h5, "/", name, names);
    }
    kw_file *file = open_timed(h5, &seconds);
    CHECK_EQ(file->table.group_count, PIECES * NAMES);
    CHECK(file->table.arena.used < 32u << 20);
    CHECK(seconds < 1);
    kw_file_free(file);
}

/* Many names of one object: neither its depth nor its attributes are gone through for each. */
static void test_many_names(void) {
    enum { DEPTH = 2000, NAMES = 80000, ATTRIBUTES = 15000, OBJECTS = 15000 };
    double seconds = 0;
    char name[64];
    hid_t h5 = begin_as(H5F_LIBVER_V18), deep = H5Gopen2(h5, "/", H5P_DEFAULT);
    for (int i = 0; i < DEPTH; i++) {
        hid_t below = H5Gcreate2(deep, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(deep);
        deep = below;
    }
    dataset(h5, "/layers/x/vars/0", 1, 1);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "l%d", i);
        H5Lcreate_hard(deep, ".", h5, name, H5P_DEFAULT, H5P_DEFAULT);
    }
    H5Gclose(deep);
    kw_file *file = open_timed(h5, &seconds);
    CHECK_STR(shown(file), "keras-3: layers/x|-[0=0]");
    kw_file_free(file);

    h5 = begin_as(H5F_LIBVER_V18);
    dataset(h5, "/layers/x/vars/0", 1, 1);
    for (int i = 0; i < ATTRIBUTES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        number(h5, "/layers/x/vars", name, i);
    }
    for (int i = 0; i < OBJECTS; i++) {
        snprintf(name, sizeof name, "/layers/y%d", i);
        group(h5, name);
        snprintf(name, sizeof name, "/layers/y%d/vars", i);
        H5Lcreate_hard(h5, "/layers/x/vars", h5, name, H5P_DEFAULT, H5P_DEFAULT);
    }
    file = open_timed(h5, &seconds);
    CHECK_EQ(file->table.group_count, OBJECTS + 1);
    CHECK_EQ(file->table.groups[1].fault.code, KW_ALIAS);
    kw_file_free(file);
    CHECK(seconds < 1);
}

/* A second name of an object tells the same name for it. */
static void test_named_twice(void) {
    hid_t h5 = begin();
    dataset(h5, "/layers/a/vars/0", 1, 1);
    text(h5, "/layers/a/vars", "name", "first");
    group(h5, "/layers/b");
    H5Lcreate_hard(h5, "/layers/a/vars", h5, "/layers/b/vars", H5P_DEFAULT, H5P_DEFAULT);
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "keras-3: layers/a|first[0=0]N layers/b|first[]N!605");
    kw_file_free(file);
    h5 = begin();
    number(h5, "/", "nb_layers", 2);
    number(h5, (group(h5, "/layer_0"), "/layer_0"), "nb_params", 1);
    dataset(h5, "/layer_0/param_0", 4, 1);
    H5Lcreate_hard(h5, "/layer_0", h5, "/layer_1", H5P_DEFAULT, H5P_DEFAULT);
    file = open_written(h5);
    CHECK_STR(shown(file), "keras-0: layer_0|-[param_0=0] layer_0|-[]!605");
    kw_file_free(file);
}

/* Who wrote a file that does not say so. */
static void test_guesses(void) {
    static const struct {
        const char *path, *named, *writer;
    } cases[] = {
        {"/_layer_checkpoint_dependencies/dense/vars/0", NULL, "tf.keras 2.12 to 2.14"},
        {"/layers/dense/vars/0", NULL, "tf.keras 2.15 or newer, or Keras 3.0 to 3.5"},
        {"/layers/dense/vars/0", "/layers/dense/vars", "Keras 3.6 or newer"},
        {"/layers/mine/nn/container/dense/vars/0", "/layers/mine/nn/container/dense/vars", "Keras 3.15 or newer"},
        {"/metrics/mean/vars/0", NULL, "tf.keras 2.15 or newer"},
        {"/layers/mha/_query_dense/vars/0", NULL, "tf.keras 2.15 or newer, or Keras 3.0.0 to 3.0.2"},
        {"/optimizer/vars/1", NULL, "tf.keras 2.15 or newer"},
        {"/anything/else", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hid_t h5 = begin();
        dataset(h5, cases[i].path, 1, 1);
        if (strncmp(cases[i].path, "/optimizer", 10) == 0) dataset(h5, "/optimizer/vars/0", 1, 1);
        if (cases[i].named != NULL) text(h5, cases[i].named, "name", "mine");
        kw_file *file = open_written(h5);
        CHECK_STR(meta(file, "written_by"), cases[i].writer);
        kw_file_free(file);
    }
}

static void test_other_layouts(void) {
    hid_t h5 = begin();
    dataset(h5, "/optimizer_weights/m:0", 1, 1);
    LIST(h5, "/optimizer_weights", "weight_names", "m:0");
    kw_file *file = open_written(h5);
    CHECK_STR(shown(file), "optimizer-only: optimizer_weights|-[m:0=0]O");
    kw_file_free(file);
    h5 = begin();
    dataset(h5, "/some/data", 3, 4);
    file = open_written(h5);
    CHECK_STR(shown(file), "hdf5:");
    CHECK(begins_with(file, "some/data", 4));
    CHECK_STR(tensor(file, "some/data")->layer, "some");
    kw_file_free(file);
}

static void test_bfloat16(void) {
    hid_t h5 = begin(), type = H5Tcreate(H5T_OPAQUE, 2), space = H5Screate(H5S_SCALAR);
    group(h5, "/layers/dense/vars");
    H5Dclose(H5Dcreate2(h5, "/layers/dense/vars/0", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    text(h5, "/layers/dense/vars/0", "dtype", "bfloat16");
    H5Sclose(space);
    H5Tclose(type);
    kw_file *file = open_written(h5);
    CHECK_EQ(tensor(file, "layers/dense/vars/0")->dtype, KW_DTYPE_BFLOAT16);
    kw_file_free(file);
}

/* ---- damage ---- */

/* True when every tensor of `cut`, which has the first `left` bytes of the HDF5 file of `whole`, is as in `whole` or,
 * behind the end, a fault. */
static bool is_rest(kw_file *cut, kw_file *whole, uint64_t left) {
    for (uint32_t i = 0; i < cut->table.tensor_count; i++) {
        const kw_tensor *t = &cut->table.tensors[i], *same = tensor(whole, t->path);
        float got[64], expected[64];
        kw_error err = {0};
        if (same == NULL || same->nbytes > sizeof expected) return false;
        bool behind = same->off > left || same->nbytes > left - same->off;
        if (t->fault.code != (behind ? KW_TRUNCATED : KW_OK)) return false;
        if (behind) continue;
        if (kw_file_read(whole, (uint32_t)(same - whole->table.tensors), expected, &err) < 0) return false;
        if (kw_file_read(cut, i, got, &err) < 0 || memcmp(got, expected, same->nbytes) != 0) return false;
    }
    return true;
}

/* Every length: what is there is listed and read, what is behind the end is a fault of its tensor. */
static void test_truncated(void) {
    size_t len;
    uint32_t most = 0;
    hid_t h5 = begin();
    write_v3(h5);
    uint8_t *bytes = finish(h5, &len);
    kw_file *whole = open_bytes(bytes, len);
    for (size_t left = 512; left < len; left += 13) {
        kw_file *file = open_bytes(bytes, left);
        if (!CHECK(file != NULL)) continue;
        const kw_container_fault *fault = fault_of(file, KW_TRUNCATED);
        if (CHECK(fault != NULL)) {
            CHECK_EQ(fault->a, left);
            CHECK_EQ(fault->b, len);
        }
        CHECK(is_rest(file, whole, left));
        if (file->table.tensor_count > most) most = file->table.tensor_count;
        kw_file_free(file);
    }
    CHECK_EQ(most, whole->table.tensor_count);
    kw_file_free(whole);
    free(bytes);
}

static void test_cut_signature(void) {
    for (size_t len = 1; len <= 8; len++) {
        kw_file *file = open_bytes("\x89HDF\r\n\x1a\n", len);
        if (!CHECK(file != NULL)) continue;
        CHECK_EQ(file->content, KW_CONTENT_HDF5);
        const kw_container_fault *fault = fault_of(file, KW_TRUNCATED);
        CHECK_EQ(file->fault_count, 1);
        if (CHECK(fault != NULL) && len < 8) CHECK(fault->a == len && fault->b == 0);
        kw_file_free(file);
    }
}

static void test_foreign(void) {
    static const struct {
        const char *bytes;
        size_t len;
        kw_content content;
        int code;
    } cases[] = {
        {"", 0, KW_CONTENT_EMPTY, KW_EMPTY},
        {"<html><title>Sign in</title>", 28, KW_CONTENT_HTML, KW_NOT_WEIGHTS},
        {"{\"class_name\": \"Sequential\"}", 28, KW_CONTENT_JSON, KW_NOT_WEIGHTS},
        {"{not json", 9, KW_CONTENT_TEXT, KW_NOT_WEIGHTS},
        {"\x10\0\0\0\0\0\0\0{\"a\":{}}        ", 24, KW_CONTENT_SAFETENSORS, KW_UNSUPPORTED},
        {"PK\3\4", 4, KW_CONTENT_ZIP, KW_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kw_file *file = open_bytes(cases[i].bytes, cases[i].len);
        if (!CHECK(file != NULL)) continue;
        CHECK_EQ(file->content, cases[i].content);
        CHECK(fault_of(file, cases[i].code) != NULL);
        CHECK_EQ(file->table.tensor_count, 0);
        CHECK_EQ(file->table.layout, KW_LAYOUT_UNKNOWN);
        kw_file_free(file);
    }
}

/* ---- containers ---- */

/* Appends a stored member and, to `directory`, its entry. */
static void add_member(uint8_t *out, size_t *len, uint8_t *directory, size_t *directory_len, const char *name,
                       const void *data, size_t data_len) {
    uint8_t local[30] = {'P', 'K', 3, 4, 20}, entry[46] = {'P', 'K', 1, 2, 20, 3, 20};
    uint32_t numbers[] = {kw_crc32(0, data, data_len), (uint32_t)data_len, (uint32_t)data_len};
    uint32_t at = (uint32_t)*len;
    memcpy(local + 14, numbers, 12);
    memcpy(entry + 16, numbers, 12);
    local[26] = entry[28] = (uint8_t)strlen(name);
    memcpy(entry + 42, &at, 4);
    memcpy(out + *len, local, 30);
    memcpy(out + *len + 30, name, strlen(name));
    memcpy(out + *len + 30 + strlen(name), data, data_len);
    *len += 30 + strlen(name) + data_len;
    memcpy(directory + *directory_len, entry, 46);
    memcpy(directory + *directory_len + 46, name, strlen(name));
    *directory_len += 46 + strlen(name);
}

/* A .keras archive whose members lie in `folder`; *data_at is where the weights begin.  The caller frees it. */
static uint8_t *make_keras(const char *folder, size_t *len, size_t *data_at) {
    static const char config[] = "{\"class_name\": \"Functional\"}",
                      metadata[] = "{\"keras_version\": \"3.9.0\", \"date_saved\": \"x\"}";
    uint8_t directory[512], end[22] = {'P', 'K', 5, 6};
    size_t h5_len, directory_len = 0;
    char name[64];
    hid_t h5 = begin();
    write_v3(h5);
    uint8_t *bytes = finish(h5, &h5_len), *out = malloc(h5_len + 2048);
    if (out == NULL) abort();
    *len = 0;
    snprintf(name, sizeof name, "%smetadata.json", folder);
    add_member(out, len, directory, &directory_len, name, metadata, sizeof metadata - 1);
    snprintf(name, sizeof name, "%sconfig.json", folder);
    add_member(out, len, directory, &directory_len, name, config, sizeof config - 1);
    snprintf(name, sizeof name, "%smodel.weights.h5", folder);
    *data_at = *len + 30 + strlen(name);
    add_member(out, len, directory, &directory_len, name, bytes, h5_len);
    uint32_t numbers[] = {(uint32_t)directory_len, (uint32_t)*len};
    end[8] = end[10] = 3;
    memcpy(end + 12, numbers, 8);
    memcpy(out + *len, directory, directory_len);
    memcpy(out + *len + directory_len, end, 22);
    *len += directory_len + 22;
    free(bytes);
    return out;
}

static void test_archive(void) {
    size_t len, data_at;
    kw_error err = {0};
    uint8_t *bytes = make_keras("", &len, &data_at);
    kw_file *file = open_bytes(bytes, len);
    CHECK_STR(shown(file), v3_shown);
    CHECK_EQ(file->content, KW_CONTENT_KERAS_ZIP);
    CHECK_EQ(file->fault_count, 0);
    CHECK_STR(meta(file, "keras_version"), "3.9.0");
    CHECK_STR(meta(file, "written_by"), NULL);
    if (CHECK_EQ(file->config_len, 28)) CHECK_MEM(file->config, "{\"class_name\": \"Functional\"}", 28);
    CHECK_EQ(kw_source_base(file->parts[0].source), data_at);
    CHECK(file->parts[0].has_crc && !file->parts[0].inflated);
    CHECK_EQ(kw_file_verify(file, 3, &err), 0);
    CHECK(begins_with(file, "layers/dense/vars/10", 10));
    kw_file_free(file);

    bytes[data_at + 1000] ^= 1;
    file = open_bytes(bytes, len);
    CHECK_EQ(kw_file_verify(file, 3, &err), -1);
    CHECK_EQ(err.code, KW_CHECKSUM);
    CHECK_STR(err.detail, "model.weights.h5");
    kw_file_free(file);
    free(bytes);
}

static void test_archive_in_folder(void) {
    size_t len, data_at;
    uint8_t *bytes = make_keras("model/", &len, &data_at);
    kw_file *file = open_bytes(bytes, len);
    CHECK_STR(shown(file), v3_shown);
    CHECK_STR(meta(file, "keras_version"), "3.9.0");
    if (CHECK(fault_of(file, KW_MEMBER) != NULL)) CHECK_STR(fault_of(file, KW_MEMBER)->path, "model/model.weights.h5");
    kw_file_free(file);
    free(bytes);
}

/* An archive cut within its weights: the members before are whole, and so are the tensors that lie before the end. */
static void test_archive_cut(void) {
    size_t len, data_at;
    uint8_t *bytes = make_keras("", &len, &data_at);
    kw_file *whole = open_bytes(bytes, len);
    uint64_t weights_len = kw_source_size(whole->parts[0].source);
    for (uint64_t left = 0; left < weights_len; left += 97) {
        kw_file *file = open_bytes(bytes, data_at + left);
        if (!CHECK(file != NULL)) continue;
        CHECK_EQ(file->content, KW_CONTENT_KERAS_ZIP);
        CHECK_STR(meta(file, "keras_version"), "3.9.0");
        CHECK_EQ(file->config_len, 28);
        CHECK(file->part_count == 1 && !file->parts[0].has_crc);
        if (CHECK(fault_of(file, KW_TRUNCATED) != NULL)) CHECK_EQ(fault_of(file, KW_TRUNCATED)->a, data_at + left);
        CHECK(is_rest(file, whole, left));
        kw_file_free(file);
    }
    kw_file *file = open_bytes(bytes, data_at + weights_len);
    CHECK_STR(shown(file), v3_shown);
    CHECK(file->parts[0].has_crc);
    kw_file_free(file);
    kw_file_free(whole);
    free(bytes);
}

/* ---- several files ---- */

static char folder[64];

static void write_file(const char *name, const void *bytes, size_t len) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(bytes, 1, len, out) != len || fclose(out) != 0) abort();
}

static void write_h5(const char *name, hid_t h5) {
    size_t len;
    uint8_t *bytes = finish(h5, &len);
    write_file(name, bytes, len);
    free(bytes);
}

static void remove_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static kw_file *open_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open_path(path);
}

static void write_shards(const char *map_name, const char *first, const char *second) {
    char map[600];
    hid_t h5 = begin();
    dataset(h5, "/layers/dense/vars/0", 2, 1);
    dataset(h5, "/layers/dense/vars/10", 2, 10);
    group(h5, "/layers/dense_1/vars");
    text(h5, "/layers/dense_1/vars", "name", "head");
    write_h5(first, h5);
    h5 = begin();
    dataset(h5, "/layers/dense/vars/2", 2, 2);
    dataset(h5, "/layers/dense_1/vars/0", 2, 5);
    write_h5(second, h5);
    int len = snprintf(
        map, sizeof map,
        "{\"metadata\": {\"total_size\": 688.0}, \"weight_map\": {\"/layers/dense/vars\": [\"%s\", \"%s\"], "
        "\"/layers/dense_1/vars\": \"%s\", \"/vars\": [\"m_lost.weights.h5\"], \"/layers/x/vars\": "
        "\"../up.h5\", \"/optimizer/vars\": \"pointer.h5\"}}",
        first, second, second);
    write_file(map_name, map, (size_t)len);
}

static const char shards_shown[] =
    "keras-3: layers/dense|-[0=0 2=2 10=1] layers/dense_1|head[0=3]N |-[]!207 layers/x|-[]!601 "
    "optimizer|-[]O!201";

static void test_shards(void) {
    write_file("pointer.h5", "version https://git-lfs.github.com/spec/v1\n", 43);
    write_shards("m.weights.json", "m_00000.weights.h5", "m_00001.weights.h5");
    kw_file *file = open_file("m.weights.json");
    if (!CHECK(file != NULL)) return;
    CHECK_STR(shown(file), shards_shown);
    CHECK_EQ(file->content, KW_CONTENT_SHARDS);
    CHECK_STR(meta(file, "total_size"), "688.0");
    CHECK_STR(meta(file, "written_by"), "Keras 3.10 or newer");
    if (CHECK(fault_of(file, KW_SHARD_MISSING) != NULL)) {
        CHECK_STR(fault_of(file, KW_SHARD_MISSING)->path, "m_lost.weights.h5");
        CHECK_EQ(fault_of(file, KW_SHARD_MISSING)->a, 1);
    }
    if (CHECK(fault_of(file, KW_LINK) != NULL)) CHECK_STR(fault_of(file, KW_LINK)->path, "../up.h5");
    if (CHECK(fault_of(file, KW_NOT_WEIGHTS) != NULL)) CHECK_STR(fault_of(file, KW_NOT_WEIGHTS)->path, "pointer.h5");
    CHECK_STR(tensor(file, "layers/dense_1/vars/0")->layer, "head");
    CHECK_STR(file->parts[tensor(file, "layers/dense/vars/2")->part].name, "m_00001.weights.h5");
    CHECK(begins_with(file, "layers/dense/vars/10", 10));
    CHECK(begins_with(file, "layers/dense_1/vars/0", 5));
    kw_file_free(file);
}

/* Shards that do not hold what the map says, and a size that is not theirs. */
static void test_shard_mismatch(void) {
    static const char map[] = "{\"metadata\": {\"total_size\": %s}, \"weight_map\": {\"/a/vars\": \"one.h5\", "
                              "\"/b/vars\": [\"two.h5\"], \"/%s/vars\": \"two.h5\"}}";
    char text_of_map[300];
    hid_t h5 = begin();
    dataset(h5, "/a/vars/0", 1, 1);
    dataset(h5, "/b/vars/0", 1, 9);
    write_h5("one.h5", h5);
    h5 = begin();
    dataset(h5, "/b/vars/0", 1, 2);
    dataset(h5, "/c/vars/0", 1, 3);
    write_h5("two.h5", h5);
    int len = snprintf(text_of_map, sizeof text_of_map, map, "7", "d");
    write_file("other.weights.json", text_of_map, (size_t)len);
    kw_file *file = open_file("other.weights.json");
    if (CHECK(file != NULL && file->fault_count == 2)) {
        CHECK_STR(shown(file), "keras-3: a|-[0=0] b|-[0=2] c|-[]");
        CHECK_EQ(file->faults[0].fault.code, KW_SHARD);
        CHECK_STR(file->faults[0].path, "one.h5"); /* b is there, and the map gives it to the other */
        CHECK(file->faults[0].a == 0 && file->faults[0].b == 1);
        CHECK_STR(file->faults[1].path, "two.h5"); /* d is not, c is not listed */
        CHECK_STR(file->faults[1].fault.detail, "d is not in it");
        CHECK(file->faults[1].a == 1 && file->faults[1].b == 1);
    }
    kw_file_free(file);

    h5 = begin();
    dataset(h5, "/a/vars/0", 1, 1);
    write_h5("one.h5", h5);
    len = snprintf(text_of_map, sizeof text_of_map, map, "7", "c");
    write_file("size.weights.json", text_of_map, (size_t)len);
    file = open_file("size.weights.json");
    if (CHECK(file != NULL && file->fault_count == 1)) {
        CHECK_EQ(file->faults[0].fault.code, KW_SHARD);
        CHECK_STR(file->faults[0].path, "");
        CHECK(file->faults[0].a == 7 && file->faults[0].b == 12);
    }
    kw_file_free(file);
}

/* Keys that come again, also between others: the last one counts.  A NUL is never the end of a name. */
static void test_shard_keys(void) {
    enum { KEYS = 60000 };
    static const char again[] = "{\"weight_map\": {\"/a/vars\": \"one.h5\", \"/b/vars\": \"two.h5\", "
                                "\"/a/vars\": [\"one.h5\", \"three.h5\"], \"/a/vars\": \"two.h5\"}}";
    static const char cut[] = "{\"weight_map\": {\"/a/vars\": \"one.h5\\u0000b.h5\", \"/b\\u0000/vars\": \"one.h5\"}}";
    hid_t h5 = begin();
    dataset(h5, "/a/vars/0", 1, 1);
    write_h5("one.h5", h5);
    h5 = begin();
    dataset(h5, "/b/vars/0", 1, 2);
    write_h5("two.h5", h5);
    write_file("again.weights.json", again, sizeof again - 1);
    kw_file *file = open_file("again.weights.json");
    if (CHECK(file != NULL)) CHECK_STR(shown(file), "keras-3: b|-[0=0]");
    if (file != NULL) CHECK(fault_of(file, KW_CORRUPT) != NULL && fault_of(file, KW_SHARD_MISSING) == NULL);
    kw_file_free(file);

    write_file("cut.weights.json", cut, sizeof cut - 1);
    file = open_file("cut.weights.json");
    if (CHECK(file != NULL)) CHECK_EQ(file->part_count, 0);
    if (file != NULL) CHECK(fault_of(file, KW_LINK) != NULL && fault_of(file, KW_CORRUPT) != NULL);
    if (file != NULL) CHECK_STR(shown(file), "unknown: a|-[]!601");
    kw_file_free(file);

    static char many[KEYS * 12 + 64];
    size_t len = (size_t)snprintf(many, sizeof many, "{\"weight_map\": {\"/a\": \"x\"");
    for (int i = 0; i < KEYS; i++) len += (size_t)snprintf(many + len, sizeof many - len, ", \"/a\":\"x\"");
    len += (size_t)snprintf(many + len, sizeof many - len, "}}");
    write_file("many.weights.json", many, len);
    clock_t start = clock();
    file = open_file("many.weights.json");
    CHECK(clock() - start < CLOCKS_PER_SEC);
    if (CHECK(file != NULL && fault_of(file, KW_SHARD_MISSING) != NULL))
        CHECK_EQ(fault_of(file, KW_SHARD_MISSING)->a, 1);
    kw_file_free(file);
}

static void test_hf_index(void) {
    static const char map[] = "{\"weight_map\": {\"bert/a/kernel:0\": \"tf-1.h5\", \"bert/b/kernel:0\": \"tf-2.h5\", "
                              "\"bert/b/bias:0\": \"tf-2.h5\"}}";
    hid_t h5 = begin();
    dataset(h5, "/bert/a/kernel:0", 1, 3);
    LIST(h5, "/", "layer_names", "bert/a/kernel:0");
    write_h5("tf-1.h5", h5);
    write_file("tf_model.h5.index.json", map, sizeof map - 1);
    kw_file *file = open_file("tf_model.h5.index.json");
    if (!CHECK(file != NULL)) return;
    CHECK_EQ(file->content, KW_CONTENT_HF_SHARDS);
    CHECK_STR(shown(file), "hf-shard: bert/a|-[bert/a/kernel:0=0] bert/b|-[]!207");
    CHECK(begins_with(file, "bert/a/kernel:0", 3));
    kw_file_free(file);
}

static void test_folder(void) {
    static const char *const names[] = {"config.json", "metadata.json", "model.weights.h5"};
    kw_error err = {0};
    kw_source *source;
    kw_file *file = NULL;
    CHECK_EQ(kw_source_open_folder(folder, &source, &err), 0);
    CHECK_EQ(kw_file_open(source, NULL, &file, &err), -1);
    CHECK_EQ(err.code, KW_DIRECTORY);
    kw_source_release(source);

    hid_t h5 = begin();
    write_v3(h5);
    write_h5("model.weights.h5", h5);
    write_file("config.json", "{}", 2);
    write_file("metadata.json", "{\"keras_version\": \"3.8.0\"}", 26);
    file = open_path(folder);
    if (!CHECK(file != NULL)) return;
    CHECK_EQ(file->content, KW_CONTENT_KERAS_FOLDER);
    CHECK_STR(shown(file), v3_shown);
    CHECK_EQ(file->fault_count, 0);
    CHECK_EQ(file->config_len, 2);
    CHECK_STR(meta(file, "keras_version"), "3.8.0");
    CHECK(begins_with(file, "layers/dense/vars/10", 10));
    kw_file_free(file);

    write_file("metadata.json", "{\"keras_hub_version\": \"0.18\", \"parameter_count\": 12}", 52);
    remove_file("model.weights.h5");
    write_shards("model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5");
    file = open_path(folder);
    if (!CHECK(file != NULL)) return;
    CHECK_EQ(file->content, KW_CONTENT_PRESET_FOLDER);
    CHECK_STR(shown(file), shards_shown);
    CHECK_STR(meta(file, "parameter_count"), "12");
    kw_file_free(file);
    for (size_t i = 0; i < 3; i++) remove_file(names[i]);
    remove_file("model.weights.json");
}

/* Folders told by one name in them. */
static void test_other_folders(void) {
    static const struct {
        const char *name;
        kw_content content;
        int code;
    } cases[] = {
        {"saved_model.pb", KW_CONTENT_SAVED_MODEL, KW_UNSUPPORTED},
        {"manifest.ocdbt", KW_CONTENT_ORBAX, KW_NOT_WEIGHTS},
        {"checkpoint", KW_CONTENT_TF_CHECKPOINT, KW_UNSUPPORTED},
        {"model.weights.npz", KW_CONTENT_KERAS_FOLDER, KW_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(cases[i].name, "x", 1);
        kw_file *file = open_path(folder);
        if (CHECK(file != NULL)) {
            CHECK_EQ(file->content, cases[i].content);
            CHECK(fault_of(file, cases[i].code) != NULL);
        }
        kw_file_free(file);
        remove_file(cases[i].name);
    }
    char step[128];
    snprintf(step, sizeof step, "%s/12", folder);
    CHECK_EQ(mkdir(step, 0700), 0);
    kw_file *file = open_path(folder);
    if (CHECK(file != NULL)) CHECK_EQ(file->content, KW_CONTENT_ORBAX);
    kw_file_free(file);
    rmdir(step);
}

static void remove_all(void) {
    static const char *const names[] = {
        "pointer.h5", "m.weights.json",         "m_00000.weights.h5",     "m_00001.weights.h5",
        "tf-1.h5",    "tf_model.h5.index.json", "model_00000.weights.h5", "model_00001.weights.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove_file(names[i]);
    rmdir(folder);
}

int main(void) {
    const char *above = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/kwload-XXXXXX", above != NULL ? above : "/tmp");
    if (mkdtemp(folder) == NULL) abort();
    RUN(test_legacy);
    RUN(test_legacy_lists);
    RUN(test_legacy_repeats);
    RUN(test_whole_model);
    RUN(test_keras0);
    RUN(test_hf_shard);
    RUN(test_v3);
    RUN(test_v3_links);
    RUN(test_one_text);
    RUN(test_many_rows);
    RUN(test_many_small);
    RUN(test_many_pieces);
    RUN(test_many_names);
    RUN(test_named_twice);
    RUN(test_guesses);
    RUN(test_other_layouts);
    RUN(test_bfloat16);
    RUN(test_truncated);
    RUN(test_cut_signature);
    RUN(test_foreign);
    RUN(test_archive);
    RUN(test_archive_in_folder);
    RUN(test_archive_cut);
    RUN(test_shards);
    RUN(test_shard_keys);
    RUN(test_shard_mismatch);
    RUN(test_hf_index);
    RUN(test_folder);
    RUN(test_other_folders);
    remove_all();
    H5close();
    return check_result(__FILE__);
}
