/* cause.c -- what is wrong with the join: one finding for each cause.
 *
 *     names by one rule, other paths    naming.c, moved.c: why nothing, or little, is found
 *     nothing matched at all            one finding, and no other about layers
 *     names, numbers of layers          evidence.c, layers.c: they explain what follows
 *     missing, count, keys, order       one a layer
 *     shapes                            shape.c
 *     unused, optimizer, types          what is left over, what is cast
 *     another model's file              architecture.c: instead of all the others
 */
#include <string.h>

#include "plan/join.h"

/* True when the call asks for variables of this group. */
static bool is_wanted(const kw_join *join, uint32_t g) {
    const kw_group *group = &join->model->groups[g];
    return group->count > 0 && !kw_group_is_state(group) && kw_join_selects(join, g);
}

/* Groups of the file with tensors that are no state. */
static uint32_t count_saved(const kw_join *join) {
    uint32_t saved = 0;
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        saved += join->file->groups[f].count > 0 && !kw_group_is_state(&join->file->groups[f]);
    }
    return saved;
}

static int report_nothing(kw_join *join, uint32_t wanted, kw_error *err) {
    kw_finding *finding = kw_join_add(join, KW_NOTHING_MATCHED, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->a = count_saved(join);
    finding->b = wanted;
    return 0;
}

/* The model wants variables and gets none at all: then names and numbers of
 * layers explain nothing (*unlike).  *nothing: nor did any layer find a group of
 * the file, so that there is nothing more to say of layers. */
static int find_nothing(kw_join *join, bool *nothing, bool *unlike, kw_error *err) {
    uint32_t wanted = 0, tried = 0, found = 0;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        uint32_t f = join->matches[g].candidate;
        /* By name, the variables of the model itself come along without one. */
        if (!is_wanted(join, g) || (join->legacy && !kw_group_is_layer(&join->model->groups[g]))) continue;
        wanted++;
        tried += (f != KW_NONE && join->file->groups[f].count > 0) || join->matches[g].explained;
        found += join->matches[g].source != KW_NONE;
    }
    bool ordered = join->legacy && !join->rules->by_name && count_saved(join) > 0; /* the number of layers is why */
    *nothing = wanted > 0 && tried == 0 && !ordered;
    bool skipped = join->rules->skip_mismatch && wanted > 0 && tried > 0 && found == 0;
    *unlike = *nothing || skipped;
    return *unlike ? report_nothing(join, wanted, err) : 0;
}

/* The file has weights and the model has no variables that could take them. */
static bool is_bare(const kw_join *join) {
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (kw_group_is_state(&join->model->groups[g])) continue;
        if (join->model->groups[g].count > 0 || !kw_join_selects(join, g)) return false;
        if (kw_join_is_own(join, g) && join->matches[g].candidate != KW_NONE) return false;
    }
    return count_saved(join) > 0;
}

static bool has_unbuilt(const kw_table *model) {
    for (uint32_t g = 0; g < model->group_count; g++) {
        if ((model->groups[g].flags & KW_GROUP_NOT_BUILT) != 0) return true;
    }
    return false;
}

/* Options that Keras, or this file, does not take.  A warning: kwload takes it, Keras 3 raises. */
static int find_options(kw_join *join, kw_error *err) {
    kw_rules reader = kw_rules_of_reader(join->rules);
    kw_loader loader = kw_rules_find_loader(&reader);
    bool legacy = loader == KW_LOADER_LEGACY || loader == KW_LOADER_REFUSED;
    bool skip = join->legacy && reader.flavour == KW_FLAVOUR_TF_KERAS && reader.skip_mismatch && !reader.by_name;
    bool named = reader.flavour == KW_FLAVOUR_KERAS3 && reader.by_name && !legacy;
    bool refused = skip || join->names_missing;
    bool unread = reader.flavour == KW_FLAVOUR_TF_KERAS && reader.by_name && join->v3 && !legacy;
    if (!refused && !named && !unread && !join->names_ignored) return 0;
    kw_finding *finding = kw_join_add(join, KW_OPTION, refused ? KW_ERROR : KW_WARNING, err);
    if (finding == NULL) return -1;
    finding->a = join->names_ignored ? 1 : unread ? 2 : 0;
    return 0;
}

