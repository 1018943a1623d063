/* hdf5_parts.c -- the links of a large group, walked by several threads.
 *
 *     links   |dense|dense_1|dense_10| ... |dense_499|dense_5|...|dense_999|
 *     parts   |          0: the walk itself          |          1          |
 *     nodes   |group|dense|vars|0|1|dense_1|...      |group|dense_5|vars|...
 *                                                             `--> appended, with other numbers
 *
 * Each part but the first is walked as a file of its own: bytes by a cache of its
 * own, a ledger, nodes, attributes, datasets.  Then they are appended, part by
 * part.  That is what one walk would have found if the parts have nothing to do
 * with each other: no damage was met, no byte is claimed by two.  Anything else
 * (an object with links from two parts, say) only one walk can tell in the right
 * order, and the file is read again.  So threads change the time and nothing else.
 * Values are claimed while their header is in the processor's cache; one walk does
 * it at the end, which makes no difference without damage, here or later.
 */
#include "read/hdf5_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/work.h"
#include "read/hdf5_extents.h"

typedef struct part {
    kw_walk *walk; /* `own`, or the one that met the group */
    kw_walk own;
    kw_ledger collections; /* of `own`: two parts may read the same one */
    kw_frames frames;
    kw_object object;
    uint32_t first_dataset;
} part;

/* In how many parts the links of the group on top are best walked: 1 when one thread should. */
static size_t count_parts(const kw_walk *walk, const kw_frame *top) {
    size_t count = top->end - top->first, threads = (size_t)walk->threads.count;
    if (walk->threads.count < 2 || top->next != top->first || count / 2 < walk->threads.links) return 1;
    if (walk->hdf5->more->noted || walk->shared != NULL || kw_source_fd(walk->hdf5->source) < 0) return 1;
    return count / walk->threads.links < threads ? count / walk->threads.links : threads;
}

/* A file of which nothing is known but what the superblock says, with the group as its first node; 0 or -1. */
static int open_own(const kw_hdf5 *hdf5, uint32_t group, kw_walk *own, kw_error *err) {
    own->hdf5 = calloc(1, sizeof *own->hdf5);
    if (own->hdf5 == NULL) return kw_fail_memory(err);
    own->hdf5->more = calloc(1, sizeof *own->hdf5->more);
    if (own->hdf5->more == NULL) return kw_fail_memory(err);
    own->hdf5->superblock = hdf5->superblock;
    own->hdf5->base = hdf5->base;
    own->hdf5->end = hdf5->end;
    own->hdf5->truncated = hdf5->truncated;
    own->hdf5->more->sizes = hdf5->more->sizes;
    own->hdf5->more->spent = hdf5->more->spent;
    if (kw_source_open_twin(hdf5->source, &own->hdf5->source, err) != 0) return -1;
    return kw_tree_add(own->hdf5, hdf5->nodes[group], err) != KW_NONE ? 0 : -1;
}

/* Prepares a part for the links [first, end) of the walk; 0 or -1. */
static int prepare(part *p, const kw_walk *walk, const kw_frame *top, size_t first, size_t end, kw_error *err) {
    p->walk = &p->own;
    p->own.heap.ledger = &p->collections;
    if (open_own(walk->hdf5, top->node, &p->own, err) != 0) return -1;
    p->own.links = malloc((end - first) * sizeof *p->own.links);
    if (p->own.links == NULL) return kw_fail_memory(err);
    memcpy(p->own.links, walk->links + first, (end - first) * sizeof *p->own.links);
    p->own.link_count = p->own.link_capacity = end - first;
    return kw_tree_push(&p->own, &p->frames, 0, 0, err);
}

/* Prepares the first part, which goes on with the walk itself. */
static int prepare_first(part *p, kw_walk *walk, const kw_frame *top, size_t end, kw_error *err) {
    p->walk = walk;
    p->first_dataset = walk->hdf5->dataset_count;
    if (KW_GROW(p->frames.items, p->frames.count, p->frames.capacity, err) != 0) return -1;
    p->frames.items[p->frames.count++] = (kw_frame){.node = top->node, .first = top->first, .next = top->first, .end = end};
    return 0;
}

/* Walks one part; -1 also when its outcome depends on others. */
static int walk_part(void *context, size_t index, void *own, kw_error *err) {
    (void)own;
    part *p = (part *)context + index;
    while (p->frames.count > 0)
        if (kw_tree_step(p->walk, &p->frames, &p->object, err) != 0) return -1;
    bool typed = index > 0 && p->walk->type_count > 0; /* a committed datatype is read once a walk */
    if (p->walk->hdf5->more->noted || typed) return kw_fail(err, KW_ALIAS, KW_NOWHERE, "in doubt");
    return kw_extents_claim_small(p->walk->hdf5, p->first_dataset, err);
}

/* Room for `more` items behind `count` of them; 0 or -1. */
#define MAKE_ROOM(items, count, more, capacity, err) \
    kw_reserve((void **)&(items), (count), (count) + (size_t)(more), &(capacity), sizeof *(items), (err))

