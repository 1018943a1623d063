/* hdf5_btree.c -- B-trees, version 1 and 2, walked with a list of nodes to come.
 *
 *   version 1   TREE |type|level| used |left|right| key 0 |child 0| key 1 | ... |child n-1| key n |
 *   version 2   BTHD |ver|type|node size|record size|depth|..|root|records|total|checksum|
 *               BTIN |ver|type| record 0 ... n-1 | child 0 ... child n |checksum|
 *               BTLF |ver|type| record 0 ... n-1 |checksum|
 *
 * HDF5 File Format Specification v3.0, III.A.1 and III.A.2.
 */
#include "read/hdf5_btree.h"

#include <stdlib.h>

#include "read/hdf5_checksum.h"

/* A node that is to be visited. */
typedef struct todo {
    uint64_t address;
    uint64_t record_count; /* version 2 */
    unsigned level;        /* 0: a leaf */
} todo;

typedef struct walk {
    kw_hdf5 *hdf5;
    kw_ledger *ledger;
    kw_block block;
    todo *todos;
    size_t todo_count, todo_capacity;
    kw_error first; /* of the branches that were given up */
} walk;

static int push(walk *w, todo t, kw_error *err) {
    if (KW_GROW(w->todos, w->todo_count, w->todo_capacity, err) != 0) return -1;
    w->todos[w->todo_count++] = t;
    return 0;
}

/* The children of a node come off the list in order. */
static void reverse(todo *todos, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        todo t = todos[i];
        todos[i] = todos[count - 1 - i];
        todos[count - 1 - i] = t;
    }
}

/* A walk that uses the file's spare block (a walk inside a walk finds none). */
static walk begin(kw_hdf5 *hdf5, kw_ledger *ledger) {
    walk w = {.hdf5 = hdf5, .ledger = ledger, .block = hdf5->more->spare};
    hdf5->more->spare = KW_BLOCK_EMPTY;
    return w;
}

/* Ends a walk: frees it and hands out the error that it kept, if any. */
static int finish(walk *w, int result, kw_error *err) {
    free(w->todos);
    kw_block_free(&w->hdf5->more->spare);
    w->hdf5->more->spare = w->block;
    if (result == 0 && w->first.code != KW_OK) {
        *err = w->first;
        return -1;
    }
    return result;
}

/* The next node of the list; false at the end. */
static bool pop(walk *w, todo *t) {
    if (w->todo_count == 0) return false;
    *t = w->todos[--w->todo_count];
    return true;
}

/* Keeps the error of a branch; -1 when the walk must end. */
static int give_up_branch(walk *w, const kw_error *cause, bool callback, kw_error *err) {
    if (callback || kw_error_is_fatal(cause)) {
        *err = *cause;
        return -1;
    }
    if (w->first.code == KW_OK) w->first = *cause;
    return 0;
}

/* ---- version 1 ---- */

/* Reads a node: its used keys and children.  *level is checked against the
 * parent's (KW_NONE for the root).  The entries follow the header in *out. */
static int load_node1(walk *w, todo t, uint8_t type, size_t key_len, kw_cursor *out, unsigned *used, unsigned *level,
                      kw_error *err) {
    const kw_hdf5_sizes *sizes = &w->hdf5->more->sizes;
    size_t head_len = 8 + 2u * sizes->offset_len;
    kw_view view;
    if (kw_block_peek(w->hdf5, &w->block, t.address, head_len, &view, err) != 0) return -1;
    kw_cursor c = kw_cursor_of(view);
    if (!kw_view_starts(view, "TREE", 4)) return kw_fail(err, KW_CORRUPT, t.address, "B-tree node signature");
    kw_cursor_skip(&c, 4);
    if (kw_cursor_u8(&c) != type) return kw_fail(err, KW_CORRUPT, t.address + 4, "B-tree of another type");
    *level = kw_cursor_u8(&c);
    if (t.level != KW_NONE && *level != t.level) return kw_fail(err, KW_CORRUPT, t.address + 5, "B-tree level");
    *used = kw_cursor_u16(&c);
    uint64_t len = head_len + *used * (uint64_t)(key_len + sizes->offset_len) + key_len;
    if (kw_block_extend(w->hdf5, w->ledger, &w->block, len, &view, err) != 0) return -1;
    *out = kw_cursor_of(view);
    kw_cursor_skip(out, head_len);
    return 0;
}

