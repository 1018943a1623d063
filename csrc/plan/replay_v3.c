/* replay_v3.c -- what Keras's V3 loading code does: its errors, and what it has
 * assigned by then.
 *
 *     object --path--> file group --keys "0".."n-1"--> variables, one after another
 *
 * keras/src/saving/saving_lib.py: load_weights_only, H5IOStore.get,
 * _raise_loading_failure; keras/src/layers/layer.py and
 * keras/src/optimizers/base_optimizer.py: load_own_variables; the same names in
 * tf_keras.  An assign that fails leaves the variables before it assigned.
 */
#include <string.h>

#include "plan/join.h"

typedef struct failure {
    uint32_t order; /* when it was first noted; 0: not failed */
    uint8_t raise;  /* kw_raise of the last error */
    uint32_t tensor, a, b;
} failure;

typedef struct v3_replay {
    kw_join *join;
    failure *failures; /* one a node */
    uint32_t order, failed;
    uint32_t own_group; /* the first object that loads itself and has something to load */
    bool root_missing;
    bool links; /* the file has links where groups should be */
} v3_replay;

/* H5IOStore.get: the group of a path, also where TensorFlow 2.13 put it; KW_NONE.
 * -1 in *result when memory is short. */
static uint32_t find_group(v3_replay *replay, const char *path, int *result) {
    static const char from[] = "layers", to[] = "_layer_checkpoint_dependencies";
    kw_join *join = replay->join;
    uint32_t group = join->v3 ? kw_join_find_path(join, path) : KW_NONE;
    *result = 0;
    if (group != KW_NONE || path[0] == '\0' || (join->does & KW_DOES_TF212) == 0) return group;
    if (join->file->layout != KW_LAYOUT_V3_TF212) return KW_NONE;
    size_t len = strlen(path), longest = len / (sizeof from - 1) * (sizeof to - sizeof from) + len + 1, end = 0;
    kw_arena scratch = KW_ARENA_EMPTY;
    char *other = kw_arena_alloc(&scratch, longest);
    if (other == NULL) *result = -1;
    for (size_t i = 0; other != NULL && i < len;) {
        bool hit = strncmp(path + i, from, sizeof from - 1) == 0;
        size_t part = hit ? sizeof to - 1 : 1;
        memcpy(other + end, hit ? to : path + i, part);
        end += part;
        i += hit ? sizeof from - 1 : 1;
    }
    if (other != NULL) group = kw_join_find_path(join, other);
    kw_arena_free(&scratch);
    return group;
}

/* The error that loading one object ends with; false when there is none. */
static bool load_variables(v3_replay *replay, uint32_t model_group, uint32_t file_group, failure *out) {
    kw_join *join = replay->join;
    const kw_group *to = &join->model->groups[model_group];
    bool tf = join->rules->flavour == KW_FLAVOUR_TF_KERAS;
    uint32_t have = file_group == KW_NONE ? 0 : join->file->groups[file_group].count;
    kw_fit fit = kw_join_fit(join, file_group, model_group);
    bool counted = fit.kind == KW_FIT_COUNT || (fit.kind == KW_FIT_NONE && (to->flags & KW_GROUP_NO_COUNT) == 0);
    *out = (failure){.raise = KW_RAISE_VARIABLES, .tensor = KW_NONE, .a = to->count, .b = have};
    if (counted) return true;
    uint32_t end = fit.kind == KW_FIT_OK ? to->count : fit.at;
    for (uint32_t i = 0; i < end; i++) {
        uint32_t wanted = kw_join_variable(join, model_group, i), tensor = kw_join_tensor(join, file_group, i);
        kw_raise raise;
        if (kw_predict_read(join, tensor, &raise) && kw_predict_take(join, tensor, wanted, &raise)) continue;
        out->raise = (uint8_t)raise;
        out->tensor = wanted;
        return true;
    }
    if (fit.kind == KW_FIT_OK) return false;
    if (fit.kind == KW_FIT_SHAPE) { /* it is converted before its shape is looked at */
        kw_raise raise;
        out->tensor = kw_join_variable(join, model_group, fit.at);
        out->raise = KW_RAISE_SHAPE;
        if (!kw_predict_read(join, kw_join_tensor(join, file_group, fit.at), &raise)) return true;
    }
    out->tensor = kw_join_variable(join, model_group, fit.at);
    out->raise = fit.kind != KW_FIT_SHAPE ? KW_RAISE_KEY : tf ? KW_RAISE_TF_SHAPE : KW_RAISE_SHAPE;
    if (fit.kind == KW_FIT_KEYS && join->file->groups[file_group].fault.code == KW_LINK) {
        out->raise = (uint8_t)kw_predict_link(join);
    }
    return true;
}