/* Appends attributes, datasets and nodes, with the numbers that they have now; the part's node `i` > 0 becomes i + shift. */
static int append_objects(kw_hdf5 *hdf5, uint32_t group, const kw_hdf5 *from, kw_error *err) {
    struct kw_hdf5_private *more = hdf5->more;
    uint32_t shift = hdf5->node_count - 1, attrs = hdf5->attr_count, datasets = hdf5->dataset_count;
    if (from->node_count >= KW_NONE - hdf5->node_count || from->attr_count >= KW_NONE - attrs) return kw_fail_memory(err);
    if (MAKE_ROOM(hdf5->nodes, hdf5->node_count, from->node_count, more->node_capacity, err) != 0 ||
        MAKE_ROOM(hdf5->attrs, attrs, from->attr_count, more->attr_capacity, err) != 0 ||
        MAKE_ROOM(hdf5->datasets, datasets, from->dataset_count, more->dataset_capacity, err) != 0)
        return -1;
    if (from->attr_count > 0) memcpy(hdf5->attrs + attrs, from->attrs, from->attr_count * sizeof *from->attrs);
    for (uint32_t i = 0; i < from->dataset_count; i++) {
        hdf5->datasets[datasets + i] = from->datasets[i];
        hdf5->datasets[datasets + i].node += shift;
    }
    for (uint32_t i = 1; i < from->node_count; i++) {
        kw_node *node = &hdf5->nodes[shift + i];
        *node = from->nodes[i];
        node->parent = node->parent == 0 ? group : node->parent + shift;
        node->next += shift;
        node->first_attr += attrs;
        if (node->dataset != KW_NONE) node->dataset += datasets;
    }
    hdf5->node_count += from->node_count - 1;
    hdf5->attr_count += from->attr_count;
    hdf5->dataset_count += from->dataset_count;
    return 0;
}

/* Appends the families of a part's nodes, before those; its own children have a place in the group's family. */
static int append_families(kw_hdf5 *hdf5, uint32_t group, const kw_hdf5 *from, kw_error *err) {
    struct kw_hdf5_private *more = hdf5->more;
    const struct kw_hdf5_private *other = from->more;
    uint32_t shift = hdf5->node_count - 1, own = other->families[0].count;
    if (MAKE_ROOM(more->families, more->family_count, other->family_count, more->family_capacity, err) != 0 ||
        MAKE_ROOM(more->children, more->children_count, other->children_count, more->children_capacity, err) != 0)
        return -1;
    kw_family *family = &more->families[group];
    for (uint32_t i = 0; i < own; i++) more->children[family->first + family->count++] = other->children[i] + shift;
    uint32_t moved = (uint32_t)more->children_count - own;
    for (size_t i = own; i < other->children_count; i++) more->children[moved + i] = other->children[i] + shift;
    more->children_count += other->children_count - own;
    for (size_t i = 1; i < other->family_count; i++) {
        kw_family *f = &more->families[more->family_count++];
        *f = other->families[i];
        f->first += moved;
        if (f->same != KW_NONE) f->same += shift;
    }
    return 0;
}

/* Appends what a part found; 0, or -1 when it met bytes that another part met, too. */
static int append(kw_walk *walk, uint32_t group, part *p, uint64_t spent, kw_error *err) {
    kw_hdf5 *hdf5 = walk->hdf5, *from = p->own.hdf5;
    if (kw_hdf5_spend(hdf5, from->more->spent - spent, err) != 0) return -1;
    if (kw_ledger_join(&hdf5->more->ledger, &from->more->ledger, err) != 0) return -1;
    if (kw_global_heap_join(&walk->heap, &p->own.heap, err) != 0) return -1;
    if (append_families(hdf5, group, from, err) != 0 || append_objects(hdf5, group, from, err) != 0) return -1;
    kw_arena_join(&hdf5->arena, &from->arena);
    return 0;
}

static void free_part(part *p) {
    free(p->frames.items);
    kw_hdf5_free(p->own.hdf5);
    kw_ledger_free(&p->collections);
    kw_walk_free(&p->own);
}

/* Walks all links of the group on top.  0, or -1 with *doubtful: see kw_tree_read. */
static int walk_parts(kw_walk *walk, kw_frame *top, size_t count, bool *doubtful, kw_error *err) {
    part *parts = calloc(count, sizeof *parts);
    if (parts == NULL) return kw_fail_memory(err);
    size_t links = top->end - top->first;
    uint64_t spent = walk->hdf5->more->spent;
    int result = prepare_first(&parts[0], walk, top, top->first + links / count, err);
    for (size_t i = 1; i < count && result == 0; i++)
        result = prepare(&parts[i], walk, top, top->first + links * i / count, top->first + links * (i + 1) / count, err);
    kw_work work = {.count = count, .step = walk_part, .context = parts};
    if (result == 0) result = kw_work_run(&work, (int)count, err);
    for (size_t i = 1; i < count && result == 0; i++) result = append(walk, top->node, &parts[i], spent, err);
    for (size_t i = 0; i < count; i++) free_part(&parts[i]);
    free(parts);
    top->next = top->end;
    walk->parted = true;
    *doubtful = result != 0;
    return result;
}

int kw_tree_read(kw_walk *walk, uint64_t root, bool *doubtful, kw_error *err) {
    kw_frames frames = {0};
    kw_object object = {0};
    int result = kw_tree_start(walk, &frames, root, &object, err);
    while (result == 0 && frames.count > 0) {
        kw_frame *top = &frames.items[frames.count - 1];
        size_t count = count_parts(walk, top);
        if (count > 1) result = walk_parts(walk, top, count, doubtful, err);
        else result = kw_tree_step(walk, &frames, &object, err);
    }
    *doubtful |= walk->parted && walk->hdf5->more->noted;
    free(frames.items);
    return result;
}
