/* hdf5_group.c -- links: a symbol table, messages, or dense storage.
 *
 *   symbol table   TREE --> SNOD |1|.|used| name off|header|cache|.|scratch 16| name off|header| ...
 *                           HEAP --> names
 *   link message   |1|flags|kind?|order?|charset?|name size|name| address, or size and target |
 *   dense          BTHD, records |hash|heap ID| --> FRHP --> link messages
 *
 * Soft, external and user-defined links become nodes and are never followed.
 *
 * HDF5 File Format Specification v3.0, III.B, III.C, IV.A.2.g.
 */
#include "read/hdf5_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINK_HARD = 0, LINK_SOFT = 1, LINK_EXTERNAL = 64 };

/* A new link of `node` with its path; NULL on failure.  The caller fills it in. */
static kw_link *add_link(kw_walk *walk, uint32_t node, const uint8_t *name, size_t name_len, uint64_t at,
                         kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    if (name_len == 0 || memchr(name, '/', name_len) != NULL || memchr(name, 0, name_len) != NULL) {
        kw_fail(err, KW_CORRUPT, at, "link name that is empty or has a '/' or a NUL");
        return NULL;
    }
    const char *parent = hdf5->nodes[node].path;
    size_t parent_len = strlen(parent), name_off = parent_len > 0 ? parent_len + 1 : 0;
    size_t len = name_off + name_len;
    if (kw_hdf5_spend(hdf5, len + sizeof(kw_node) + sizeof(kw_family), err) != 0) return NULL;
    char *path = kw_arena_alloc(&hdf5->arena, len + 1);
    if (path == NULL || len > UINT32_MAX) {
        kw_fail_memory(err);
        return NULL;
    }
    if (KW_GROW(walk->links, walk->link_count, walk->link_capacity, err) != 0) return NULL;
    memcpy(path, parent, parent_len);
    if (parent_len > 0) path[parent_len] = '/';
    memcpy(path + name_off, name, name_len);
    kw_link *link = &walk->links[walk->link_count++];
    *link = (kw_link){.path = path, .name_off = (uint32_t)name_off, .kind = KW_NODE_GROUP, .address = KW_NOWHERE};
    return link;
}

/* A copy of a link's target in the arena; NULL on failure. */
static const char *copy_target(kw_hdf5 *hdf5, const void *text, size_t len, kw_error *err) {
    if (kw_hdf5_spend(hdf5, len, err) != 0) return NULL;
    const char *copy = kw_arena_text(&hdf5->arena, text, len);
    if (copy == NULL) kw_fail_memory(err);
    return copy;
}

/* ---- link messages ---- */

/* An external link's value, |flags|file\0|path\0|, as "file:path". */
static const char *read_external(kw_hdf5 *hdf5, kw_view value, kw_error *err) {
    const uint8_t *file = value.data + 1;
    const uint8_t *file_end = value.len > 1 ? memchr(file, 0, value.len - 1) : NULL;
    const uint8_t *end = value.data + value.len;
    const uint8_t *path_end = file_end != NULL ? memchr(file_end + 1, 0, (size_t)(end - file_end - 1)) : NULL;
    if (path_end == NULL) {
        kw_fail(err, KW_CORRUPT, value.off, "external link is cut");
        return NULL;
    }
    char *target = (char *)(uintptr_t)copy_target(hdf5, file, (size_t)(path_end - file), err);
    if (target != NULL) target[file_end - file] = ':';
    return target;
}

/* Fills in what a link that is not hard points to. */
static int read_target(kw_hdf5 *hdf5, kw_cursor *c, unsigned kind, kw_link *link, kw_error *err) {
    size_t len = kw_cursor_u16(c);
    kw_view value = kw_cursor_view(c, len);
    if (c->short_) return kw_fail(err, KW_CORRUPT, kw_cursor_at(c), "link message is cut");
    if (kind == LINK_SOFT) {
        link->kind = KW_NODE_SOFT;
        link->target = copy_target(hdf5, value.data, value.len, err);
    } else if (kind == LINK_EXTERNAL) {
        link->kind = KW_NODE_EXTERNAL;
        link->target = read_external(hdf5, value, err);
    } else {
        char text[32];
        int text_len = snprintf(text, sizeof text, "kind %u", kind);
        link->kind = KW_NODE_USER;
        link->target = copy_target(hdf5, text, (size_t)text_len, err);
    }
    return link->target != NULL ? 0 : -1;
}

