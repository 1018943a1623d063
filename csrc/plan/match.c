/* match.c -- which file group kwload gives to each model group.
 *
 *     V3, path     the walk of Keras, with all its second tries
 *     V3, name     the names that the file records, i-th of a name to i-th
 *     legacy       k-th to k-th of those with weights, or by_name; with more of them on one side the
 *                  given names, and the first ones when only the end differs
 *     mapped       whatever the caller says
 *
 * A file is read by what it holds, so the suffix does not matter here.
 */
#include <string.h>

#include "plan/join.h"

static void set_match(kw_join *join, uint32_t g, uint32_t f, kw_pair_rule rule, bool by_order) {
    kw_match *match = &join->matches[g];
    match->candidate = f;
    match->fit = kw_join_fit(join, f, g);
    match->rule = (uint8_t)rule;
    match->by_order = by_order;
}

static uint32_t count_tensors(const kw_join *join, uint32_t file_group) {
    return file_group == KW_NONE ? 0 : join->file->groups[file_group].count;
}

/* kw_walker.enter: keeps the first path that fits, else the first that has something. */
static kw_visit enter(void *context, uint32_t node, const char *path, bool in_list, bool loud) {
    kw_join *join = context;
    uint32_t g = join->graph->nodes[node].group, f = kw_join_find_path(join, path);
    kw_match *match = &join->matches[g];
    const kw_group *group = &join->model->groups[g];
    (void)loud;
    uint32_t had = count_tensors(join, match->candidate), has = count_tensors(join, f);
    bool fits = kw_join_fit(join, f, g).kind == KW_FIT_OK;
    bool better = match->fit.kind != KW_FIT_OK && ((had == 0 && has > 0) || (fits && group->count > 0));
    better = better || !match->reached;
    if (better) set_match(join, g, f, KW_PAIR_PATH, in_list);
    match->reached = true;
    bool wanted = (group->flags & (KW_GROUP_OWN_LOAD | KW_GROUP_NOT_LOADABLE)) == 0 && !kw_group_is_state(group);
    return fits || !wanted ? KW_VISIT_FINE : KW_VISIT_FAILED;
}

static void forgive(void *context, uint32_t node) {
    (void)context; /* what fits is kept when it is entered */
    (void)node;
}

static int match_paths(kw_join *join, kw_error *err) {
    kw_walker walker = {.context = join, .enter = enter, .forgive = forgive};
    bool gaps;
    if (join->graph == NULL) return 0;
    if (kw_file_has_gaps(join, &gaps, err) < 0) return -1;
    walker.retry = walker.nested = walker.own = true;
    walker.skip_seen = (join->does & KW_DOES_SKIP_SEEN) != 0;
    walker.tf212 = join->file->layout == KW_LAYOUT_V3_TF212;
    walker.gaps = gaps;
    return kw_walk(join, &walker) == KW_WALK_MEMORY ? kw_fail_memory(err) : 0;
}

/* The groups of a table that can be asked for by name. */
static bool has_name(const kw_join *join, const kw_group *group) {
    bool layer = join->v3 ? group->count > 0 && !kw_group_is_state(group) : kw_group_is_layer(group);
    return layer && group->name != NULL && group->name[0] != '\0';
}

/* What a group is asked for by: the name of its layer; in V3, of what lies inside
 * others, the names of those too.  A name of Keras's own counts only where none in
 * the line is a person's, and then that of the outermost; else the path stands for
 * it: "encoder/cell", "lstm_2/cell".  So it does for a name above it that is too
 * long to be repeated for each.  NULL: no memory. */
static const char *make_key(kw_join *join, bool is_model, const uint32_t *parents, uint32_t g) {
    enum { LINE_MAX = 64, NAME_LEN_MAX = 512 };
    const kw_table *table = is_model ? join->model : join->file;
    const char *parts[LINE_MAX];
    uint32_t line[LINE_MAX], count = 0;
    bool given = false;
    size_t len = 1;
    if (!join->v3) return table->groups[g].name;
    for (uint32_t at = g; at != KW_NONE && count < LINE_MAX; at = parents[at]) {
        line[count++] = at;
        given = given || (is_model ? kw_model_name_given(join, at) : kw_file_name_given(join, at));
    }
    for (uint32_t i = 0; i < count; i++) {
        const kw_group *group = &table->groups[line[i]];
        bool own = is_model ? kw_model_name_given(join, line[i]) : kw_file_name_given(join, line[i]);
        own = (own || (!given && i + 1 == count)) && group->name != NULL;
        own = own && (i == 0 || strnlen(group->name, NAME_LEN_MAX) < NAME_LEN_MAX);
        parts[i] = own ? group->name : kw_name_last(group->path).data;
        len += strlen(parts[i]) + 1;
    }
    char *key = kw_arena_alloc(&join->work, len), *end = key;
    while (key != NULL && count-- > 0) {
        end = stpcpy(end, parts[count]);
        if (count > 0) *end++ = '/';
    }
    return key;
}