/* Visits one node: calls back for a leaf's children, lists an inner node's. */
static int visit_node1(walk *w, todo t, uint8_t type, size_t key_len, kw_btree1_fn fn, void *context, bool *callback,
                       kw_error *err) {
    const kw_hdf5_sizes *sizes = &w->hdf5->more->sizes;
    kw_cursor c;
    unsigned used = 0, level = 0;
    if (load_node1(w, t, type, key_len, &c, &used, &level, err) != 0) return -1;
    size_t before = w->todo_count;
    kw_view key = kw_cursor_view(&c, key_len);
    for (unsigned i = 0; i < used; i++) {
        uint64_t child = kw_cursor_address(&c, sizes);
        kw_view next = kw_cursor_view(&c, key_len);
        if (level > 0) {
            if (push(w, (todo){.address = child, .level = level - 1}, err) != 0) return -1;
        } else if (fn(context, key, next, child, err) != 0) {
            *callback = true;
            return -1;
        }
        key = next;
    }
    if (w->todo_count > before) reverse(w->todos + before, w->todo_count - before);
    return 0;
}

int kw_btree1_walk(kw_hdf5 *hdf5, kw_ledger *ledger, uint64_t address, uint8_t type, size_t key_len, kw_btree1_fn fn,
                   void *context, kw_error *err) {
    walk w = begin(hdf5, ledger);
    todo t = {.address = address, .level = KW_NONE};
    int result = 0;
    do {
        bool callback = false;
        kw_error cause;
        if (visit_node1(&w, t, type, key_len, fn, context, &callback, &cause) != 0)
            result = give_up_branch(&w, &cause, callback, err);
    } while (result == 0 && pop(&w, &t));
    return finish(&w, result, err);
}

/* ---- version 2 ---- */

enum { DEPTH_MAX = 32, NODE2_OVERHEAD = 10 }; /* signature, version, type, checksum */

typedef struct tree2 {
    uint8_t type;
    uint32_t node_len;
    uint16_t record_len;
    unsigned depth;
    unsigned count_width;               /* of a child's number of records */
    unsigned total_width[DEPTH_MAX];    /* of a subtree's, by level of the subtree's root */
    uint64_t record_max[DEPTH_MAX];     /* records a node, by level */
} tree2;

/* Works out the widths of the fields of inner nodes; 0 or KW_CORRUPT. */
static int measure(tree2 *t, unsigned offset_len, uint64_t at, kw_error *err) {
    if (t->record_len == 0 || t->node_len < NODE2_OVERHEAD || t->depth >= DEPTH_MAX)
        return kw_fail(err, KW_CORRUPT, at, "B-tree v2 sizes");
    uint64_t total = t->record_max[0] = (t->node_len - NODE2_OVERHEAD) / t->record_len;
    t->count_width = kw_width_of(t->record_max[0]);
    for (unsigned level = 1; level <= t->depth; level++) {
        unsigned pointer = offset_len + t->count_width + t->total_width[level - 1];
        if (t->node_len < NODE2_OVERHEAD + pointer) return kw_fail(err, KW_CORRUPT, at, "B-tree v2 node size");
        uint64_t max = (t->node_len - NODE2_OVERHEAD - pointer) / (t->record_len + pointer);
        if (!kw_mul(total, max + 1, &total) || !kw_add(total, max, &total))
            return kw_fail(err, KW_CORRUPT, at, "B-tree v2 depth");
        t->record_max[level] = max;
        t->total_width[level] = kw_width_of(total);
    }
    return 0;
}

