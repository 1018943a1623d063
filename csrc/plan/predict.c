/* predict.c -- what Keras does with this call, from the file's name on.
 *
 *     name --loader--> refused? unbuilt? the wrong container? --> replay --> outcome
 *
 * keras/src/saving/saving_api.py: load_weights;
 * keras/src/saving/saving_lib.py: load_weights_only;
 * tf_keras/src/saving/legacy/save.py: load_weights.
 */
#include <string.h>

#include "plan/join.h"

void kw_predict_raise(kw_join *join, kw_raise raise, uint32_t group, uint32_t tensor, uint32_t a, uint32_t b) {
    kw_prediction *prediction = &join->plan->prediction;
    kw_raise_text text = kw_raise_find_text(kw_raise_find_own(raise, join->does));
    prediction->outcome = KW_OUTCOME_RAISES;
    prediction->error_type = text.type;
    prediction->error_prefix = text.prefix;
    prediction->error_group = group;
    prediction->error_tensor = tensor;
    prediction->a = a;
    prediction->b = b;
}

void kw_predict_unknown(kw_join *join, const char *reason) {
    kw_prediction *prediction = &join->plan->prediction;
    *prediction = (kw_prediction){.outcome = KW_OUTCOME_UNKNOWN, .reason = reason};
    prediction->error_group = prediction->error_tensor = KW_NONE;
}

kw_raise kw_predict_link(kw_join *join) {
    if ((join->does & KW_DOES_SAFE_GROUPS) == 0) kw_predict_unknown(join, "it follows a link of the file");
    return KW_RAISE_LINK;
}

bool kw_predict_read(kw_join *join, uint32_t file_tensor, kw_raise *raise) {
    const kw_tensor *tensor = &join->file->tensors[file_tensor];
    int code = tensor->fault.code;
    bool elsewhere = code == KW_LINK || code == KW_EXTERNAL || code == KW_VIRTUAL;
    *raise = KW_RAISE_LINK;
    if (elsewhere && (join->does & KW_DOES_SAFE_GROUPS) != 0) return false;
    if (code == KW_OK && tensor->dtype != KW_DTYPE_NONE) return true;
    kw_predict_unknown(join, code != KW_OK ? "a tensor that it reads is damaged, or stored outside the file"
                                           : "a tensor that it reads has a type that is not a number's");
    return false;
}

bool kw_predict_take(kw_join *join, uint32_t file_tensor, uint32_t model_tensor, kw_raise *raise) {
    bool marked = join->v3 && (join->does & KW_DOES_BFLOAT16) != 0 && !join->file->tensors[file_tensor].unmarked;
    *raise = KW_RAISE_VALUE; /* without a mark: two opaque bytes for h5py, which nobody casts */
    if (join->file->tensors[file_tensor].dtype == KW_DTYPE_BFLOAT16 && !marked) return false;
    join->assigned[model_tensor] = file_tensor;
    return true;
}

static bool is_cut_short(const kw_table *file) {
    for (uint32_t t = 0; t < file->tensor_count; t++) {
        if (file->tensors[t].fault.code == KW_TRUNCATED) return true;
    }
    for (uint32_t g = 0; g < file->group_count; g++) {
        if (file->groups[g].fault.code == KW_TRUNCATED) return true;
    }
    return false;
}

