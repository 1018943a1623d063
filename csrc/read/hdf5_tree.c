/* hdf5_tree.c -- all objects of a file, depth first, and finding them again.
 *
 *   nodes     | root | layers | dense | vars | 0 | 1 | dense_1 | ...     parent < child
 *   families  one a node: a run of `children`, in name order, for searching
 */
#include "read/hdf5_tree.h"

#include <stdlib.h>
#include <string.h>

#include "read/hdf5_shared.h"

uint32_t kw_tree_add(kw_hdf5 *hdf5, kw_node node, kw_error *err) {
    struct kw_hdf5_private *more = hdf5->more;
    if (hdf5->node_count >= KW_NONE - 1 || KW_GROW(hdf5->nodes, hdf5->node_count, more->node_capacity, err) != 0 ||
        KW_GROW(more->families, more->family_count, more->family_capacity, err) != 0) {
        kw_fail_memory(err);
        return KW_NONE;
    }
    more->families[more->family_count++] = (kw_family){.same = KW_NONE};
    hdf5->nodes[hdf5->node_count] = node;
    return hdf5->node_count++;
}

/* Reserves the family of a node: `count` children that are not known yet. */
static int add_family(kw_hdf5 *hdf5, uint32_t node, size_t count, kw_error *err) {
    struct kw_hdf5_private *more = hdf5->more;
    more->families[node].first = (uint32_t)more->children_count;
    for (size_t i = 0; i < count; i++) {
        if (KW_GROW(more->children, more->children_count, more->children_capacity, err) != 0) return -1;
        more->children[more->children_count++] = KW_NONE;
    }
    return 0;
}

/* What an object is, as libhdf5 decides it. */
static bool is_group(const kw_object *object) {
    return kw_object_has(object, KW_MESSAGE_SYMBOL_TABLE) || kw_object_has(object, KW_MESSAGE_LINK_INFO) ||
           kw_object_has(object, KW_MESSAGE_LINK);
}

static bool is_dataset(const kw_object *object) {
    return kw_object_has(object, KW_MESSAGE_LAYOUT) || kw_object_has(object, KW_MESSAGE_SPACE);
}

/* Fills in a node from its object header; a group's links are left on the walk's list from `first` on. */
static int visit(kw_walk *walk, uint32_t node, kw_object *object, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    size_t first = walk->link_count;
    uint64_t address = hdf5->nodes[node].address;
    object->node = node;
    hdf5->nodes[node].first_attr = hdf5->attr_count;
    if (kw_object_read(walk, address, object, err) != 0) return -1;
    hdf5->nodes[node].attr_count = hdf5->attr_count - hdf5->nodes[node].first_attr;
    if (is_group(object)) {
        if (kw_group_read(walk, object, first, err) != 0) return -1;
    } else if (is_dataset(object)) {
        hdf5->nodes[node].kind = KW_NODE_DATASET;
        if (kw_dataset_add(walk, object, err) != 0) return -1;
    } else if (kw_object_has(object, KW_MESSAGE_TYPE)) {
        hdf5->nodes[node].kind = KW_NODE_TYPE;
    } else {
        kw_error cause;
        kw_fail(&cause, KW_CORRUPT, address, "neither group nor dataset nor datatype");
        if (kw_hdf5_note(hdf5, &object->fault, &cause, err) != 0) return -1;
    }
    hdf5->nodes[node].fault = object->fault;
    if (object->fault.code != KW_OK) walk->damaged = true;
    return 0;
}

/* *same is the earlier node of the object at `address`, or KW_NONE; 0 or -1.  A sound object has claimed its header, so
 * in a sound file where no object has two links nothing is looked up, and the index is never made. */
static int find_same(kw_walk *walk, uint32_t node, uint64_t address, uint32_t *same, kw_error *err) {
    const kw_hdf5 *hdf5 = walk->hdf5;
    *same = KW_NONE;
    if (!walk->damaged && !kw_ledger_has(&hdf5->more->ledger, address)) return 0;
    for (; walk->indexed < node; walk->indexed++) {
        const kw_node *n = &hdf5->nodes[walk->indexed];
        bool visited = n->kind == KW_NODE_GROUP || n->kind == KW_NODE_DATASET || n->kind == KW_NODE_TYPE;
        if (visited && kw_addresses_add(&walk->objects, n->address, walk->indexed, err) != 0) return -1;
    }
    *same = kw_addresses_find(&walk->objects, address);
    return 0;
}

/* A hard link to an object that was met already: shares its attributes and dataset. */
static void make_alias(kw_hdf5 *hdf5, uint32_t node, uint32_t same) {
    kw_node *n = &hdf5->nodes[node];
    const kw_node *seen = &hdf5->nodes[same];
    n->kind = KW_NODE_ALIAS;
    n->target = seen->path;
    n->first_attr = seen->first_attr;
    n->attr_count = seen->attr_count;
    n->dataset = seen->dataset;
    hdf5->more->families[node].same = same;
}

int kw_tree_push(kw_walk *walk, kw_frames *frames, uint32_t node, size_t first, kw_error *err) {
    if (walk->link_count == first) return 0;
    if (KW_GROW(frames->items, frames->count, frames->capacity, err) != 0) return -1;
    frames->items[frames->count++] = (kw_frame){.node = node, .first = first, .next = first, .end = walk->link_count};
    return add_family(walk->hdf5, node, walk->link_count - first, err);
}

