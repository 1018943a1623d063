/* variant.c -- layers that were saved as another variant of themselves.
 *
 *     GRU      bias (2, 3u)     bias (3u,)         reset_after, or not
 *              bias (6u,)       bias (8u,)         cuDNN's: of a GRU, of an LSTM
 *
 * cuDNN's become plain ones when they are loaded, as in tf_keras.  One finding for
 * both directions of a Bidirectional; quantized layers and LoRA
 * are in quantized.c.
 *
 * keras/src/layers/rnn/gru.py: build.
 */
#include <string.h>

#include "plan/join.h"

/* True when nothing says yet what is wrong with the group, and the call asks for it. */
static bool is_open(const kw_join *join, uint32_t g, kw_fit_kind kind) {
    const kw_match *match = &join->matches[g];
    const kw_group *group = &join->model->groups[g];
    bool own = kw_join_is_own(join, g);
    if (match->explained || match->fit.kind != kind || match->candidate == KW_NONE || own) return false;
    return !kw_group_is_state(group) && kw_join_selects(join, g);
}

static const kw_tensor *variable(const kw_join *join, uint32_t g, uint32_t i) {
    return &join->model->tensors[kw_join_variable(join, g, i)];
}

static bool is_named(const kw_tensor *tensor, const char *name) {
    return kw_text_equal(kw_name_last(tensor->path), (kw_text){name, strlen(name)});
}

/* True when a tensor has the shape of a bias of so many units and gates. */
static bool is_bias(const kw_tensor *tensor, uint64_t units, uint64_t gates) {
    bool two = tensor->rank == 2 && gates == 3 && tensor->shape[0] == 2;
    if (!two && tensor->rank != 1) return false;
    uint64_t len = tensor->shape[tensor->rank - 1];
    if (len % units != 0) return false;
    return len / units == gates || (!two && len / units == 2 * gates);
}

/* True when variable `i` and its tensor are biases of the same recurrent layer, and differ. */
static bool is_other_bias(const kw_join *join, uint32_t g, uint32_t i) {
    uint32_t row = kw_join_tensor(join, join->matches[g].candidate, i);
    const kw_tensor *to = variable(join, g, i);
    if (i == 0 || row == KW_NONE || !is_named(to, "bias")) return false;
    const kw_tensor *recurrent = variable(join, g, i - 1);
    if (!is_named(recurrent, "recurrent_kernel") || recurrent->rank != 2 || recurrent->shape[0] == 0) return false;
    uint64_t units = recurrent->shape[0], gates = recurrent->shape[1] / units;
    if (recurrent->shape[1] % units != 0 || (gates != 3 && gates != 4)) return false;
    return is_bias(to, units, gates) && is_bias(&join->file->tensors[row], units, gates);
}

/* How many biases are why the group does not fit; 0 when something else differs too. */
static uint32_t count_biases(const kw_join *join, uint32_t g) {
    uint32_t count = 0;
    if (!is_open(join, g, KW_FIT_SHAPE)) return 0;
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        uint32_t row = kw_join_tensor(join, join->matches[g].candidate, i);
        if (row == KW_NONE) return 0;
        if (kw_shapes_equal(&join->file->tensors[row], variable(join, g, i))) continue;
        if (!is_other_bias(join, g, i)) return 0;
        count++;
    }
    return count;
}

/* True for the bias of a CuDNNGRU or CuDNNLSTM where the model has that of the layer which computes the same. */
static bool is_cudnn_bias(const kw_tensor *from, const kw_tensor *to, uint64_t units) {
    if (from->rank != 1) return false;
    if (to->rank == 2) return from->shape[0] == 2 * to->shape[1];
    return to->shape[0] == 4 * units && from->shape[0] == 8 * units;
}

bool kw_is_cudnn(const kw_join *join, uint32_t g) {
    uint32_t f = join->matches[g].candidate;
    if (f == KW_NONE || count_biases(join, g) == 0) return false;
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        const kw_tensor *from = &join->file->tensors[kw_join_tensor(join, f, i)], *to = variable(join, g, i);
        if (kw_shapes_equal(from, to)) continue;
        if (!is_cudnn_bias(from, to, variable(join, g, i - 1)->shape[0])) return false;
    }
    return true;
}

/* Length of the path of the Bidirectional that the group is a direction of; 0. */
static size_t find_both(const kw_join *join, uint32_t g) {
    const char *path = join->model->groups[g].path, *at = strstr(path, "/forward_layer");
    if (at == NULL) at = strstr(path, "/backward_layer");
    return at == NULL ? 0 : (size_t)(at - path);
}

static bool is_other_direction(const kw_join *join, uint32_t a, uint32_t b) {
    size_t len = find_both(join, a);
    return len > 0 && find_both(join, b) == len &&
           strncmp(join->model->groups[a].path, join->model->groups[b].path, len) == 0;
}

/* Adds the biases of a group that differ to the finding that was added last: the first of all is its own. */
static int add_biases(kw_join *join, uint32_t g, kw_error *err) {
    uint32_t at = join->plan->finding_count - 1, f = join->matches[g].candidate;
    join->matches[g].explained = true;
    for (uint32_t i = 0; i < join->model->groups[g].count; i++) {
        kw_finding *finding = &join->plan->findings[at];
        uint32_t row = kw_join_tensor(join, f, i), wanted = kw_join_variable(join, g, i);
        if (kw_shapes_equal(&join->file->tensors[row], &join->model->tensors[wanted])) continue;
        finding->a = ++finding->b;
        if (finding->b > 1) {
            if (kw_join_relate(join, wanted, err) < 0) return -1;
            continue;
        }
        finding->model_group = g;
        finding->file_group = f;
        finding->model_tensor = wanted;
        finding->file_tensor = row;
    }
    return 0;
}

static int find_biases(kw_join *join, kw_error *err) {
    uint32_t groups = join->model->group_count;
    for (uint32_t g = 0; g < groups; g++) {
        if (count_biases(join, g) == 0) continue;
        bool same = join->legacy && join->loader == KW_LOADER_LEGACY && (join->does & KW_DOES_CONVERT) != 0;
        kw_severity severity = !join->matches[g].converts ? KW_ERROR : same ? KW_NOTE : KW_WARNING;
        if (kw_join_add(join, KW_RESET_AFTER, severity, err) == NULL || add_biases(join, g, err) < 0) return -1;
        /* The other direction comes next but for what has no variables: the layers around the cells. */
        for (uint32_t other = g + 1; other < groups && is_other_direction(join, g, other); other++) {
            if (count_biases(join, other) > 0 && add_biases(join, other, err) < 0) return -1;
        }
    }
    return 0;
}

int kw_find_variants(kw_join *join, kw_error *err) {
    if (join->rules->skip_mismatch) return 0; /* what does not fit is left out, whatever it is */
    if (kw_find_quantized(join, err) < 0 || kw_find_lora(join, err) < 0) return -1;
    return find_biases(join, err);
}
