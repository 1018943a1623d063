/* keras.c -- the layouts of Keras's weight files.
 *
 *   legacy      /            @layer_names = [d1, d2]     (or layer_names0, layer_names1, ...)
 *               /d1          @weight_names = [d1/kernel:0, d1/bias:0]
 *               /d1/d1/kernel:0                           the dataset
 *   whole model /            @model_config;  /model_weights as legacy;  /optimizer_weights @weight_names
 *   Keras 0.x   /            @nb_layers;  /layer_0 @nb_params;  /layer_0/param_0
 *   HF shard    /            @layer_names = paths of datasets
 *   Keras 3     /layers/dense/vars          @name = "d1"
 *               /layers/dense/vars/0        the dataset
 *
 * A group's slots are collected as they come, with the group each belongs to
 * (an object's `vars` may be split across shards), and put in runs at the end.
 */
#include "read/keras.h"

#include <stdio.h>
#include <stdlib.h>

#include "read/audit.h"
#include "read/hdf5.h"
#include "read/hdf5_private.h"
#include "read/layer_names.h"

enum {
    NAME_MAX_LEN = 4096, /* of a layer or a weight: longer ones are not looked for */
    SIGNATURE_LEN = 8,   /* of an HDF5 file */
    CHUNKS_MAX = 1024    /* of a list that is split over several attributes */
};

typedef struct reader {
    kw_build *build;
    kw_file *file;
    const kw_part *part; /* the one being read */
    const kw_hdf5 *hdf5; /* its tree */
    uint32_t *users;     /* one a node of it: the group that took its slots, or KW_NONE */
    kw_group *groups;
    kw_slot *slots;
    uint32_t *slot_groups; /* the group of each slot */
    size_t group_capacity, slot_capacity, owner_capacity;
    uint32_t group_count, slot_count;
    kw_index paths; /* of groups: one group a path where several parts are read */
    kw_mapped *mapped;   /* what a shard map says of Keras 3 files; NULL */
    kw_index map_paths;  /* path -> the first of its rows in the map */
} reader;

/* A list of names from one attribute or several. */
typedef struct names {
    const char **texts;
    uint32_t count;
    bool absent;
    kw_fault fault;
} names;

/* ---- the tree ---- */

/* The object that a link leads to: the node itself, or where it was seen first.  KW_NONE for KW_NONE. */
static uint32_t resolve(const kw_hdf5 *hdf5, uint32_t node) {
    if (node == KW_NONE || hdf5->nodes[node].kind != KW_NODE_ALIAS) return node;
    return hdf5->more->families[node].same;
}

/* The object by its path from `node`, or from the root when it begins with '/'; KW_NONE. */
static uint32_t find(const kw_hdf5 *hdf5, uint32_t node, const char *path) {
    if (strnlen(path, NAME_MAX_LEN + 1) > NAME_MAX_LEN) return KW_NONE;
    return resolve(hdf5, kw_hdf5_find_path(hdf5, path[0] == '/' ? 0 : node, path));
}

static bool is_group(const kw_hdf5 *hdf5, uint32_t node) {
    return node != KW_NONE && hdf5->nodes[node].kind == KW_NODE_GROUP;
}

static bool is_dataset(const kw_hdf5 *hdf5, uint32_t node) {
    return node != KW_NONE && hdf5->nodes[node].dataset != KW_NONE;
}

/* True for a link that is not followed, wherever it leads: h5py finds its name also when it leads nowhere. */
static bool is_link(const kw_hdf5 *hdf5, uint32_t node) {
    if (node == KW_NONE) return false;
    kw_node_kind kind = hdf5->nodes[node].kind;
    return kind == KW_NODE_SOFT || kind == KW_NODE_EXTERNAL || kind == KW_NODE_USER;
}

static kw_fault link_fault(void) {
    return (kw_fault){KW_LINK, KW_NOWHERE, "a link, not followed"};
}

/* The text of a scalar attribute; NULL when it is not there or something else. */
static const char *attr_text(const kw_hdf5 *hdf5, uint32_t node, const char *name) {
    const kw_attr *attr = kw_hdf5_attr(hdf5, node, name);
    return attr != NULL && attr->fault.code == KW_OK && attr->kind == KW_ATTR_TEXT && attr->count > 0 ? attr->texts[0]
                                                                                                      : NULL;
}

