/* quantized.c -- layers whose kernel is stored as integers, or with the scales of float8, on one side only or in
 * another way; and layers with LoRA.
 *
 *     int8     kernel (i, u) int8         [bias]  kernel_scale (u,)
 *     int4     kernel (i, u/2) int8       [bias]  kernel_scale [kernel_zero int8, g_idx]
 *     float8   kernel (i, u) float32      [bias]  scales () and histories (1024,)
 *     gptq     [bias]  quantized_kernel uint8, kernel_scale, kernel_zero uint8, g_idx
 *     awq      the same, and awq_scales before g_idx
 *              Keras 3.15.1 leaves out kernel_zero of both when it saves
 *
 * A kernel of integers is worth nothing without its scale: where shapes happen to
 * agree (int8 without a bias against a bias), Keras converts it without a word.
 * The file says no more than types and shapes, so these tell the mode.
 *
 * keras/src/layers/core/dense.py: variable_serialization_spec, quantized_build, enable_lora.
 */
#include <string.h>

#include "plan/join.h"

enum { LEAF_MAX = 9, HISTORY_LEN = 1024 };

/* The tensors of one layer of one side. */
typedef struct side {
    const kw_tensor *tensors[LEAF_MAX];
    uint32_t count;
    bool whole; /* they are all there, and no more than one layer has */
} side;

static bool is_integer(const kw_tensor *tensor) {
    return tensor->dtype == KW_DTYPE_INT8 || tensor->dtype == KW_DTYPE_UINT8;
}

static bool is_float8(const kw_tensor *tensor) {
    return tensor->dtype == KW_DTYPE_FLOAT8_E4M3FN || tensor->dtype == KW_DTYPE_FLOAT8_E5M2;
}

static void add_tensor(side *out, const kw_tensor *tensor) {
    out->whole = out->whole && tensor != NULL && out->count < LEAF_MAX;
    if (out->whole) out->tensors[out->count++] = tensor;
}

static side list_file(const kw_join *join, uint32_t f) {
    side out = {.whole = true};
    for (uint32_t i = 0; out.whole && i < join->file->groups[f].count; i++) {
        uint32_t row = kw_join_tensor(join, f, i);
        add_tensor(&out, row == KW_NONE ? NULL : &join->file->tensors[row]);
    }
    return out;
}

static side list_model(const kw_join *join, uint32_t g) {
    side out = {.whole = true};
    for (uint32_t i = 0; out.whole && i < join->model->groups[g].count; i++) {
        add_tensor(&out, &join->model->tensors[kw_join_variable(join, g, i)]);
    }
    return out;
}

/* The first tensor of rank 2 and more, which has the place of the kernel; NULL. */
static const kw_tensor *find_kernel(const side *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->tensors[i]->rank >= 2) return s->tensors[i];
    }
    return NULL;
}

/* True when one axis of `half` is half of that of `full`, rounded up, and the others are the same. */
static bool is_packed(const kw_tensor *half, const kw_tensor *full) {
    unsigned halves = 0;
    if (half->rank != full->rank) return false;
    for (unsigned axis = 0; axis < half->rank; axis++) {
        uint64_t a = half->shape[axis], b = full->shape[axis];
        if (a == b) continue;
        if (a != b / 2 + b % 2) return false;
        halves++;
    }
    return halves == 1;
}

static bool has_histories(const side *s) {
    uint32_t histories = 0, scalars = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        histories += s->tensors[i]->rank == 1 && s->tensors[i]->shape[0] == HISTORY_LEN;
        scalars += s->tensors[i]->rank == 0;
    }
    return histories >= 3 && scalars >= 3;
}

/* True when there are zero points: integers in the shape of the scales. */
static bool has_points(const side *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_integer(s->tensors[i]) || s->tensors[i]->rank < 2) continue;
        for (uint32_t k = 0; k < s->count; k++) {
            if (!is_integer(s->tensors[k]) && kw_shapes_equal(s->tensors[i], s->tensors[k])) return true;
        }
    }
    return false;
}

