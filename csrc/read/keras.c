/* keras.c -- an HDF5 tree as one of the layouts of Keras's weight files.
 *
 *   legacy      /            @layer_names      keras_legacy
 *   whole model /            @model_config;  /model_weights as legacy;  /optimizer_weights @weight_names
 *   Keras 0.x   /            @nb_layers        keras_legacy
 *   HF shard    /            @layer_names = paths of datasets
 *   Keras 3     /layers/dense/vars             keras_v3
 *
 * Every dataset is a tensor; the layout makes groups and slots of them (keras_rows), and attributes tell facts.
 */
#include "read/keras.h"

#include <stdlib.h>

#include "read/hdf5_private.h"
#include "read/keras_layouts.h"
#include "read/layer_names.h"

/* ---- tensors: every dataset of every part ---- */

static kw_fault tensor_fault(const kw_hdf5 *hdf5, const kw_dataset *d) {
    const kw_fault *node = &hdf5->nodes[d->node].fault;
    if (d->fault.code != KW_OK) return d->fault;
    if (node->code != KW_OK) return *node;
    bool extent = d->storage == KW_STORAGE_CONTIGUOUS || d->storage == KW_STORAGE_COMPACT;
    if (extent && d->nbytes > 0 && !kw_in_range(d->off, d->nbytes, kw_source_size(hdf5->source)))
        return (kw_fault){KW_TRUNCATED, d->off, "its bytes go on behind the end of the file"};
    if (extent && d->nbytes > 0 && !hdf5->truncated && !kw_in_range(d->off, d->nbytes, hdf5->end))
        return (kw_fault){KW_CORRUPT, d->off, "its bytes go on behind the end that the superblock tells"};
    return (kw_fault){0};
}

/* Keras since 3.0.5 writes beside a bfloat16 that it is one. */
static bool is_unmarked(const kw_hdf5 *hdf5, const kw_dataset *d) {
    if (!d->opaque) return false;
    const kw_attr *attr = kw_hdf5_attr(hdf5, d->node, "dtype");
    return attr == NULL || attr->kind != KW_ATTR_TEXT;
}

static kw_tensor tensor_of(const kw_hdf5 *hdf5, const kw_dataset *d, uint32_t part) {
    const kw_node *node = &hdf5->nodes[d->node];
    return (kw_tensor){
        .path = node->path,
        .layer = node->parent != KW_NONE ? hdf5->nodes[node->parent].path : "",
        .variable = node->name,
        .type_text = d->type_text,
        .shape = d->shape,
        .rank = d->rank,
        .dtype = d->dtype,
        .storage = d->storage,
        .big_endian = d->big_endian,
        .unmarked = is_unmarked(hdf5, d),
        .part = part,
        .off = d->storage == KW_STORAGE_CONTIGUOUS || d->storage == KW_STORAGE_COMPACT ? d->off : KW_NOWHERE,
        .nbytes = d->nbytes,
        .object = node->address,
        .group = KW_NONE,
        .fault = tensor_fault(hdf5, d),
    };
}

static int read_tensors(kw_build *build, kw_error *err) {
    kw_table *table = &build->file->table;
    uint64_t count = 0;
    for (uint32_t p = 0; p < build->file->part_count; p++) {
        kw_part *part = &build->file->parts[p];
        part->first_tensor = (uint32_t)count;
        if (part->hdf5 != NULL) count += part->hdf5->dataset_count;
        if (count >= KW_NONE) return kw_fail_memory(err);
    }
    table->tensors = kw_arena_alloc(&table->arena, (size_t)count * sizeof *table->tensors);
    if (table->tensors == NULL) return kw_fail_memory(err);
    for (uint32_t p = 0; p < build->file->part_count; p++) {
        const kw_hdf5 *hdf5 = build->file->parts[p].hdf5;
        for (uint32_t i = 0; hdf5 != NULL && i < hdf5->dataset_count; i++)
            table->tensors[table->tensor_count++] = tensor_of(hdf5, &hdf5->datasets[i], p);
    }
    return 0;
}

/* ---- which layout ---- */

/* True when the first entry of layer_names that leads anywhere leads to a dataset. */
static int lists_datasets(kw_keras_reader *r, bool *answer, kw_error *err) {
    kw_keras_names list;
    *answer = false;
    if (kw_keras_read_names(r->hdf5, &r->file->table.arena, 0, "layer_names", &list, err) < 0) return -1;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t node = kw_keras_find(r->hdf5, 0, list.texts[i]);
        if (node == KW_NONE) continue;
        *answer = kw_keras_is_dataset(r->hdf5, node);
        break;
    }
    return 0;
}

static bool has_list(const kw_hdf5 *hdf5, uint32_t node) {
    return kw_hdf5_attr(hdf5, node, "layer_names") != NULL || kw_hdf5_attr(hdf5, node, "layer_names0") != NULL;
}

/* True when some group is called `vars`. */
static bool has_vars(const kw_hdf5 *hdf5) {
    for (uint32_t i = 1; i < hdf5->node_count; i++)
        if (strcmp(hdf5->nodes[i].name, "vars") == 0 && kw_keras_is_group(hdf5, kw_keras_resolve(hdf5, i))) return true;
    return false;
}

