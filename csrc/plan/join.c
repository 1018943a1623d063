/* join.c -- look-ups in the two tables, and how a file group fits a model group.
 *
 *     file group  slots  "10" "0" "1"  --by key-->  ordered  0 1 10     (V3)
 *                 slots  kernel bias   --as is-->   ordered  kernel bias  (legacy)
 *
 * Keras: keras/src/layers/layer.py, load_own_variables: as many keys as
 * variables, then store["0"], store["1"], ... and their shapes.
 */
#include "plan/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/seed.h"

enum { DEPTH_MAX = 64 }; /* how far above itself a group is looked for */

bool kw_join_is_own(const kw_join *join, uint32_t model_group) {
    const kw_group *group = &join->model->groups[model_group];
    uint32_t f = join->matches[model_group].candidate, have = f == KW_NONE ? 0 : join->file->groups[f].count;
    if (!join->v3 || (group->flags & KW_GROUP_OWN_LOAD) == 0) return false;
    return (group->flags & KW_GROUP_COUNTED) == 0 || have == group->count;
}

bool kw_group_is_state(const kw_group *group) {
    return (group->flags & (KW_GROUP_OPTIMIZER | KW_GROUP_METRIC)) != 0;
}

bool kw_group_is_layer(const kw_group *group) {
    return !kw_group_is_state(group) && (group->flags & KW_GROUP_TOP_LEVEL) == 0;
}

uint32_t kw_layers_list(const kw_table *table, uint32_t *rows, uint32_t *top) {
    uint32_t count = 0;
    *top = KW_NONE;
    for (uint32_t g = 0; g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        if ((group->flags & KW_GROUP_TOP_LEVEL) != 0) *top = g;
        if (kw_group_is_layer(group) && group->count > 0) rows[count++] = g;
    }
    return count;
}

bool kw_join_selects(const kw_join *join, uint32_t model_group) {
    return join->rules->selected == NULL || join->rules->selected[model_group] != 0;
}

bool kw_model_is_unbuilt(const kw_join *join) {
    const kw_table *model = join->model;
    if (join->graph != NULL) return model->group_count > 0 && (model->groups[0].flags & KW_GROUP_NOT_BUILT) != 0;
    for (uint32_t g = 0; g < model->group_count; g++) { /* legacy: the row of the top-level variables stands for it */
        uint32_t flags = model->groups[g].flags;
        if ((flags & KW_GROUP_TOP_LEVEL) != 0) return (flags & KW_GROUP_NOT_BUILT) != 0;
    }
    return false;
}

bool kw_file_name_given(const kw_join *join, uint32_t file_group) {
    const kw_group *group = &join->file->groups[file_group];
    if (join->chosen[file_group]) return true;
    return group->name != NULL && group->name[0] != '\0' && (group->flags & KW_GROUP_NAMED) != 0 &&
           (group->flags & (KW_GROUP_AUTO_NAME | KW_GROUP_TOP_LEVEL)) == 0 && !join->automatic[file_group];
}

bool kw_model_name_given(const kw_join *join, uint32_t model_group) {
    const kw_group *group = &join->model->groups[model_group];
    return group->name != NULL && group->name[0] != '\0' && !join->automatic_model[model_group] &&
           (group->flags & (KW_GROUP_AUTO_NAME | KW_GROUP_TOP_LEVEL)) == 0;
}

uint32_t kw_join_find_path(const kw_join *join, const char *path) { return kw_index_find(&join->paths, path); }