/* Reads the header: *root is the first node to visit. */
static int load_header2(walk *w, uint64_t address, uint8_t type, size_t record_len, tree2 *t, todo *root,
                        kw_error *err) {
    const kw_hdf5_sizes *sizes = &w->hdf5->more->sizes;
    kw_view head;
    if (kw_block_load(w->hdf5, w->ledger, &w->block, address, 22u + sizes->offset_len + sizes->length_len, &head,
                      err) != 0)
        return -1;
    if (!kw_view_starts(head, "BTHD", 4)) return kw_fail(err, KW_CORRUPT, address, "B-tree v2 signature");
    if (kw_hdf5_checksum_verify(head, "B-tree v2 header", err) != 0) return -1;
    kw_cursor c = kw_cursor_of(head);
    kw_cursor_skip(&c, 4);
    if (kw_cursor_u8(&c) != 0) return kw_fail(err, KW_UNSUPPORTED, address + 4, "B-tree v2 version");
    t->type = kw_cursor_u8(&c);
    if (t->type != type) return kw_fail(err, KW_CORRUPT, address + 5, "B-tree v2 of another type");
    t->node_len = kw_cursor_u32(&c);
    t->record_len = kw_cursor_u16(&c);
    t->depth = kw_cursor_u16(&c);
    kw_cursor_skip(&c, 2);
    root->address = kw_cursor_address(&c, sizes);
    root->record_count = kw_cursor_u16(&c);
    root->level = t->depth;
    if (t->record_len < record_len) return kw_fail(err, KW_CORRUPT, address + 10, "B-tree v2 record size");
    return measure(t, sizes->offset_len, address, err);
}

/* Lists the children of an inner node, whose pointers the cursor is at. */
static int push_children2(walk *w, const tree2 *t, todo node, kw_cursor *c, kw_error *err) {
    size_t before = w->todo_count;
    for (uint64_t i = 0; i <= node.record_count; i++) {
        todo child = {.level = node.level - 1};
        child.address = kw_cursor_address(c, &w->hdf5->more->sizes);
        child.record_count = kw_cursor_uint(c, t->count_width);
        kw_cursor_skip(c, t->total_width[child.level]);
        if (push(w, child, err) != 0) return -1;
    }
    if (w->todo_count > before) reverse(w->todos + before, w->todo_count - before);
    return 0;
}

/* Visits one node: calls back for its records, lists its children. */
static int visit_node2(walk *w, const tree2 *t, todo node, kw_btree2_fn fn, void *context, bool *callback,
                       kw_error *err) {
    if (node.record_count > t->record_max[node.level])
        return kw_fail(err, KW_CORRUPT, node.address, "B-tree v2 node has too many records");
    unsigned pointer = w->hdf5->more->sizes.offset_len + t->count_width;
    if (node.level > 0) pointer += t->total_width[node.level - 1];
    uint64_t len = NODE2_OVERHEAD + node.record_count * t->record_len;
    if (node.level > 0) len += (node.record_count + 1) * pointer;
    kw_view view;
    if (kw_block_load(w->hdf5, w->ledger, &w->block, node.address, len, &view, err) != 0) return -1;
    if (!kw_view_starts(view, node.level > 0 ? "BTIN" : "BTLF", 4) || view.data[5] != t->type)
        return kw_fail(err, KW_CORRUPT, node.address, "B-tree v2 node signature");
    if (kw_hdf5_checksum_verify(view, "B-tree v2 node", err) != 0) return -1;
    kw_cursor c = kw_cursor_of(view);
    kw_cursor_skip(&c, 6);
    for (uint64_t i = 0; i < node.record_count; i++) {
        *callback = fn(context, kw_cursor_view(&c, t->record_len), err) != 0;
        if (*callback) return -1;
    }
    return node.level > 0 ? push_children2(w, t, node, &c, err) : 0;
}

int kw_btree2_walk(kw_hdf5 *hdf5, kw_ledger *ledger, uint64_t address, uint8_t type, size_t record_len,
                   kw_btree2_fn fn, void *context, kw_error *err) {
    walk w = begin(hdf5, ledger);
    tree2 t = {0};
    todo node = {0};
    int result = load_header2(&w, address, type, record_len, &t, &node, err);
    bool more = result == 0 && node.address != KW_NOWHERE;
    while (result == 0 && more) {
        bool callback = false;
        kw_error cause;
        if (visit_node2(&w, &t, node, fn, context, &callback, &cause) != 0)
            result = give_up_branch(&w, &cause, callback, err);
        more = pop(&w, &node);
    }
    return finish(&w, result, err);
}