/* The model as a whole (then *whole, and no more is said of layers), or layers that the file has variables for. */
static int find_unbuilt(kw_join *join, bool *whole, kw_error *err) {
    bool bare = is_bare(join);
    *whole = kw_model_is_unbuilt(join) || (bare && has_unbuilt(join->model));
    if (*whole) return kw_join_add(join, KW_NOT_BUILT, KW_ERROR, err) == NULL ? -1 : 0;
    if (bare) { /* built, and without any variable */
        *whole = true;
        return report_nothing(join, 0, err);
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_group *group = &join->model->groups[g];
        kw_match *match = &join->matches[g];
        bool unbuilt = (group->flags & KW_GROUP_NOT_BUILT) != 0 && group->count == 0 && !kw_group_is_state(group);
        if (!unbuilt || match->candidate == KW_NONE || join->file->groups[match->candidate].count == 0) continue;
        match->explained = true;
        if (!kw_join_selects(join, g)) continue;
        kw_finding *finding = kw_join_add(join, KW_NOT_BUILT, KW_ERROR, err);
        if (finding == NULL) return -1;
        finding->model_group = g;
        finding->file_group = match->candidate;
        finding->a = join->file->groups[match->candidate].count;
    }
    return 0;
}

/* Which finding a fit is; 0: none here. */
static int code_of(const kw_fit *fit) {
    switch ((kw_fit_kind)fit->kind) {
        case KW_FIT_HOLE: return KW_MISSING;
        case KW_FIT_COUNT: return KW_COUNT;
        case KW_FIT_KEYS: return KW_KEYS;
        case KW_FIT_ORDER: return KW_ORDER;
        case KW_FIT_OK:
        case KW_FIT_NONE:
        case KW_FIT_SHAPE: break;
    }
    return 0;
}

/* Groups that have the same root, in order: first[root], then next[group]. */
typedef struct chain_list {
    uint32_t *first, *next;
} chain_list;

/* Chains of the marked groups of a table by the outermost group below which nothing is present. */
static int make_chains(kw_join *join, const kw_table *table, const uint8_t *marked, const uint8_t *present,
                       chain_list *out, kw_error *err) {
    uint32_t count = table->group_count, *roots = kw_table_roots(join, table, present);
    out->first = kw_arena_alloc(&join->work, count * sizeof *out->first);
    out->next = kw_arena_alloc(&join->work, count * sizeof *out->next);
    if (roots == NULL || out->first == NULL || out->next == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < count; g++) out->first[g] = KW_NONE;
    for (uint32_t g = count; g-- > 0;) {
        uint32_t root = join->rules->by_name ? g : roots[g];
        if (!marked[g]) continue;
        out->next[g] = out->first[root];
        out->first[root] = g;
    }
    return 0;
}

/* One finding for all that is missing below a group. */
static int report_missing(kw_join *join, const chain_list *chains, uint32_t root, const uint32_t *best, kw_error *err) {
    uint32_t first = chains->first[root];
    bool soft = join->rules->by_name || join->rules->skip_mismatch; /* others then stay as they are */
    kw_finding *finding =
        kw_join_add(join, join->rules->skip_mismatch ? KW_SKIPPED : KW_MISSING, soft ? KW_WARNING : KW_ERROR, err);
    if (finding == NULL) return -1;
    bool single = first == root && chains->next[first] == KW_NONE;
    finding->model_group = root;
    finding->file_group = join->matches[root].candidate;
    if (chains->next[first] == KW_NONE) finding->other_group = best[first];
    for (uint32_t g = first; g != KW_NONE; g = chains->next[g]) {
        finding->b += join->model->groups[g].count;
        for (uint32_t i = 0; !single && i < join->model->groups[g].count; i++) {
            if (kw_join_relate(join, kw_join_variable(join, g, i), err) < 0) return -1;
        }
    }
    return 0;
}

