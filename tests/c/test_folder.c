/* Folders and maps of shards that are damaged: what can be read is, and what cannot is a fault of that file. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "hdf5_image.h"
#include "read/read.h"

static char folder[64];

/* A path in the test's folder; valid until the next call. */
static const char *in_folder(const char *name) {
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t len) {
    FILE *out = fopen(in_folder(name), "wb");
    if (out == NULL || fwrite(bytes, 1, len, out) != len || fclose(out) != 0) abort();
}

static void write_text(const char *name, const char *text) { write_file(name, text, strlen(text)); }

/* A file with the variable `key` of layers/dense. */
static void write_weights(const char *name, const char *key) {
    float values[2] = {1, 2};
    image im = image_start(0);
    uint64_t data = image_data(&im, values, sizeof values);
    uint64_t variable = image_dataset(&im, 1, (uint64_t[]){2}, data, sizeof values);
    uint64_t vars = image_group(&im, (image_link[]){{key, variable, NULL}}, 1, NULL);
    uint64_t dense = image_group(&im, (image_link[]){{"vars", vars, NULL}}, 1, NULL);
    uint64_t layers = image_group(&im, (image_link[]){{"dense", dense, NULL}}, 1, NULL);
    image_finish(&im, image_group(&im, (image_link[]){{"layers", layers, NULL}}, 1, NULL));
    write_file(name, im.bytes, im.len);
    free(im.bytes);
}

/* Opens the folder, or a file in it; NULL with *code when that fails. */
static kw_file *open_in(const char *name, int *code) {
    kw_source *source = NULL;
    kw_file *file = NULL;
    kw_error err = {0};
    int opened = name != NULL ? kw_source_open_path(in_folder(name), &source, &err)
                              : kw_source_open_folder(folder, &source, &err);
    if (opened == 0 && kw_file_open(source, NULL, &file, &err) < 0) file = NULL;
    *code = err.code;
    kw_source_release(source);
    return file;
}

/* The code of the first fault of the part at `path`, KW_OK when it has none. */
static int fault_of(const kw_file *file, const char *path) {
    for (uint32_t i = 0; file != NULL && i < file->fault_count; i++)
        if (strcmp(file->faults[i].path, path) == 0) return file->faults[i].fault.code;
    return KW_OK;
}

/* The weights may be anything that a disk holds. */
static void test_weights_of_a_folder(void) {
    static const struct {
        const char *bytes; /* NULL: a folder */
        int code;
    } cases[] = {{"", KW_EMPTY}, {"<html>sign in</html>", KW_NOT_WEIGHTS}, {"PK\3\4", KW_NOT_WEIGHTS}, {NULL, KW_DIRECTORY}};
    write_text("config.json", "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code;
        if (cases[i].bytes != NULL) write_text("model.weights.h5", cases[i].bytes);
        else CHECK_EQ(mkdir(in_folder("model.weights.h5"), 0700), 0);
        kw_file *file = open_in(NULL, &code);
        if (CHECK(file != NULL)) {
            CHECK_EQ(file->content, KW_CONTENT_KERAS_FOLDER);
            CHECK_EQ(fault_of(file, "model.weights.h5"), cases[i].code);
            CHECK_EQ(file->table.tensor_count, 0);
            CHECK_EQ(file->config_len, 2);
        }
        kw_file_free(file);
        (void)remove(in_folder("model.weights.h5"));
    }
    (void)remove(in_folder("config.json"));
}

/* What is wrong with a text is no matter of the weights. */
static void test_texts_of_a_folder(void) {
    int code;
    write_weights("model.weights.h5", "0");
    CHECK_EQ(mkdir(in_folder("config.json"), 0700), 0);
    write_text("metadata.json", "{\"keras_version\": ");
    kw_file *file = open_in(NULL, &code);
    if (CHECK(file != NULL)) {
        CHECK_EQ(fault_of(file, "config.json"), KW_DIRECTORY);
        CHECK_EQ(fault_of(file, "metadata.json"), KW_CORRUPT);
        CHECK_EQ(file->table.tensor_count, 1);
        CHECK_EQ(file->config_len, 0);
    }
    kw_file_free(file);
    (void)remove(in_folder("config.json"));
    (void)remove(in_folder("metadata.json"));
    (void)remove(in_folder("model.weights.h5"));
}

/* A text so long that it is none; only its end is on the disk. */
static void test_text_without_end(void) {
    int code;
    FILE *out = fopen(in_folder("config.json"), "wb");
    if (!CHECK(out != NULL)) return;
    CHECK_EQ(ftruncate(fileno(out), (off_t)64 * 1024 * 1024 + 1), 0);
    (void)fclose(out);
    write_weights("model.weights.h5", "0");
    kw_file *file = open_in(NULL, &code);
    if (CHECK(file != NULL)) {
        CHECK_EQ(fault_of(file, "config.json"), KW_UNSUPPORTED);
        CHECK_EQ(file->table.tensor_count, 1);
    }
    kw_file_free(file);
    (void)remove(in_folder("config.json"));
    (void)remove(in_folder("model.weights.h5"));
}

