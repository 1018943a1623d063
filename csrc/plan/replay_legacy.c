/* replay_legacy.c -- what Keras's legacy HDF5 loading code does.
 *
 *     layer_names    conv  pool  dense         those with weights, k-th to k-th
 *     model.layers   conv  drop  fc            (by_name: those of equal names)
 *
 * keras/src/legacy/saving/legacy_h5_format.py and
 * tf_keras/src/saving/legacy/hdf5_format.py: load_weights_from_hdf5_group,
 * load_weights_from_hdf5_group_by_name.  Keras 3 assigns layer by layer; tf_keras
 * converts first (convert.c), and assigns all at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/convert.h"
#include "plan/join.h"

/* One layer's saved weights as Keras holds them: the file's, perhaps converted. */
typedef struct saved_layer {
    uint32_t group; /* of the file */
    kw_made_list list;
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

/* load_subset_weights_from_hdf5_group: every listed weight is read; false when that does not end well. */
static bool read_weights(legacy_replay *replay, uint32_t file_group, uint32_t model_group, saved_layer *out) {
    kw_join *join = replay->join;
    const kw_group *group = &join->file->groups[file_group];
    uint32_t absent;
    out->group = file_group;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t tensor = join->file->slots[group->first + i].tensor;
        kw_raise raise = KW_RAISE_KEY;
        if (tensor != KW_NONE && kw_predict_read(join, tensor, &raise)) continue;
        if (tensor == KW_NONE && group->fault.code == KW_LINK) raise = kw_predict_link(join);
        if (join->plan->prediction.outcome != KW_OUTCOME_UNKNOWN) {
            kw_predict_raise(join, raise, model_group, KW_NONE, 0, 0);
        }
        return false;
    }
    if (kw_made_read(join->file, group, &join->work, &out->list, &absent)) return true;
    (void)kw_fail_memory(replay->err);
    return false;
}

/* preprocess_weights_for_loading; false when it raises. */
static bool convert(legacy_replay *replay, uint32_t model_group, saved_layer *saved) {
    kw_join *join = replay->join;
    const kw_group *to = &join->model->groups[model_group];
    kw_raise raise = KW_RAISE_VALUE;
    if ((join->does & KW_DOES_CONVERT) == 0) return true;
    kw_made_how how = {.first = join->rules->versionless};
    how.flips = join->rules->theano && join->rules->flavour == KW_FLAVOUR_KERAS2;
    kw_made_end end = kw_made_convert(to, join->model, how, &join->work, &saved->list, &raise);
    if (end == KW_MADE_FINE) return true;
    if (end == KW_MADE_MEMORY) {
        (void)kw_fail_memory(replay->err);
    } else if (end == KW_MADE_UNSURE) {
        kw_predict_unknown(join, "it converts the weights of a layer of your own that has the name of one of Keras's");
    } else {
        uint32_t last = to->count == 0 ? KW_NONE : kw_join_variable(join, model_group, to->count - 1);
        kw_predict_raise(join, raise, model_group, last, 0, 0);
    }
    return false;
}

/* The error of a weight whose shape differs. */
static kw_raise find_shape_raise(const legacy_replay *replay, bool top) {
    bool tf = replay->join->rules->flavour == KW_FLAVOUR_TF_KERAS;
    bool own = (replay->join->does & KW_DOES_ORDER_SHAPES) != 0;
    if (!replay->compares) return tf ? KW_RAISE_TF_SHAPE : KW_RAISE_SHAPE;
    if (!top) return KW_RAISE_LAYER_SHAPE;
    return own ? KW_RAISE_TOP_SHAPE : KW_RAISE_TOP_SHAPE_NAME;
}

/* Assigns a weight, whatever it was made of; false with *raise. */
static bool take(kw_join *join, const kw_made *made, uint32_t wanted, kw_raise *raise) {
    for (unsigned i = made->part_count; i-- > 0;) {
        if (!kw_predict_take(join, made->from[i], wanted, raise)) return false;
    }
    join->keras_signs[wanted] = kw_made_sign(made);
    join->converted = join->converted || kw_made_is_blind(made);
    return true;
}

/* Compares (unless `assigns` alone is asked for) and assigns the weights of one
 * layer, one after another; false when it raises. */
static bool set_weights(legacy_replay *replay, uint32_t model_group, const saved_layer *saved, bool assigns) {
    kw_join *join = replay->join;
    bool top = (join->model->groups[model_group].flags & KW_GROUP_TOP_LEVEL) != 0;
    kw_raise raise;
    for (uint32_t i = 0; i < saved->list.count; i++) {
        uint32_t wanted = kw_join_variable(join, model_group, i);
        const kw_made *made = &saved->list.rows[i];
        bool fits = kw_made_fits(made, &join->model->tensors[wanted]);
        if (!fits && replay->skips) continue;
        if (!fits) {
            kw_predict_raise(join, find_shape_raise(replay, top), model_group, wanted, 0, 0);
            return false;
        }
        if (!assigns || made->own || take(join, made, wanted, &raise)) continue;
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
        if (!read_weights(replay, from[k], to[k], &saved) || !convert(replay, to[k], &saved)) return false;
        uint32_t wanted = join->model->groups[to[k]].count;
        if (saved.list.count != wanted) {
            kw_predict_raise(join, KW_RAISE_WEIGHTS, to[k], KW_NONE, wanted, saved.list.count);
            return false;
        }
        if (!put_layer(replay, to[k], &saved)) return false;
    }
    return true;
}