/* int8 or int4, by what else there is and by the kernel of the other side. */
static kw_quantization tell_integers(const side *s, const kw_tensor *kernel, const side *other) {
    const kw_tensor *full = find_kernel(other), *last = s->tensors[s->count - 1];
    if (has_points(s) || (full != NULL && is_packed(kernel, full))) return KW_QUANTIZED_INT4;
    bool scaled = last->rank == 1 && kernel->rank == 2 && last->shape[0] > kernel->shape[1];
    bool packed = scaled && kernel->shape[1] == last->shape[0] / 2 + last->shape[0] % 2;
    return packed && kernel->shape[0] != last->shape[0] ? KW_QUANTIZED_INT4 : KW_QUANTIZED_INT8;
}

/* How one side of a layer is quantized, with the other side at hand. */
static kw_quantization tell_mode(const side *s, const side *other) {
    const kw_tensor *kernel = find_kernel(s);
    if (!s->whole || kernel == NULL) return KW_QUANTIZED_NOT;
    if (is_float8(kernel) || (!is_integer(kernel) && has_histories(s))) return KW_QUANTIZED_FLOAT8;
    if (!is_integer(kernel)) return KW_QUANTIZED_NOT;
    if (kernel->dtype == KW_DTYPE_INT8) return tell_integers(s, kernel, other);
    uint32_t lists = 0; /* behind the kernel: g_idx, and awq's scales */
    for (uint32_t i = s->count; i-- > 0 && s->tensors[i] != kernel;) lists += s->tensors[i]->rank == 1;
    return lists > 1 ? KW_QUANTIZED_AWQ : KW_QUANTIZED_GPTQ;
}

/* Every tensor is of integers: a model that somebody stored so, without scales. */
static bool is_all_integer(const side *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_integer(s->tensors[i])) return false;
    }
    return true;
}

/* True when nothing says yet what is wrong with the group, and the call asks for it. */
static bool is_open(const kw_join *join, uint32_t g) {
    const kw_match *match = &join->matches[g];
    const kw_group *group = &join->model->groups[g];
    bool own = kw_join_is_own(join, g);
    if (match->explained || match->candidate == KW_NONE || group->count == 0 || own) return false;
    bool kind = match->fit.kind == KW_FIT_OK || match->fit.kind == KW_FIT_COUNT || match->fit.kind == KW_FIT_SHAPE;
    return kind && !kw_group_is_state(group) && kw_join_selects(join, g);
}

/* True when both sides are quantized otherwise; the modes of the file's side and the model's. */
static bool find_modes(const kw_join *join, uint32_t g, kw_quantization *from, kw_quantization *to) {
    side file = list_file(join, join->matches[g].candidate), model = list_model(join, g);
    if (!file.whole || !model.whole || file.count == 0 || model.count == 0) return false;
    *from = tell_mode(&file, &model);
    *to = tell_mode(&model, &file);
    bool fits = join->matches[g].fit.kind == KW_FIT_OK;
    if (fits && *to == KW_QUANTIZED_NOT && is_all_integer(&file)) return false;
    if (*from != *to) return true;
    bool points = *from == KW_QUANTIZED_INT4 || *from == KW_QUANTIZED_GPTQ || *from == KW_QUANTIZED_AWQ;
    return points && join->matches[g].fit.kind == KW_FIT_COUNT; /* with or without zero points */
}

/* The finding of a pair of modes; NULL: no memory. */
static kw_finding *find_finding(kw_join *join, uint32_t first, int32_t modes, kw_error *err) {
    kw_plan *plan = join->plan;
    for (uint32_t i = first; i < plan->finding_count; i++) {
        if (plan->findings[i].code == KW_QUANTIZED && plan->findings[i].axis == modes) return &plan->findings[i];
    }
    kw_finding *added = kw_join_add(join, KW_QUANTIZED, KW_ERROR, err);
    if (added != NULL) added->axis = modes;
    return added;
}

