/* plan.c -- the join from end to end.
 *
 *     tables --match--> matches --> pairs ----> causes ----> findings, sorted
 *            --predict--> what Keras assigns --------------> outcome
 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

static kw_pair make_pair(const kw_join *join, uint32_t file_tensor, uint32_t model_tensor, uint8_t rule) {
    kw_dtype from = (kw_dtype)join->file->tensors[file_tensor].dtype;
    kw_dtype to = (kw_dtype)join->model->tensors[model_tensor].dtype;
    return (kw_pair){file_tensor, model_tensor, rule, (uint8_t)kw_dtype_cast(from, to)};
}

/* What kwload assigns, in the order of the model's rows. */
static int make_pairs(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    plan->pairs = kw_arena_alloc(&plan->arena, join->model->tensor_count * sizeof *plan->pairs);
    join->loaded = kw_arena_alloc(&join->work, join->file->group_count);
    uint32_t next = 0; /* of the conversions, which are in the order of groups and their variables too */
    if (plan->pairs == NULL || join->loaded == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_match *match = &join->matches[g];
        const kw_group *group = &join->model->groups[g];
        bool own = kw_join_is_own(join, g);
        if (match->source == KW_NONE || own || !kw_join_selects(join, g)) continue;
        join->loaded[match->source] = 1;
        for (uint32_t i = 0; i < group->count; i++) {
            uint32_t to = kw_join_variable(join, g, i);
            while (next < plan->conversion_count && plan->conversions[next].model_tensor < to) next++;
            bool made = next < plan->conversion_count && plan->conversions[next].model_tensor == to;
            /* What is made of several tensors may come from fewer than there are variables. */
            uint32_t from = made ? plan->conversions[next].from[0] : kw_join_tensor(join, match->source, i);
            if (from == KW_NONE) continue;
            const kw_tensor *tensor = &join->file->tensors[from];
            if (tensor->dtype == KW_DTYPE_NONE && tensor->fault.code == KW_OK) continue; /* cause.c says so */
            plan->pairs[plan->pair_count++] = make_pair(join, from, to, match->rule);
        }
    }
    return 0;
}

/* What Keras leaves assigned. */
static int make_keras_pairs(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    bool legacy = join->loader == KW_LOADER_LEGACY;
    uint8_t rule = (uint8_t)(!legacy ? KW_PAIR_PATH : join->rules->by_name ? KW_PAIR_NAME : KW_PAIR_ORDER);
    plan->keras_pairs = kw_arena_alloc(&plan->arena, join->model->tensor_count * sizeof *plan->keras_pairs);
    if (plan->keras_pairs == NULL) return kw_fail_memory(err);
    for (uint32_t t = 0; t < join->model->tensor_count; t++) {
        if (join->assigned[t] == KW_NONE) continue;
        plan->keras_pairs[plan->keras_pair_count++] = make_pair(join, join->assigned[t], t, rule);
    }
    return 0;
}

/* wanted and unused: state is counted in neither. */
static int count_left(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    uint8_t *taken = kw_arena_alloc(&join->work, join->file->tensor_count);
    if (taken == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0; i < plan->pair_count; i++) taken[plan->pairs[i].file_tensor] = 1;
    for (uint32_t i = 0; i < plan->conversion_count; i++) {
        const kw_conversion *conversion = &plan->conversions[i];
        for (unsigned k = 0; k < conversion->part_count; k++) taken[conversion->from[k]] = 1;
    }
    for (uint32_t t = 0; t < join->file->tensor_count; t++) {
        uint32_t f = join->file->tensors[t].group;
        plan->unused += !taken[t] && (f == KW_NONE || !kw_group_is_state(&join->file->groups[f]));
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_group *group = &join->model->groups[g];
        if (!kw_group_is_state(group) && kw_join_selects(join, g)) plan->wanted += group->count;
    }
    return 0;
}

/* True for a variable of a layer whose weights are in another order, when the one in
 * its place bears its name nevertheless, and no other variable does. */
