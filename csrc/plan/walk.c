/* walk.c -- the walk of Keras's V3 loading code over the model's graph.
 *
 *     model --layers--> [ dense, dense, my_block ]      paths  layers/dense
 *       |                                 |                    layers/dense_1
 *       +--head--> dense (the second)     +--fc--> dense       layers/my_block/fc
 *                                                              head (tried again when layers/dense_1 failed)
 *
 * keras/src/saving/saving_lib.py: _load_state, _load_container_state,
 * _get_unique_name; tf_keras/src/saving/saving_lib.py: the same without second
 * tries.  An object counts as visited once it and all below it are fine.  A list
 * in a list that the file has not (>= 3.15) is walked with a set of failures of
 * its own, which is then forgotten: here a *sink*; sink 0 is the one that counts.
 */
#include "plan/join.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_LIMIT = 980,       /* Python's default is 1000 frames, the callers of the walk take some */
    STEP_LIMIT = 20000000,
    OWN_ENTRY_LIMIT = 64     /* kwload's walk: how often one object is tried */
};

#define TF212_LAYERS "_layer_checkpoint_dependencies"

typedef struct frame {
    uint32_t node, next;    /* next edge of the node, from 0 */
    size_t path_len;        /* of the path that leads here */
    size_t counts_first;    /* list: names used so far, one number an edge, in walk.counts */
    uint32_t loop;          /* list: which walk over lists in lists this belongs to */
    int64_t failed_before;  /* object: failures when its children began */
    bool failed;            /* object */
    bool owns_sink;         /* list: its failures are forgotten */
    bool layers;            /* list: the attribute `layers` */
} frame;

typedef struct walk {
    const kw_join *join;
    const kw_graph *graph;
    const kw_walker *walker;
    frame *frames;
    size_t frame_count, frame_capacity;
    char *path;
    size_t path_capacity;
    uint32_t *counts;
    size_t count_count, count_capacity;
    uint32_t *tracked; /* failures of the sinks above 0, innermost last */
    size_t tracked_count, tracked_capacity;
    size_t *sinks;     /* where each begins in `tracked` */
    size_t sink_count, sink_capacity;
    int64_t main_failed;
    uint64_t steps;
    uint32_t loops;
    kw_arena arena;
    uint8_t *visited, *failed, *entries, *inside;
    uint32_t *seen_loop; /* one a node: the last loop in which a list was walked */
    uint32_t *heads;     /* one an edge of a list: its first edge of the same name */
    const uint8_t *weighted;
} walk;

/* Propagates "has variables" against the edges, each edge once. */
static void spread(uint8_t *weighted, const uint32_t *first, const uint32_t *back, uint32_t *stack, uint32_t count) {
    while (count > 0) {
        uint32_t node = stack[--count];
        for (uint32_t i = first[node]; i < first[node + 1]; i++) {
            if (weighted[back[i]]) continue;
            weighted[back[i]] = 1;
            stack[count++] = back[i];
        }
    }
}

uint8_t *kw_graph_weighted(kw_join *join) {
    const kw_graph *graph = join->graph;
    size_t nodes = graph->node_count;
    uint8_t *weighted = kw_arena_alloc(&join->work, nodes);
    uint32_t *first = kw_arena_alloc(&join->work, (nodes + 2) * sizeof *first);
    uint32_t *back = kw_arena_alloc(&join->work, graph->edge_count * sizeof *back);
    uint32_t *stack = kw_arena_alloc(&join->work, nodes * sizeof *stack);
    uint32_t count = 0;
    if (weighted == NULL || first == NULL || back == NULL || stack == NULL) return NULL;
    for (uint32_t n = 0; n < nodes; n++) { /* edges by their target: counted, then placed */
        const kw_graph_node *node = &graph->nodes[n];
        for (uint32_t e = 0; e < node->count; e++) first[graph->edges[node->first + e].target + 2]++;
        if (node->group == KW_NONE || join->model->groups[node->group].count == 0) continue;
        weighted[n] = 1;
        stack[count++] = n;
    }
    for (uint32_t n = 2; n < nodes + 2; n++) first[n] += first[n - 1];
    for (uint32_t n = 0; n < nodes; n++) {
        const kw_graph_node *node = &graph->nodes[n];
        for (uint32_t e = 0; e < node->count; e++) back[first[graph->edges[node->first + e].target + 1]++] = n;
    }
    spread(weighted, first, back, stack, count);
    return weighted;
}

