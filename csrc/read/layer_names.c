/* layer_names.c -- which group of a file is which layer of its config.json.
 *
 *   config.json  "layers": [{Dense, "enc"}, {LSTM, "mem"}, {Dense, "dec"}]
 *   file         layers/dense          layers/lstm           layers/dense_1
 *   names        "enc"                 "mem"                 "dec"
 *
 * A list of layers is stored in its order, each below its class in snake case with
 * a number from the second on (saving_lib.py, _save_container_state: Keras 3.0 to
 * 3.5, tf_keras since 2.14).  Keras 3 counts a layer that is stored elsewhere, tf_keras
 * does not: there a list whose layers are not all in the file is not certain.  Nor
 * is one of which the file has more.  What a layer holds is told for the classes
 * of Keras whose configurations record it.
 *
 * No name is given when one of the weighted layers of the model itself is not told.
 */
#include "read/layer_names.h"

#include <stdio.h>
#include <stdlib.h>

#include "read/json.h"

enum {
    CONFIG_MAX = 8 << 20, /* bytes: a thousand layers take one million */
    SCANS_MAX = 16,       /* how often each byte may be looked at, twice a level for what Keras writes */
    LEVELS_MAX = 8,       /* layers inside layers */
    NAME_MAX_LEN = 1024,
    PATH_LEN = 4096
};

/* A layer as an object of the configuration. */
typedef struct entry {
    const char *class_name, *module; /* NULL: not told */
    const char *name;                /* in a functional model also beside the settings, which the user's own may lack */
    size_t config;                   /* where its settings begin; 0: nowhere */
    uint32_t group;
} entry;

/* What the settings of a layer say: a name, and where other objects begin; 0: nowhere. */
typedef struct settings {
    const char *name;
    size_t layers, layer, backward, cell, cells;
    bool inputs, outputs;
} settings;

typedef enum task_kind {
    TASK_LAYER,      /* an object */
    TASK_LAYERS,     /* the layers of a model: a list */
    TASK_SEQUENTIAL, /* the same; an InputLayer at their head is not stored */
    TASK_CELLS       /* a list */
} task_kind;

typedef struct task {
    task_kind kind;
    size_t at;          /* in the text */
    uint32_t group;     /* of the object, or of what has the list; KW_NONE: the model without a group of its own */
    const char *prefix; /* of the name of the object */
    unsigned level;
} task;

typedef struct namer {
    const kw_table *table;
    const kw_index *paths;
    kw_view text;
    size_t left; /* bytes of it that may still be looked at */
    char major;  /* of the Keras that wrote the file: '2', '3', or '\0' when it is not recorded */
    kw_arena work;
    task *tasks;
    size_t task_count, task_capacity;
    entry *layers; /* of one list */
    size_t layer_count, layer_capacity;
    uint32_t *counts; /* of one list: the last number of each class */
    size_t count_count, count_capacity;
    const char **names; /* one a group */
    uint8_t *automatic, *taken;
    uint32_t *in_layers, *in_cells; /* one a group, and one for the model: how many groups its list has in the file */
} namer;

static int give_up(kw_error *err) { return kw_fail(err, KW_UNSUPPORTED, 0, "the names are not certain"); }

/* ---- what the configuration says ---- */

/* The JSON that begins at `at`. */
static kw_json json_at(const namer *n, size_t at) {
    return kw_json_of((kw_view){.data = n->text.data + at, .len = n->text.len - at, .off = at});
}

/* Counts what was looked at.  0, or -1 when that is too much. */
static int spend(namer *n, const kw_json *json, kw_error *err) {
    if (json->cursor.pos > n->left) return give_up(err);
    n->left -= json->cursor.pos;
    return 0;
}

/* The text that is the next value, NULL when something else is, or one that is long or holds NUL; `json` stays where
 * it is.  0 or -1. */
static int peek_text(namer *n, const kw_json *json, const char **out, kw_error *err) {
    kw_json ahead = *json;
    size_t len;
    *out = NULL;
    int token = kw_json_next(&ahead, err);
    if (token != KW_JSON_TEXT || ahead.raw.len > NAME_MAX_LEN) return token < 0 ? -1 : 0;
    char *text = kw_json_text(&ahead, &n->work, &len);
    if (text == NULL) return kw_fail_memory(err);
    *out = strlen(text) == len ? text : NULL;
    return 0;
}

