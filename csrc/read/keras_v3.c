/* keras_v3.c -- the layout of Keras 3.
 *
 *     /layers/dense/vars          @name = "d1"
 *     /layers/dense/vars/0        the dataset
 *
 * Of the shards of one save only what the map gives to each, as Keras does.
 */
#include "read/keras_layouts.h"

bool kw_keras_is_below(const char *path, const char *first) {
    size_t len = strlen(first);
    return strncmp(path, first, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* True when a shard map does not give the group to the part that is read: Keras does not look for it there.  `some`:
 * the part has tensors of it. */
static bool is_stray(kw_keras_reader *r, const char *path, bool some) {
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
        if (kw_keras_is_dataset(hdf5, kw_keras_resolve(hdf5, i))) return true;
    return false;
}

/* The group of the object whose variables are in node `vars`, itself below `owner`. */
static int read_object(kw_keras_reader *r, uint32_t owner, uint32_t vars, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    const char *path = hdf5->nodes[owner].path;
    uint32_t row = kw_keras_group_of_path(r, path, err), user = r->users[vars];
    if (row == KW_NONE) return -1;
    kw_group *group = &r->groups[row];
    const char *name = user == KW_NONE ? kw_keras_attr_text(hdf5, vars, "name") : r->groups[user].name;
    if (group->name == NULL && name != NULL) {
        group->name = name;
        group->flags |= KW_GROUP_NAMED;
        if (strnlen(name, KW_KERAS_NAME_MAX) < KW_KERAS_NAME_MAX && kw_name_is_automatic(name, NULL))
            group->flags |= KW_GROUP_AUTO_NAME;
    }
    if (kw_keras_is_below(path, "optimizer")) group->flags |= KW_GROUP_OPTIMIZER;
    if (kw_keras_is_below(path, "metrics")) group->flags |= KW_GROUP_METRIC;
    if (group->fault.code == KW_OK) group->fault = hdf5->nodes[vars].fault;
    if (user != KW_NONE) {
        group->fault = (kw_fault){KW_ALIAS, hdf5->nodes[vars].address,
                                  "the variables of another object under a second name"};
        return 0;
    }
    r->users[vars] = row;
    bool stray = is_stray(r, path, has_datasets(hdf5, vars));
    for (uint32_t i = vars + 1; i < hdf5->nodes[vars].next; i = hdf5->nodes[i].next) {
        uint32_t node = kw_keras_resolve(hdf5, i);
        if (stray && kw_keras_is_dataset(hdf5, node)) r->mapped->strays[r->part - r->file->parts]++;
        bool link = kw_keras_is_link(hdf5, i); /* a key as well */
        if (!stray && (link || kw_keras_is_dataset(hdf5, node)) &&
            kw_keras_add_slot(r, row, hdf5->nodes[i].name, node, hdf5->nodes[i].name, err) < 0)
            return -1;
        if (link) r->groups[row].fault = kw_keras_link_fault();
    }
    return 0;
}

/* The group in whose place, or in that of whose `vars`, there is a link: a row that says so.  0, or -1. */
static int read_link(kw_keras_reader *r, uint32_t link, kw_error *err) {
    const kw_node *node = &r->hdf5->nodes[link], *parent = &r->hdf5->nodes[node->parent];
    if (strcmp(parent->name, "vars") == 0) return 0; /* a variable */
    uint32_t row = kw_keras_group_of_path(r, strcmp(node->name, "vars") == 0 ? parent->path : node->path, err);
    if (row == KW_NONE) return -1;
    r->groups[row].flags |= KW_GROUP_LINK;
    return 0;
}

int kw_keras_read_v3(kw_keras_reader *r, kw_error *err) {
    const kw_hdf5 *hdf5 = r->hdf5;
    for (uint32_t i = 1; i < hdf5->node_count; i++) {
        const kw_node *node = &hdf5->nodes[i];
        uint32_t target = kw_keras_resolve(hdf5, i);
        if (kw_keras_is_link(hdf5, i) && read_link(r, i, err) < 0) return -1;
        if (!kw_keras_is_group(hdf5, target)) continue;
        if (strcmp(node->name, "vars") == 0) {
            if (read_object(r, node->parent, target, err) < 0) return -1;
        } else if (target != i && kw_build_fault(r->build, KW_ALIAS, node->address, node->path, 0, 0, err,
                                                 "a second name of the group %.100s, not followed", node->target) < 0) {
            return -1;
        }
    }
    return 0;
}