/* Each model group to the file group of its name; of equal names the i-th to the i-th. */
static int match_names(kw_join *join, kw_error *err) {
    const kw_table *file = join->file, *model = join->model;
    kw_index names = KW_INDEX_EMPTY;
    const uint32_t *above_file = kw_table_parents(join, file), *above_model = kw_table_parents(join, model);
    uint32_t *next = kw_arena_alloc(&join->work, file->group_count * sizeof *next);
    uint32_t *last = kw_arena_alloc(&join->work, file->group_count * sizeof *last);
    uint32_t *take = kw_arena_alloc(&join->work, file->group_count * sizeof *take);
    bool memory = next != NULL && last != NULL && take != NULL && above_file != NULL && above_model != NULL;
    int result = memory ? 0 : kw_fail_memory(err);
    for (uint32_t f = 0; result == 0 && f < file->group_count; f++) { /* chains of equal names, by their first */
        uint32_t first = KW_NONE;
        next[f] = KW_NONE;
        last[f] = take[f] = f;
        if (!has_name(join, &file->groups[f])) continue;
        const char *key = make_key(join, false, above_file, f);
        result = key == NULL ? kw_fail_memory(err) : kw_index_add(&names, key, f, &first, err);
        if (first == KW_NONE) continue;
        next[last[first]] = f;
        last[first] = f;
    }
    for (uint32_t g = 0; result == 0 && g < model->group_count; g++) {
        if (!has_name(join, &model->groups[g])) continue;
        const char *key = make_key(join, true, above_model, g);
        uint32_t first = key == NULL ? KW_NONE : kw_index_find(&names, key);
        if (first == KW_NONE || take[first] == KW_NONE) continue;
        set_match(join, g, take[first], KW_PAIR_NAME, false);
        take[first] = next[take[first]];
    }
    kw_index_free(&names);
    return result;
}

/* When the numbers of layers differ, places say nothing: only names that people gave do. */
static int match_given_names(kw_join *join, kw_error *err) {
    if (match_names(join, err) < 0) return -1;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        kw_match *match = &join->matches[g];
        bool top = (join->model->groups[g].flags & KW_GROUP_TOP_LEVEL) != 0;
        if (match->candidate == KW_NONE || top || kw_model_name_given(join, g)) continue;
        match->candidate = KW_NONE;
        match->fit.kind = KW_FIT_NONE;
    }
    return 0;
}

/* True when k-th and k-th of the first layers fit, and no name says otherwise. */
static bool is_prefix(const kw_join *join, const uint32_t *from, const uint32_t *to, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        uint32_t named = join->matches[to[k]].candidate;
        bool given = kw_file_name_given(join, from[k]) && kw_model_name_given(join, to[k]);
        if (named != KW_NONE ? named != from[k] : given) return false;
        if (kw_join_fit(join, from[k], to[k]).kind != KW_FIT_OK) return false;
    }
    return count > 0;
}

/* One side ends where the other goes on (a file without the classifier): the places before the end still say which
 * is which.  Not when the last of them could as well be what the other side has more, unless the caller chose. */
static void match_prefix(kw_join *join, const uint32_t *from, uint32_t from_count, const uint32_t *to,
                         uint32_t to_count) {
    uint32_t fewer = from_count < to_count ? from_count : to_count;
    if (!is_prefix(join, from, to, fewer)) return;
    bool in_file = from_count > to_count;
    kw_fit next = kw_join_fit(join, from[in_file ? fewer : fewer - 1], to[in_file ? fewer - 1 : fewer]);
    if (next.kind == KW_FIT_OK && join->rules->selected == NULL) return;
    for (uint32_t k = 0; k < fewer; k++) set_match(join, to[k], from[k], KW_PAIR_ORDER, true);
}

