/* shape.c -- variables whose shape is another, one finding for each cause.
 *
 *     dense    kernel (32, 64) -> (32, 128)   axis 1: 64 -> 128      the cause
 *              bias   (64,)    -> (128,)      the same numbers       related
 *     dense_1  kernel (64, 10) -> (128, 10)   axis 0: 64 -> 128      related: its input
 *
 * An axis follows from a cause x -> y when it is k*x in the file and k*y in the
 * model (gates, a flattened image).  A later layer belongs to the cause when all
 * its differing axes follow: best when no kernel's last axis, what it puts out,
 * differs; else it was scaled as the first was (a width multiplier).  Heads and
 * their size change together: another projection of an attention belongs to the
 * cause when each of its axes changed as some axis of the first did.
 */
#include <string.h>

#include "plan/join.h"

typedef struct shape_cause {
    uint64_t file, model; /* the axis that changed */
    uint32_t finding;
    uint32_t group; /* that it began with */
} shape_cause;

enum { CAUSE_MAX = 16 };

typedef struct cause_list {
    shape_cause items[CAUSE_MAX]; /* newest last */
    uint32_t count;
    uint32_t *owner; /* one a model tensor: finding + 1 that it is related to, or 0 */
} cause_list;

static const kw_tensor *model_tensor(const kw_join *join, uint32_t g, uint32_t i) {
    return &join->model->tensors[kw_join_variable(join, g, i)];
}

/* The file's; one that is not there counts as equal, for it is no matter of shape. */
static const kw_tensor *file_tensor(const kw_join *join, uint32_t g, uint32_t i) {
    uint32_t row = kw_join_tensor(join, join->matches[g].candidate, i);
    return row == KW_NONE ? model_tensor(join, g, i) : &join->file->tensors[row];
}

static int32_t first_axis(const kw_tensor *a, const kw_tensor *b) {
    if (a->rank != b->rank) return -1;
    int32_t axis = 0;
    while (axis < a->rank && kw_length_fits(a->shape[axis], b->shape[axis])) axis++;
    return axis < a->rank ? axis : -1;
}

/* True when lengths `have` and `want` are the same multiple of the cause's. */
static bool follows(const shape_cause *cause, uint64_t have, uint64_t want) {
    if (cause->file == 0 || cause->model == 0) return false;
    return have % cause->file == 0 && want % cause->model == 0 && have / cause->file == want / cause->model;
}

/* The first axis that differs and does not follow from the cause; -1: all follow. */
static int32_t find_unexplained(const shape_cause *cause, const kw_tensor *a, const kw_tensor *b) {
    for (int32_t axis = 0; axis < a->rank; axis++) {
        if (!kw_length_fits(a->shape[axis], b->shape[axis]) && !follows(cause, a->shape[axis], b->shape[axis])) return axis;
    }
    return -1;
}

/* True when all that differs in group g follows from the cause; with `inputs`, without a change of what it puts out. */
static bool is_consequence(const kw_join *join, uint32_t g, const shape_cause *cause, bool inputs) {
    const kw_group *group = &join->model->groups[g];
    if (group->class_name != NULL && strcmp(group->class_name, "Embedding") == 0) return false;
    for (uint32_t i = 0; i < group->count; i++) {
        const kw_tensor *a = file_tensor(join, g, i), *b = model_tensor(join, g, i);
        if (a->rank != b->rank || find_unexplained(cause, a, b) >= 0) return false;
        if (inputs && b->rank >= 2 && a->shape[a->rank - 1] != b->shape[b->rank - 1]) return false;
    }
    return true;
}

/* True when some axis of the variables of group g changed by just as much. */
static bool has_change(const kw_join *join, uint32_t g, uint64_t have, uint64_t want) {
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        const kw_tensor *a = file_tensor(join, g, i), *b = model_tensor(join, g, i);
        for (unsigned axis = 0; a->rank == b->rank && axis < a->rank; axis++) {
            if (a->shape[axis] == have && b->shape[axis] == want) return true;
        }
    }
    return false;
}

/* True when both groups project heads, and all that differs in g changed as something did where the cause began. */
static bool is_same_heads(const kw_join *join, uint32_t g, const shape_cause *cause) {
    const kw_group *groups = join->model->groups;
    if (!kw_is_projection(&groups[g]) || !kw_is_projection(&groups[cause->group])) return false;
    for (uint32_t i = 0; i < groups[g].count; i++) {
        const kw_tensor *a = file_tensor(join, g, i), *b = model_tensor(join, g, i);
        if (a->rank != b->rank) return false;
        for (unsigned axis = 0; axis < a->rank; axis++) {
            if (kw_length_fits(a->shape[axis], b->shape[axis])) continue;
            if (!has_change(join, cause->group, a->shape[axis], b->shape[axis])) return false;
        }
    }
    return true;
}

/* A finding for group g, about its variable `at`. */
static kw_finding *add_finding(kw_join *join, int code, kw_severity severity, uint32_t g, uint32_t at, kw_error *err) {
    kw_finding *finding = kw_join_add(join, code, severity, err);
    if (finding == NULL) return NULL;
    finding->model_group = g;
    finding->file_group = join->matches[g].candidate;
    finding->model_tensor = kw_join_variable(join, g, at);
    finding->file_tensor = kw_join_tensor(join, finding->file_group, at);
    finding->axis = first_axis(file_tensor(join, g, at), model_tensor(join, g, at));
    return finding;
}