static int find_missing(kw_join *join, const uint8_t *missing, const uint32_t *best, kw_error *err) {
    uint8_t *present = kw_arena_alloc(&join->work, join->model->group_count);
    chain_list chains;
    if (present == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) present[g] = join->matches[g].candidate != KW_NONE;
    if (make_chains(join, join->model, missing, present, &chains, err) < 0) return -1;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (chains.first[g] != KW_NONE && report_missing(join, &chains, g, best, err) < 0) return -1;
    }
    return 0;
}

static int find_misfit(kw_join *join, uint32_t g, kw_error *err) {
    kw_match *match = &join->matches[g];
    const kw_group *group = &join->model->groups[g];
    int code = code_of(&match->fit);
    kw_severity severity = KW_ERROR;
    if (code == 0) return 0;
    if (match->dealt) {
        severity = KW_WARNING;
    } else if (join->rules->skip_mismatch && code != KW_ORDER) {
        severity = KW_WARNING;
        code = KW_SKIPPED;
    }
    kw_finding *finding = kw_join_add(join, code, severity, err);
    if (finding == NULL) return -1;
    finding->model_group = g;
    finding->file_group = match->candidate;
    finding->a = join->file->groups[match->candidate].count;
    finding->b = group->count;
    match->wrong = match->wrong || code == KW_ORDER;
    if (match->fit.kind < KW_FIT_KEYS || group->count == 0) return 0;
    finding->model_tensor = kw_join_variable(join, g, match->fit.at);
    if (match->fit.kind == KW_FIT_ORDER) finding->file_tensor = kw_join_tensor(join, match->candidate, match->fit.at);
    return 0;
}

/* A layer whose own code loads it: whether it fits is its own affair. */
static int note_own(kw_join *join, uint32_t g, kw_error *err) {
    uint32_t f = join->matches[g].candidate;
    uint32_t have = f == KW_NONE ? 0 : join->file->groups[f].count;
    if (have == 0 && join->model->groups[g].count == 0) return 0;
    bool gone = have == 0;
    kw_finding *finding =
        kw_join_add(join, gone ? KW_MISSING : KW_NOT_VERIFIABLE, gone ? KW_WARNING : KW_NOTE, err);
    if (finding == NULL) return -1;
    finding->model_group = g;
    finding->file_group = f;
    finding->a = have;
    finding->b = join->model->groups[g].count;
    return 0;
}

static int find_misfits(kw_join *join, kw_error *err) {
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_group *group = &join->model->groups[g];
        const kw_match *match = &join->matches[g];
        if (match->explained || kw_group_is_state(group) || !kw_join_selects(join, g)) continue;
        if (kw_join_is_own(join, g)) {
            if (note_own(join, g, err) < 0) return -1;
        } else if (group->count > 0 || match->fit.kind == KW_FIT_COUNT) {
            if (find_misfit(join, g, err) < 0) return -1;
        }
    }
    return 0;
}

/* One warning for all that nobody takes below a group of the file. */
static int find_unused(kw_join *join, const uint8_t *unused, const uint32_t *best_file, const uint32_t *best_model,
                       kw_error *err) {
    chain_list chains;
    if (make_chains(join, join->file, unused, join->used, &chains, err) < 0) return -1;
    for (uint32_t root = 0; root < join->file->group_count; root++) {
        uint32_t first = chains.first[root], best = first == KW_NONE ? KW_NONE : best_model[first];
        if (first == KW_NONE) continue;
        bool single = chains.next[first] == KW_NONE;
        if (single && best != KW_NONE && best_file[best] == first) continue; /* "missing" names it */
        kw_finding *finding = kw_join_add(join, KW_UNUSED, KW_WARNING, err);
        if (finding == NULL) return -1;
        finding->file_group = root;
        finding->other_group = single ? best : KW_NONE;
        for (uint32_t f = first; f != KW_NONE; f = chains.next[f]) finding->a += join->file->groups[f].count;
    }
    return 0;
}

