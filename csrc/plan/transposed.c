/* transposed.c -- kernels whose axes stand in another order in the file, one finding for all of them.
 *
 *     conv    (255, 1024, 1, 1) -> (1, 1, 1024, 255)    by (2, 3, 1, 0)    proven by its shape
 *     dense   (10, 64)          -> (64, 10)             by (1, 0)          proven
 *     square  (64, 64)          -> (64, 64)             looks the same either way: a warning names it
 *
 * PyTorch writes (out, in) and (out, in, height, width), Theano's Keras 1 (filters,
 * in, rows, columns); Keras 2 and 3 keep (..., in, out).  A kernel that looks the
 * same either way is doubtful when others are turned and none of its rank is shown not to be.
 */
#include <string.h>

#include "plan/join.h"

enum { AXES_MAX = 32 };

typedef struct evidence {
    uint32_t turned;                  /* kernels that are proven to be transposed */
    uint32_t straight[AXES_MAX + 1];  /* by rank: kernels that are proven not to be */
} evidence;

/* True when the lengths of the axes are the same ones in another order. */
static bool is_permuted(const kw_tensor *a, const kw_tensor *b) {
    bool taken[AXES_MAX] = {false};
    if (a->rank != b->rank || a->rank < 2 || a->rank > AXES_MAX) return false;
    for (unsigned i = 0; i < a->rank; i++) {
        unsigned j = 0;
        while (j < b->rank && (taken[j] || b->shape[j] != a->shape[i])) j++;
        if (j == b->rank) return false;
        taken[j] = true;
    }
    return true;
}

/* True for a shape that no convention of kernels changes. */
static bool is_square(const kw_tensor *tensor) {
    if (tensor->rank == 3) return tensor->shape[0] == tensor->shape[2]; /* (2, 1, 0) */
    for (unsigned axis = 1; axis < tensor->rank; axis++) {
        if (tensor->shape[axis] != tensor->shape[0]) return false;
    }
    return true;
}

static bool is_kernel(const kw_tensor *variable) {
    kw_text name = kw_name_last(variable->path);
    bool ends = name.len >= 6 && memcmp(name.data + name.len - 6, "kernel", 6) == 0;
    return ends && variable->rank >= 2 && variable->rank <= AXES_MAX && variable->shape[0] > 1;
}

/* The tensor that stands where the variable does; NULL. */
static const kw_tensor *find_partner(const kw_join *join, uint32_t g, uint32_t i) {
    uint32_t row = kw_join_tensor(join, join->matches[g].candidate, i);
    return row == KW_NONE ? NULL : &join->file->tensors[row];
}

static const kw_tensor *find_variable(const kw_join *join, uint32_t g, uint32_t i) {
    return &join->model->tensors[kw_join_variable(join, g, i)];
}

/* True when each variable of the group has a tensor, and the group is no other cause's. */
static bool is_paired(const kw_join *join, uint32_t g) {
    const kw_match *match = &join->matches[g];
    const kw_group *group = &join->model->groups[g];
    bool own = kw_join_is_own(join, g);
    if (match->explained || match->converts || match->candidate == KW_NONE || own || kw_group_is_state(group)) return false;
    return match->fit.kind == KW_FIT_OK || match->fit.kind == KW_FIT_SHAPE;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), most = strlen(end);
    return len >= most && strcmp(text + len - most, end) == 0;
}

bool kw_is_projection(const kw_group *group) {
    const char *kind = group->class_name;
    if (kind == NULL) return false;
    return ends_with(kind, "EinsumDense") || ends_with(kind, "MultiHeadAttention") || ends_with(kind, "QueryAttention");
}

static bool is_bias(const kw_tensor *variable) {
    kw_text name = kw_name_last(variable->path);
    return name.len >= 4 && memcmp(name.data + name.len - 4, "bias", 4) == 0;
}

/* True when something differs and all that does is a permutation of the file's.  A bias that differs, or axes that
 * stand for heads, say that the layer has other options. */