/* The current sink. */
static int64_t count_failed(const walk *w) {
    return w->sink_count == 0 ? w->main_failed : (int64_t)(w->tracked_count - w->sinks[w->sink_count - 1]);
}

/* Where the node is in the innermost sink above 0; SIZE_MAX. */
static size_t find_tracked(walk *w, uint32_t node) {
    for (size_t i = w->sinks[w->sink_count - 1]; i < w->tracked_count; i++) {
        w->steps++;
        if (w->tracked[i] == node) return i;
    }
    return SIZE_MAX;
}

static int add_failed(walk *w, uint32_t node, kw_error *err) {
    if (w->sink_count == 0) {
        w->main_failed += !w->failed[node];
        w->failed[node] = 1;
        return 0;
    }
    if (find_tracked(w, node) != SIZE_MAX) return 0;
    if (KW_GROW(w->tracked, w->tracked_count, w->tracked_capacity, err) < 0) return -1;
    w->tracked[w->tracked_count++] = node;
    return 0;
}

static void remove_failed(walk *w, uint32_t node) {
    if (w->sink_count == 0) {
        if (!w->failed[node]) return;
        w->failed[node] = 0;
        w->main_failed--;
        w->walker->forgive(w->walker->context, node);
        return;
    }
    size_t at = find_tracked(w, node);
    if (at != SIZE_MAX) w->tracked[at] = w->tracked[--w->tracked_count];
}

/* Makes the path "<first len bytes>/name" or "name_2"; its length, or SIZE_MAX. */
static size_t extend_path(walk *w, size_t len, const char *name, uint32_t number, kw_error *err) {
    char digits[16] = "";
    if (number > 0) {
        size_t at = sizeof digits - 1;
        for (uint32_t rest = number; rest > 0; rest /= 10) digits[--at] = (char)('0' + rest % 10);
        digits[--at] = '_';
        memmove(digits, digits + at, sizeof digits - at);
    }
    size_t name_len = strlen(name), digits_len = strlen(digits), end = len + (len > 0) + name_len + digits_len;
    while (end + 1 > w->path_capacity) {
        size_t count = w->path_capacity;
        if (KW_GROW(w->path, count, w->path_capacity, err) < 0) return SIZE_MAX;
    }
    if (len > 0) w->path[len++] = '/';
    memcpy(w->path + len, name, name_len);
    memcpy(w->path + len + name_len, digits, digits_len + 1);
    return end;
}

static frame *push_frame(walk *w, uint32_t node, size_t path_len, kw_error *err) {
    if (KW_GROW(w->frames, w->frame_count, w->frame_capacity, err) < 0) return NULL;
    frame *top = &w->frames[w->frame_count++];
    *top = (frame){.node = node, .path_len = path_len};
    return top;
}

/* Enters an object at the current path: its own variables, then a frame for its children. */
static kw_walk_end enter_object(walk *w, uint32_t node, size_t path_len, bool in_list, kw_error *err) {
    const kw_walker *walker = w->walker;
    if (w->visited[node]) return KW_WALK_DONE;
    if (walker->own && (w->inside[node] || w->entries[node] >= OWN_ENTRY_LIMIT)) return KW_WALK_DONE;
    if (w->entries[node] < UINT8_MAX) w->entries[node]++;
    kw_visit visit = walker->enter(walker->context, node, w->path, in_list, w->sink_count == 0);
    if (visit == KW_VISIT_STOP) return KW_WALK_STOPPED;
    if (visit == KW_VISIT_MEMORY) return KW_WALK_MEMORY;
    bool failed = visit == KW_VISIT_FAILED && walker->retry;
    if (failed && add_failed(w, node, err) < 0) return KW_WALK_MEMORY;
    if (!walker->retry) w->visited[node] = 1;
    frame *top = push_frame(w, node, path_len, err);
    if (top == NULL) return KW_WALK_MEMORY;
    top->failed = failed;
    top->failed_before = count_failed(w);
    w->inside[node] = 1;
    return KW_WALK_DONE;
}