/* Reads a layer whose brace has been passed.  0 or -1. */
static int read_layer(namer *n, kw_json *json, entry *out, kw_error *err) {
    int token;
    *out = (entry){.group = KW_NONE};
    while ((token = kw_json_next(json, err)) == KW_JSON_KEY) {
        if (kw_json_is(json, "class_name") && peek_text(n, json, &out->class_name, err) < 0) return -1;
        if (kw_json_is(json, "name") && peek_text(n, json, &out->name, err) < 0) return -1;
        if (kw_json_is(json, "module") && peek_text(n, json, &out->module, err) < 0) return -1;
        if (kw_json_is(json, "config")) out->config = (size_t)kw_cursor_at(&json->cursor);
        if (kw_json_skip(json, err) < 0) return -1;
    }
    return token < 0 ? -1 : 0;
}

/* Reads the settings that begin at `at`; none where that is no object.  0 or -1. */
static int read_settings(namer *n, size_t at, settings *out, kw_error *err) {
    const struct {
        const char *key;
        size_t *at;
    } places[] = {{"layers", &out->layers}, {"layer", &out->layer}, {"backward_layer", &out->backward},
                  {"cell", &out->cell},     {"cells", &out->cells}};
    kw_json json = json_at(n, at);
    int token = at > 0 ? kw_json_next(&json, err) : KW_JSON_NULL;
    *out = (settings){0};
    if (token != KW_JSON_OBJECT) return token < 0 ? -1 : 0;
    while ((token = kw_json_next(&json, err)) == KW_JSON_KEY) {
        if (kw_json_is(&json, "name") && peek_text(n, &json, &out->name, err) < 0) return -1;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            if (kw_json_is(&json, places[i].key)) *places[i].at = (size_t)kw_cursor_at(&json.cursor);
        out->inputs |= kw_json_is(&json, "input_layers");
        out->outputs |= kw_json_is(&json, "output_layers");
        if (kw_json_skip(&json, err) < 0) return -1;
    }
    return token < 0 ? -1 : spend(n, &json, err);
}

static bool is_class(const entry *layer, const char *name) { return strcmp(layer->class_name, name) == 0; }

/* True when the class is Keras's own. */
static bool is_known(const entry *layer) {
    const char *module = layer->module;
    if (module == NULL) return false;
    if (strncmp(module, "tf_", 3) == 0) module += 3;
    return strncmp(module, "keras", 5) == 0 && (module[5] == '\0' || module[5] == '.');
}

/* True for x + 1 in a functional model: it stands among the layers, and is none. */
static bool is_operation(const entry *layer) { return is_known(layer) && strstr(layer->module, ".ops.") != NULL; }

/* ---- where it is in the file ---- */

/* The group at `below` in that of `group`; KW_NONE. */
static uint32_t find_below(const namer *n, uint32_t group, const char *below) {
    char path[PATH_LEN];
    const char *above = group != KW_NONE ? n->table->groups[group].path : "";
    int len = snprintf(path, sizeof path, "%s%s%s", above, above[0] != '\0' ? "/" : "", below);
    return len > 0 && len < PATH_LEN ? kw_index_find(n->paths, path) : KW_NONE;
}

/* The row in in_layers and in_cells for what has the list. */
static uint32_t list_row(const namer *n, uint32_t group) {
    return group == KW_NONE || n->table->groups[group].path[0] == '\0' ? n->table->group_count : group;
}

/* Counts the groups of each list in the file: "<above>/layers/<x>". */
static void count_lists(namer *n) {
    char path[PATH_LEN];
    for (uint32_t g = 0; g < n->table->group_count; g++) {
        int len = snprintf(path, sizeof path, "%s", n->table->groups[g].path);
        char *last = len > 0 && len < PATH_LEN ? strrchr(path, '/') : NULL;
        if (last == NULL) continue;
        *last = '\0';
        char *list = strrchr(path, '/'), *word = list != NULL ? list + 1 : path;
        uint32_t *counts = strcmp(word, "layers") == 0 ? n->in_layers : strcmp(word, "cells") == 0 ? n->in_cells : NULL;
        if (list != NULL) *list = '\0';
        uint32_t above = list != NULL ? kw_index_find(n->paths, path) : n->table->group_count;
        if (counts != NULL && above != KW_NONE) counts[above]++;
    }
}