/* The number behind `base` in the name of an attribute, less than CHUNKS_MAX; else CHUNKS_MAX. */
static unsigned chunk_number(const char *name, const char *base) {
    size_t base_len = strlen(base);
    if (strncmp(name, base, base_len) != 0) return CHUNKS_MAX;
    const char *digits = name + base_len;
    size_t len = strnlen(digits, 5);
    if (len == 0 || len > 4 || digits[strspn(digits, "0123456789")] != '\0' || (digits[0] == '0' && len > 1))
        return CHUNKS_MAX;
    unsigned long number = strtoul(digits, NULL, 10);
    return number < CHUNKS_MAX ? (unsigned)number : CHUNKS_MAX;
}

/* The attributes that hold a list, in order: `base` itself, or base0, base1, ... to the first that is not there.
 * `chunks` has room for CHUNKS_MAX.  How many there are. */
static unsigned find_chunks(const kw_hdf5 *hdf5, uint32_t node, const char *base, const kw_attr **chunks) {
    const kw_node *n = &hdf5->nodes[node];
    unsigned count = 0;
    chunks[0] = kw_hdf5_attr(hdf5, node, base);
    if (chunks[0] != NULL) return 1;
    for (unsigned i = 0; i < CHUNKS_MAX; i++) chunks[i] = NULL;
    for (uint32_t i = 0; i < n->attr_count; i++) {
        const kw_attr *attr = &hdf5->attrs[n->first_attr + i];
        unsigned number = chunk_number(attr->name, base);
        if (number < CHUNKS_MAX && chunks[number] == NULL) chunks[number] = attr;
    }
    while (count < CHUNKS_MAX && chunks[count] != NULL) count++;
    return count;
}

/* What keeps an attribute from being a list of names; KW_OK for nothing. */
static kw_fault list_fault(const kw_attr *attr) {
    if (attr->fault.code != KW_OK) return attr->fault;
    if (attr->kind == KW_ATTR_EMPTY || attr->count == 0 || (attr->kind == KW_ATTR_TEXT && !attr->scalar))
        return (kw_fault){0};
    return (kw_fault){KW_CORRUPT, KW_NOWHERE, "the list of names is not a list of texts"};
}

/* The list that attribute `base`, or base0, base1, ... hold. */
static int read_names(reader *r, uint32_t node, const char *base, names *list, kw_error *err) {
    const kw_attr *chunks[CHUNKS_MAX], *last = NULL;
    unsigned count = find_chunks(r->hdf5, node, base, chunks), used = 0;
    size_t total = 0;
    *list = (names){.absent = count == 0};
    for (unsigned i = 0; i < count; i++) {
        kw_fault fault = list_fault(chunks[i]);
        if (fault.code != KW_OK) list->fault = fault;
        if (fault.code != KW_OK || chunks[i]->kind != KW_ATTR_TEXT) continue;
        total += chunks[i]->count;
        last = chunks[used++] = chunks[i];
    }
    if (total >= KW_NONE) return kw_fail_memory(err);
    list->count = (uint32_t)total;
    if (used <= 1) return list->texts = last != NULL ? last->texts : NULL, 0;
    const char **texts = list->texts = kw_arena_alloc(&r->file->table.arena, total * sizeof *texts);
    if (texts == NULL) return kw_fail_memory(err);
    for (unsigned i = 0; i < used; texts += chunks[i++]->count)
        memcpy(texts, chunks[i]->texts, chunks[i]->count * sizeof *texts);
    return 0;
}

/* ---- rows ---- */

/* Counts rows that names in the part stand for: twice their size, as arrays double.  0 or -1: KW_BOMB. */
static int spend(reader *r, size_t row_len, kw_error *err) {
    return r->part == NULL || r->part->hdf5 == NULL ? 0 : kw_hdf5_spend(r->part->hdf5, 2 * (uint64_t)row_len, err);
}

/* Adds a group.  Its row, or KW_NONE: KW_MEMORY, KW_BOMB. */
static uint32_t add_group(reader *r, const char *path, const char *name, uint32_t flags, kw_error *err) {
    if (spend(r, sizeof(kw_group), err) < 0) return KW_NONE;
    if (KW_GROW(r->groups, r->group_count, r->group_capacity, err) < 0) return KW_NONE;
    if (name != NULL) {
        flags |= KW_GROUP_NAMED;
        if (strnlen(name, NAME_MAX_LEN) < NAME_MAX_LEN && kw_name_is_automatic(name, NULL)) flags |= KW_GROUP_AUTO_NAME;
    }
    r->groups[r->group_count] = (kw_group){.path = path, .name = name, .flags = flags};
    return r->group_count++;
}