static bool is_in_place(const kw_join *join, uint32_t t) {
    enum { COUNT_MAX = 64 };
    uint32_t g = join->model->tensors[t].group, f = join->matches[g].candidate, same = 0;
    const kw_group *to = &join->model->groups[g];
    kw_text name = kw_name_last(join->model->tensors[t].path), saved = {"", 0};
    if (join->matches[g].fit.kind != KW_FIT_ORDER || f == KW_NONE || to->count > COUNT_MAX) return false;
    if (kw_join_variable(join, g, join->matches[g].fit.at) == t) return false; /* the layer may be another's */
    if (join->file->groups[f].count != to->count) return false;
    for (uint32_t i = 0; i < to->count; i++) {
        uint32_t other = kw_join_variable(join, g, i);
        same += kw_text_equal(kw_name_last(join->model->tensors[other].path), name);
        if (other == t) saved = kw_name_last(join->file->slots[join->file->groups[f].first + i].name);
    }
    return same == 1 && kw_text_equal(saved, name);
}

/* True when a variable has, in Keras, what the evidence gives to another. */
static int find_wrong(kw_join *join, bool *wrong, kw_error *err) {
    const kw_plan *plan = join->plan;
    uint32_t *ours = kw_arena_alloc(&join->work, join->model->tensor_count * sizeof *ours);
    if (ours == NULL) return kw_fail_memory(err);
    for (uint32_t t = 0; t < join->model->tensor_count; t++) ours[t] = KW_NONE;
    for (uint32_t i = 0; i < plan->pair_count; i++) {
        if (plan->pairs[i].rule != KW_PAIR_MAPPED) ours[plan->pairs[i].model_tensor] = plan->pairs[i].file_tensor;
    }
    *wrong = join->converted;
    for (uint32_t t = 0; t < join->model->tensor_count; t++) {
        uint32_t g = join->model->tensors[t].group;
        if (join->assigned[t] == KW_NONE || is_in_place(join, t)) continue;
        const kw_match *match = &join->matches[g];
        bool other = ours[t] != KW_NONE && (ours[t] != join->assigned[t] || join->signs[t] != join->keras_signs[t]);
        bool named = ours[t] == KW_NONE && kw_order_names_another(join, join->assigned[t], t);
        *wrong = *wrong || match->wrong || match->below_wrong || other || named;
    }
    return 0;
}

/* The outcome of a load that does not raise. */
static int find_outcome(kw_join *join, kw_error *err) {
    kw_prediction *prediction = &join->plan->prediction;
    uint32_t wanted = 0, got = 0;
    bool wrong = false;
    if (prediction->outcome != KW_OUTCOME_LOADS) return 0;
    if (find_wrong(join, &wrong, err) < 0) return -1;
    for (uint32_t t = 0; t < join->model->tensor_count; t++) {
        if (kw_group_is_state(&join->model->groups[join->model->tensors[t].group])) continue;
        wanted++;
        got += join->assigned[t] != KW_NONE;
    }
    if (wanted == 0) { /* what is bare takes nothing, whatever there is */
        for (uint32_t f = 0; f < join->file->group_count; f++) {
            wanted += join->file->groups[f].count > 0 && !kw_group_is_state(&join->file->groups[f]);
        }
    }
    if (wrong) {
        prediction->outcome = KW_OUTCOME_LOADS_WRONG;
    } else if (got < wanted) {
        prediction->outcome = got == 0 ? KW_OUTCOME_LOADS_NOTHING : KW_OUTCOME_LOADS_PART;
    }
    return 0;
}