/* The last component of the path of an object of this class.  False when it cannot be told. */
static bool find_component(const namer *n, const entry *layer, char *out) {
    char snake[KW_SNAKE_LEN];
    if (!kw_name_snake(layer->class_name, snake)) return false;
    bool is_private = n->major != '3' && snake[0] == '_';   /* tf_keras: generic_utils.py, to_snake_case */
    bool other = is_known(layer) && is_class(layer, "GroupQueryAttention"); /* its class is called otherwise */
    (void)snprintf(out, KW_SNAKE_LEN + 8, "%s%s", is_private ? "private" : "", other ? "grouped_query_attention" : snake);
    return true;
}

/* The number of the next object of this class in the list that `known` counts.  0 or -1. */
static int count_component(namer *n, kw_index *known, const char *component, uint32_t *number, kw_error *err) {
    uint32_t row = kw_index_find(known, component);
    *number = 0;
    if (row != KW_NONE) return *number = ++n->counts[row], 0;
    const char *key = kw_arena_text(&n->work, component, strlen(component));
    if (key == NULL) return kw_fail_memory(err);
    if (KW_GROW(n->counts, n->count_count, n->count_capacity, err) < 0) return -1;
    n->counts[n->count_count] = 0;
    return kw_index_add(known, key, (uint32_t)n->count_count++, NULL, err);
}

/* ---- tasks ---- */

/* One more object or list, where it is told and its group is there.  0 or -1. */
static int add_task(namer *n, task_kind kind, size_t at, uint32_t group, const char *prefix, unsigned level, kw_error *err) {
    if (at == 0 || level > LEVELS_MAX) return 0;
    if (kind == TASK_LAYER && (group == KW_NONE || n->taken[group])) return 0;
    if (kind == TASK_LAYER) n->taken[group] = 1;
    if (KW_GROW(n->tasks, n->task_count, n->task_capacity, err) < 0) return -1;
    n->tasks[n->task_count++] = (task){.kind = kind, .at = at, .group = group, .prefix = prefix, .level = level};
    return 0;
}

static int name_group(namer *n, uint32_t group, const entry *layer, const char *prefix, const char *name, kw_error *err) {
    if (group == KW_NONE || name == NULL || name[0] == '\0') return 0;
    size_t room = strlen(prefix) + strlen(name) + 1;
    char *whole = kw_arena_alloc(&n->work, room);
    if (whole == NULL) return kw_fail_memory(err);
    (void)snprintf(whole, room, "%s%s", prefix, name);
    n->names[group] = whole;
    n->automatic[group] = kw_name_is_automatic(whole, NULL) || kw_name_is_automatic(whole, layer->class_name);
    return 0;
}

/* The two layers of a Bidirectional: Keras 3 records both as they are, tf_keras as they were before it named them. */
static int add_directions(namer *n, uint32_t group, const settings *s, unsigned level, kw_error *err) {
    bool old = n->major == '2';
    uint32_t forward = find_below(n, group, "forward_layer"), backward = find_below(n, group, "backward_layer");
    size_t second = old && s->backward == 0 ? s->layer : s->backward;
    if (n->major == '\0') return 0;
    if (add_task(n, TASK_LAYER, s->layer, forward, old ? "forward_" : "", level, err) < 0) return -1;
    return add_task(n, TASK_LAYER, second, backward, old ? "backward_" : "", level, err);
}

/* What a layer holds. */
static int add_parts(namer *n, const entry *layer, uint32_t group, const settings *s, unsigned level, kw_error *err) {
    bool known = is_known(layer), sequential = known && is_class(layer, "Sequential");
    if (sequential) return add_task(n, TASK_SEQUENTIAL, s->layers, group, "", level, err);
    if ((known && is_class(layer, "Functional")) || (s->inputs && s->outputs))
        return add_task(n, TASK_LAYERS, s->layers, group, "", level, err);
    if (!known) return 0;
    if (is_class(layer, "Bidirectional")) return add_directions(n, group, s, level, err);
    if (is_class(layer, "TimeDistributed") || is_class(layer, "SpectralNormalization"))
        return add_task(n, TASK_LAYER, s->layer, find_below(n, group, "layer"), "", level, err);
    if (is_class(layer, "RNN")) return add_task(n, TASK_LAYER, s->cell, find_below(n, group, "cell"), "", level, err);
    return is_class(layer, "StackedRNNCells") ? add_task(n, TASK_CELLS, s->cells, group, "", level, err) : 0;
}