/* The next link of the group on top becomes a node, and a frame when it has links itself. */
static int descend(kw_walk *walk, kw_frames *frames, kw_object *object, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    kw_frame *top = &frames->items[frames->count - 1];
    size_t place = top->next - top->first;
    kw_link link = walk->links[top->next++];
    uint32_t node = kw_tree_add(hdf5,
                                (kw_node){.name = link.path + link.name_off,
                                          .path = link.path,
                                          .target = link.target,
                                          .parent = top->node,
                                          .kind = link.kind,
                                          .address = link.address,
                                          .dataset = KW_NONE},
                                err);
    if (node == KW_NONE) return -1;
    hdf5->nodes[node].next = node + 1;
    kw_family *family = &hdf5->more->families[top->node];
    hdf5->more->children[family->first + place] = node;
    family->count++;
    if (link.kind != KW_NODE_GROUP) return 0;
    uint32_t same;
    if (find_same(walk, node, link.address, &same, err) != 0) return -1;
    if (same != KW_NONE) {
        make_alias(hdf5, node, same);
        return 0;
    }
    size_t first = walk->link_count;
    if (visit(walk, node, object, err) != 0) return -1;
    return kw_tree_push(walk, frames, node, first, err);
}

int kw_tree_step(kw_walk *walk, kw_frames *frames, kw_object *object, kw_error *err) {
    kw_frame top = frames->items[frames->count - 1];
    if (top.next < top.end) return descend(walk, frames, object, err);
    walk->hdf5->nodes[top.node].next = walk->hdf5->node_count;
    walk->link_count = top.first;
    frames->count--;
    return 0;
}

int kw_tree_start(kw_walk *walk, kw_frames *frames, uint64_t root, kw_object *object, kw_error *err) {
    uint32_t node = kw_tree_add(walk->hdf5,
                                (kw_node){.name = "", .path = "", .parent = KW_NONE, .next = 1, .address = root,
                                          .dataset = KW_NONE},
                                err);
    if (node == KW_NONE || visit(walk, node, object, err) != 0) return -1;
    return kw_tree_push(walk, frames, node, 0, err);
}

void kw_walk_free(kw_walk *walk) {
    kw_shared_close(walk);
    kw_block_free(&walk->header);
    kw_block_free(&walk->segment);
    kw_block_free(&walk->symbols);
    kw_global_heap_free(&walk->heap);
    kw_addresses_free(&walk->objects);
    kw_addresses_free(&walk->type_addresses);
    kw_ledger_free(&walk->type_ledger);
    free(walk->links);
    free(walk->chunks);
    free(walk->types);
}

void kw_hdf5_free(kw_hdf5 *hdf5) {
    if (hdf5 == NULL) return;
    if (hdf5->more != NULL) {
        kw_ledger_free(&hdf5->more->ledger);
        kw_block_free(&hdf5->more->spare);
        free(hdf5->more->families);
        free(hdf5->more->children);
        free(hdf5->more);
    }
    free(hdf5->nodes);
    free(hdf5->attrs);
    free(hdf5->datasets);
    kw_source_release(hdf5->source);
    kw_arena_free(&hdf5->arena);
    free(hdf5);
}

/* ---- finding ---- */

/* Compares a node's name with the first `len` bytes of `name`. */
static int compare_name(const char *node_name, const char *name, size_t len) {
    int order = strncmp(node_name, name, len);
    return order != 0 ? order : node_name[len] != 0;
}

/* A child by the first `len` bytes of `name`, or KW_NONE. */
static uint32_t find_child(const kw_hdf5 *hdf5, uint32_t node, const char *name, size_t len) {
    const struct kw_hdf5_private *more = hdf5->more;
    if (node >= hdf5->node_count) return KW_NONE;
    if (more->families[node].same != KW_NONE) node = more->families[node].same;
    uint32_t low = more->families[node].first, high = low + more->families[node].count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_name(hdf5->nodes[more->children[middle]].name, name, len);
        if (order == 0) return more->children[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return KW_NONE;
}

uint32_t kw_hdf5_find(const kw_hdf5 *hdf5, uint32_t node, const char *name) {
    return find_child(hdf5, node, name, strlen(name));
}

uint32_t kw_hdf5_find_path(const kw_hdf5 *hdf5, uint32_t node, const char *path) {
    while (*path != 0 && node != KW_NONE) {
        size_t len = strcspn(path, "/");
        if (len > 0) node = find_child(hdf5, node, path, len);
        path += len + (path[len] == '/');
    }
    return node < hdf5->node_count ? node : KW_NONE;
}

const kw_attr *kw_hdf5_attr(const kw_hdf5 *hdf5, uint32_t node, const char *name) {
    if (node >= hdf5->node_count) return NULL;
    const kw_node *n = &hdf5->nodes[node];
    for (uint32_t i = 0; i < n->attr_count; i++)
        if (strcmp(hdf5->attrs[n->first_attr + i].name, name) == 0) return &hdf5->attrs[n->first_attr + i];
    return NULL;
}