/* What it refuses before it opens the file; true when it does. */
static bool refuse_call(kw_join *join) {
    const kw_rules *rules = join->rules;
    bool tf = rules->flavour == KW_FLAVOUR_TF_KERAS, v3 = join->loader != KW_LOADER_LEGACY;
    kw_raise raise;
    if (join->loader == KW_LOADER_REFUSED) {
        raise = KW_RAISE_FORMAT;
    } else if (!tf && v3 && rules->by_name_given) {
        raise = (join->does & KW_DOES_NAME_TEXT) != 0 ? KW_RAISE_BY_NAME : KW_RAISE_KEYWORD;
    } else if (!tf && v3 && (join->does & KW_DOES_UNBUILT) != 0 && kw_model_is_unbuilt(join)) {
        raise = KW_RAISE_UNBUILT;
    } else if (tf && !v3 && rules->skip_mismatch && !rules->by_name) {
        raise = KW_RAISE_SKIP_MISMATCH;
    } else if (tf && !v3 && kw_model_is_unbuilt(join)) {
        raise = KW_RAISE_TF_UNBUILT;
    } else {
        return false;
    }
    kw_predict_raise(join, raise, KW_NONE, KW_NONE, 0, 0);
    return true;
}

/* What fails when it opens the file; true when it does. */
static bool refuse_container(kw_join *join) {
    const kw_rules *rules = join->rules;
    bool zip = join->loader == KW_LOADER_V3_ZIP, shards = join->loader == KW_LOADER_V3_SHARDS;
    kw_raise raise;
    if (rules->is_folder) {
        raise = KW_RAISE_FOLDER;
    } else if (zip && (!rules->is_zip || rules->zip_damaged)) {
        raise = KW_RAISE_ZIP;
    } else if (zip && rules->is_nested) {
        raise = KW_RAISE_KEY;
    } else if (shards && (rules->is_hdf5 || rules->is_zip)) {
        raise = KW_RAISE_TEXT;
    } else if (shards && rules->is_text) {
        raise = KW_RAISE_JSON;
    } else if ((!zip && !shards && !rules->is_hdf5) || rules->hdf5_damaged || is_cut_short(join->file)) {
        raise = KW_RAISE_OS;
    } else {
        return false;
    }
    kw_predict_raise(join, raise, KW_NONE, KW_NONE, 0, 0);
    return true;
}

/* Counts the objects that own variables, by the paths of their layers; *first is a variable of the first. */
static int count_owners(kw_join *join, uint32_t *count, uint32_t *first, kw_error *err) {
    const kw_table *model = join->model;
    kw_index owners = KW_INDEX_EMPTY;
    int result = 0;
    *count = 0;
    for (uint32_t t = 0; result == 0 && t < model->tensor_count; t++) {
        uint32_t known = KW_NONE;
        if (kw_group_is_state(&model->groups[model->tensors[t].group])) continue;
        result = kw_index_add(&owners, model->tensors[t].layer, t, &known, err);
        if (known != KW_NONE) continue;
        if ((*count)++ == 0) *first = t;
    }
    kw_index_free(&owners);
    return result;
}

/* True when the layer that owns the variable has LoRA enabled: it does not count, and misses the first key. */
static bool is_lora(const kw_table *model, uint32_t tensor) {
    const kw_group *group = &model->groups[model->tensors[tensor].group];
    for (uint32_t i = 0; i < group->count; i++) {
        const kw_tensor *other = &model->tensors[model->slots[group->first + i].tensor];
        if (strcmp(other->layer, model->tensors[tensor].layer) != 0) continue;
        if (strncmp(other->variable, "lora_", 5) == 0) return true;
    }
    return false;
}

/* True when the model itself has variables, beside those of its layers. */
static bool owns_variables(const kw_table *model) {
    for (uint32_t g = 0; g < model->group_count; g++) {
        if ((model->groups[g].flags & KW_GROUP_TOP_LEVEL) != 0) return model->groups[g].count > 0;
    }
    return false;
}

/* A V3 loader for a model of which only the layers are known: the file is no V3
 * file, so every object with variables finds none. */