/* The group of this path, added if it is new.  KW_NONE: KW_MEMORY, KW_BOMB. */
static uint32_t group_of_path(reader *r, const char *path, kw_error *err) {
    uint32_t row;
    if (kw_index_add(&r->paths, path, r->group_count, &row, err) < 0) return KW_NONE;
    return row != KW_NONE ? row : add_group(r, path, NULL, 0, err);
}

/* The group of a legacy layer.  `node` may be KW_NONE: listed and not there. */
static uint32_t add_layer(reader *r, uint32_t root, uint32_t node, const char *name, uint32_t flags, kw_error *err) {
    const char *path = node != KW_NONE ? r->hdf5->nodes[node].path : NULL;
    if (path == NULL) {
        const char *above = r->hdf5->nodes[root].path;
        size_t above_len = strlen(above), len = strnlen(name, NAME_MAX_LEN), room = above_len + len + 2;
        if (kw_hdf5_spend(r->part->hdf5, room, err) < 0) return KW_NONE;
        char *joined = kw_arena_alloc(&r->file->table.arena, room);
        if (joined == NULL) {
            (void)kw_fail_memory(err);
            return KW_NONE;
        }
        (void)snprintf(joined, room, "%s%s%.*s", above, above_len > 0 ? "/" : "", (int)len, name);
        path = joined;
    }
    uint32_t row = add_group(r, path, name, flags, err);
    if (row != KW_NONE && node != KW_NONE) r->groups[row].fault = r->hdf5->nodes[node].fault;
    return row;
}

/* True when the slots of `node` are this group's now; false, with a fault, when a group has them already. */
static bool take_node(reader *r, uint32_t group, uint32_t node) {
    if (r->users[node] == KW_NONE) return r->users[node] = group, true;
    r->groups[group].fault =
        (kw_fault){KW_ALIAS, r->hdf5->nodes[node].address, "listed before, under this or another name"};
    return false;
}

/* Adds a slot to a group; a tensor that no group has yet becomes that group's. */
static int add_slot(reader *r, uint32_t group, const char *name, uint32_t node, const char *variable, kw_error *err) {
    uint32_t row = is_dataset(r->hdf5, node) ? r->part->first_tensor + r->hdf5->nodes[node].dataset : KW_NONE;
    if (spend(r, sizeof(kw_slot) + sizeof(uint32_t), err) < 0) return -1;
    if (KW_GROW(r->slots, r->slot_count, r->slot_capacity, err) < 0) return -1;
    if (KW_GROW(r->slot_groups, r->slot_count, r->owner_capacity, err) < 0) return -1;
    r->slots[r->slot_count] = (kw_slot){.name = name, .tensor = row};
    r->slot_groups[r->slot_count++] = group;
    if (row == KW_NONE) return 0;
    kw_tensor *tensor = &r->file->table.tensors[row];
    if (tensor->group != KW_NONE) return 0;
    const kw_group *owner = &r->groups[group];
    tensor->group = group;
    tensor->layer = owner->name != NULL ? owner->name : owner->path;
    tensor->variable = variable;
    return 0;
}

/* "kernel" of "d1/kernel:0", in the arena.  NULL: memory. */
static const char *variable_of(reader *r, const char *weight, kw_error *err) {
    const char *slash = strrchr(weight, '/');
    const char *name = slash != NULL ? slash + 1 : weight;
    const char *colon = strrchr(name, ':');
    size_t len = strlen(name);
    if (colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
        len = (size_t)(colon - name);
    const char *variable = kw_arena_text(&r->file->table.arena, name, len);
    if (variable == NULL) (void)kw_fail_memory(err);
    return variable;
}

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
    const kw_attr *attr = kw_hdf5_attr(hdf5, d->node, "dtype");
    return d->opaque && (attr == NULL || attr->kind != KW_ATTR_TEXT);
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

/* ---- legacy ---- */

/* Slots of a group from its weight_names. */
static int read_weights(reader *r, uint32_t group, uint32_t node, kw_error *err) {
    names list;
    if (!take_node(r, group, node)) return 0;
    if (read_names(r, node, "weight_names", &list, err) < 0) return -1;
    if (list.absent) r->groups[group].flags |= KW_GROUP_NO_LIST;
    if (list.fault.code != KW_OK && r->groups[group].fault.code == KW_OK) r->groups[group].fault = list.fault;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t weight = find(r->hdf5, node, list.texts[i]);
        const char *variable = is_dataset(r->hdf5, weight) ? variable_of(r, list.texts[i], err) : "";
        if (variable == NULL || add_slot(r, group, list.texts[i], weight, variable, err) < 0) return -1;
        if (is_link(r->hdf5, weight)) r->groups[group].fault = link_fault();
    }
    return 0;
}

