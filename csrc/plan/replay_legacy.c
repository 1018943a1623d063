/* replay_legacy.c -- what Keras's legacy HDF5 loading code does.
 *
 *     layer_names    conv  pool  dense         those with weights, k-th to k-th
 *     model.layers   conv  drop  fc            (by_name: those of equal names)
 *
 * keras/src/legacy/saving/legacy_h5_format.py and
 * tf_keras/src/saving/legacy/hdf5_format.py: load_weights_from_hdf5_group,
 * load_weights_from_hdf5_group_by_name, preprocess_weights_for_loading.  Keras 3
 * assigns layer by layer; tf_keras converts first, and assigns all at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/view.h"
#include "plan/join.h"

/* One layer's saved weights as Keras holds them: the file's, perhaps converted. */
typedef struct saved_layer {
    uint32_t group;      /* of the file */
    uint32_t count;
    bool transposed[2];  /* the first two, by the permutation (3, 2, 0, 1) */
    uint64_t flattened;  /* bits of biases: (2, n) <-> (2n,), or two halves added or doubled */
} saved_layer;

typedef struct step {
    uint32_t model_group;
    saved_layer saved;
} step;

typedef struct legacy_replay {
    kw_join *join;
    kw_error *err;
    bool compares; /* it looks at shapes itself */
    bool skips;    /* skip_mismatch is honoured */
    step *steps;   /* tf_keras: assigned at the end */
    size_t step_count, step_capacity;
} legacy_replay;

static bool is_class(const kw_group *group, const char *const *classes) {
    for (; group->class_name != NULL && *classes != NULL; classes++) {
        if (strcmp(group->class_name, *classes) == 0) return true;
    }
    return false;
}

static const kw_tensor *saved_tensor(const kw_join *join, const saved_layer *saved, uint32_t i) {
    return &join->file->tensors[join->file->slots[join->file->groups[saved->group].first + i].tensor];
}

/* True when the i-th saved weight, as converted, has the shape of the model's i-th. */
static bool shapes_fit(const kw_join *join, const saved_layer *saved, uint32_t group, uint32_t i) {
    static const uint8_t axes[] = {3, 2, 0, 1};
    const kw_tensor *have = saved_tensor(join, saved, i);
    const kw_tensor *wanted = &join->model->tensors[kw_join_variable(join, group, i)];
    if (i < 64 && (saved->flattened >> i & 1) != 0) return true;
    if (i >= 2 || !saved->transposed[i]) return kw_shapes_equal(have, wanted);
    for (unsigned axis = 0; wanted->rank == 4 && axis < 4; axis++) {
        if (have->shape[axes[axis]] != wanted->shape[axis]) return false;
    }
    return wanted->rank == 4;
}

/* load_subset_weights_from_hdf5_group: every listed weight is read; false when that does not end well. */
static bool read_weights(kw_join *join, uint32_t file_group, uint32_t model_group, saved_layer *out) {
    const kw_group *group = &join->file->groups[file_group];
    *out = (saved_layer){.group = file_group, .count = group->count};
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t tensor = join->file->slots[group->first + i].tensor;
        kw_raise raise = KW_RAISE_KEY;
        if (tensor != KW_NONE && kw_predict_read(join, tensor, &raise)) continue;
        if (join->plan->prediction.outcome != KW_OUTCOME_UNKNOWN) {
            kw_predict_raise(join, raise, model_group, KW_NONE, 0, 0);
        }
        return false;
    }
    return true;
}

/* A kernel whose shape differs is transposed without a second look. */
static bool convert_kernels(kw_join *join, uint32_t model_group, saved_layer *saved) {
    static const char *const classes[] = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D", NULL};
    const kw_group *to = &join->model->groups[model_group];
    if (!is_class(to, classes) || to->count == 0) return true;
    bool both = strcmp(to->class_name, "ConvLSTM2D") == 0;
    if (saved->count > 0 && shapes_fit(join, saved, model_group, 0)) return true;
    for (uint32_t i = 0; i < (both ? 2u : 1u); i++) {
        if (i >= saved->count) {
            kw_predict_raise(join, KW_RAISE_INDEX, model_group, KW_NONE, 0, 0);
            return false;
        }
        if (saved_tensor(join, saved, i)->rank != 4) {
            kw_predict_raise(join, KW_RAISE_VALUE, model_group, kw_join_variable(join, model_group, 0), 0, 0);
            return false;
        }
        saved->transposed[i] = true;
    }
    join->converted = true;
    return true;
}