/* True when a link stands at the path, or above it: H5IOStore.get comes to it. */
static bool is_behind_link(const v3_replay *replay, uint32_t model_group, const char *path, int *result) {
    kw_join *join = replay->join;
    bool found = false;
    if (!replay->links || (join->model->groups[model_group].flags & KW_GROUP_NOT_LOADABLE) != 0) return false;
    kw_arena scratch = KW_ARENA_EMPTY;
    size_t len = strlen(path);
    char *part = kw_arena_text(&scratch, path, len);
    if (part == NULL) *result = -1;
    for (size_t end = len; part != NULL && !found; end--) {
        uint32_t group = end == len || path[end] == '/' ? (part[end] = '\0', kw_join_find_path(join, part)) : KW_NONE;
        found = group != KW_NONE && (join->file->groups[group].flags & KW_GROUP_LINK) != 0;
        if (end <= 1) break;
    }
    kw_arena_free(&scratch);
    return found;
}

/* A lookup table that weighs its words by tf-idf asks for the key "idf_weights" and nothing else. */
static bool misses_table(const v3_replay *replay, uint32_t model_group, uint32_t file_group) {
    static const char *const tables[] = {"StringLookup", "IntegerLookup", "TextVectorization"};
    const kw_group *to = &replay->join->model->groups[model_group];
    if ((to->flags & KW_GROUP_OWN_LOAD) == 0 || to->count > 0 || to->class_name == NULL) return false;
    if (file_group != KW_NONE && replay->join->file->groups[file_group].count > 0) return false;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (strcmp(to->class_name, tables[i]) == 0) return true;
    }
    return false;
}

/* True when nothing is to be loaded into the object by Keras's own code. */
static bool passes(v3_replay *replay, uint32_t model_group, uint32_t file_group) {
    const kw_group *to = &replay->join->model->groups[model_group];
    uint32_t have = file_group == KW_NONE ? 0 : replay->join->file->groups[file_group].count;
    if ((to->flags & KW_GROUP_NOT_LOADABLE) != 0) return true;
    if ((to->flags & KW_GROUP_COUNTED) != 0 && have != to->count) return false;
    if ((to->flags & KW_GROUP_OWN_LOAD) != 0) {
        if (replay->own_group == KW_NONE && (have > 0 || to->count > 0)) replay->own_group = model_group;
        return true;
    }
    return (to->flags & KW_GROUP_OPTIMIZER) != 0 && have != to->count; /* only warned of */
}

static void note_failure(v3_replay *replay, uint32_t node, const failure *error) {
    failure *kept = &replay->failures[node];
    uint32_t order = kept->order != 0 ? kept->order : ++replay->order;
    replay->failed += kept->order == 0;
    *kept = *error;
    kept->order = order;
}