/* Marks the groups of each pair of modes: 1 + modes; 0: none. */
static bool mark_modes(kw_join *join, uint8_t *marks) {
    bool any = false;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        kw_quantization from, to;
        if (!is_open(join, g) || !find_modes(join, g, &from, &to)) continue;
        marks[g] = (uint8_t)(1 + from * KW_QUANTIZED_COUNT + to);
        any = true;
    }
    return any;
}

/* Adds a group to the finding of its modes, which was added last: related tensors must lie together. */
static int add_group(kw_join *join, kw_finding *finding, uint32_t g, uint32_t modes, kw_error *err) {
    kw_match *match = &join->matches[g];
    match->explained = true;
    match->wrong = match->fit.kind == KW_FIT_OK;
    finding->a += modes / KW_QUANTIZED_COUNT != KW_QUANTIZED_NOT;
    finding->b += modes % KW_QUANTIZED_COUNT != KW_QUANTIZED_NOT;
    if (finding->model_group == KW_NONE) {
        finding->model_group = g;
        finding->file_group = match->candidate;
        return 0;
    }
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        if (kw_join_relate(join, kw_join_variable(join, g, i), err) < 0) return -1;
    }
    return 0;
}

int kw_find_quantized(kw_join *join, kw_error *err) {
    uint32_t groups = join->model->group_count;
    uint8_t *marks = kw_arena_alloc(&join->work, groups);
    if (marks == NULL) return kw_fail_memory(err);
    if (!mark_modes(join, marks)) return 0;
    for (uint32_t modes = 0; modes < KW_QUANTIZED_COUNT * KW_QUANTIZED_COUNT; modes++) {
        uint32_t first = join->plan->finding_count;
        for (uint32_t g = 0; g < groups; g++) {
            if (marks[g] != modes + 1) continue;
            kw_finding *finding = find_finding(join, first, (int32_t)modes, err);
            if (finding == NULL || add_group(join, finding, g, modes, err) < 0) return -1;
        }
    }
    return 0;
}

/* How many of a legacy layer's weights are LoRA's. */
static uint32_t count_lora(const char *name) {
    kw_text last = kw_name_last(name);
    return last.len > 5 && memcmp(last.data, "lora_", 5) == 0;
}

static uint32_t count_lora_file(const kw_join *join, uint32_t f) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < join->file->groups[f].count; i++) {
        count += count_lora(join->file->slots[join->file->groups[f].first + i].name);
    }
    return count;
}

static uint32_t count_lora_model(const kw_join *join, uint32_t g) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        count += count_lora(join->model->tensors[kw_join_variable(join, g, i)].path);
    }
    return count;
}

int kw_find_lora(kw_join *join, kw_error *err) {
    bool added = false;
    for (uint32_t g = 0; join->legacy && g < join->model->group_count; g++) {
        if (!is_open(join, g) || join->matches[g].fit.kind != KW_FIT_COUNT) continue;
        uint32_t f = join->matches[g].candidate;
        bool saved = count_lora_file(join, f) > 0;
        if (saved == (count_lora_model(join, g) > 0)) continue;
        if (!added && kw_join_add(join, KW_LORA, KW_ERROR, err) == NULL) return -1;
        added = true;
        kw_finding *finding = &join->plan->findings[join->plan->finding_count - 1];
        join->matches[g].explained = true;
        finding->a += saved;
        finding->b += !saved;
        bool first = finding->model_group == KW_NONE;
        if (first) {
            finding->model_group = g;
            finding->file_group = f;
        }
        for (uint32_t i = 0; !first && i < join->model->groups[g].count; i++) {
            if (kw_join_relate(join, kw_join_variable(join, g, i), err) < 0) return -1;
        }
    }
    return 0;
}