/* How many gates' worth of bias the third weight has: 8 of a CuDNNLSTM, 4 of an
 * LSTM; 6 of a CuDNNGRU, 7 for the (2, 3u) of a GRU(reset_after=True), 3; or 0. */
static unsigned count_gates(const kw_tensor *recurrent, const kw_tensor *bias, unsigned gates) {
    uint64_t units = recurrent->rank > 0 ? recurrent->shape[0] : 0, one, two;
    if (!kw_mul(units, gates, &one) || !kw_mul(one, 2, &two)) return 0;
    if (bias->rank == 1 && bias->shape[0] == two) return 2 * gates;
    if (gates == 3 && bias->rank == 2 && bias->shape[0] == 2 && bias->shape[1] == one) return 7;
    return bias->rank == 1 && bias->shape[0] == one ? gates : 0;
}

/* The bias at place i of a layer with so many gates, cuDNN's or not; false when it raises. */
static bool convert_bias(kw_join *join, uint32_t model_group, saved_layer *saved, uint32_t i, bool is_lstm, bool cudnn) {
    const kw_group *to = &join->model->groups[model_group];
    unsigned have = count_gates(saved_tensor(join, saved, i - 1), saved_tensor(join, saved, i), is_lstm ? 4 : 3);
    unsigned wanted = is_lstm ? (cudnn ? 8 : 4) : cudnn ? 6 : 7; /* reset_after is the default, which a bias tells */
    bool has_bias = wanted == 7 && to->count > i;
    if (has_bias && join->model->tensors[kw_join_variable(join, model_group, i)].rank == 1) wanted = 3;
    kw_raise raise = KW_RAISE_BIAS;
    if (have == wanted) return true;
    if (have != 0 && (is_lstm || (have != 3 && wanted != 3))) {
        if (i < 64) saved->flattened |= (uint64_t)1 << i;
        return true;
    }
    if (have != 0) raise = have == 7 ? KW_RAISE_GRU_AFTER : have == 3 ? KW_RAISE_GRU_BEFORE : KW_RAISE_GRU_CUDNN;
    uint32_t last = to->count == 0 ? KW_NONE : kw_join_variable(join, model_group, to->count - 1);
    kw_predict_raise(join, raise, model_group, last, 0, 0);
    return false;
}

/* The gates of the recurrent layer of which variable i is the bias, by the names and shapes before it; 0: it is none. */
static uint64_t find_gates(const kw_join *join, uint32_t model_group, uint32_t i) {
    static const char recurrent[] = "recurrent_kernel", bias[] = "bias";
    const kw_tensor *own = &join->model->tensors[kw_join_variable(join, model_group, i)];
    const kw_tensor *before = &join->model->tensors[kw_join_variable(join, model_group, i - 1)];
    if (!kw_text_equal(kw_name_last(own->path), (kw_text){bias, sizeof bias - 1})) return 0;
    if (!kw_text_equal(kw_name_last(before->path), (kw_text){recurrent, sizeof recurrent - 1})) return 0;
    return before->rank == 2 && before->shape[0] > 0 ? before->shape[1] / before->shape[0] : 0;
}