static int find_layout(kw_keras_reader *r, kw_keras_kind kind, kw_layout *layout, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    bool datasets;
    if (kind == KW_KERAS_HF_SHARD) return *layout = KW_LAYOUT_HF_SHARD, 0;
    if (has_list(hdf5, 0)) {
        if (lists_datasets(r, &datasets, err) < 0) return -1;
        return *layout = datasets ? KW_LAYOUT_HF_SHARD : KW_LAYOUT_LEGACY, 0;
    }
    if (kw_keras_is_group(hdf5, kw_keras_find(hdf5, 0, "_layer_checkpoint_dependencies")))
        *layout = KW_LAYOUT_V3_TF212;
    else if (kind == KW_KERAS_V3)
        *layout = KW_LAYOUT_V3;
    else if (kw_keras_is_group(hdf5, kw_keras_find(hdf5, 0, "model_weights")))
        *layout = KW_LAYOUT_LEGACY_MODEL;
    else if (kw_hdf5_attr(hdf5, 0, "nb_layers") != NULL)
        *layout = KW_LAYOUT_KERAS0;
    else if (has_vars(hdf5))
        *layout = KW_LAYOUT_V3;
    else if (kw_keras_is_group(hdf5, kw_keras_find(hdf5, 0, "optimizer_weights")))
        *layout = KW_LAYOUT_OPTIMIZER_ONLY;
    else
        *layout = KW_LAYOUT_HDF5;
    return 0;
}

/* True when nothing beside the names of the layers says which Keras wrote them: tf_keras then takes it for Keras 1. */
static bool is_versionless(const kw_keras_reader *r, uint32_t node) {
    const char *version = node == KW_NONE ? NULL : kw_keras_attr_text(r->hdf5, node, "keras_version");
    return version == NULL || strcmp(version, "1") == 0;
}

static int read_layout(kw_keras_reader *r, kw_layout layout, kw_error *err) {
    uint32_t holder = layout == KW_LAYOUT_LEGACY_MODEL ? kw_keras_find(r->hdf5, 0, "model_weights") : 0;
    bool listed = layout == KW_LAYOUT_LEGACY || layout == KW_LAYOUT_LEGACY_MODEL;
    r->file->versionless = listed && is_versionless(r, holder);
    switch (layout) {
    case KW_LAYOUT_LEGACY: return kw_keras_read_legacy(r, 0, err) < 0 ? -1 : kw_keras_read_optimizer(r, err);
    case KW_LAYOUT_LEGACY_MODEL:
        return kw_keras_read_legacy(r, holder, err) < 0 ? -1 : kw_keras_read_optimizer(r, err);
    case KW_LAYOUT_OPTIMIZER_ONLY: return kw_keras_read_optimizer(r, err);
    case KW_LAYOUT_KERAS0: return kw_keras_read_keras0(r, err);
    case KW_LAYOUT_HF_SHARD: return kw_keras_read_hf_shard(r, err);
    case KW_LAYOUT_V3:
    case KW_LAYOUT_V3_TF212: return kw_keras_read_v3(r, err);
    default: return 0;
    }
}

/* ---- facts ---- */

/* Who wrote a file in the layout of Keras 3, by what only some versions write; NULL when nothing tells. */
static const char *guess_v3(const kw_file *file) {
    const kw_table *table = &file->table;
    bool named = false, tf_keras = false, container = false, query = false;
    for (uint32_t i = 0; i < table->group_count; i++) {
        const kw_group *group = &table->groups[i];
        named |= group->name != NULL;
        tf_keras |= (group->flags & KW_GROUP_METRIC) != 0;
        container |= strstr(group->path, "/container") != NULL;
        query |= strstr(group->path, "/_query_dense") != NULL;
        /* Keras 3 keeps the learning rate there, tf.keras the first moment of a kernel. */
        if (strcmp(group->path, "optimizer") == 0 && group->count > 1 &&
            table->slots[group->first + 1].tensor != KW_NONE)
            tf_keras |= table->tensors[table->slots[group->first + 1].tensor].rank > 0;
    }
    if (table->group_count == 0) return NULL;
    if (file->content == KW_CONTENT_SHARDS) return container ? "Keras 3.15 or newer" : "Keras 3.10 or newer";
    if (named) return container ? "Keras 3.15 or newer" : "Keras 3.6 or newer";
    if (tf_keras) return "tf.keras 2.15 or newer";
    return query ? "tf.keras 2.15 or newer, or Keras 3.0.0 to 3.0.2" : "tf.keras 2.15 or newer, or Keras 3.0 to 3.5";
}

static const char *guess(const kw_file *file) {
    switch (file->table.layout) {
    case KW_LAYOUT_LEGACY:
    case KW_LAYOUT_LEGACY_MODEL: return "Keras 1";
    case KW_LAYOUT_KERAS0: return "Keras 0.3 to 1.0";
    case KW_LAYOUT_V3_TF212: return "tf.keras 2.12 to 2.14";
    case KW_LAYOUT_V3: return guess_v3(file);
    default: return NULL;
    }
}