int kw_link_read(kw_walk *walk, uint32_t node, kw_view message, kw_error *err) {
    kw_cursor c = kw_cursor_of(message);
    uint8_t version = kw_cursor_u8(&c), flags = kw_cursor_u8(&c);
    unsigned kind = flags & 0x08 ? kw_cursor_u8(&c) : LINK_HARD;
    if (flags & 0x04) kw_cursor_skip(&c, 8);
    if (flags & 0x10) kw_cursor_skip(&c, 1);
    uint64_t name_len = kw_cursor_uint(&c, 1u << (flags & 3));
    if (c.short_ || version != 1 || name_len > kw_cursor_left(&c))
        return kw_fail(err, KW_CORRUPT, message.off, "link message");
    kw_view name = kw_cursor_view(&c, (size_t)name_len);
    kw_link *link = add_link(walk, node, name.data, name.len, name.off, err);
    if (link == NULL) return -1;
    if (kind == LINK_HARD) {
        link->address = kw_cursor_address(&c, &walk->hdf5->more->sizes);
        if (!c.short_) return 0;
        kw_fail(err, KW_CORRUPT, message.off, "link message is cut");
    } else if (kind != LINK_SOFT && kind < LINK_EXTERNAL) {
        kw_fail(err, KW_CORRUPT, message.off, "link of kind %u", kind);
    } else if (read_target(walk->hdf5, &c, kind, link, err) == 0) {
        return 0;
    }
    walk->link_count--;
    return -1;
}

/* ---- symbol tables ---- */

typedef struct table {
    kw_walk *walk;
    kw_object *object;
    kw_view names;
} table;

/* One entry of a symbol table node; 0 or -1. */
static int read_entry(table *t, kw_cursor *c, kw_error *err) {
    enum { CACHED_SOFT = 2 };
    kw_hdf5 *hdf5 = t->walk->hdf5;
    const kw_hdf5_sizes *sizes = &hdf5->more->sizes;
    uint64_t at = kw_cursor_at(c), name_off = kw_cursor_uint(c, sizes->offset_len);
    uint64_t address = kw_cursor_address(c, sizes);
    uint32_t cached = kw_cursor_u32(c);
    kw_cursor_skip(c, 4);
    uint32_t target_off = kw_cursor_u32(c);
    kw_cursor_skip(c, 12);
    size_t name_len = 0, target_len = 0;
    const char *name = kw_local_heap_text(t->names, name_off, &name_len);
    if (name == NULL) return kw_fail(err, KW_CORRUPT, at, "link name outside of the local heap");
    kw_link *link = add_link(t->walk, t->object->node, (const uint8_t *)name, name_len, at, err);
    if (link == NULL) return -1;
    link->address = address;
    if (cached != CACHED_SOFT) return 0;
    const char *target = kw_local_heap_text(t->names, target_off, &target_len);
    link->kind = KW_NODE_SOFT;
    link->target = target != NULL ? copy_target(hdf5, target, target_len, err) : NULL;
    if (link->target != NULL) return 0;
    t->walk->link_count--;
    return target != NULL ? -1 : kw_fail(err, KW_CORRUPT, at, "soft link outside of the local heap");
}

/* Loads a symbol table node; *out is at its first entry. */
static int load_symbols(table *t, uint64_t address, unsigned *count, kw_cursor *out, kw_error *err) {
    kw_hdf5 *hdf5 = t->walk->hdf5;
    kw_view view;
    if (kw_block_peek(hdf5, &t->walk->symbols, address, 8, &view, err) != 0) return -1;
    if (!kw_view_starts(view, "SNOD\1", 5)) return kw_fail(err, KW_CORRUPT, address, "symbol table node signature");
    kw_cursor c = kw_cursor_of(view);
    kw_cursor_skip(&c, 6);
    *count = kw_cursor_u16(&c);
    uint64_t len = 8 + *count * (2ull * hdf5->more->sizes.offset_len + 24);
    if (kw_block_extend(hdf5, &hdf5->more->ledger, &t->walk->symbols, len, &view, err) != 0) return -1;
    *out = kw_cursor_of(view);
    kw_cursor_skip(out, 8);
    return 0;
}