/* cuDNN weights become plain ones and back, also inside of what holds other layers. */
static bool convert_recurrent(kw_join *join, uint32_t model_group, saved_layer *saved) {
    static const char *const lstm[] = {"LSTM", "CuDNNLSTM", NULL}, *const gru[] = {"GRU", "CuDNNGRU", NULL};
    static const char *const holders[] = {"Bidirectional", "TimeDistributed", "Model", "Sequential", "Functional", NULL};
    const kw_group *to = &join->model->groups[model_group];
    if (is_class(to, lstm) || is_class(to, gru)) {
        bool cudnn = strncmp(to->class_name, "CuDNN", 5) == 0;
        return saved->count != 3 || convert_bias(join, model_group, saved, 2, is_class(to, lstm), cudnn);
    }
    if (!is_class(to, holders) || saved->count != to->count) return true;
    for (uint32_t i = 2; i < to->count; i++) {
        uint64_t gates = find_gates(join, model_group, i);
        if ((gates == 3 || gates == 4) && !convert_bias(join, model_group, saved, i, gates == 4, false)) return false;
    }
    return true;
}

/* preprocess_weights_for_loading. */
static bool convert(kw_join *join, uint32_t model_group, saved_layer *saved) {
    static const char *const models[] = {"Model", "Sequential", "Functional", NULL};
    static const char *const old[] = {"Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "GRU", "LSTM", "ConvLSTM2D",
                                      "TimeDistributed", "Bidirectional", NULL};
    static const char *const convolutions[] = {"Conv2D", "Conv3D", NULL}; /* as they are, when channels come last */
    const kw_group *to = &join->model->groups[model_group];
    if ((join->does & KW_DOES_CONVERT) == 0) return true;
    bool plain = is_class(to, convolutions) && saved->count > 0 && shapes_fit(join, saved, model_group, 0);
    if (join->rules->keras_1 && saved->count > 0 && !plain && (is_class(to, old) || is_class(to, models))) {
        kw_predict_unknown(join, "it converts the weights of a layer that Keras 1 saved");
        return false;
    }
    /* A nested model's weights are dealt out to its layers; what is left over is dropped. */
    if (is_class(to, models) && saved->count > to->count) saved->count = to->count;
    return convert_kernels(join, model_group, saved) && convert_recurrent(join, model_group, saved);
}

/* The error of a weight whose shape differs. */
static kw_raise find_shape_raise(const legacy_replay *replay, bool top) {
    bool tf = replay->join->rules->flavour == KW_FLAVOUR_TF_KERAS;
    bool own = (replay->join->does & KW_DOES_ORDER_SHAPES) != 0;
    if (!replay->compares) return tf ? KW_RAISE_TF_SHAPE : KW_RAISE_SHAPE;
    if (!top) return KW_RAISE_LAYER_SHAPE;
    return own ? KW_RAISE_TOP_SHAPE : KW_RAISE_TOP_SHAPE_NAME;
}

/* Compares (unless `assigns` alone is asked for) and assigns the weights of one
 * layer, one after another; false when it raises. */
static bool set_weights(legacy_replay *replay, uint32_t model_group, const saved_layer *saved, bool assigns) {
    kw_join *join = replay->join;
    bool top = (join->model->groups[model_group].flags & KW_GROUP_TOP_LEVEL) != 0;
    kw_raise raise;
    for (uint32_t i = 0; i < saved->count; i++) {
        uint32_t wanted = kw_join_variable(join, model_group, i);
        bool fits = shapes_fit(join, saved, model_group, i);
        if (!fits && replay->skips) continue;
        if (!fits) {
            kw_predict_raise(join, find_shape_raise(replay, top), model_group, wanted, 0, 0);
            return false;
        }
        if (!assigns) continue;
        uint32_t have = join->file->slots[join->file->groups[saved->group].first + i].tensor;
        if (kw_predict_take(join, have, wanted, &raise)) continue;
        kw_predict_raise(join, raise, model_group, wanted, 0, 0);
        return false;
    }
    return true;
}

/* One layer whose weights were read and have the right number; false when it raises. */
static bool put_layer(legacy_replay *replay, uint32_t model_group, const saved_layer *saved) {
    bool later = (replay->join->does & KW_DOES_CONVERT) != 0;
    if (!later) return set_weights(replay, model_group, saved, true);
    if (replay->compares && !set_weights(replay, model_group, saved, false)) return false;
    if (KW_GROW(replay->steps, replay->step_count, replay->step_capacity, replay->err) < 0) return false;
    replay->steps[replay->step_count++] = (step){model_group, *saved};
    return true;
}