/* Another Keras's prediction in a join of its own; what it says of the rows that the model itself has. */
static int predict_other(kw_join *join, kw_error *err) {
    const kw_other *other = join->rules->other;
    const kw_table *own = join->model;
    kw_rules rules = kw_rules_of_reader(join->rules);
    kw_join there = {.file = join->file, .model = other->model, .graph = other->graph, .rules = &rules};
    int result = -1;
    there.plan = calloc(1, sizeof *there.plan);
    if (there.plan == NULL) return kw_fail_memory(err);
    if (kw_join_open(&there, err) < 0 || kw_predict(&there, err) < 0) goto done;
    kw_prediction *prediction = &join->plan->prediction;
    *prediction = there.plan->prediction;
    if (prediction->error_group >= own->group_count) prediction->error_group = KW_NONE;
    if (prediction->error_tensor >= own->tensor_count) prediction->error_tensor = KW_NONE;
    uint32_t shared = own->tensor_count < other->model->tensor_count ? own->tensor_count : other->model->tensor_count;
    for (uint32_t t = 0; t < shared; t++) {
        join->assigned[t] = there.assigned[t];
        join->keras_signs[t] = there.keras_signs[t];
    }
    join->converted = there.converted;
    join->loader = there.loader;
    result = 0;
done:
    kw_join_close(&there);
    kw_plan_free(there.plan);
    return result;
}

static int predict(kw_join *join, kw_error *err) {
    return join->rules->other == NULL ? kw_predict(join, err) : predict_other(join, err);
}

typedef struct sort_row {
    kw_finding finding;
    uint32_t model_row, place;
} sort_row;

static int compare_findings(const void *a, const void *b) {
    const sort_row *x = a, *y = b;
    if (x->finding.severity != y->finding.severity) return x->finding.severity > y->finding.severity ? -1 : 1;
    if (x->model_row != y->model_row) return x->model_row < y->model_row ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Errors first, then by model row; what is about no model row comes last. */
static int sort_findings(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    sort_row *rows = kw_arena_alloc(&join->work, plan->finding_count * sizeof *rows);
    if (rows == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0; i < plan->finding_count; i++) {
        rows[i] = (sort_row){plan->findings[i], plan->findings[i].model_group, i};
    }
    if (plan->finding_count > 0) qsort(rows, plan->finding_count, sizeof *rows, compare_findings);
    for (uint32_t i = 0; i < plan->finding_count; i++) plan->findings[i] = rows[i].finding;
    return 0;
}

/* tf_keras does not look at by_name in a V3 file; nor does this where the names are not in it. */
static void drop_by_name(kw_join *join, kw_rules *rules) {
    bool ignored = rules->flavour == KW_FLAVOUR_TF_KERAS && join->loader != KW_LOADER_LEGACY;
    if (!ignored || !rules->by_name || !join->v3 || kw_join_has_names(join)) return;
    join->names_ignored = true;
    rules->by_name = false;
    join->rules = rules;
}

int kw_plan_make(const kw_table *file, const kw_table *model, const kw_graph *model_graph, const kw_rules *rules,
                 kw_plan **out, kw_error *err) {
    kw_join join = {.file = file, .model = model, .graph = model_graph, .rules = rules};
    kw_rules own = *rules;
    int result = -1;
    *out = NULL;
    join.plan = calloc(1, sizeof *join.plan);
    if (join.plan == NULL) return kw_fail_memory(err);
    if (kw_join_open(&join, err) < 0) goto done;
    drop_by_name(&join, &own);
    if (kw_match_all(&join, err) < 0 || make_pairs(&join, err) < 0) goto done;
    if (kw_find_causes(&join, err) < 0 || predict(&join, err) < 0 || find_outcome(&join, err) < 0) goto done;
    if (make_keras_pairs(&join, err) < 0 || count_left(&join, err) < 0 || sort_findings(&join, err) < 0) goto done;
    result = 0;
done:
    kw_join_close(&join);
    if (result < 0) {
        kw_plan_free(join.plan);
    } else {
        *out = join.plan;
    }
    return result;
}

void kw_plan_free(kw_plan *plan) {
    if (plan == NULL) return;
    free(plan->findings);
    free(plan->conversions);
    free(plan->related);
    kw_arena_free(&plan->arena);
    free(plan);
}