/* Names a layer, and goes on with what it holds. */
static int take_layer(namer *n, const entry *layer, uint32_t group, const char *prefix, unsigned level, kw_error *err) {
    settings s;
    if (layer->class_name == NULL) return 0;
    if (read_settings(n, layer->config, &s, err) < 0) return -1;
    if (name_group(n, group, layer, prefix, layer->name != NULL ? layer->name : s.name, err) < 0) return -1;
    return add_parts(n, layer, group, &s, level + 1, err);
}

static int run_layer(namer *n, const task *t, kw_error *err) {
    entry layer;
    kw_json json = json_at(n, t->at);
    int token = kw_json_next(&json, err);
    if (token != KW_JSON_OBJECT) return token < 0 ? -1 : 0;
    if (read_layer(n, &json, &layer, err) < 0 || spend(n, &json, err) < 0) return -1;
    return take_layer(n, &layer, t->group, t->prefix, t->level, err);
}

/* Finds the group of a layer of a list; `known` counts the classes.  0, or -1, also with *sure false where the list is
 * not what Keras writes. */
static int place_layer(namer *n, const task *t, entry *layer, kw_index *known, bool *sure, kw_error *err) {
    char component[KW_SNAKE_LEN + 8], below[sizeof component + 24];
    uint32_t number;
    if (layer->class_name == NULL || !find_component(n, layer, component)) return *sure = false, 0;
    if (count_component(n, known, component, &number, err) < 0) return -1;
    const char *list = t->kind == TASK_CELLS ? "cells" : "layers";
    int len = snprintf(below, sizeof below, number > 0 ? "%s/%s_%u" : "%s/%s", list, component, number);
    layer->group = len > 0 && (size_t)len < sizeof below ? find_below(n, t->group, below) : KW_NONE;
    if (layer->group == KW_NONE) return *sure = *sure && n->major == '3', 0;
    if (n->taken[layer->group]) return *sure = false, 0;
    n->taken[layer->group] = 1;
    if (KW_GROW(n->layers, n->layer_count, n->layer_capacity, err) < 0) return -1;
    n->layers[n->layer_count++] = *layer;
    return 0;
}

/* Reads a list into n->layers: those that have a group.  *sure: it is what the file has there. */
static int read_list(namer *n, const task *t, bool *sure, kw_error *err) {
    kw_index known = KW_INDEX_EMPTY;
    kw_json json = json_at(n, t->at);
    entry layer;
    bool first = true;
    int token = kw_json_next(&json, err), result = -1;
    n->layer_count = n->count_count = 0;
    *sure = token == KW_JSON_ARRAY;
    while (*sure && token >= 0 && (token = kw_json_next(&json, err)) == KW_JSON_OBJECT) {
        if (read_layer(n, &json, &layer, err) < 0) goto done;
        bool dropped = first && t->kind == TASK_SEQUENTIAL && layer.class_name != NULL && is_class(&layer, "InputLayer");
        first = false;
        if (!dropped && !is_operation(&layer) && place_layer(n, t, &layer, &known, sure, err) < 0) goto done;
    }
    uint32_t row = list_row(n, t->group);
    *sure = *sure && token == KW_JSON_ARRAY_END;
    *sure = *sure && n->layer_count == (t->kind == TASK_CELLS ? n->in_cells : n->in_layers)[row];
    result = token < 0 ? -1 : spend(n, &json, err);
done:
    kw_index_free(&known);
    return result;
}

static int run_list(namer *n, const task *t, kw_error *err) {
    bool sure;
    if (read_list(n, t, &sure, err) < 0) return -1;
    for (size_t i = 0; !sure && i < n->layer_count; i++) n->taken[n->layers[i].group] = 0;
    if (!sure) return 0;
    for (size_t i = 0; i < n->layer_count; i++)
        if (take_layer(n, &n->layers[i], n->layers[i].group, "", t->level, err) < 0) return -1;
    return 0;
}

/* ---- all of it ---- */