/* The layers below `root`, and what the model itself owns. */
static int read_legacy(reader *r, uint32_t root, kw_error *err) {
    names layers;
    if (read_names(r, root, "layer_names", &layers, err) < 0) return -1;
    if (layers.fault.code != KW_OK &&
        kw_build_fault(r->build, layers.fault.code, layers.fault.at, r->hdf5->nodes[root].path, 0, 0, err,
                       "layer_names: %s", layers.fault.detail) < 0)
        return -1;
    for (uint32_t i = 0; i < layers.count; i++) {
        uint32_t node = find(r->hdf5, root, layers.texts[i]);
        bool there = is_group(r->hdf5, node);
        uint32_t group = add_layer(r, root, there ? node : KW_NONE, layers.texts[i], there ? 0 : KW_GROUP_ABSENT, err);
        if (group == KW_NONE || (there && read_weights(r, group, node, err) < 0)) return -1;
        if (is_link(r->hdf5, node)) r->groups[group].flags |= KW_GROUP_LINK;
    }
    uint32_t top = find(r->hdf5, root, "top_level_model_weights");
    if (!is_group(r->hdf5, top)) return 0;
    uint32_t group = add_layer(r, root, top, "top_level_model_weights", KW_GROUP_TOP_LEVEL, err);
    return group == KW_NONE ? -1 : read_weights(r, group, top, err);
}

/* The optimizer's variables of a whole model. */
static int read_optimizer(reader *r, kw_error *err) {
    uint32_t node = find(r->hdf5, 0, "optimizer_weights");
    if (!is_group(r->hdf5, node)) return 0;
    uint32_t group = add_group(r, r->hdf5->nodes[node].path, NULL, KW_GROUP_OPTIMIZER, err);
    if (group == KW_NONE) return -1;
    r->groups[group].fault = r->hdf5->nodes[node].fault;
    return read_weights(r, group, node, err);
}

/* ---- Keras 0.x ---- */

/* The count that attribute `name` declares, no more than `node` can have; a larger one is a fault. */
static int read_count(reader *r, uint32_t node, const char *name, uint32_t *count, kw_error *err) {
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

static int read_keras0(reader *r, kw_error *err) {
    uint32_t layers, params;
    if (read_count(r, 0, "nb_layers", &layers, err) < 0) return -1;
    for (uint32_t k = 0; k < layers; k++) {
        char name[32];
        (void)snprintf(name, sizeof name, "layer_%u", k);
        uint32_t node = find(r->hdf5, 0, name);
        if (!is_group(r->hdf5, node)) {
            if (kw_build_fault(r->build, KW_CORRUPT, KW_NOWHERE, name, 0, 0, err,
                               "a layer that is counted is not there") < 0)
                return -1;
            continue;
        }
        uint32_t group = add_group(r, r->hdf5->nodes[node].path, NULL, 0, err);
        if (group == KW_NONE) return -1;
        if (!take_node(r, group, node)) continue;
        if (read_count(r, node, "nb_params", &params, err) < 0) return -1;
        for (uint32_t j = 0; j < params; j++) {
            (void)snprintf(name, sizeof name, "param_%u", j);
            uint32_t param = find(r->hdf5, node, name);
            const char *text = kw_arena_text(&r->file->table.arena, name, strlen(name));
            if (text == NULL) return kw_fail_memory(err);
            if (add_slot(r, group, text, param, text, err) < 0) return -1;
        }
    }
    return 0;
}

/* ---- Hugging Face shards ---- */

/* The path without its last component, in the arena.  NULL: memory. */
static const char *parent_of(reader *r, const char *path, kw_error *err) {
    const char *slash = strrchr(path, '/');
    const char *parent = kw_arena_text(&r->file->table.arena, path, slash != NULL ? (size_t)(slash - path) : 0);
    if (parent == NULL) (void)kw_fail_memory(err);
    return parent;
}

static int read_hf_shard(reader *r, kw_error *err) {
    names list;
    if (read_names(r, 0, "layer_names", &list, err) < 0) return -1;
    if (list.fault.code != KW_OK && kw_build_fault(r->build, list.fault.code, list.fault.at, r->part->name, 0, 0, err,
                                                   "layer_names: %s", list.fault.detail) < 0)
        return -1;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t node = find(r->hdf5, 0, list.texts[i]);
        /* A text may stand for many entries: a long one is not copied for each. */
        bool there = is_dataset(r->hdf5, node);
        const char *parent = there ? r->hdf5->nodes[r->hdf5->nodes[node].parent].path : "";
        const char *variable = there ? variable_of(r, list.texts[i], err) : "";
        if (variable == NULL) return -1;
        uint32_t group = group_of_path(r, parent, err);
        if (group == KW_NONE || add_slot(r, group, list.texts[i], node, variable, err) < 0) return -1;
    }
    return 0;
}