/* The model's group of optimizer state (or of metrics) with variables; KW_NONE. */
static uint32_t find_state(const kw_table *model, uint32_t flag) {
    for (uint32_t g = 0; g < model->group_count; g++) {
        if ((model->groups[g].flags & flag) != 0 && model->groups[g].count > 0) return g;
    }
    return KW_NONE;
}

/* An optimizer that was not built has its counters only: no variable for each weight. */
static bool is_state_built(const kw_join *join, uint32_t g) {
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        if (join->model->tensors[kw_join_variable(join, g, i)].rank > 0) return true;
    }
    return false;
}

/* Groups of the file with state: the first that is not loaded, and the tensors of all such; how many there are. */
static uint32_t count_state(const kw_join *join, uint32_t flag, uint32_t *first, uint32_t *tensors) {
    uint32_t count = 0;
    *first = KW_NONE;
    *tensors = 0;
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        if ((group->flags & flag) == 0 || group->count == 0) continue;
        count++;
        if (join->loaded[f]) continue;
        if (*first == KW_NONE) *first = f;
        *tensors += group->count;
    }
    return count;
}

/* One finding for all optimizer state that is not loaded, one for all state of metrics;
 * one when the model's optimizer has state and the file none. */
static int find_state_left(kw_join *join, uint32_t flag, kw_error *err) {
    uint32_t first, tensors, g = find_state(join->model, flag);
    uint32_t count = count_state(join, flag, &first, &tensors);
    bool built = g != KW_NONE && join->v3 && is_state_built(join, g); /* a legacy file's is never loaded */
    bool lacks = count == 0 && built && flag == KW_GROUP_OPTIMIZER;
    if (first == KW_NONE && !lacks) return 0;
    kw_finding *finding = kw_join_add(join, KW_OPTIMIZER, built && !lacks ? KW_WARNING : KW_NOTE, err);
    if (finding == NULL) return -1;
    finding->file_group = first;
    finding->model_group = g;
    finding->a = tensors;
    finding->b = g == KW_NONE ? 0 : join->model->groups[g].count;
    return 0;
}

/* Tensors that a variable should get and that are sound, but of a type that is not a number's. */
static int find_unsupported(kw_join *join, kw_error *err) {
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        uint32_t f = join->matches[g].source;
        if (!is_wanted(join, g) || f == KW_NONE || kw_join_is_own(join, g)) continue;
        for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
            uint32_t row = kw_join_tensor(join, f, i);
            const kw_tensor *tensor = &join->file->tensors[row];
            if (tensor->dtype != KW_DTYPE_NONE || tensor->fault.code != KW_OK) continue; /* a fault is told already */
            kw_finding *finding = kw_join_add(join, KW_UNSUPPORTED, KW_ERROR, err);
            if (finding == NULL) return -1;
            finding->file_group = f;
            finding->model_group = g;
            finding->file_tensor = row;
            finding->model_tensor = kw_join_variable(join, g, i);
        }
    }
    return 0;
}