static int replay_v3_layers(kw_join *join, kw_error *err) {
    uint32_t failed, first = KW_NONE;
    bool root = (join->does & KW_DOES_NEED_ROOT) != 0;
    if (join->rules->skip_mismatch) return 0;
    if (root && (join->does & KW_DOES_RETRY) == 0) {
        kw_predict_raise(join, KW_RAISE_KEY, KW_NONE, KW_NONE, 0, 0);
        return 0;
    }
    if (count_owners(join, &failed, &first, err) < 0) return -1;
    if (root) {
        failed += !owns_variables(join->model);
    } else if (failed == 0) {
        return 0;
    }
    kw_raise inner = root || is_lora(join->model, first) ? KW_RAISE_KEY : KW_RAISE_VARIABLES;
    uint32_t group = root ? KW_NONE : join->model->tensors[first].group;
    kw_predict_raise(join, KW_RAISE_TOTAL, group, KW_NONE, failed, 0);
    join->plan->prediction.inner_prefix = kw_raise_find_text(inner).prefix;
    return 0;
}

/* Layers with variables that the root's list `layers` holds. */
static int count_layers(kw_join *join, uint32_t *out, kw_error *err) {
    const kw_graph *graph = join->graph;
    *out = 0;
    if (graph == NULL || graph->node_count == 0) return 0;
    const uint8_t *weighted = kw_graph_weighted(join);
    if (weighted == NULL) return kw_fail_memory(err);
    for (uint32_t e = 0; e < graph->nodes[0].count; e++) {
        const kw_graph_edge *edge = &graph->edges[graph->nodes[0].first + e];
        const kw_graph_node *list = &graph->nodes[edge->target];
        if (edge->name == NULL || strcmp(edge->name, "layers") != 0 || list->group != KW_NONE) continue;
        for (uint32_t i = 0; i < list->count; i++) *out += weighted[graph->edges[list->first + i].target];
        break;
    }
    return 0;
}

/* The legacy loader for a file without layer_names: no layer is saved in it. */
static int replay_no_layers(kw_join *join, kw_error *err) {
    uint32_t layers;
    if (join->file->layout == KW_LAYOUT_HF_SHARD && (join->does & KW_DOES_SAFE_GROUPS) != 0) {
        kw_predict_raise(join, KW_RAISE_NOT_GROUP, KW_NONE, KW_NONE, 0, 0);
        return 0;
    }
    if (join->rules->by_name) return 0;
    if (join->graph == NULL) return kw_replay_legacy(join, err);
    if (count_layers(join, &layers, err) < 0) return -1;
    if (layers > 0) kw_predict_raise(join, KW_RAISE_LAYERS, KW_NONE, KW_NONE, layers, 0);
    return 0;
}

static int replay(kw_join *join, kw_error *err) {
    const kw_other *other = join->rules->other;
    bool v3 = join->loader != KW_LOADER_LEGACY;
    bool finds = v3 ? join->v3 : join->legacy || join->rules->flavour == KW_FLAVOUR_KERAS2;
    if (other != NULL && other->unsure != NULL && finds) {
        kw_predict_unknown(join, other->unsure);
        return 0;
    }
    if (join->loader == KW_LOADER_LEGACY) {
        if (!join->legacy || join->graph != NULL) return replay_no_layers(join, err);
        return kw_replay_legacy(join, err);
    }
    if (join->graph != NULL) return kw_replay_v3(join, err);
    return replay_v3_layers(join, err);
}

int kw_predict(kw_join *join, kw_error *err) {
    kw_prediction *prediction = &join->plan->prediction;
    *prediction = (kw_prediction){.outcome = KW_OUTCOME_LOADS, .error_group = KW_NONE, .error_tensor = KW_NONE};
    if (refuse_call(join) || refuse_container(join)) return 0;
    if (join->file->layout == KW_LAYOUT_UNKNOWN && !join->rules->is_shards) {
        kw_predict_unknown(join, "what the file holds is not known");
        return 0;
    }
    if (join->rules->root_damaged) {
        kw_predict_unknown(join, "the root group of the file is damaged");
        return 0;
    }
    if (replay(join, err) < 0) return -1;
    for (uint32_t t = 0; t < join->model->tensor_count; t++) prediction->assigned += join->assigned[t] != KW_NONE;
    return 0;
}