/* ---- Keras 3 ---- */

/* True when `path` is `first` or lies below it. */
static bool is_below(const char *path, const char *first) {
    size_t len = strlen(first);
    return strncmp(path, first, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* True when a shard map does not give the group to the part that is read: Keras does not look for it there.  `some`:
 * the part has tensors of it. */
static bool is_stray(reader *r, const char *path, bool some) {
    const kw_mapped *map = r->mapped;
    if (map == NULL) return false;
    uint32_t part = (uint32_t)(r->part - r->file->parts), row = kw_index_find(&r->map_paths, path);
    if (row == KW_NONE) return true;
    kw_mapped_group *first = &map->groups[row];
    size_t left = map->count - row;
    while (first->passed < left && first[first->passed].part < part && strcmp(first[first->passed].path, path) == 0)
        first->passed++;
    kw_mapped_group *own = &first[first->passed];
    bool given = first->passed < left && own->part == part && strcmp(own->path, path) == 0;
    if (given && own->fault.code == KW_OK) {
        own->found = own->found || some;
        own->empty = own->empty || !some;
        return false;
    }
    first->elsewhere = first->elsewhere || some;
    return true;
}

/* True when one of the children is a dataset. */
static bool has_datasets(const kw_hdf5 *hdf5, uint32_t node) {
    for (uint32_t i = node + 1; i < hdf5->nodes[node].next; i = hdf5->nodes[i].next)
        if (is_dataset(hdf5, resolve(hdf5, i))) return true;
    return false;
}

/* The group of the object whose variables are in node `vars`, itself below `owner`. */
static int read_object(reader *r, uint32_t owner, uint32_t vars, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    const char *path = hdf5->nodes[owner].path;
    uint32_t row = group_of_path(r, path, err), user = r->users[vars];
    if (row == KW_NONE) return -1;
    kw_group *group = &r->groups[row];
    const char *name = user == KW_NONE ? attr_text(hdf5, vars, "name") : r->groups[user].name;
    if (group->name == NULL && name != NULL) {
        group->name = name;
        group->flags |= KW_GROUP_NAMED;
        if (strnlen(name, NAME_MAX_LEN) < NAME_MAX_LEN && kw_name_is_automatic(name, NULL))
            group->flags |= KW_GROUP_AUTO_NAME;
    }
    if (is_below(path, "optimizer")) group->flags |= KW_GROUP_OPTIMIZER;
    if (is_below(path, "metrics")) group->flags |= KW_GROUP_METRIC;
    if (group->fault.code == KW_OK) group->fault = hdf5->nodes[vars].fault;
    if (user != KW_NONE) {
        group->fault = (kw_fault){KW_ALIAS, hdf5->nodes[vars].address,
                                  "the variables of another object under a second name"};
        return 0;
    }
    r->users[vars] = row;
    bool stray = is_stray(r, path, has_datasets(hdf5, vars));
    for (uint32_t i = vars + 1; i < hdf5->nodes[vars].next; i = hdf5->nodes[i].next) {
        uint32_t node = resolve(hdf5, i);
        if (stray && is_dataset(hdf5, node)) r->mapped->strays[r->part - r->file->parts]++;
        bool link = is_link(hdf5, i); /* a key as well */
        if (!stray && (link || is_dataset(hdf5, node)) &&
            add_slot(r, row, hdf5->nodes[i].name, node, hdf5->nodes[i].name, err) < 0)
            return -1;
        if (link) r->groups[row].fault = link_fault();
    }
    return 0;
}

/* The group in whose place, or in that of whose `vars`, there is a link: a row that says so.  0, or -1. */
static int read_link(reader *r, uint32_t link, kw_error *err) {
    const kw_node *node = &r->hdf5->nodes[link], *parent = &r->hdf5->nodes[node->parent];
    if (strcmp(parent->name, "vars") == 0) return 0; /* a variable */
    uint32_t row = group_of_path(r, strcmp(node->name, "vars") == 0 ? parent->path : node->path, err);
    if (row == KW_NONE) return -1;
    r->groups[row].flags |= KW_GROUP_LINK;
    return 0;
}

static int read_v3(reader *r, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    for (uint32_t i = 1; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        uint32_t target = resolve(hdf5, i);
        if (is_link(hdf5, i) && read_link(r, i, err) < 0) return -1;
        if (!is_group(hdf5, target)) continue;
        if (strcmp(node->name, "vars") == 0) {
            if (read_object(r, node->parent, target, err) < 0) return -1;
        } else if (target != i && kw_build_fault(r->build, KW_ALIAS, node->address, node->path, 0, 0, err,
                                                 "a second name of the group %.100s, not followed", node->target) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The number of a decimal key without leading zero, or -1. */
static int64_t key_number(const char *key) {
    size_t len = strnlen(key, 11);
    if (len == 0 || len > 10 || key[strspn(key, "0123456789")] != '\0' || (key[0] == '0' && len > 1)) return -1;
    return strtoll(key, NULL, 10);
}

/* Decimal keys by number, then the others by name. */
static int by_key(const void *a, const void *b) {
    const kw_slot *x = a, *y = b;
    int64_t m = key_number(x->name), n = key_number(y->name);
    if (m >= 0 && n >= 0) return (m > n) - (m < n);
    if (m >= 0 || n >= 0) return m >= 0 ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Puts the slots of each group in the order of their keys; a key that two shards have is a fault. */
static void sort_keys(kw_table *table) {
    for (uint32_t g = 0; g < table->group_count; g++) {
        kw_group *group = &table->groups[g];
        kw_slot *slots = table->slots + group->first;
        qsort(slots, group->count, sizeof *slots, by_key);
        for (uint32_t i = 1; i < group->count; i++)
            if (strcmp(slots[i - 1].name, slots[i].name) == 0 && group->fault.code == KW_OK)
                group->fault = (kw_fault){KW_CORRUPT, KW_NOWHERE, "two shards have a variable of the same key"};
    }
}

/* ---- which layout ---- */

/* True when the first entry of layer_names that leads anywhere leads to a dataset. */
static int lists_datasets(reader *r, bool *answer, kw_error *err) {
    names list;
    *answer = false;
    if (read_names(r, 0, "layer_names", &list, err) < 0) return -1;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t node = find(r->hdf5, 0, list.texts[i]);
        if (node == KW_NONE) continue;
        *answer = is_dataset(r->hdf5, node);
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
        if (strcmp(hdf5->nodes[i].name, "vars") == 0 && is_group(hdf5, resolve(hdf5, i))) return true;
    return false;
}

static int find_layout(reader *r, kw_keras_kind kind, kw_layout *layout, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    bool datasets;
    if (kind == KW_KERAS_HF_SHARD) return *layout = KW_LAYOUT_HF_SHARD, 0;
    if (has_list(hdf5, 0)) {
        if (lists_datasets(r, &datasets, err) < 0) return -1;
        return *layout = datasets ? KW_LAYOUT_HF_SHARD : KW_LAYOUT_LEGACY, 0;
    }
    if (is_group(hdf5, find(hdf5, 0, "_layer_checkpoint_dependencies")))
        *layout = KW_LAYOUT_V3_TF212;
    else if (kind == KW_KERAS_V3)
        *layout = KW_LAYOUT_V3;
    else if (is_group(hdf5, find(hdf5, 0, "model_weights")))
        *layout = KW_LAYOUT_LEGACY_MODEL;
    else if (kw_hdf5_attr(hdf5, 0, "nb_layers") != NULL)
        *layout = KW_LAYOUT_KERAS0;
    else if (has_vars(hdf5))
        *layout = KW_LAYOUT_V3;
    else if (is_group(hdf5, find(hdf5, 0, "optimizer_weights")))
        *layout = KW_LAYOUT_OPTIMIZER_ONLY;
    else
        *layout = KW_LAYOUT_HDF5;
    return 0;
}

/* True when nothing beside the names of the layers says which Keras wrote them: tf_keras then takes it for Keras 1. */
static bool is_versionless(const reader *r, uint32_t node) {
    const char *version = node == KW_NONE ? NULL : attr_text(r->hdf5, node, "keras_version");
    return version == NULL || strcmp(version, "1") == 0;
}

static int read_layout(reader *r, kw_layout layout, kw_error *err) {
    uint32_t holder = layout == KW_LAYOUT_LEGACY_MODEL ? find(r->hdf5, 0, "model_weights") : 0;
    r->file->versionless = (layout == KW_LAYOUT_LEGACY || layout == KW_LAYOUT_LEGACY_MODEL) && is_versionless(r, holder);
    switch (layout) {
    case KW_LAYOUT_LEGACY: return read_legacy(r, 0, err) < 0 ? -1 : read_optimizer(r, err);
    case KW_LAYOUT_LEGACY_MODEL:
        return read_legacy(r, find(r->hdf5, 0, "model_weights"), err) < 0 ? -1 : read_optimizer(r, err);
    case KW_LAYOUT_OPTIMIZER_ONLY: return read_optimizer(r, err);
    case KW_LAYOUT_KERAS0: return read_keras0(r, err);
    case KW_LAYOUT_HF_SHARD: return read_hf_shard(r, err);
    case KW_LAYOUT_V3:
    case KW_LAYOUT_V3_TF212: return read_v3(r, err);
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
static int read_facts(reader *r, uint32_t node, kw_error *err) {
    static const char *const keys[] = {"keras_version", "backend"};
    if (node == KW_NONE) return 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = attr_text(r->hdf5, node, keys[i]);
        if (value != NULL && kw_build_meta(r->build, keys[i], value, err) < 0) return -1;
    }
    const kw_attr *config = kw_hdf5_attr(r->hdf5, node, "model_config");
    if (r->file->config == NULL && config != NULL && attr_text(r->hdf5, node, "model_config") != NULL) {
        r->file->config = config->texts[0];
        r->file->config_len = config->text_lens[0];
    }
    const kw_attr *training = kw_hdf5_attr(r->hdf5, node, "training_config");
    if (r->file->training == NULL && training != NULL && attr_text(r->hdf5, node, "training_config") != NULL) {
        r->file->training = training->texts[0];
        r->file->training_len = training->text_lens[0];
    }
    return 0;
}

/* ---- parts ---- */

/* Faults of single links and groups; those of datasets stay with their tensor. */
static int blame_nodes(kw_build *build, const kw_hdf5 *hdf5, kw_error *err) {
    for (uint32_t i = 0; i < hdf5->dataset_count; i++) {
        const kw_dataset *dataset = &hdf5->datasets[i];
        if (dataset->shared_at != KW_NOWHERE &&
            kw_build_fault(build, KW_OVERLAP, dataset->shared_at, hdf5->nodes[dataset->node].path, 0, 0, err,
                           "its %llu bytes at %llu are not its own", (unsigned long long)dataset->nbytes,
                           (unsigned long long)dataset->off) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        if (node->fault.code != KW_OK) {
            bool said = i == 0 && hdf5->fault.code == node->fault.code;
            if (!said && node->dataset == KW_NONE &&
                kw_build_fault(build, node->fault.code, node->fault.at, node->path, 0, 0, err, "%s",
                               node->fault.detail != NULL ? node->fault.detail : "") < 0)
                return -1;
        } else if (is_link(hdf5, i) &&
                   kw_build_fault(build, KW_LINK, KW_NOWHERE, node->path, 0, 0, err, "%s %.120s, not followed",
                                  node->kind == KW_NODE_SOFT       ? "a soft link to"
                                  : node->kind == KW_NODE_EXTERNAL ? "an external link to"
                                                                   : "a user-defined link of",
                                  node->target) < 0) {
            return -1;
        }
    }
    return 0;
}

/* What is wrong with an HDF5 file as a whole. */
static int blame_hdf5(kw_build *build, const kw_part *part, kw_error *err) {
    const kw_hdf5 *hdf5 = part->hdf5;
    uint64_t size = kw_source_size(part->source);
    const kw_fault *fault = &hdf5->fault;
    bool told = fault->code == KW_INTERRUPTED && fault->detail != NULL;
    if (hdf5->interrupted &&
        kw_build_fault(build, KW_INTERRUPTED, told ? fault->at : hdf5->base, part->name, size, hdf5->end, err, "%s",
                       told ? fault->detail : "the file was never finished") < 0)
        return -1;
    if (hdf5->truncated && !hdf5->interrupted &&
        kw_build_fault(build, KW_TRUNCATED, size, part->name, size, hdf5->end, err,
                       "the file ends before its last byte") < 0)
        return -1;
    /* The root being behind the end is what truncated says already. */
    bool said = fault->code == KW_INTERRUPTED || (hdf5->truncated && fault->code == KW_TRUNCATED);
    if (fault->code != KW_OK && !said &&
        kw_build_fault(build, fault->code, fault->at, part->name, 0, 0, err, "%s",
                       fault->detail != NULL ? fault->detail : "") < 0)
        return -1;
    return blame_nodes(build, hdf5, err);
}

int kw_keras_open_part(kw_build *build, kw_error *err) {
    kw_part *part = &build->file->parts[build->file->part_count - 1];
    kw_error why = {0};
    uint64_t size = kw_source_size(part->source);
    if (size < SIGNATURE_LEN)
        return kw_build_fault(build, KW_TRUNCATED, size, part->name, size, 0, err,
                              "the file ends within its signature");
    if (kw_hdf5_open(part->source, &part->hdf5, &why) < 0) {
        part->hdf5 = NULL;
        return kw_build_blame(build, &why, part->name, err);
    }
    char version[8];
    (void)snprintf(version, sizeof version, "%u", part->hdf5->superblock);
    if (kw_build_meta(build, "superblock", version, err) < 0) return -1;
    if (blame_hdf5(build, part, err) < 0) return -1;
    return build->audit ? kw_audit_part(build, part, err) : 0;
}

static int read_part(reader *r, const kw_part *part, kw_keras_kind kind, kw_error *err) {
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
    if (layout == KW_LAYOUT_LEGACY_MODEL && read_facts(r, find(r->hdf5, 0, "model_weights"), err) < 0) goto done;
    result = read_facts(r, 0, err);
done:
    free(r->users);
    r->users = NULL;
    return result;
}

/* Groups of shards that are not there. */
static int add_lost(reader *r, kw_keras_kind kind, const kw_mapped *mapped, kw_error *err) {
    r->part = NULL;
    for (size_t i = 0; i < mapped->count; i++) {
        const kw_mapped_group *lost = &mapped->groups[i];
        if (lost->fault.code == KW_OK) continue;
        const char *path = kind == KW_KERAS_HF_SHARD ? parent_of(r, lost->path, err) : lost->path;
        if (path == NULL) return -1;
        uint32_t row = group_of_path(r, path, err);
        if (row == KW_NONE) return -1;
        if (r->groups[row].fault.code == KW_OK) r->groups[row].fault = lost->fault;
        if (is_below(path, "optimizer")) r->groups[row].flags |= KW_GROUP_OPTIMIZER;
    }
    return 0;
}

/* Moves groups and slots to the arena, the slots of each group in one run. */
static int finish_rows(reader *r, kw_error *err) {
    kw_table *table = &r->file->table;
    table->groups = kw_arena_alloc(&table->arena, r->group_count * sizeof *table->groups);
    table->slots = kw_arena_alloc(&table->arena, r->slot_count * sizeof *table->slots);
    if (table->groups == NULL || table->slots == NULL) return kw_fail_memory(err);
    if (r->group_count > 0) memcpy(table->groups, r->groups, r->group_count * sizeof *table->groups);
    table->group_count = r->group_count;
    table->slot_count = r->slot_count;
    for (uint32_t i = 0; i < r->slot_count; i++) table->groups[r->slot_groups[i]].count++;
    for (uint32_t g = 0, first = 0; g < r->group_count; g++) {
        table->groups[g].first = first;
        first += table->groups[g].count;
        table->groups[g].count = 0;
    }
    for (uint32_t i = 0; i < r->slot_count; i++) {
        kw_group *group = &table->groups[r->slot_groups[i]];
        table->slots[group->first + group->count++] = r->slots[i];
    }
    /* The layer of a tensor is its group's name, which another shard may have told later. */
    for (uint32_t i = 0; i < table->tensor_count; i++) {
        kw_tensor *tensor = &table->tensors[i];
        if (tensor->group != KW_NONE && table->groups[tensor->group].name != NULL)
            tensor->layer = table->groups[tensor->group].name;
    }
    if (table->layout == KW_LAYOUT_V3 || table->layout == KW_LAYOUT_V3_TF212) sort_keys(table);
    return 0;
}

/* Makes ready to look up what the map says. */
static int open_map(reader *r, kw_mapped *mapped, kw_error *err) {
    uint32_t existing;
    if (r->file->content == KW_CONTENT_HF_SHARDS || mapped->count == 0) return 0;
    r->mapped = mapped;
    for (size_t i = 0; i < mapped->count; i++)
        if (kw_index_add(&r->map_paths, mapped->groups[i].path, (uint32_t)i, &existing, err) < 0) return -1;
    return 0;
}

int kw_keras_read(kw_build *build, kw_keras_kind kind, kw_mapped *mapped, kw_error *err) {
    reader r = {.build = build, .file = build->file, .paths = KW_INDEX_EMPTY, .map_paths = KW_INDEX_EMPTY};
    int result = -1;
    if (read_tensors(build, err) < 0 || open_map(&r, mapped, err) < 0) goto done;
    for (uint32_t p = 0; p < build->file->part_count; p++)
        if (read_part(&r, &build->file->parts[p], kind, err) < 0) goto done;
    if (add_lost(&r, kind, mapped, err) < 0 || finish_rows(&r, err) < 0) goto done;
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