/* A child of the B-tree: a symbol table node.  Damage is kept, the rest goes on. */
static int take_symbols(void *context, kw_view key, kw_view next_key, uint64_t child, kw_error *err) {
    (void)key;
    (void)next_key;
    table *t = context;
    kw_hdf5 *hdf5 = t->walk->hdf5;
    kw_cursor c;
    unsigned count = 0;
    kw_error cause;
    if (load_symbols(t, child, &count, &c, &cause) != 0) return kw_hdf5_note(hdf5, &t->object->fault, &cause, err);
    for (unsigned i = 0; i < count; i++) {
        if (read_entry(t, &c, &cause) == 0) continue;
        if (kw_hdf5_note(hdf5, &t->object->fault, &cause, err) != 0) return -1;
        if (cause.code == KW_BOMB) return 0;
    }
    return 0;
}

static int read_symbol_table(kw_walk *walk, kw_object *object, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    table t = {.walk = walk, .object = object};
    if (kw_local_heap_load(hdf5, object->heap_at, &walk->segment, &t.names, err) != 0) return -1;
    return kw_btree1_walk(hdf5, &hdf5->more->ledger, object->tree_at, 0, hdf5->more->sizes.length_len, take_symbols, &t,
                          err);
}

/* ---- dense links ---- */

typedef struct dense {
    kw_walk *walk;
    kw_object *object;
    kw_fractal_heap *heap;
} dense;

/* One record of the name index: hash, heap ID. */
static int take_dense_link(void *context, kw_view record, kw_error *err) {
    dense *d = context;
    kw_cursor c = kw_cursor_of(record);
    kw_cursor_skip(&c, 4);
    kw_view id = kw_cursor_view(&c, 7), message;
    kw_error cause;
    if (kw_fractal_heap_find(d->heap, id, &message, &cause) == 0 &&
        kw_link_read(d->walk, d->object->node, message, &cause) == 0)
        return 0;
    return kw_hdf5_note(d->walk->hdf5, &d->object->fault, &cause, err);
}

static int read_dense(kw_walk *walk, kw_object *object, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5;
    dense d = {.walk = walk, .object = object};
    int result = kw_fractal_heap_open(hdf5, object->link_heap_at, &d.heap, err);
    if (result == 0)
        result = kw_btree2_walk(hdf5, &hdf5->more->ledger, object->link_tree_at, 5, 11, take_dense_link, &d, err);
    kw_fractal_heap_close(d.heap);
    return result;
}

/* ---- order ---- */

static const char *name_of(const kw_link *link) { return link->path + link->name_off; }

static int compare_links(const void *a, const void *b) {
    const kw_link *x = a, *y = b;
    int order = strcmp(name_of(x), name_of(y));
    return order != 0 ? order : (x->address > y->address) - (x->address < y->address);
}

/* Sorts the links from `first` on (symbol tables are sorted already) and drops those whose name another has. */
static int sort_links(kw_walk *walk, kw_object *object, size_t first, kw_error *err) {
    size_t count = walk->link_count - first, kept = 0;
    if (count < 2) return 0;
    kw_link *links = walk->links + first;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = strcmp(name_of(&links[i - 1]), name_of(&links[i])) < 0;
    if (sorted) return 0;
    qsort(links, count, sizeof *links, compare_links);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(name_of(&links[kept - 1]), name_of(&links[i])) != 0) links[kept++] = links[i];
    if (kept == count) return 0;
    walk->link_count = first + kept;
    kw_error cause;
    kw_fail(&cause, KW_CORRUPT, KW_NOWHERE, "%zu links of a group have the name of another", count - kept);
    return kw_hdf5_note(walk->hdf5, &object->fault, &cause, err);
}

int kw_group_read(kw_walk *walk, kw_object *object, size_t first, kw_error *err) {
    kw_error cause;
    int result = 0;
    if (kw_object_has(object, KW_MESSAGE_SYMBOL_TABLE)) result = read_symbol_table(walk, object, &cause);
    else if (object->link_heap_at != KW_NOWHERE) result = read_dense(walk, object, &cause);
    if (result != 0 && kw_hdf5_note(walk->hdf5, &object->fault, &cause, err) != 0) return -1;
    return sort_links(walk, object, first, err);
}