/* What the attributes of `node` record. */
static int read_facts(kw_keras_reader *r, uint32_t node, kw_error *err) {
    static const char *const keys[] = {"keras_version", "backend"};
    if (node == KW_NONE) return 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = kw_keras_attr_text(r->hdf5, node, keys[i]);
        if (value != NULL && kw_build_meta(r->build, keys[i], value, err) < 0) return -1;
    }
    const kw_attr *config = kw_hdf5_attr(r->hdf5, node, "model_config");
    if (r->file->config == NULL && config != NULL && kw_keras_attr_text(r->hdf5, node, "model_config") != NULL) {
        r->file->config = config->texts[0];
        r->file->config_len = config->text_lens[0];
    }
    const kw_attr *training = kw_hdf5_attr(r->hdf5, node, "training_config");
    if (r->file->training == NULL && training != NULL && kw_keras_attr_text(r->hdf5, node, "training_config") != NULL) {
        r->file->training = training->texts[0];
        r->file->training_len = training->text_lens[0];
    }
    return 0;
}

/* ---- parts ---- */

static int read_part(kw_keras_reader *r, const kw_part *part, kw_keras_kind kind, kw_error *err) {
    kw_layout layout;
    kw_error why = {0};
    int result = -1;
    r->part = part;
    r->hdf5 = part->hdf5;
    if (r->hdf5 == NULL || r->hdf5->node_count == 0) return 0;
    if (r->hdf5->fault.code != KW_OK && r->hdf5->dataset_count == 0 && kind == KW_KERAS_ANY) return 0;
    /* Rows have a budget of their own: what could be read of an exhausting tree is listed. */
    part->hdf5->more->spent = 0;
    r->users = malloc(r->hdf5->node_count * sizeof *r->users);
    if (r->users == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0; i < r->hdf5->node_count; i++) r->users[i] = KW_NONE;
    if (find_layout(r, kind, &layout, err) < 0) goto done;
    if (r->file->table.layout == KW_LAYOUT_UNKNOWN) r->file->table.layout = layout;
    if (read_layout(r, layout, &why) < 0 && kw_build_blame(r->build, &why, part->name, err) < 0) goto done;
    if (layout == KW_LAYOUT_LEGACY_MODEL && read_facts(r, kw_keras_find(r->hdf5, 0, "model_weights"), err) < 0)
        goto done;
    result = read_facts(r, 0, err);
done:
    free(r->users);
    r->users = NULL;
    return result;
}

/* Groups of shards that are not there. */
static int add_lost(kw_keras_reader *r, kw_keras_kind kind, const kw_mapped *mapped, kw_error *err) {
    r->part = NULL;
    for (size_t i = 0; i < mapped->count; i++) {
        const kw_mapped_group *lost = &mapped->groups[i];
        if (lost->fault.code == KW_OK) continue;
        const char *path = kind == KW_KERAS_HF_SHARD ? kw_keras_parent_of(r, lost->path, err) : lost->path;
        if (path == NULL) return -1;
        uint32_t row = kw_keras_group_of_path(r, path, err);
        if (row == KW_NONE) return -1;
        if (r->groups[row].fault.code == KW_OK) r->groups[row].fault = lost->fault;
        if (kw_keras_is_below(path, "optimizer")) r->groups[row].flags |= KW_GROUP_OPTIMIZER;
    }
    return 0;
}

/* Makes ready to look up what the map says. */
static int open_map(kw_keras_reader *r, kw_mapped *mapped, kw_error *err) {
    uint32_t existing;
    if (r->file->content == KW_CONTENT_HF_SHARDS || mapped->count == 0) return 0;
    r->mapped = mapped;
    for (size_t i = 0; i < mapped->count; i++)
        if (kw_index_add(&r->map_paths, mapped->groups[i].path, (uint32_t)i, &existing, err) < 0) return -1;
    return 0;
}

int kw_keras_read(kw_build *build, kw_keras_kind kind, kw_mapped *mapped, kw_error *err) {
    kw_keras_reader r = {.build = build, .file = build->file, .paths = KW_INDEX_EMPTY, .map_paths = KW_INDEX_EMPTY};
    int result = -1;
    if (read_tensors(build, err) < 0 || open_map(&r, mapped, err) < 0) goto done;
    for (uint32_t p = 0; p < build->file->part_count; p++)
        if (read_part(&r, &build->file->parts[p], kind, err) < 0) goto done;
    if (add_lost(&r, kind, mapped, err) < 0 || kw_keras_finish_rows(&r, err) < 0) goto done;
    const char *writer = kw_build_find_meta(build, "keras_version") == NULL ? guess(build->file) : NULL;
    if (writer != NULL && kw_build_meta(build, "written_by", writer, err) < 0) goto done;
    result = kw_layer_names_read(build, &r.paths, err);
done:
    kw_index_free(&r.paths);
    kw_index_free(&r.map_paths);
    free(r.groups);
    free(r.slots);
    free(r.slot_groups);
    return result;
}
