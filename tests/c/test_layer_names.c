/* Which group of a file is which layer of its config.json: what Keras writes, and what anyone may. */
#include <stdlib.h>

#include "check.h"
#include "read/layer_names.h"

enum { GROUPS_MAX = 600, PATH_LEN = 256 };

/* A table of groups that each have one tensor, but for a path that ends in "!", which has none. */
typedef struct made {
    kw_file file;
    kw_build build;
    kw_index paths;
    kw_group groups[GROUPS_MAX];
    kw_tensor tensors[GROUPS_MAX];
    char texts[GROUPS_MAX][PATH_LEN];
    int result;
    kw_error err;
} made;

static void add(made *m, const char *path) {
    uint32_t row = m->file.table.group_count++;
    size_t len = strcspn(path, "!");
    memcpy(m->texts[row], path, len);
    m->groups[row] = (kw_group){.path = m->texts[row], .count = path[len] == '!' ? 0 : 1};
    m->tensors[row] = (kw_tensor){.layer = m->texts[row], .group = row};
    m->file.table.tensor_count++;
    if (kw_index_add(&m->paths, m->texts[row], row, NULL, &m->err) < 0) abort();
}

static made *start(void) {
    made *m = calloc(1, sizeof *m);
    if (m == NULL) abort();
    m->file.table = (kw_table){.layout = KW_LAYOUT_V3, .groups = m->groups, .tensors = m->tensors};
    m->build.file = &m->file;
    return m;
}

static void run(made *m, const char *version, const char *config, size_t len) {
    if (version != NULL && kw_build_meta(&m->build, "keras_version", version, &m->err) < 0) abort();
    m->file.config = config;
    m->file.config_len = len;
    m->result = kw_layer_names_read(&m->build, &m->paths, &m->err);
    CHECK_EQ(m->result, 0);
}

/* `paths` stand apart by spaces; "." is the model's own. */
static made *name(const char *version, const char *paths, const char *config) {
    made *m = start();
    for (const char *at = paths; *at != '\0'; at += strspn(at, " ")) {
        char path[PATH_LEN] = "";
        size_t len = strcspn(at, " ");
        memcpy(path, at, len);
        add(m, strcmp(path, ".") == 0 ? "" : strcmp(path, ".!") == 0 ? "!" : path);
        at += len;
    }
    run(m, version, config, strlen(config));
    return m;
}

static void end(made *m) {
    kw_index_free(&m->paths);
    kw_arena_free(&m->file.table.arena);
    free(m->file.metas);
    free(m);
}

static const char *name_of(const made *m, const char *path) {
    uint32_t row = kw_index_find(&m->paths, path);
    return CHECK(row != KW_NONE) ? m->groups[row].name : NULL;
}

static uint32_t count_named(const made *m) {
    uint32_t count = 0;
    for (uint32_t g = 0; g < m->file.table.group_count; g++) count += m->groups[g].name != NULL;
    return count;
}

/* True when nothing got a name. */
static void check_none(const char *version, const char *paths, const char *config) {
    made *m = name(version, paths, config);
    if (!CHECK_EQ(count_named(m), 0)) fprintf(stderr, "    %s\n    %s\n", paths, config);
    end(m);
}

#define LAYER(class_name, name) "{\"module\":\"keras.layers\",\"class_name\":\"" class_name "\",\"config\":{\"name\":\"" name "\"}}"
#define HOLDS(class_name, name, more) \
    "{\"module\":\"keras.layers\",\"class_name\":\"" class_name "\",\"config\":{\"name\":\"" name "\"," more "}}"
#define SEQUENTIAL(name, layers) \
    "{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"name\":\"" name "\",\"layers\":[" layers "]}}"
#define FUNCTIONAL(name, layers)                                                                             \
    "{\"module\":\"tf_keras.src.engine.functional\",\"class_name\":\"Functional\",\"config\":{\"layers\":[" layers \
    "],\"name\":\"" name "\"},\"registered_name\":\"Functional\"}"