/* True when every group with tensors of the model is a layer that was told, below one, or the model itself. */
static bool is_whole(const namer *n) {
    char path[PATH_LEN];
    for (uint32_t g = 0; g < n->table->group_count; g++) {
        const kw_group *group = &n->table->groups[g];
        if (group->count == 0 || group->path[0] == '\0') continue;
        if ((group->flags & (KW_GROUP_OPTIMIZER | KW_GROUP_METRIC)) != 0) continue;
        if (strncmp(group->path, "layers/", 7) != 0) return false;
        size_t len = 7 + strcspn(group->path + 7, "/");
        if (len >= sizeof path) return false;
        memcpy(path, group->path, len);
        path[len] = '\0';
        uint32_t row = kw_index_find(n->paths, path);
        if (row == KW_NONE || !n->taken[row]) return false;
    }
    return true;
}

/* Fills n->names.  0, or -1: KW_MEMORY, or they are not to be used. */
static int find_names(namer *n, kw_error *err) {
    entry model;
    kw_json json = json_at(n, 0);
    int token = kw_json_next(&json, err);
    if (token != KW_JSON_OBJECT) return token < 0 ? -1 : give_up(err);
    if (read_layer(n, &json, &model, err) < 0 || kw_json_next(&json, err) < 0 || spend(n, &json, err) < 0) return -1;
    count_lists(n);
    if (take_layer(n, &model, kw_index_find(n->paths, ""), "", 0, err) < 0) return -1;
    while (n->task_count > 0) {
        task t = n->tasks[--n->task_count];
        if ((t.kind == TASK_LAYER ? run_layer : run_list)(n, &t, err) < 0) return -1;
    }
    return is_whole(n) ? 0 : give_up(err);
}

/* Puts the names into the table. */
static int put_names(const namer *n, kw_table *table, kw_error *err) {
    for (uint32_t g = 0; g < table->group_count; g++) {
        kw_group *group = &table->groups[g];
        if (n->names[g] == NULL) continue;
        group->name = kw_arena_text(&table->arena, n->names[g], strlen(n->names[g]));
        if (group->name == NULL) return kw_fail_memory(err);
        group->flags |= KW_GROUP_NAMED | KW_GROUP_CONFIG_NAME | (n->automatic[g] ? KW_GROUP_AUTO_NAME : 0u);
    }
    for (uint32_t i = 0; i < table->tensor_count; i++) {
        kw_tensor *tensor = &table->tensors[i];
        if (tensor->group != KW_NONE && n->names[tensor->group] != NULL) tensor->layer = table->groups[tensor->group].name;
    }
    return 0;
}

/* True when names may stand in the configuration alone. */
static bool is_nameless(const kw_file *file) {
    const kw_table *table = &file->table;
    if (table->layout != KW_LAYOUT_V3 || file->config == NULL || file->config_len > CONFIG_MAX) return false;
    for (uint32_t g = 0; g < table->group_count; g++)
        if (table->groups[g].name != NULL) return false;
    return table->group_count > 0;
}

int kw_layer_names_read(kw_build *build, const kw_index *paths, kw_error *err) {
    kw_file *file = build->file;
    kw_error why = {0};
    if (!is_nameless(file)) return 0;
    namer n = {.table = &file->table, .paths = paths, .left = SCANS_MAX * file->config_len,
               .text = {.data = (const uint8_t *)file->config, .len = file->config_len, .off = 0}};
    const char *version = kw_build_find_meta(build, "keras_version");
    size_t count = (size_t)file->table.group_count + 1;
    int result = -1;
    if (version != NULL && (version[0] == '2' || version[0] == '3') && version[1] == '.') n.major = version[0];
    n.names = kw_arena_alloc(&n.work, count * sizeof *n.names);
    n.automatic = kw_arena_alloc(&n.work, count);
    n.taken = kw_arena_alloc(&n.work, count);
    n.in_layers = kw_arena_alloc(&n.work, count * sizeof *n.in_layers);
    n.in_cells = kw_arena_alloc(&n.work, count * sizeof *n.in_cells);
    if (n.names == NULL || n.automatic == NULL || n.taken == NULL || n.in_layers == NULL || n.in_cells == NULL) {
        (void)kw_fail_memory(err);
    } else if (find_names(&n, &why) == 0) {
        result = put_names(&n, &file->table, err);
    } else if (why.code == KW_MEMORY) {
        *err = why;
    } else {
        result = 0;
    }
    kw_arena_free(&n.work);
    free(n.tasks);
    free(n.layers);
    free(n.counts);
    return result;
}
