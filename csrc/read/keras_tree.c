/* keras_tree.c -- what is looked for in an HDF5 tree: objects by their path, texts, lists of names.
 *
 *     @layer_names = [d1, d2]    or, where that is too long for one attribute,
 *     @layer_names0 = [d1]  @layer_names1 = [d2] ...
 *
 * Keras 2.15 and 3.15, save_attributes_to_hdf5_group in src/legacy/saving/legacy_h5_format.py.
 */
#include "read/keras_tree.h"

#include <stdlib.h>

#include "read/hdf5_private.h"

enum { CHUNKS_MAX = 1024 }; /* of a list that is split over several attributes */

uint32_t kw_keras_resolve(const kw_hdf5 *hdf5, uint32_t node) {
    if (node == KW_NONE || hdf5->nodes[node].kind != KW_NODE_ALIAS) return node;
    return hdf5->more->families[node].same;
}

uint32_t kw_keras_find(const kw_hdf5 *hdf5, uint32_t node, const char *path) {
    if (strnlen(path, KW_KERAS_NAME_MAX + 1) > KW_KERAS_NAME_MAX) return KW_NONE;
    return kw_keras_resolve(hdf5, kw_hdf5_find_path(hdf5, path[0] == '/' ? 0 : node, path));
}

bool kw_keras_is_group(const kw_hdf5 *hdf5, uint32_t node) {
    return node != KW_NONE && hdf5->nodes[node].kind == KW_NODE_GROUP;
}

bool kw_keras_is_dataset(const kw_hdf5 *hdf5, uint32_t node) {
    return node != KW_NONE && hdf5->nodes[node].dataset != KW_NONE;
}

bool kw_keras_is_link(const kw_hdf5 *hdf5, uint32_t node) {
    if (node == KW_NONE) return false;
    kw_node_kind kind = hdf5->nodes[node].kind;
    return kind == KW_NODE_SOFT || kind == KW_NODE_EXTERNAL || kind == KW_NODE_USER;
}

kw_fault kw_keras_link_fault(void) {
    return (kw_fault){KW_LINK, KW_NOWHERE, "a link, not followed"};
}

const char *kw_keras_attr_text(const kw_hdf5 *hdf5, uint32_t node, const char *name) {
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

int kw_keras_read_names(const kw_hdf5 *hdf5, kw_arena *arena, uint32_t node, const char *base, kw_keras_names *list,
                        kw_error *err) {
    const kw_attr *chunks[CHUNKS_MAX], *last = NULL;
    unsigned count = find_chunks(hdf5, node, base, chunks), used = 0;
    size_t total = 0;
    *list = (kw_keras_names){.absent = count == 0};
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
    const char **texts = list->texts = kw_arena_alloc(arena, total * sizeof *texts);
    if (texts == NULL) return kw_fail_memory(err);
    for (unsigned i = 0; i < used; texts += chunks[i++]->count)
        memcpy(texts, chunks[i]->texts, chunks[i]->count * sizeof *texts);
    return 0;
}