static void test_a_chain(void) {
    made *m = name("2.21.0", ".! layers/dense layers/dense_1 layers/lstm! layers/lstm/cell",
                   SEQUENTIAL("net", LAYER("InputLayer", "in") "," LAYER("Dense", "enc") "," LAYER("LSTM", "lstm_3") ","
                                         LAYER("Dense", "dec")));
    CHECK_STR(name_of(m, ""), "net");
    CHECK_STR(name_of(m, "layers/dense"), "enc");
    CHECK_STR(name_of(m, "layers/dense_1"), "dec");
    CHECK_STR(m->tensors[2].layer, "dec");
    CHECK_STR(name_of(m, "layers/lstm"), "lstm_3");
    CHECK_STR(name_of(m, "layers/lstm/cell"), NULL);
    CHECK_STR(m->tensors[4].layer, "layers/lstm/cell");
    CHECK_EQ(m->groups[1].flags, KW_GROUP_NAMED | KW_GROUP_CONFIG_NAME);
    CHECK_EQ(m->groups[3].flags, KW_GROUP_NAMED | KW_GROUP_CONFIG_NAME | KW_GROUP_AUTO_NAME);
    end(m);
}

/* The optimizer's flags are set before the names are looked for. */
static made *with_optimizer(const char *path, uint32_t flags) {
    made *m = start();
    add(m, "layers/dense");
    add(m, path);
    m->groups[1].flags = flags;
    const char *config = SEQUENTIAL("net", LAYER("Dense", "enc"));
    run(m, "2.15.0", config, strlen(config));
    return m;
}

static void test_state_is_no_layer(void) {
    made *m = with_optimizer("optimizer", KW_GROUP_OPTIMIZER);
    CHECK_STR(name_of(m, "layers/dense"), "enc");
    end(m);
    m = with_optimizer("extra/dense", 0); /* of an attribute: the model has more than its configuration says */
    CHECK_EQ(count_named(m), 0);
    end(m);
}

static void test_a_graph(void) {
    made *m = name("3.3.3", ".! layers/input_layer! layers/add! layers/add_1! layers/grouped_query_attention layers/p_re_lu",
                   FUNCTIONAL("net", LAYER("InputLayer", "in") ","
                                     "{\"module\":\"keras.src.ops.numpy\",\"class_name\":\"Add\",\"config\":{\"name\":\"op\"}},"
                                     LAYER("Add", "one") "," LAYER("GroupQueryAttention", "q") ","
                                     LAYER("PReLU", "p") ","
                                     "{\"module\":null,\"class_name\":\"Add\",\"config\":{},\"name\":\"two\"}"));
    CHECK_STR(name_of(m, "layers/input_layer"), "in");
    CHECK_STR(name_of(m, "layers/add"), "one");
    CHECK_STR(name_of(m, "layers/add_1"), "two");
    CHECK_STR(name_of(m, "layers/grouped_query_attention"), "q");
    CHECK_STR(name_of(m, "layers/p_re_lu"), "p");
    end(m);
}

static void test_models_in_models(void) {
    static const char paths[] = "layers/sequential! layers/sequential/layers/dense layers/sequential/layers/dense_1"
                                " layers/dense layers/mine! layers/mine/layers/dense";
    made *m = name("2.21.0", paths,
                   SEQUENTIAL("net", SEQUENTIAL("inner", LAYER("Dense", "a") "," LAYER("Dense", "b")) "," LAYER("Dense", "c")
                              ",{\"module\":\"my\",\"class_name\":\"Mine\",\"config\":{\"name\":\"m\",\"layers\":["
                              LAYER("Dense", "d") "],\"input_layers\":[],\"output_layers\":[]}}"));
    CHECK_STR(name_of(m, "layers/sequential"), "inner");
    CHECK_STR(name_of(m, "layers/sequential/layers/dense"), "a");
    CHECK_STR(name_of(m, "layers/sequential/layers/dense_1"), "b");
    CHECK_STR(name_of(m, "layers/dense"), "c");
    CHECK_STR(name_of(m, "layers/mine/layers/dense"), "d");
    end(m);
    /* What is inside is not certain: the names outside stay. */
    m = name("2.21.0", paths, SEQUENTIAL("net", SEQUENTIAL("inner", LAYER("Dense", "a")) "," LAYER("Dense", "c")
                                                ",{\"module\":\"my\",\"class_name\":\"Mine\",\"config\":{\"name\":\"m\",\"layers\":["
                                                LAYER("Dense", "d") "]}}"));
    CHECK_STR(name_of(m, "layers/sequential"), "inner");
    CHECK_STR(name_of(m, "layers/sequential/layers/dense"), NULL);
    CHECK_STR(name_of(m, "layers/dense"), "c");
    CHECK_STR(name_of(m, "layers/mine"), "m");
    CHECK_STR(name_of(m, "layers/mine/layers/dense"), NULL);
    end(m);
}