/* True when asking the layer for its variables raises. */
static bool holds_tables(kw_join *join, uint32_t model_group) {
    if ((join->model->groups[model_group].flags & KW_GROUP_NOT_LOADABLE) == 0) return false;
    kw_predict_raise(join, KW_RAISE_NOT_VARIABLE, model_group, KW_NONE, 0, 0);
    return true;
}

/* k-th layer of the file to k-th layer of the model; false when it raises. */
static bool replay_order(legacy_replay *replay, const uint32_t *from, uint32_t from_count, const uint32_t *to,
                         uint32_t to_count) {
    kw_join *join = replay->join;
    saved_layer saved;
    if (from_count != to_count) {
        kw_predict_raise(join, KW_RAISE_LAYERS, KW_NONE, KW_NONE, to_count, from_count);
        return false;
    }
    for (uint32_t k = 0; k < to_count; k++) {
        if (!read_weights(join, from[k], to[k], &saved) || !convert(join, to[k], &saved)) return false;
        if (saved.count != join->model->groups[to[k]].count) {
            kw_predict_raise(join, KW_RAISE_WEIGHTS, to[k], KW_NONE, join->model->groups[to[k]].count, saved.count);
            return false;
        }
        if (!put_layer(replay, to[k], &saved)) return false;
    }
    return true;
}

/* One layer of the file to the model's layers of that name; false when it raises. */
static bool replay_named(legacy_replay *replay, uint32_t file_group, uint32_t first, const uint32_t *next) {
    kw_join *join = replay->join;
    saved_layer saved;
    if ((join->file->groups[file_group].flags & KW_GROUP_ABSENT) != 0) {
        kw_predict_raise(join, KW_RAISE_KEY, KW_NONE, KW_NONE, 0, 0);
        return false;
    }
    if (!read_weights(join, file_group, KW_NONE, &saved)) return false;
    for (uint32_t g = first; g != KW_NONE; g = next[g]) {
        if (holds_tables(join, g) || !convert(join, g, &saved)) return false;
        if (saved.count == join->model->groups[g].count) {
            if (!put_layer(replay, g, &saved)) return false;
        } else if (!replay->skips) {
            kw_predict_raise(join, KW_RAISE_WEIGHTS, g, KW_NONE, join->model->groups[g].count, saved.count);
            return false;
        }
    }
    return true;
}

/* By name, every layer of the file in turn; false when it raises or memory is short. */
static bool replay_names(legacy_replay *replay, const uint32_t *from, uint32_t from_count) {
    kw_join *join = replay->join;
    const kw_table *model = join->model, *file = join->file;
    kw_index names = KW_INDEX_EMPTY;
    uint32_t *next = kw_arena_alloc(&join->work, model->group_count * sizeof *next);
    bool fine = next != NULL;
    if (!fine) (void)kw_fail_memory(replay->err);
    for (uint32_t g = model->group_count; fine && g-- > 0;) { /* backwards, so that chains run forwards */
        uint32_t first = KW_NONE;
        next[g] = KW_NONE;
        if (!kw_group_is_layer(&model->groups[g]) || model->groups[g].name == NULL) continue;
        fine = kw_index_add(&names, model->groups[g].name, g, &first, replay->err) == 0;
        if (first == KW_NONE) continue;
        next[g] = next[first]; /* the index keeps the last; the others hang on it */
        next[first] = g;
    }
    for (uint32_t k = 0; fine && k < from_count; k++) {
        const char *name = file->groups[from[k]].name;
        fine = replay_named(replay, from[k], name == NULL ? KW_NONE : kw_index_find(&names, name), next);
    }
    kw_index_free(&names);
    return fine;
}