static void test_map_that_is_a_folder(void) {
    int code;
    CHECK_EQ(mkdir(in_folder("model.weights.json"), 0700), 0);
    kw_file *file = open_in(NULL, &code);
    if (CHECK(file != NULL)) CHECK_EQ(fault_of(file, "model.weights.json"), KW_DIRECTORY);
    kw_file_free(file);
    (void)remove(in_folder("model.weights.json"));
}

/* Texts that are maps as far as they go, and some that are none. */
static void test_maps(void) {
    static const struct {
        const char *text;
        kw_content content;
        int code;
        uint32_t tensors;
    } cases[] = {
        {"{\"weight_map\": {\"/layers/dense/vars\": \"a.h5\"}}", KW_CONTENT_SHARDS, KW_OK, 1},
        {"{\"other\": [1], \"metadata\": 3, \"weight_map\": {\"/layers/dense/vars\": [\"a.h5\"]}}", KW_CONTENT_SHARDS, KW_OK, 1},
        {"{\"weight_map\": {\"/layers/dense/vars\": \"a.h5\", \"/layers/x/vars\": 3}}", KW_CONTENT_SHARDS, KW_CORRUPT, 1},
        {"{\"weight_map\": {\"/layers/dense/vars\": \"a.h5\", \"/layers/x/vars\": [\"a.h5\", 3]}}", KW_CONTENT_SHARDS,
         KW_CORRUPT, 1},
        {"{\"weight_map\": {\"/layers/dense/vars\": \"a.h5\", ", KW_CONTENT_SHARDS, KW_CORRUPT, 1},
        {"{\"weight_map\": {\"/layers/dense/vars\": \"a.h5\", \"/layers/x", KW_CONTENT_SHARDS, KW_CORRUPT, 1},
        {"{\"weight_map\": []}", KW_CONTENT_TEXT, KW_NOT_WEIGHTS, 0},
        {"{\"weight_map\": ", KW_CONTENT_TEXT, KW_NOT_WEIGHTS, 0},
        {"{\"config\": {}}", KW_CONTENT_JSON, KW_NOT_WEIGHTS, 0},
        {"[{\"weight_map\": {}}, 1]", KW_CONTENT_JSON, KW_NOT_WEIGHTS, 0},
        {"[{\"weight_map\": {}}, ", KW_CONTENT_TEXT, KW_NOT_WEIGHTS, 0},
    };
    write_weights("a.h5", "0");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code;
        write_text("m.weights.json", cases[i].text);
        kw_file *file = open_in("m.weights.json", &code);
        bool right = CHECK(file != NULL) && CHECK_EQ(file->content, cases[i].content);
        right = right && CHECK_EQ(fault_of(file, ""), cases[i].code) && CHECK_EQ(file->table.tensor_count, cases[i].tensors);
        if (!right) fprintf(stderr, "    %s\n", cases[i].text);
        kw_file_free(file);
    }
    (void)remove(in_folder("m.weights.json"));
    (void)remove(in_folder("a.h5"));
}

/* In a folder the map is called one by its name: without entries that is what is wrong with it. */
static void test_map_without_entries(void) {
    static const char *const texts[] = {"{}", "{\"weight_map\": 3}", "[]", "{"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int code;
        write_text("model.weights.json", texts[i]);
        kw_file *file = open_in(NULL, &code);
        if (CHECK(file != NULL)) {
            CHECK_EQ(file->content, KW_CONTENT_KERAS_FOLDER);
            CHECK_EQ(fault_of(file, ""), KW_CORRUPT);
            CHECK_EQ(file->table.tensor_count, 0);
        }
        kw_file_free(file);
    }
    (void)remove(in_folder("model.weights.json"));
}

/* Two shards with a variable of the same key: nothing tells which is meant. */
static void test_same_key_in_two_shards(void) {
    int code;
    write_weights("a.h5", "0");
    write_weights("b.h5", "0");
    write_text("m.weights.json", "{\"weight_map\": {\"/layers/dense/vars\": [\"a.h5\", \"b.h5\"]}}");
    kw_file *file = open_in("m.weights.json", &code);
    if (CHECK(file != NULL && file->table.group_count == 1)) CHECK_EQ(file->table.groups[0].fault.code, KW_CORRUPT);
    kw_file_free(file);
    (void)remove(in_folder("m.weights.json"));
    (void)remove(in_folder("a.h5"));
    (void)remove(in_folder("b.h5"));
}

int main(void) {
    const char *above = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.40s/kwload-XXXXXX", above != NULL ? above : "/tmp");
    if (mkdtemp(folder) == NULL) abort();
    RUN(test_weights_of_a_folder);
    RUN(test_texts_of_a_folder);
    RUN(test_text_without_end);
    RUN(test_map_that_is_a_folder);
    RUN(test_maps);
    RUN(test_map_without_entries);
    RUN(test_same_key_in_two_shards);
    (void)rmdir(folder);
    return check_result(__FILE__);
}