static void test_layers_in_layers(void) {
    static const char paths[] = "layers/bidirectional! layers/bidirectional/forward_layer! layers/bidirectional/forward_layer/cell"
                                " layers/bidirectional/backward_layer! layers/bidirectional/backward_layer/cell"
                                " layers/time_distributed! layers/time_distributed/layer layers/rnn! layers/rnn/cell!"
                                " layers/rnn/cell/cells/lstm_cell layers/rnn/cell/cells/lstm_cell_1";
#define NET(backward)                                                                                              \
    SEQUENTIAL("net", HOLDS("Bidirectional", "bi", "\"layer\":" LAYER("LSTM", "one") backward) ","                    \
                      HOLDS("TimeDistributed", "td", "\"layer\":" LAYER("Dense", "in")) ","                          \
                      HOLDS("RNN", "rnn_2", "\"cell\":" HOLDS("StackedRNNCells", "st",                                \
                            "\"cells\":[" LAYER("LSTMCell", "ca") "," LAYER("LSTMCell", "cb") "]")))
    made *m = name("2.21.0", paths, NET(""));
    CHECK_STR(name_of(m, "layers/bidirectional"), "bi");
    CHECK_STR(name_of(m, "layers/bidirectional/forward_layer"), "forward_one");
    CHECK_STR(name_of(m, "layers/bidirectional/backward_layer"), "backward_one");
    CHECK_STR(name_of(m, "layers/time_distributed/layer"), "in");
    CHECK_STR(name_of(m, "layers/rnn/cell"), "st");
    CHECK_STR(name_of(m, "layers/rnn/cell/cells/lstm_cell"), "ca");
    CHECK_STR(name_of(m, "layers/rnn/cell/cells/lstm_cell_1"), "cb");
    end(m);
    m = name("2.21.0", paths, NET(",\"backward_layer\":" LAYER("LSTM", "two")));
    CHECK_STR(name_of(m, "layers/bidirectional/backward_layer"), "backward_two");
    end(m);
    m = name("3.0.5", paths, NET(",\"backward_layer\":" LAYER("LSTM", "two")));
    CHECK_STR(name_of(m, "layers/bidirectional/forward_layer"), "one");
    CHECK_STR(name_of(m, "layers/bidirectional/backward_layer"), "two");
    end(m);
    m = name(NULL, paths, NET("")); /* which of the two wrote it is not known */
    CHECK_STR(name_of(m, "layers/bidirectional/forward_layer"), NULL);
    CHECK_STR(name_of(m, "layers/time_distributed/layer"), "in");
    end(m);
}

/* A layer that was stored before, inside another one, is not stored again: Keras 3 counts it all the same. */
static void test_a_shared_layer(void) {
    static const char config[] = SEQUENTIAL("net", SEQUENTIAL("sub", LAYER("Dense", "sh")) "," LAYER("Dense", "sh") ","
                                            LAYER("Dense", "e"));
    made *m = name("3.3.3", "layers/sequential! layers/sequential/layers/dense layers/dense_1", config);
    CHECK_STR(name_of(m, "layers/dense_1"), "e");
    CHECK_STR(name_of(m, "layers/sequential/layers/dense"), "sh");
    end(m);
    check_none("2.21.0", "layers/sequential! layers/sequential/layers/dense layers/dense", config);
}

static void test_what_is_not_certain(void) {
    static const char two[] = SEQUENTIAL("net", LAYER("Dense", "a") "," LAYER("Dense", "b"));
    check_none("3.3.3", "layers/dense layers/dense_1 layers/dense_2", two);
    check_none("2.21.0", "layers/dense", two);
    check_none("3.3.3", "dense layers/dense layers/dense_1", two);
    check_none("3.3.3", "layers/dense layers/dense_1", FUNCTIONAL("net", LAYER("Dense", "a")));
    check_none("3.3.3", "layers/dense", "{\"module\":\"my\",\"class_name\":\"Net\",\"config\":{\"layers\":[" LAYER("Dense", "a") "]}}");
    check_none("3.3.3", "layers/dense", SEQUENTIAL("net", LAYER("Dense", "a") ",7"));
    check_none("3.3.3", "layers/dense", SEQUENTIAL("net", LAYER("Dense", "a") ",{}"));
    check_none("3.3.3", "layers/dense", SEQUENTIAL("net", LAYER("Dense", "a") "," LAYER("", "b")));
    /* Dense_1 would be stored where the second Dense is. */
    check_none("3.3.3", "layers/dense layers/dense_1", SEQUENTIAL("net", LAYER("Dense", "a") "," LAYER("Dense", "b") ","
                                                                         LAYER("Dense_1", "c")));
    made *m = name("3.3.3", "layers/dense layers/dense_1", two);
    CHECK_EQ(count_named(m), 2);
    m->groups[0].name = "said"; /* the file says it itself */
    m->groups[1].name = NULL;
    run(m, NULL, two, strlen(two));
    CHECK_EQ(count_named(m), 1);
    end(m);
}