/* One finding for each change of type: all tensors that it happens to. */
static int find_casts(kw_join *join, kw_error *err) {
    static const uint8_t none = UINT8_MAX;
    const kw_plan *plan = join->plan;
    uint8_t done[KW_DTYPE_COUNT][KW_DTYPE_COUNT] = {{0}};
    for (uint32_t first = 0; first < plan->pair_count; first++) {
        const kw_tensor *from = &join->file->tensors[plan->pairs[first].file_tensor];
        const kw_tensor *to = &join->model->tensors[plan->pairs[first].model_tensor];
        if (plan->pairs[first].cast == KW_CAST_SAME || done[from->dtype][to->dtype] == none) continue;
        if (from->dtype == KW_DTYPE_NONE) continue; /* damaged before its type was known */
        if (kw_group_is_state(&join->model->groups[to->group])) continue;
        done[from->dtype][to->dtype] = none;
        bool exact = plan->pairs[first].cast == KW_CAST_EXACT;
        kw_finding *finding = kw_join_add(join, KW_DTYPE, exact ? KW_NOTE : KW_WARNING, err);
        if (finding == NULL) return -1;
        finding->file_tensor = plan->pairs[first].file_tensor;
        finding->model_tensor = plan->pairs[first].model_tensor;
        finding->file_group = from->group;
        finding->model_group = to->group;
        uint32_t count = 1, at = plan->finding_count - 1;
        for (uint32_t i = first + 1; i < plan->pair_count; i++) {
            const kw_tensor *have = &join->file->tensors[plan->pairs[i].file_tensor];
            const kw_tensor *wanted = &join->model->tensors[plan->pairs[i].model_tensor];
            bool same = have->dtype == from->dtype && wanted->dtype == to->dtype;
            if (!same || kw_group_is_state(&join->model->groups[wanted->group])) continue;
            count++;
            if (kw_join_relate(join, plan->pairs[i].model_tensor, err) < 0) return -1;
        }
        plan->findings[at].a = plan->findings[at].b = count;
    }
    return 0;
}

/* What nobody takes, and what gets nothing. */
static void mark_left(kw_join *join, uint8_t *missing, uint8_t *unused) {
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        unused[f] = group->count > 0 && !kw_group_is_state(group) && !join->used[f];
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_match *match = &join->matches[g];
        missing[g] = is_wanted(join, g) && !kw_join_is_own(join, g) && !match->explained && match->fit.kind == KW_FIT_NONE;
    }
}

int kw_find_causes(kw_join *join, kw_error *err) {
    uint8_t *missing = kw_arena_alloc(&join->work, join->model->group_count);
    uint8_t *unused = kw_arena_alloc(&join->work, join->file->group_count);
    uint32_t *best_file = kw_arena_alloc(&join->work, join->model->group_count * sizeof *best_file);
    uint32_t *best_model = kw_arena_alloc(&join->work, join->file->group_count * sizeof *best_model);
    bool nothing, unlike = false;
    if (missing == NULL || unused == NULL || best_file == NULL || best_model == NULL) return kw_fail_memory(err);
    if (find_options(join, err) < 0 || find_unbuilt(join, &nothing, err) < 0) return -1;
    if (!nothing && (kw_find_naming(join, err) < 0 || kw_find_moved(join, err) < 0)) return -1;
    uint32_t first = join->plan->finding_count, related = (uint32_t)join->related_count;
    bool built = !nothing;
    if (!nothing && find_nothing(join, &nothing, &unlike, err) < 0) return -1;
    if (!nothing) {
        if (!unlike && kw_find_named_lists(join, err) < 0) return -1;
        if (!unlike && (kw_find_evidence(join, err) < 0 || kw_find_layers(join, err) < 0)) return -1;
        mark_left(join, missing, unused);
        if (kw_find_best(join, missing, unused, best_file, best_model, err) < 0) return -1;
        if (find_missing(join, missing, best_file, err) < 0) return -1;
        if (kw_find_converted(join, err) < 0 || kw_find_variants(join, err) < 0 || find_misfits(join, err) < 0) return -1;
        if (kw_find_transposed(join, err) < 0 || kw_find_shapes(join, err) < 0) return -1;
        if (find_unused(join, unused, best_file, best_model, err) < 0) return -1;
    }
    if (built && kw_find_architecture(join, first, related, err) < 0) return -1;
    if (find_state_left(join, KW_GROUP_OPTIMIZER, err) < 0) return -1;
    if (find_state_left(join, KW_GROUP_METRIC, err) < 0) return -1;
    if (find_unsupported(join, err) < 0) return -1;
    return find_casts(join, err) < 0 || kw_find_undecidable(join, err) < 0 ? -1 : 0;
}