static void leave_object(walk *w, const frame *top) {
    w->inside[top->node] = 0;
    if (!w->walker->retry || top->failed) return;
    if (count_failed(w) <= top->failed_before) w->visited[top->node] = 1;
    remove_failed(w, top->node);
}

/* Enters a list; `loop` is 0 for one that an object's attribute holds. */
static kw_walk_end enter_list(walk *w, uint32_t node, size_t path_len, uint32_t loop, bool forget, kw_error *err) {
    if (loop != 0 && w->seen_loop[node] == loop) return KW_WALK_DONE;
    size_t count = w->graph->nodes[node].count;
    w->steps += count;
    frame *top = push_frame(w, node, path_len, err);
    if (top == NULL) return KW_WALK_MEMORY;
    top->loop = loop != 0 ? loop : ++w->loops;
    w->seen_loop[node] = top->loop;
    top->counts_first = w->count_count;
    while (w->count_capacity - w->count_count < count) {
        size_t all = w->count_capacity;
        if (KW_GROW(w->counts, all, w->count_capacity, err) < 0) return KW_WALK_MEMORY;
    }
    if (count > 0) memset(w->counts + w->count_count, 0, count * sizeof *w->counts);
    w->count_count += count;
    if (!forget) return KW_WALK_DONE;
    if (KW_GROW(w->sinks, w->sink_count, w->sink_capacity, err) < 0) return KW_WALK_MEMORY;
    w->sinks[w->sink_count++] = w->tracked_count;
    w->frames[w->frame_count - 1].owns_sink = true;
    return KW_WALK_DONE;
}

static void leave_list(walk *w, const frame *top) {
    w->count_count = top->counts_first;
    if (top->owns_sink) w->tracked_count = w->sinks[--w->sink_count];
}

/* The number that this edge of a list gets, and room for the next of its name. */
static uint32_t take_number(walk *w, const frame *top, uint32_t edge, uint32_t target) {
    uint32_t *count = &w->counts[top->counts_first + w->heads[edge] - w->graph->nodes[top->node].first];
    uint32_t number = *count;
    bool twice = top->layers && w->walker->gaps && w->weighted[target];
    *count += twice ? 2 : 1;
    return number;
}

/* One edge of a list. */
static kw_walk_end step_list(walk *w, frame top, uint32_t at, kw_error *err) {
    const kw_graph_edge *edge = &w->graph->edges[at];
    bool nested = w->graph->nodes[edge->target].group == KW_NONE;
    if (nested && !w->walker->nested) return KW_WALK_DONE;
    if (w->walker->skip_seen && !nested && w->visited[edge->target]) return KW_WALK_DONE;
    uint32_t number = take_number(w, &top, at, edge->target);
    size_t len = extend_path(w, top.path_len, nested ? "container" : edge->name, number, err);
    if (len == SIZE_MAX) return KW_WALK_MEMORY;
    if (!nested) return enter_object(w, edge->target, len, true, err);
    bool forget = !w->walker->own && !kw_join_has_path(w->join, w->path);
    return enter_list(w, edge->target, len, top.loop, forget, err);
}