static void test_what_anyone_may_write(void) {
    static const char *const configs[] = {
        "", "{", "[]", "7", "null", "\"layers\"", "{}", "{\"class_name\":7,\"config\":[]}", "{\"config\":{\"layers\":[]}}",
        "{\"class_name\":\"Sequential\",\"module\":\"keras\",\"config\":7}",
        "{\"class_name\":\"Sequential\",\"module\":\"keras\",\"config\":{\"layers\":{}}}",
        "{\"class_name\":\"Sequential\",\"module\":\"keras\",\"config\":{\"layers\":7}}",
        "{\"class_name\":\"Sequential\",\"module\":\"keras\",\"config\":{\"layers\":[[]]}}",
        "{\"class_name\":\"Sequential\",\"module\":\"keras\",\"config\":{\"layers\":[",
        SEQUENTIAL("net", LAYER("Dense", "a")) "}", SEQUENTIAL("net", LAYER("Dense", "a")) " 7",
        SEQUENTIAL("net", LAYER("Dense", "a\xff")), SEQUENTIAL("net", LAYER("D\\u00e4nse", "a")),
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) check_none("3.3.3", "layers/dense", configs[i]);
    check_none("3.3.3", "layers/dense", SEQUENTIAL("net", LAYER("Dense", "a\\u0000b"))); /* Keras cannot store it either */
    /* Of a key that stands twice, the last counts, as in Python. */
    made *m = name("3.3.3", "layers/dense",
                   SEQUENTIAL("net", "{\"class_name\":\"LSTM\",\"class_name\":\"Dense\",\"config\":{\"name\":\"x\"},"
                                     "\"config\":{\"name\":\"x\",\"name\":7,\"name\":\"d\\u00e9\\\"\"}}"));
    CHECK_STR(name_of(m, "layers/dense"), "d\xc3\xa9\"");
    end(m);
}

/* Models inside models, each in a group of its own: `deep` of them.  How many groups are named. */
static uint32_t count_deep(int deep) {
    static const char open[] = "{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"name\":\"n\",\"layers\":[";
    made *m = start();
    char *text = malloc((size_t)(deep + 1) * (sizeof open + 4)), path[PATH_LEN] = "", *out = text;
    if (text == NULL) abort();
    for (int i = 0; i < deep; i++) {
        out = stpcpy(out, open);
        if (i > 0 && i < 13) add(m, strcat(path, i > 1 ? "/layers/sequential" : "layers/sequential"));
    }
    for (int i = 0; i < deep; i++) out = stpcpy(out, "]}}");
    run(m, "3.3.3", text, (size_t)(out - text));
    uint32_t count = count_named(m);
    end(m);
    free(text);
    return count;
}

static void test_deep(void) {
    CHECK_EQ(count_deep(5), 4);
    CHECK_EQ(count_deep(13), 8);  /* so many levels are read */
    CHECK_EQ(count_deep(100), 0); /* deeper than any JSON that is read */
}

/* What is inside is read for both directions: with each level that would double. */
static void test_too_much_to_read(void) {
    enum { LEVELS = 8, FILLER = 4 << 20 };
    static const char open[] = "{\"module\":\"keras.layers\",\"class_name\":\"Bidirectional\",\"config\":{\"name\":\"b\",\"layer\":";
    made *m = start();
    char *text = malloc((size_t)FILLER + 4096), *out = text;
    if (text == NULL) abort();
    add(m, "layers/bidirectional");
    for (uint32_t g = 0; g < 127; g++) {
        static const char *const below[] = {"/forward_layer", "/backward_layer"};
        for (int i = 0; i < 2; i++) {
            char path[PATH_LEN] = "";
            add(m, strcat(strcpy(path, m->texts[g]), below[i]));
        }
    }
    out = stpcpy(out, "{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"layers\":[");
    for (int i = 0; i < LEVELS; i++) out = stpcpy(out, open);
    *out++ = '"';
    memset(out, 'x', FILLER);
    out = stpcpy(out + FILLER, "\"");
    for (int i = 0; i < LEVELS; i++) out = stpcpy(out, "}}");
    out = stpcpy(out, "]}}");
    run(m, "2.21.0", text, (size_t)(out - text));
    CHECK_EQ(count_named(m), 0);
    end(m);
    free(text);
}