/* The model's own variables, which no layer holds; false when it raises. */
static bool replay_top(legacy_replay *replay, uint32_t file_group, uint32_t model_group) {
    kw_join *join = replay->join;
    bool named = join->rules->by_name;
    uint32_t wanted = model_group == KW_NONE ? 0 : join->model->groups[model_group].count;
    saved_layer saved;
    if (named && (join->does & KW_DOES_TOP_ALL) != 0) {
        wanted = 0;
        for (uint32_t g = 0; g < join->model->group_count; g++) {
            if (!kw_group_is_state(&join->model->groups[g])) wanted += join->model->groups[g].count;
        }
    }
    if (!read_weights(join, file_group, model_group, &saved)) return false;
    if (saved.count == wanted) return model_group == KW_NONE || put_layer(replay, model_group, &saved);
    if (named && replay->skips) return true;
    kw_predict_raise(join, named ? KW_RAISE_TOP_WEIGHTS_NAME : KW_RAISE_TOP_WEIGHTS, model_group, KW_NONE, wanted,
                     saved.count);
    return false;
}

/* By order, a layer that is listed and has no group is asked for before anything is counted; true when there is none. */
static bool find_absent(kw_join *join) {
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        if ((join->file->groups[f].flags & KW_GROUP_ABSENT) == 0) continue;
        kw_predict_raise(join, KW_RAISE_KEY, KW_NONE, KW_NONE, 0, 0);
        return false;
    }
    return true;
}

/* By order, tf_keras asks every layer for its variables; one that holds a lookup
 * table raises.  True when there is none. */
static bool find_tables(kw_join *join) {
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (!kw_group_is_layer(&join->model->groups[g]) || !holds_tables(join, g)) continue;
        return false;
    }
    return true;
}

/* Assigns what was put off. */
static void finish(legacy_replay *replay) {
    replay->compares = false;
    for (size_t i = 0; i < replay->step_count; i++) {
        if (!set_weights(replay, replay->steps[i].model_group, &replay->steps[i].saved, true)) return;
    }
}

/* Rows of the file's layers as Keras reads them: one that is listed twice is read twice.  -1: no memory. */
static int list_saved(kw_join *join, uint32_t *rows, uint32_t *count, uint32_t *top, kw_error *err) {
    const kw_table *file = join->file;
    kw_index paths = KW_INDEX_EMPTY;
    int result = 0;
    *count = 0;
    *top = KW_NONE;
    for (uint32_t f = 0; result == 0 && join->legacy && f < file->group_count; f++) {
        const kw_group *group = &file->groups[f];
        uint32_t first = KW_NONE;
        if ((group->flags & KW_GROUP_TOP_LEVEL) != 0) *top = f;
        if (!kw_group_is_layer(group)) continue;
        result = kw_index_add(&paths, group->path, f, &first, err);
        bool again = group->fault.code == KW_ALIAS && first != KW_NONE;
        uint32_t row = again ? first : f;
        if (result == 0 && (file->groups[row].count > 0 || join->rules->by_name)) rows[(*count)++] = row;
    }
    kw_index_free(&paths);
    return result;
}

int kw_replay_legacy(kw_join *join, kw_error *err) {
    const kw_rules *rules = join->rules;
    uint32_t *from = kw_arena_alloc(&join->work, join->file->group_count * sizeof *from);
    uint32_t *to = kw_arena_alloc(&join->work, join->model->group_count * sizeof *to);
    uint32_t from_top, to_top, from_count;
    legacy_replay replay = {.join = join, .err = err};
    if (from == NULL || to == NULL) return kw_fail_memory(err);
    if (list_saved(join, from, &from_count, &from_top, err) < 0) return -1;
    uint32_t to_count = kw_layers_list(join->model, to, &to_top);
    replay.compares = rules->by_name || (join->does & KW_DOES_ORDER_SHAPES) != 0;
    replay.skips = rules->skip_mismatch && (rules->by_name || (join->does & KW_DOES_ORDER_SKIP) != 0);
    bool fine = (rules->by_name || find_tables(join)) && (!join->legacy || rules->by_name || find_absent(join)) &&
                (rules->by_name ? replay_names(&replay, from, from_count) : replay_order(&replay, from, from_count, to, to_count));
    bool top = from_top != KW_NONE && (join->does & KW_DOES_NO_TOP) == 0;
    if (fine && top) fine = replay_top(&replay, from_top, to_top);
    if (fine) finish(&replay);
    free(replay.steps);
    return err->code == KW_MEMORY ? -1 : 0;
}