static int match_layers(kw_join *join, kw_error *err) {
    uint32_t *from = kw_arena_alloc(&join->work, join->file->group_count * sizeof *from);
    uint32_t *to = kw_arena_alloc(&join->work, join->model->group_count * sizeof *to);
    uint32_t from_top, to_top;
    if (from == NULL || to == NULL) return kw_fail_memory(err);
    uint32_t from_count = kw_layers_list(join->file, from, &from_top);
    uint32_t to_count = kw_layers_list(join->model, to, &to_top);
    if (from_top != KW_NONE && to_top != KW_NONE) set_match(join, to_top, from_top, KW_PAIR_NAME, false);
    if (join->rules->by_name) return match_names(join, err);
    if (from_count != to_count) {
        if (match_given_names(join, err) < 0) return -1;
        match_prefix(join, from, from_count, to, to_count);
        return 0;
    }
    for (uint32_t k = 0; k < to_count; k++) set_match(join, to[k], from[k], KW_PAIR_ORDER, true);
    return 0;
}

/* Layers whose weights are named in another order fit in shape only. */
static int find_orders(kw_join *join, kw_error *err) {
    for (uint32_t g = 0; join->legacy && g < join->model->group_count; g++) {
        kw_match *match = &join->matches[g];
        if (match->candidate == KW_NONE || (match->fit.kind != KW_FIT_OK && match->fit.kind != KW_FIT_SHAPE)) continue;
        uint32_t at = 0;
        int differs = kw_order_differs(join, match->candidate, g, &at, err);
        if (differs < 0) return -1;
        if (differs) match->fit = (kw_fit){KW_FIT_ORDER, at};
    }
    return 0;
}

bool kw_join_has_names(const kw_join *join) {
    const kw_table *file = join->file;
    bool any = join->legacy;
    for (uint32_t f = 0; !join->legacy && f < file->group_count; f++) {
        const kw_group *group = &file->groups[f];
        if (group->count == 0 || kw_group_is_state(group)) continue;
        if ((group->flags & KW_GROUP_NAMED) == 0 || group->name == NULL) return false;
        any = true;
    }
    return any;
}

/* tf_keras deals the weights of a nested model out to its layers, and drops what is
 * left over (hdf5_format.py: convert_nested_model).  True when those that it keeps
 * have the names and shapes of the model's. */
static bool is_dealt(const kw_join *join, uint32_t g) {
    const kw_match *match = &join->matches[g];
    const kw_group *to = &join->model->groups[g];
    if (!join->legacy || (join->does & KW_DOES_CONVERT) == 0 || match->fit.kind != KW_FIT_COUNT) return false;
    bool nested = to->units != NULL ? to->units->kind == KW_UNIT_MODEL : kw_unit_kind_find(to->class_name) == KW_UNIT_MODEL;
    if (!nested || to->count == 0 || join->file->groups[match->candidate].count < to->count) return false;
    for (uint32_t i = 0; i < to->count; i++) {
        uint32_t have = kw_join_tensor(join, match->candidate, i), wanted = kw_join_variable(join, g, i);
        if (have == KW_NONE || !kw_shapes_equal(&join->file->tensors[have], &join->model->tensors[wanted])) return false;
        if (kw_order_names_another(join, have, wanted)) return false;
    }
    return true;
}

int kw_match_all(kw_join *join, kw_error *err) {
    const uint32_t *mapped = join->rules->mapped;
    bool by_name = join->rules->by_name && kw_join_has_names(join);
    join->names_missing = join->rules->by_name && join->v3 && !by_name;
    int result = join->legacy ? match_layers(join, err) : !join->v3 ? 0 : by_name ? match_names(join, err)
                                                                                 : match_paths(join, err);
    if (result < 0) return -1;
    for (uint32_t g = 0; mapped != NULL && g < join->model->group_count; g++) {
        if (mapped[g] != KW_NONE) set_match(join, g, mapped[g], KW_PAIR_MAPPED, false);
    }
    if (find_orders(join, err) < 0) return -1;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        kw_match *match = &join->matches[g];
        bool own = kw_join_is_own(join, g);
        if (!own && kw_conversion_add(join, g, err) < 0) return -1;
        match->dealt = !own && !match->converts && is_dealt(join, g);
        bool fits = match->fit.kind == KW_FIT_OK || match->converts || match->dealt;
        if (fits || own) match->source = match->candidate;
        join->plan->source_group[g] = match->source;
        if (match->candidate != KW_NONE) join->used[match->candidate] = 1;
    }
    return 0;
}