static void test_large(void) {
    enum { MANY = 100000 };
    size_t room = (size_t)MANY * 100 + 200;
    char *text = malloc(room), *out = text;
    if (text == NULL) abort();
    out = stpcpy(out, "{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"layers\":[");
    for (int i = 0; i < MANY; i++)
        out += snprintf(out, 100, "%s{\"module\":\"keras.layers\",\"class_name\":\"C%d\",\"config\":{\"name\":\"n\"}}", i > 0 ? "," : "", i);
    out = stpcpy(out, "]}}");
    made *m = start();
    add(m, "layers/c7");
    run(m, "3.3.3", text, (size_t)(out - text));
    CHECK_STR(name_of(m, "layers/c7"), "n");
    m->groups[0].name = NULL;
    memset(out, ' ', (size_t)(text + room - out));
    run(m, "3.3.3", text, ((size_t)8 << 20) + 1); /* longer than what is read */
    CHECK_STR(name_of(m, "layers/c7"), NULL);
    end(m);
    free(text);
}

/* Every start of a sound text, and every text with one byte changed. */
static void test_damaged(void) {
    static const char sound[] = SEQUENTIAL("net", SEQUENTIAL("inner", LAYER("Dense", "a")) "," LAYER("Dense", "c"));
    for (size_t len = 0; len < sizeof sound - 1; len++) {
        made *m = start();
        char *text = malloc(len + 1); /* to its last byte, for the sanitizer */
        if (text == NULL) abort();
        add(m, "layers/sequential!");
        add(m, "layers/sequential/layers/dense");
        add(m, "layers/dense");
        memcpy(text, sound, len);
        run(m, "3.3.3", text, len);
        CHECK_EQ(count_named(m), 0);
        end(m);
        free(text);
    }
    for (size_t at = 0; at < sizeof sound - 1; at++) {
        static const char others[] = "\"{}[]:,\\0x\xff";
        for (size_t i = 0; i < sizeof others; i++) {
            char text[sizeof sound];
            memcpy(text, sound, sizeof sound);
            text[at] = others[i];
            made *m = start();
            add(m, "layers/sequential!");
            add(m, "layers/sequential/layers/dense");
            add(m, "layers/dense");
            run(m, "3.3.3", text, sizeof sound - 1);
            end(m);
        }
    }
}

static void test_snake(void) {
    static const char *const cases[][2] = {
        {"Dense", "dense"}, {"Conv2DTranspose", "conv2d_transpose"}, {"ConvLSTM2D", "conv_lstm2d"}, {"PReLU", "p_re_lu"},
        {"LSTMCell", "lstm_cell"}, {"RMSNormalization", "rms_normalization"}, {"_Mine", "__mine"}, {"my_layer2", "my_layer2"},
    };
    char snake[KW_SNAKE_LEN], longest[257];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(kw_name_snake(cases[i][0], snake));
        CHECK_STR(snake, cases[i][1]);
    }
    memset(longest, 'A', 256);
    longest[256] = '\0';
    CHECK(!kw_name_snake(longest, snake));
    CHECK(kw_name_snake(longest + 1, snake));
    CHECK(!kw_name_snake("", snake));
    CHECK(!kw_name_snake("a/b", snake));
}

int main(void) {
    RUN(test_a_chain);
    RUN(test_state_is_no_layer);
    RUN(test_a_graph);
    RUN(test_models_in_models);
    RUN(test_layers_in_layers);
    RUN(test_a_shared_layer);
    RUN(test_what_is_not_certain);
    RUN(test_what_anyone_may_write);
    RUN(test_deep);
    RUN(test_too_much_to_read);
    RUN(test_large);
    RUN(test_damaged);
    RUN(test_snake);
    return check_result(__FILE__);
}