static bool is_turned(const kw_join *join, uint32_t g) {
    if (!is_paired(join, g) || join->matches[g].fit.kind != KW_FIT_SHAPE) return false;
    if (kw_is_projection(&join->model->groups[g])) return false;
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        const kw_tensor *a = find_partner(join, g, i), *b = find_variable(join, g, i);
        if (a != NULL && !kw_shapes_equal(a, b) && (is_bias(b) || !is_permuted(a, b))) return false;
    }
    return true;
}

/* What the kernels of a group show. */
static void weigh(const kw_join *join, uint32_t g, bool turned, evidence *out) {
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        const kw_tensor *a = find_partner(join, g, i), *b = find_variable(join, g, i);
        if (a == NULL || !is_kernel(b)) continue;
        if (kw_shapes_equal(a, b)) {
            out->straight[b->rank] += !is_square(b);
        } else if (turned) {
            out->turned++;
        }
    }
}

/* Adds variable i of group g to the one finding of its kind, whose row is *at. */
static int add_tensor(kw_join *join, uint32_t g, uint32_t i, kw_severity severity, uint32_t *at, kw_error *err) {
    uint32_t row = kw_join_variable(join, g, i);
    if (*at == KW_NONE) {
        kw_finding *added = kw_join_add(join, KW_TRANSPOSED, severity, err);
        if (added == NULL) return -1;
        *at = join->plan->finding_count - 1;
        added->model_group = g;
        added->file_group = join->matches[g].candidate;
        added->model_tensor = row;
        added->file_tensor = kw_join_tensor(join, added->file_group, i);
        const kw_tensor *a = find_partner(join, g, i), *b = find_variable(join, g, i);
        for (int32_t axis = b->rank; severity == KW_ERROR && axis-- > 0;) {
            if (a->shape[axis] != b->shape[axis]) added->axis = axis;
        }
    } else if (kw_join_relate(join, row, err) < 0) {
        return -1;
    }
    kw_finding *finding = &join->plan->findings[*at];
    finding->a = ++finding->b;
    return 0;
}

/* One error for all that is proven; what was not asked for only counts as evidence. */
static int report_turned(kw_join *join, const uint8_t *turned, kw_error *err) {
    uint32_t at = KW_NONE;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (!turned[g] || !kw_join_selects(join, g)) continue;
        join->matches[g].explained = true;
        for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
            const kw_tensor *a = find_partner(join, g, i), *b = find_variable(join, g, i);
            if (a == NULL || kw_shapes_equal(a, b)) continue;
            if (add_tensor(join, g, i, KW_ERROR, &at, err) < 0) return -1;
        }
    }
    return 0;
}

/* One warning for all that looks the same either way. */
static int report_doubtful(kw_join *join, const evidence *seen, kw_error *err) {
    uint32_t at = KW_NONE;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_match *match = &join->matches[g];
        if (!kw_join_selects(join, g) || match->source == KW_NONE || !is_paired(join, g)) continue;
        for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
            const kw_tensor *b = find_variable(join, g, i);
            if (!is_kernel(b) || !is_square(b) || seen->straight[b->rank] > 0) continue;
            if (add_tensor(join, g, i, KW_WARNING, &at, err) < 0) return -1;
        }
    }
    return 0;
}

int kw_find_transposed(kw_join *join, kw_error *err) {
    evidence seen = {.turned = 0};
    uint8_t *turned = kw_arena_alloc(&join->work, join->model->group_count);
    if (turned == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (!is_paired(join, g)) continue;
        turned[g] = is_turned(join, g);
        weigh(join, g, turned[g], &seen);
    }
    if (seen.turned > 0 && report_doubtful(join, &seen, err) < 0) return -1;
    if (join->rules->skip_mismatch) return 0; /* what does not fit is left out, whatever it is */
    return report_turned(join, turned, err);
}