/* One edge of an object. */
static kw_walk_end step_object(walk *w, frame top, uint32_t at, kw_error *err) {
    const kw_graph_edge *edge = &w->graph->edges[at];
    bool list = w->graph->nodes[edge->target].group == KW_NONE;
    bool layers = list && edge->name != NULL && strcmp(edge->name, "layers") == 0;
    const char *name = edge->name == NULL ? "" : layers && w->walker->tf212 ? TF212_LAYERS : edge->name;
    size_t len = extend_path(w, top.path_len, name, 0, err);
    if (len == SIZE_MAX) return KW_WALK_MEMORY;
    if (!list) return enter_object(w, edge->target, len, false, err);
    kw_walk_end end = enter_list(w, edge->target, len, 0, false, err);
    if (end == KW_WALK_DONE) w->frames[w->frame_count - 1].layers = layers;
    return end;
}

static kw_walk_end run(walk *w, kw_error *err) {
    kw_walk_end end = enter_object(w, 0, 0, false, err);
    while (end == KW_WALK_DONE && w->frame_count > 0) {
        frame *top = &w->frames[w->frame_count - 1];
        const kw_graph_node *node = &w->graph->nodes[top->node];
        bool list = node->group == KW_NONE;
        if (++w->steps > STEP_LIMIT) return KW_WALK_TOO_LONG;
        if (!w->walker->own && w->frame_count > DEPTH_LIMIT) return KW_WALK_TOO_DEEP;
        if (top->next < node->count) {
            uint32_t at = node->first + top->next++;
            end = list ? step_list(w, *top, at, err) : step_object(w, *top, at, err);
            continue;
        }
        frame done = *top;
        w->frame_count--;
        if (list) {
            leave_list(w, &done);
        } else {
            leave_object(w, &done);
        }
    }
    return end;
}

/* For each list: which edges have the same name. */
static int open_heads(walk *w, kw_error *err) {
    for (uint32_t n = 0; n < w->graph->node_count; n++) {
        const kw_graph_node *node = &w->graph->nodes[n];
        kw_index names = KW_INDEX_EMPTY;
        int result = 0;
        for (uint32_t e = node->first; node->group == KW_NONE && result == 0 && e < node->first + node->count; e++) {
            const kw_graph_edge *edge = &w->graph->edges[e];
            bool nested = w->graph->nodes[edge->target].group == KW_NONE || edge->name == NULL;
            uint32_t existing = e;
            result = kw_index_add(&names, nested ? "container" : edge->name, e, &existing, err);
            w->heads[e] = existing == KW_NONE ? e : existing;
        }
        kw_index_free(&names);
        if (result < 0) return -1;
    }
    return 0;
}

static int open_walk(walk *w, kw_error *err) {
    size_t nodes = w->graph->node_count;
    w->visited = kw_arena_alloc(&w->arena, nodes);
    w->failed = kw_arena_alloc(&w->arena, nodes);
    w->entries = kw_arena_alloc(&w->arena, nodes);
    w->inside = kw_arena_alloc(&w->arena, nodes);
    w->seen_loop = kw_arena_alloc(&w->arena, nodes * sizeof *w->seen_loop);
    w->heads = kw_arena_alloc(&w->arena, w->graph->edge_count * sizeof *w->heads);
    if (w->visited == NULL || w->failed == NULL || w->entries == NULL || w->inside == NULL || w->seen_loop == NULL ||
        w->heads == NULL || KW_GROW(w->path, 0, w->path_capacity, err) < 0) {
        return -1;
    }
    w->path[0] = '\0';
    return open_heads(w, err);
}

kw_walk_end kw_walk(kw_join *join, const kw_walker *walker) {
    kw_error err = {0};
    walk w = {.join = join, .graph = join->graph, .walker = walker};
    if (w.graph->node_count == 0) return KW_WALK_DONE;
    if (walker->gaps) w.weighted = kw_graph_weighted(join);
    kw_walk_end end = walker->gaps && w.weighted == NULL ? KW_WALK_MEMORY : KW_WALK_DONE;
    if (end == KW_WALK_DONE) end = open_walk(&w, &err) < 0 ? KW_WALK_MEMORY : run(&w, &err);
    free(w.frames);
    free(w.path);
    free(w.counts);
    free(w.tracked);
    free(w.sinks);
    kw_arena_free(&w.arena);
    return end;
}