/* Order of two paths, as qsort and the search below see it. */
static int compare_paths(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool kw_join_has_path(const kw_join *join, const char *path) {
    size_t len = strlen(path);
    uint32_t low = 0, high = join->sorted_count;
    if (kw_join_find_path(join, path) != KW_NONE) return true;
    while (low < high) { /* the first that is not below "path/" */
        uint32_t middle = low + (high - low) / 2;
        const char *text = join->sorted_paths[middle];
        int order = strncmp(text, path, len);
        if (order == 0) order = (int)(unsigned char)text[len] - '/';
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < join->sorted_count && strncmp(join->sorted_paths[low], path, len) == 0 &&
           join->sorted_paths[low][len] == '/';
}

/* The number that a key "0", "1", ... says; KW_NONE when it is not one that Keras writes. */
static uint32_t parse_key(const char *key) {
    uint32_t number = 0;
    if (key[0] == '\0' || (key[0] == '0' && key[1] != '\0')) return KW_NONE;
    for (; *key != '\0'; key++) {
        if (*key < '0' || *key > '9' || number > 99999999) return KW_NONE;
        number = number * 10 + (uint32_t)(*key - '0');
    }
    return number;
}

uint32_t kw_join_tensor(const kw_join *join, uint32_t file_group, uint32_t i) {
    const kw_group *group = &join->file->groups[file_group];
    return i < group->count ? join->ordered[group->first + i] : KW_NONE;
}

uint32_t kw_join_variable(const kw_join *join, uint32_t model_group, uint32_t i) {
    return join->model->slots[join->model->groups[model_group].first + i].tensor;
}

bool kw_shapes_equal(const kw_tensor *a, const kw_tensor *b) { return kw_lengths_fit(a->shape, a->rank, b); }

kw_fit kw_join_fit(const kw_join *join, uint32_t file_group, uint32_t model_group) {
    const kw_group *to = &join->model->groups[model_group];
    if (kw_conversion_fits(join, file_group, model_group)) return (kw_fit){KW_FIT_OK, 0};
    uint32_t have = file_group == KW_NONE ? 0 : join->file->groups[file_group].count;
    bool counted = (to->flags & KW_GROUP_NO_COUNT) == 0;
    if (have == 0 && to->count > 0) return (kw_fit){KW_FIT_NONE, 0};
    if (have != to->count && counted) return (kw_fit){KW_FIT_COUNT, 0};
    for (uint32_t i = 0; i < to->count; i++) {
        uint32_t tensor = kw_join_tensor(join, file_group, i);
        if (tensor == KW_NONE) return (kw_fit){join->v3 ? KW_FIT_KEYS : KW_FIT_HOLE, i};
        const kw_tensor *wanted = &join->model->tensors[kw_join_variable(join, model_group, i)];
        if (!kw_shapes_equal(&join->file->tensors[tensor], wanted)) return (kw_fit){KW_FIT_SHAPE, i};
    }
    return (kw_fit){KW_FIT_OK, 0};
}

bool kw_join_puts_out_same(const kw_join *join, uint32_t f, uint32_t g) {
    const kw_group *from = &join->file->groups[f], *to = &join->model->groups[g];
    if (from->count != to->count) return false;
    for (uint32_t i = 0; i < to->count; i++) {
        uint32_t row = kw_join_tensor(join, f, i);
        if (row == KW_NONE) return false;
        const kw_tensor *a = &join->file->tensors[row], *b = &join->model->tensors[kw_join_variable(join, g, i)];
        if (a->rank != b->rank || (a->rank > 0 && a->shape[a->rank - 1] != b->shape[b->rank - 1])) return false;
    }
    return true;
}

bool kw_text_equal(kw_text a, kw_text b) { return a.len == b.len && memcmp(a.data, b.data, a.len) == 0; }

uint64_t kw_text_hash(kw_text text, uint64_t seed) {
    uint64_t hash = seed ^ 0xcbf29ce484222325u; /* FNV-1a, then mixed: the tables' own hash needs NUL-terminated keys */
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    hash ^= hash >> 32;
    return hash * 0x9e3779b97f4a7c15u;
}

kw_text kw_name_last(const char *path) {
    const char *slash = strrchr(path, '/');
    kw_text text = {slash == NULL ? path : slash + 1, 0};
    text.len = strlen(text.data);
    if (text.len > 2 && text.data[text.len - 2] == ':' && text.data[text.len - 1] == '0') text.len -= 2;
    return text;
}

kw_text kw_name_prefix(const char *path) {
    const char *slash = strrchr(path, '/');
    return (kw_text){path, slash == NULL ? 0 : (size_t)(slash - path)};
}

kw_finding *kw_join_add(kw_join *join, int code, kw_severity severity, kw_error *err) {
    kw_plan *plan = join->plan;
    if (KW_GROW(plan->findings, plan->finding_count, join->finding_capacity, err) < 0) return NULL;
    kw_finding *finding = &plan->findings[plan->finding_count++];
    *finding = (kw_finding){.code = code, .severity = severity, .axis = -1};
    finding->file_group = finding->model_group = finding->file_tensor = finding->model_tensor = KW_NONE;
    finding->other_group = KW_NONE;
    finding->related_first = (uint32_t)join->related_count;
    return finding;
}

int kw_join_relate(kw_join *join, uint32_t model_tensor, kw_error *err) {
    kw_plan *plan = join->plan;
    if (KW_GROW(plan->related, join->related_count, join->related_capacity, err) < 0) return -1;
    plan->related[join->related_count++] = model_tensor;
    plan->findings[plan->finding_count - 1].related_count++;
    return 0;
}

/* Puts the tensors of one V3 group into the order of their keys. */
static void order_by_key(kw_join *join, const kw_group *group) {
    for (uint32_t s = 0; s < group->count; s++) join->ordered[group->first + s] = KW_NONE;
    for (uint32_t s = 0; s < group->count; s++) {
        const kw_slot *slot = &join->file->slots[group->first + s];
        uint32_t number = parse_key(slot->name);
        if (number < group->count) join->ordered[group->first + number] = slot->tensor;
    }
}

static int open_slots(kw_join *join, kw_error *err) {
    const kw_table *file = join->file;
    join->ordered = kw_arena_alloc(&join->work, file->slot_count * sizeof *join->ordered);
    if (join->ordered == NULL) return kw_fail_memory(err);
    for (uint32_t s = 0; s < file->slot_count; s++) join->ordered[s] = file->slots[s].tensor;
    for (uint32_t g = 0; join->v3 && g < file->group_count; g++) order_by_key(join, &file->groups[g]);
    return 0;
}

static int open_paths(kw_join *join, kw_error *err) {
    const kw_table *file = join->file;
    join->sorted_paths = kw_arena_alloc(&join->work, file->group_count * sizeof *join->sorted_paths);
    if (join->sorted_paths == NULL) return kw_fail_memory(err);
    for (uint32_t f = 0; f < file->group_count; f++) {
        const char *path = file->groups[f].path;
        if (kw_index_add(&join->paths, path, f, NULL, err) < 0) return -1;
        /* A shard map lists only what owns variables. */
        bool listed = join->loader != KW_LOADER_V3_SHARDS || file->groups[f].count > 0;
        if (listed) join->sorted_paths[join->sorted_count++] = path;
    }
    size_t count = join->sorted_count;
    if (count > 0) qsort(join->sorted_paths, count, sizeof *join->sorted_paths, compare_paths);
    return 0;
}

/* "MyBlock" and "my_block_3" both as "myblock"; NULL: no memory. */
static char *squeeze(kw_arena *arena, const char *text, bool is_name) {
    size_t len = strlen(text), kept = 0, end = len;
    while (is_name && end > 0 && text[end - 1] >= '0' && text[end - 1] <= '9') end--;
    if (is_name && end < len && end > 1 && text[end - 1] == '_') len = end - 1;
    char *out = kw_arena_text(arena, text, len);
    for (size_t i = 0; out != NULL && i < len; i++) {
        char c = out[i];
        if (c != '_') out[kept++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    if (out != NULL) out[kept] = '\0';
    return out;
}

/* True when the last components of two paths are the same but for a number: in a list, that is the class. */
static bool is_same_kind(const char *a, const char *b) {
    size_t a_len, b_len;
    a = kw_name_last(a).data;
    b = kw_name_last(b).data;
    (void)kw_path_place(a, &a_len);
    (void)kw_path_place(b, &b_len);
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* V3: "dense_1" is a name that a person gave when the model has it on a layer that Keras would call otherwise, and
 * the path in the file says that it is of the same class. */
static int open_chosen(kw_join *join, kw_error *err) {
    kw_index given = KW_INDEX_EMPTY;
    int result = 0;
    for (uint32_t g = 0; result == 0 && join->v3 && g < join->model->group_count; g++) {
        if (kw_model_name_given(join, g)) result = kw_index_add(&given, join->model->groups[g].name, g, NULL, err);
    }
    for (uint32_t f = 0; result == 0 && join->v3 && f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        bool flagged = (group->flags & KW_GROUP_NAMED) != 0 && (group->flags & KW_GROUP_AUTO_NAME) != 0;
        uint32_t g = flagged && group->name != NULL ? kw_index_find(&given, group->name) : KW_NONE;
        join->chosen[f] = g != KW_NONE && is_same_kind(group->path, join->model->groups[g].path);
    }
    kw_index_free(&given);
    return result;
}

/* True for "my_layer_1_fc" below "my_layer_1". */
static bool is_derived(const char *name, const char *above) {
    size_t len = strlen(above);
    bool joins = strncmp(name, above, len) == 0 && (name[len] == '_' || name[len] == '/' || name[len] == '-');
    return joins && len > 0;
}

/* V3: what a layer calls its parts after a name of its own that Keras made is as little a person's choice. */
static int mark_derived(kw_join *join, const kw_table *table, bool is_model) {
    uint32_t *parents = kw_table_parents(join, table);
    uint8_t *automatic = is_model ? join->automatic_model : join->automatic;
    if (parents == NULL) return -1;
    for (uint32_t g = 0; g < table->group_count; g++) {
        const char *name = table->groups[g].name;
        uint32_t above = parents[g];
        for (int depth = 0; depth < DEPTH_MAX && name != NULL && above != KW_NONE; depth++, above = parents[above]) {
            bool made = is_model ? !kw_model_name_given(join, above) : !kw_file_name_given(join, above);
            const char *over = table->groups[above].name;
            if (made && over != NULL && is_derived(name, over)) automatic[g] = 1;
        }
    }
    return 0;
}

/* The file does not record classes, so what Keras makes of the user's own is told from the model's. */
static int open_names(kw_join *join, kw_error *err) {
    enum { NAME_LEN_MAX = 512 };
    const kw_table *file = join->file, *model = join->model;
    kw_index classes = KW_INDEX_EMPTY;
    int result = -1;
    join->automatic = kw_arena_alloc(&join->work, file->group_count);
    join->chosen = kw_arena_alloc(&join->work, file->group_count);
    join->automatic_model = kw_arena_alloc(&join->work, model->group_count);
    if (join->automatic == NULL || join->chosen == NULL || join->automatic_model == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < model->group_count; g++) {
        if (model->groups[g].class_name == NULL) continue;
        const char *called = model->groups[g].name;
        join->automatic_model[g] = called != NULL && strnlen(called, NAME_LEN_MAX) < NAME_LEN_MAX &&
                                   kw_name_is_automatic(called, model->groups[g].class_name);
        char *key = squeeze(&join->work, model->groups[g].class_name, false);
        if (key == NULL || kw_index_add(&classes, key, g, NULL, err) < 0) goto done;
        if (model->groups[g].class_name[0] != '_') continue;
        size_t len = strlen(key) + sizeof "private"; /* tf.keras: a scope must not begin with an underscore */
        char *renamed = kw_arena_alloc(&join->work, len);
        if (renamed == NULL) goto done;
        (void)snprintf(renamed, len, "private%s", key);
        if (kw_index_add(&classes, renamed, g, NULL, err) < 0) goto done;
    }
    for (uint32_t f = 0; f < file->group_count; f++) {
        const char *name = file->groups[f].name;
        if (name == NULL || strnlen(name, NAME_LEN_MAX) == NAME_LEN_MAX) continue;
        char *key = squeeze(&join->work, name, true);
        if (key == NULL) goto done;
        uint32_t g = kw_index_find(&classes, key);
        join->automatic[f] = g != KW_NONE && kw_name_is_automatic(name, model->groups[g].class_name);
    }
    if (mark_derived(join, file, false) < 0 || mark_derived(join, model, true) < 0) goto done;
    result = open_chosen(join, err);
done:
    kw_index_free(&classes);
    return result < 0 && err->code == KW_OK ? kw_fail_memory(err) : result;
}

static int open_results(kw_join *join, kw_error *err) {
    const kw_table *model = join->model;
    join->matches = kw_arena_alloc(&join->work, model->group_count * sizeof *join->matches);
    join->used = kw_arena_alloc(&join->work, join->file->group_count);
    join->assigned = kw_arena_alloc(&join->work, model->tensor_count * sizeof *join->assigned);
    join->signs = kw_arena_alloc(&join->work, model->tensor_count * sizeof *join->signs);
    join->keras_signs = kw_arena_alloc(&join->work, model->tensor_count * sizeof *join->keras_signs);
    join->plan->source_group = kw_arena_alloc(&join->plan->arena, model->group_count * sizeof(uint32_t));
    join->plan->own_group = kw_arena_alloc(&join->plan->arena, model->group_count * sizeof(uint32_t));
    if (join->matches == NULL || join->used == NULL || join->assigned == NULL || join->plan->source_group == NULL ||
        join->plan->own_group == NULL || join->signs == NULL || join->keras_signs == NULL) {
        return kw_fail_memory(err);
    }
    for (uint32_t g = 0; g < model->group_count; g++) {
        join->matches[g].candidate = join->matches[g].source = KW_NONE;
        join->plan->source_group[g] = join->plan->own_group[g] = KW_NONE;
        join->matches[g].fit.kind = KW_FIT_NONE;
    }
    for (uint32_t t = 0; t < model->tensor_count; t++) join->assigned[t] = KW_NONE;
    return 0;
}

int kw_join_open(kw_join *join, kw_error *err) {
    kw_layout layout = join->file->layout;
    join->seed = kw_seed();
    join->does = kw_rules_find_does(join->rules);
    join->loader = kw_rules_find_loader(join->rules);
    join->v3 = layout == KW_LAYOUT_V3 || layout == KW_LAYOUT_V3_TF212;
    join->legacy = layout == KW_LAYOUT_LEGACY || layout == KW_LAYOUT_LEGACY_MODEL;
    if (open_slots(join, err) < 0 || open_results(join, err) < 0 || open_names(join, err) < 0) return -1;
    return join->v3 ? open_paths(join, err) : 0;
}

void kw_join_close(kw_join *join) {
    kw_index_free(&join->paths);
    kw_arena_free(&join->work);
}