/* kw_walker.enter. */
static kw_visit enter(void *context, uint32_t node, const char *path, bool in_list, bool loud) {
    v3_replay *replay = context;
    kw_join *join = replay->join;
    int result;
    uint32_t group = join->graph->nodes[node].group;
    (void)in_list;
    uint32_t source = find_group(replay, path, &result);
    bool link = is_behind_link(replay, group, path, &result);
    if (result < 0) return KW_VISIT_MEMORY;
    if (link) { /* it is looked up outside of what catches errors */
        kw_raise raise = kw_predict_link(join);
        if (join->plan->prediction.outcome != KW_OUTCOME_UNKNOWN) kw_predict_raise(join, raise, group, KW_NONE, 0, 0);
        return KW_VISIT_STOP;
    }
    if (source != KW_NONE && join->file->groups[source].fault.code == KW_SHARD_MISSING) {
        kw_predict_raise(join, KW_RAISE_NO_SHARD, group, KW_NONE, 0, 0);
        return KW_VISIT_STOP;
    }
    failure error = {.raise = KW_RAISE_KEY, .tensor = KW_NONE};
    bool no_root = path[0] == '\0' && source == KW_NONE && (join->does & KW_DOES_NEED_ROOT) != 0 &&
                   (join->model->groups[group].flags & KW_GROUP_NOT_LOADABLE) == 0;
    bool fails = no_root || misses_table(replay, group, source);
    if (!fails && (passes(replay, group, source) || !load_variables(replay, group, source, &error))) {
        return KW_VISIT_FINE;
    }
    if (join->plan->prediction.outcome == KW_OUTCOME_UNKNOWN) return KW_VISIT_STOP;
    bool collects = (join->does & KW_DOES_RETRY) != 0;
    if (!collects && !join->rules->skip_mismatch) {
        kw_predict_raise(join, (kw_raise)error.raise, group, error.tensor, error.a, error.b);
        return KW_VISIT_STOP;
    }
    if (collects && loud) note_failure(replay, node, &error);
    return KW_VISIT_FAILED;
}

/* kw_walker.forgive. */
static void forgive(void *context, uint32_t node) {
    v3_replay *replay = context;
    replay->failed -= replay->failures[node].order != 0;
    replay->failures[node].order = 0;
}

/* _raise_loading_failure: "A total of n objects", with the first one's message. */
static void raise_total(v3_replay *replay) {
    kw_join *join = replay->join;
    uint32_t first = KW_NONE;
    for (uint32_t n = 0; n < join->graph->node_count; n++) {
        uint32_t order = replay->failures[n].order;
        if (order != 0 && (first == KW_NONE || order < replay->failures[first].order)) first = n;
    }
    const failure *error = &replay->failures[first];
    kw_predict_raise(join, KW_RAISE_TOTAL, join->graph->nodes[first].group, error->tensor, replay->failed, error->b);
    bool own = replay->own_group != KW_NONE; /* it may have failed too, and first */
    join->plan->prediction.inner_prefix = own ? NULL : kw_raise_find_text((kw_raise)error->raise).prefix;
}

int kw_replay_v3(kw_join *join, kw_error *err) {
    v3_replay replay = {.join = join, .own_group = KW_NONE};
    replay.failures = kw_arena_alloc(&join->work, join->graph->node_count * sizeof *replay.failures);
    if (replay.failures == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; join->v3 && g < join->file->group_count; g++) {
        replay.links = replay.links || (join->file->groups[g].flags & KW_GROUP_LINK) != 0;
    }
    kw_walker walker = {.context = &replay, .enter = enter, .forgive = forgive};
    walker.retry = (join->does & KW_DOES_RETRY) != 0;
    walker.nested = (join->does & KW_DOES_NESTED) != 0;
    walker.skip_seen = (join->does & KW_DOES_SKIP_SEEN) != 0;
    kw_walk_end end = kw_walk(join, &walker);
    if (end == KW_WALK_MEMORY) return kw_fail_memory(err);
    if (end == KW_WALK_STOPPED) {
        if (replay.own_group != KW_NONE) kw_predict_unknown(join, "a layer loads its variables by code of its own");
    } else if (end == KW_WALK_TOO_DEEP) {
        kw_predict_raise(join, KW_RAISE_RECURSION, KW_NONE, KW_NONE, 0, 0);
    } else if (end == KW_WALK_TOO_LONG) {
        kw_predict_unknown(join, "the model's objects refer to each other in too many ways to replay");
    } else if (replay.failed > 0 && !join->rules->skip_mismatch) {
        raise_total(&replay);
    } else if (replay.own_group != KW_NONE) {
        kw_predict_unknown(join, "a layer loads its variables by code of its own");
    }
    return 0;
}