/* It asks for the group of a layer that is listed: there is none, or a link. */
static void raise_absent(kw_join *join, uint32_t file_group) {
    bool link = (join->file->groups[file_group].flags & KW_GROUP_LINK) != 0;
    kw_raise raise = link ? kw_predict_link(join) : KW_RAISE_KEY;
    if (join->plan->prediction.outcome != KW_OUTCOME_UNKNOWN) kw_predict_raise(join, raise, KW_NONE, KW_NONE, 0, 0);
}

/* One layer of the file to the model's layers of that name; false when it raises. */
static bool replay_named(legacy_replay *replay, uint32_t file_group, uint32_t first, const uint32_t *next) {
    kw_join *join = replay->join;
    saved_layer saved;
    if ((join->file->groups[file_group].flags & KW_GROUP_ABSENT) != 0) {
        raise_absent(join, file_group);
        return false;
    }
    if (!read_weights(replay, file_group, KW_NONE, &saved)) return false;
    for (uint32_t g = first; g != KW_NONE; g = next[g]) {
        if (holds_tables(join, g) || !convert(replay, g, &saved)) return false;
        if (saved.list.count == join->model->groups[g].count) {
            if (!put_layer(replay, g, &saved)) return false;
        } else if (!replay->skips) {
            kw_predict_raise(join, KW_RAISE_WEIGHTS, g, KW_NONE, join->model->groups[g].count, saved.list.count);
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

/* By order, Keras 3 looks each of the model's own variables up in the list of all (`v in model.weights`), which asks
 * whether its value equals those before it: one truth a value, and no single one unless both are of one value.  False
 * when that raises, or nobody can tell. */
static bool look_up_own(kw_join *join, uint32_t model_group) {
    const kw_group *own = &join->model->groups[model_group];
    uint32_t single = 0;
    for (; single < own->count; single++) {
        const kw_tensor *variable = &join->model->tensors[kw_join_variable(join, model_group, single)];
        bool one = true;
        for (uint32_t i = 0; i < variable->rank; i++) one = one && variable->shape[i] == 1;
        if (!one) break;
    }
    if (own->count < 2 || single == own->count) return true;
    const kw_tensor *a = &join->model->tensors[kw_join_variable(join, model_group, 0)];
    const kw_tensor *b = &join->model->tensors[kw_join_variable(join, model_group, single > 0 ? single : 1)];
    bool broadcasts = true;
    for (uint32_t i = 1; i <= a->rank && i <= b->rank; i++) {
        uint64_t m = a->shape[a->rank - i], n = b->shape[b->rank - i];
        broadcasts = broadcasts && (m == n || m == 1 || n == 1);
    }
    if (broadcasts) {
        kw_predict_raise(join, KW_RAISE_VALUE, model_group, KW_NONE, 0, 0);
    } else {
        kw_predict_unknown(join, "it compares variables of the model that have different shapes");
    }
    return false;
}

/* The model's own variables, which no layer holds; false when it raises. */
static bool replay_top(legacy_replay *replay, uint32_t file_group, uint32_t model_group) {
    kw_join *join = replay->join;
    bool named = join->rules->by_name;
    uint32_t own = model_group == KW_NONE ? 0 : join->model->groups[model_group].count, wanted = own;
    saved_layer saved;
    if (named && (join->does & KW_DOES_TOP_ALL) != 0) {
        wanted = 0;
        for (uint32_t g = 0; g < join->model->group_count; g++) {
            if (!kw_group_is_state(&join->model->groups[g])) wanted += join->model->groups[g].count;
        }
    }
    bool looks = !named && join->rules->flavour == KW_FLAVOUR_KERAS3 && model_group != KW_NONE;
    if (looks && !look_up_own(join, model_group)) return false;
    if (!read_weights(replay, file_group, model_group, &saved)) return false;
    if (saved.list.count == wanted && wanted != own) {
        kw_predict_unknown(join, "it takes the model's own variables in the file for all that the model has");
        return false;
    }
    if (saved.list.count == wanted) return model_group == KW_NONE || put_layer(replay, model_group, &saved);
    if (named && replay->skips) return true;
    kw_predict_raise(join, named ? KW_RAISE_TOP_WEIGHTS_NAME : KW_RAISE_TOP_WEIGHTS, model_group, KW_NONE, wanted,
                     saved.list.count);
    return false;
}

/* By order, a layer that is listed and has no group is asked for before anything is counted; true when there is none. */
static bool find_absent(kw_join *join) {
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        if ((join->file->groups[f].flags & KW_GROUP_ABSENT) == 0) continue;
        raise_absent(join, f);
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
