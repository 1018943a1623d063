/* keras_legacy.c -- the layouts before Keras 3, which list by name what they hold.
 *
 *   legacy      /            @layer_names = [d1, d2]     (or layer_names0, layer_names1, ...)
 *               /d1          @weight_names = [d1/kernel:0, d1/bias:0]
 *               /d1/d1/kernel:0                           the dataset
 *   Keras 0.x   /            @nb_layers;  /layer_0 @nb_params;  /layer_0/param_0
 *   HF shard    /            @layer_names = paths of datasets
 */
#include "read/keras_layouts.h"

#include <stdio.h>

/* Slots of a group from its weight_names. */
static int read_weights(kw_keras_reader *r, uint32_t group, uint32_t node, kw_error *err) {
    kw_keras_names list;
    if (!kw_keras_take_node(r, group, node)) return 0;
    if (kw_keras_read_names(r->hdf5, &r->file->table.arena, node, "weight_names", &list, err) < 0) return -1;
    if (list.absent) r->groups[group].flags |= KW_GROUP_NO_LIST;
    if (list.fault.code != KW_OK && r->groups[group].fault.code == KW_OK) r->groups[group].fault = list.fault;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t weight = kw_keras_find(r->hdf5, node, list.texts[i]);
        const char *variable = kw_keras_is_dataset(r->hdf5, weight) ? kw_keras_variable_of(r, list.texts[i], err) : "";
        if (variable == NULL || kw_keras_add_slot(r, group, list.texts[i], weight, variable, err) < 0) return -1;
        if (kw_keras_is_link(r->hdf5, weight)) r->groups[group].fault = kw_keras_link_fault();
    }
    return 0;
}

int kw_keras_read_legacy(kw_keras_reader *r, uint32_t root, kw_error *err) {
    kw_keras_names layers;
    if (kw_keras_read_names(r->hdf5, &r->file->table.arena, root, "layer_names", &layers, err) < 0) return -1;
    if (layers.fault.code != KW_OK &&
        kw_build_fault(r->build, layers.fault.code, layers.fault.at, r->hdf5->nodes[root].path, 0, 0, err,
                       "layer_names: %s", layers.fault.detail) < 0)
        return -1;
    for (uint32_t i = 0; i < layers.count; i++) {
        uint32_t node = kw_keras_find(r->hdf5, root, layers.texts[i]);
        bool there = kw_keras_is_group(r->hdf5, node);
        uint32_t flags = there ? 0 : KW_GROUP_ABSENT;
        uint32_t group = kw_keras_add_layer(r, root, there ? node : KW_NONE, layers.texts[i], flags, err);
        if (group == KW_NONE || (there && read_weights(r, group, node, err) < 0)) return -1;
        if (kw_keras_is_link(r->hdf5, node)) r->groups[group].flags |= KW_GROUP_LINK;
    }
    uint32_t top = kw_keras_find(r->hdf5, root, "top_level_model_weights");
    if (!kw_keras_is_group(r->hdf5, top)) return 0;
    uint32_t group = kw_keras_add_layer(r, root, top, "top_level_model_weights", KW_GROUP_TOP_LEVEL, err);
    return group == KW_NONE ? -1 : read_weights(r, group, top, err);
}

int kw_keras_read_optimizer(kw_keras_reader *r, kw_error *err) {
    uint32_t node = kw_keras_find(r->hdf5, 0, "optimizer_weights");
    if (!kw_keras_is_group(r->hdf5, node)) return 0;
    uint32_t group = kw_keras_add_group(r, r->hdf5->nodes[node].path, NULL, KW_GROUP_OPTIMIZER, err);
    if (group == KW_NONE) return -1;
    r->groups[group].fault = r->hdf5->nodes[node].fault;
    return read_weights(r, group, node, err);
}

/* ---- Keras 0.x ---- */

/* The count that attribute `name` declares, no more than `node` can have; a larger one is a fault. */
static int read_count(kw_keras_reader *r, uint32_t node, const char *name, uint32_t *count, kw_error *err) {
    const kw_node *n = &r->hdf5->nodes[node];
    const kw_attr *attr = kw_hdf5_attr(r->hdf5, node, name);
    uint32_t children = 0;
    for (uint32_t i = node + 1; i < n->next; i = r->hdf5->nodes[i].next) children++;
    *count = children;
    if (attr == NULL || attr->fault.code != KW_OK || attr->kind != KW_ATTR_INT || attr->integer < 0 ||
        attr->integer > children)
        return kw_build_fault(r->build, KW_CORRUPT, n->address, n->path, 0, 0, err,
                              "%s does not tell how many there are", name);
    *count = (uint32_t)attr->integer;
    return 0;
}

int kw_keras_read_keras0(kw_keras_reader *r, kw_error *err) {
    uint32_t layers, params;
    if (read_count(r, 0, "nb_layers", &layers, err) < 0) return -1;
    for (uint32_t k = 0; k < layers; k++) {
        char name[32];
        (void)snprintf(name, sizeof name, "layer_%u", k);
        uint32_t node = kw_keras_find(r->hdf5, 0, name);
        if (!kw_keras_is_group(r->hdf5, node)) {
            if (kw_build_fault(r->build, KW_CORRUPT, KW_NOWHERE, name, 0, 0, err,
                               "a layer that is counted is not there") < 0)
                return -1;
            continue;
        }
        uint32_t group = kw_keras_add_group(r, r->hdf5->nodes[node].path, NULL, 0, err);
        if (group == KW_NONE) return -1;
        if (!kw_keras_take_node(r, group, node)) continue;
        if (read_count(r, node, "nb_params", &params, err) < 0) return -1;
        for (uint32_t j = 0; j < params; j++) {
            (void)snprintf(name, sizeof name, "param_%u", j);
            uint32_t param = kw_keras_find(r->hdf5, node, name);
            const char *text = kw_arena_text(&r->file->table.arena, name, strlen(name));
            if (text == NULL) return kw_fail_memory(err);
            if (kw_keras_add_slot(r, group, text, param, text, err) < 0) return -1;
        }
    }
    return 0;
}

/* ---- Hugging Face shards ---- */

int kw_keras_read_hf_shard(kw_keras_reader *r, kw_error *err) {
    kw_keras_names list;
    if (kw_keras_read_names(r->hdf5, &r->file->table.arena, 0, "layer_names", &list, err) < 0) return -1;
    if (list.fault.code != KW_OK && kw_build_fault(r->build, list.fault.code, list.fault.at, r->part->name, 0, 0, err,
                                                   "layer_names: %s", list.fault.detail) < 0)
        return -1;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t node = kw_keras_find(r->hdf5, 0, list.texts[i]);
        /* A text may stand for many entries: a long one is not copied for each. */
        bool there = kw_keras_is_dataset(r->hdf5, node);
        const char *parent = there ? r->hdf5->nodes[r->hdf5->nodes[node].parent].path : "";
        const char *variable = there ? kw_keras_variable_of(r, list.texts[i], err) : "";
        if (variable == NULL) return -1;
        uint32_t group = kw_keras_group_of_path(r, parent, err);
        if (group == KW_NONE || kw_keras_add_slot(r, group, list.texts[i], node, variable, err) < 0) return -1;
    }
    return 0;
}