/* All variables of g that differ, but for `primary`, are owned by a finding. */
static void own_rest(kw_join *join, cause_list *causes, uint32_t g, uint32_t primary, uint32_t finding) {
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        if (i == primary || kw_shapes_equal(file_tensor(join, g, i), model_tensor(join, g, i))) continue;
        causes->owner[kw_join_variable(join, g, i)] = finding + 1;
    }
}

/* The cause that explains group g wholly: a changed input first, else that the layer itself changed by as much; NULL. */
static const shape_cause *find_cause(const kw_join *join, const cause_list *causes, uint32_t g) {
    for (uint32_t i = causes->count; i-- > 0;) {
        if (is_consequence(join, g, &causes->items[i], true)) return &causes->items[i];
    }
    for (uint32_t i = causes->count; i-- > 0;) {
        if (is_consequence(join, g, &causes->items[i], false)) return &causes->items[i];
        if (is_same_heads(join, g, &causes->items[i])) return &causes->items[i];
    }
    return NULL;
}

/* The first axis of the variable that no cause so far explains; its first differing axis when all do. */
static int32_t find_new_axis(const cause_list *causes, const kw_tensor *a, const kw_tensor *b) {
    if (a->rank != b->rank) return -1;
    for (int32_t axis = 0; axis < a->rank; axis++) {
        bool known = kw_length_fits(a->shape[axis], b->shape[axis]);
        for (uint32_t i = 0; !known && i < causes->count; i++) {
            known = follows(&causes->items[i], a->shape[axis], b->shape[axis]) && axis + 1 < a->rank;
        }
        if (!known) return axis;
    }
    return first_axis(a, b);
}

/* The smallest numbers of which the group's differing axes are multiples: 8 -> 16
 * units, not 32 -> 64 for four gates. */
static void find_base(const kw_join *join, uint32_t g, shape_cause *cause) {
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        const kw_tensor *a = file_tensor(join, g, i), *b = model_tensor(join, g, i);
        for (unsigned axis = 0; a->rank == b->rank && axis < a->rank; axis++) {
            shape_cause base = {a->shape[axis], b->shape[axis], cause->finding, cause->group};
            if (!kw_length_fits(base.file, base.model) && follows(&base, cause->file, cause->model)) *cause = base;
        }
    }
}

/* Group g starts a cause, which the layers after it may follow from. */
static int add_cause(kw_join *join, cause_list *causes, uint32_t g, kw_error *err) {
    uint32_t at = join->matches[g].fit.at;
    const kw_tensor *a = file_tensor(join, g, at), *b = model_tensor(join, g, at);
    int32_t axis = find_new_axis(causes, a, b);
    kw_finding *finding = add_finding(join, KW_SHAPE, KW_ERROR, g, at, err);
    if (finding == NULL) return -1;
    finding->axis = axis;
    uint32_t row = join->plan->finding_count - 1;
    own_rest(join, causes, g, at, row);
    if (axis < 0) return 0;
    if (causes->count == CAUSE_MAX) {
        memmove(causes->items, causes->items + 1, (CAUSE_MAX - 1) * sizeof *causes->items);
        causes->count--;
    }
    shape_cause *added = &causes->items[causes->count++];
    *added = (shape_cause){a->shape[axis], b->shape[axis], row, g};
    find_base(join, g, added);
    return 0;
}

static int report_group(kw_join *join, cause_list *causes, uint32_t g, kw_error *err) {
    uint32_t at = join->matches[g].fit.at;
    if (!join->rules->skip_mismatch) {
        const shape_cause *known = find_cause(join, causes, g);
        if (known == NULL) return add_cause(join, causes, g, err);
        own_rest(join, causes, g, KW_NONE, known->finding);
        return 0;
    }
    if (add_finding(join, KW_SKIPPED, KW_WARNING, g, at, err) == NULL) return -1;
    own_rest(join, causes, g, at, join->plan->finding_count - 1);
    return 0;
}

/* Writes the related tensors of findings, which must lie together, from `owner`. */
static int write_related(kw_join *join, const cause_list *causes, uint32_t first, kw_error *err) {
    uint32_t findings = join->plan->finding_count - first, total = 0;
    kw_finding *added = join->plan->findings + first;
    for (uint32_t t = 0; t < join->model->tensor_count; t++) {
        if (causes->owner[t] == 0) continue;
        added[causes->owner[t] - 1 - first].related_count++;
        total++;
    }
    uint32_t at = (uint32_t)join->related_count;
    for (uint32_t i = 0; i < findings; i++) {
        added[i].related_first = at;
        at += added[i].related_count;
        added[i].related_count = 0;
    }
    for (uint32_t i = 0; i < total; i++) {
        if (KW_GROW(join->plan->related, join->related_count, join->related_capacity, err) < 0) return -1;
        join->plan->related[join->related_count++] = KW_NONE;
    }
    for (uint32_t t = 0; t < join->model->tensor_count; t++) {
        if (causes->owner[t] == 0) continue;
        kw_finding *finding = &added[causes->owner[t] - 1 - first];
        join->plan->related[finding->related_first + finding->related_count++] = t;
    }
    return 0;
}

int kw_find_shapes(kw_join *join, kw_error *err) {
    cause_list causes = {.count = 0};
    uint32_t first = join->plan->finding_count;
    causes.owner = kw_arena_alloc(&join->work, join->model->tensor_count * sizeof *causes.owner);
    if (causes.owner == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_match *match = &join->matches[g];
        if (match->explained || match->fit.kind != KW_FIT_SHAPE || !kw_join_selects(join, g)) continue;
        if (kw_group_is_state(&join->model->groups[g])) continue;
        if (kw_join_is_own(join, g)) continue;
        if (report_group(join, &causes, g, err) < 0) return -1;
    }
    return write_related(join, &causes, first, err);
}
