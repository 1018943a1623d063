/* evidence.c -- what names that people gave say about pairs that the order made.
 *
 *     file   a  b  c           place       0    1    2
 *     model  a  new  b         gets        a    b    c        "new" gets b's, "b" gets c's
 *
 *     chain  new -> b          each gets the tensors that bear the name of the next:
 *                              shifted all by one place: INSERTED, else SWAPPED
 *
 * Only names that are unique beside their siblings count, and never those that
 * Keras makes (dense_7).  Siblings: the layers of a legacy file; in V3 what has
 * the same path but for its last component.  A chain is followed from its head,
 * which nobody's tensors point to, or around when it is a cycle.
 */
#include <string.h>

#include "plan/join.h"

typedef struct evidence {
    kw_join *join;
    uint32_t *of_model;   /* one a model group: the file group of its name beside its siblings, or KW_NONE */
    uint32_t *of_file;    /* one a file group: the model group of its name */
    uint32_t *next;       /* one a model group: whose tensors it gets by name, when that is another */
    uint32_t *previous;
    uint8_t *weighted;    /* one a model group */
    uint32_t *place_file, *place_model; /* where it stands among its siblings */
    kw_index model_names, file_names, model_paths;
} evidence;

int kw_join_weighted(kw_join *join, uint8_t **out, kw_error *err) {
    const kw_graph *graph = join->graph;
    *out = kw_arena_alloc(&join->work, join->model->group_count);
    uint8_t *nodes = *out != NULL && graph != NULL ? kw_graph_weighted(join) : NULL;
    if (*out == NULL || (graph != NULL && nodes == NULL)) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) (*out)[g] = join->model->groups[g].count > 0;
    for (uint32_t n = 0; graph != NULL && n < graph->node_count; n++) {
        if (nodes[n] && graph->nodes[n].group != KW_NONE) (*out)[graph->nodes[n].group] = 1;
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (kw_group_is_state(&join->model->groups[g])) (*out)[g] = 0;
    }
    return 0;
}

/* "siblings' path \n name" in the arena; NULL: no memory. */
static char *make_key(kw_join *join, const char *path, const char *name) {
    size_t prefix = join->v3 ? kw_name_prefix(path).len : 0, len = strlen(name);
    char *key = kw_arena_alloc(&join->work, prefix + len + 2);
    if (key == NULL) return NULL;
    memcpy(key, path, prefix);
    key[prefix] = '\n';
    memcpy(key + prefix + 1, name, len);
    return key;
}

/* Adds names of one table to an index of keys; a second one of a key makes it worthless (value group_count). */
static int index_names(kw_join *join, const kw_table *table, bool is_model, const uint8_t *weighted, kw_index *index,
                       uint8_t *worthless, kw_error *err) {
    for (uint32_t g = 0; g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        bool given = is_model ? kw_model_name_given(group) && weighted[g] : kw_file_name_given(group);
        if (!given || kw_group_is_state(group)) continue;
        char *key = make_key(join, group->path, group->name);
        uint32_t first = KW_NONE;
        if (key == NULL) return kw_fail_memory(err);
        if (kw_index_add(index, key, g, &first, err) < 0) return -1;
        if (first != KW_NONE) worthless[first] = 1;
    }
    return 0;
}

/* Joins the two tables by name: of_model and of_file. */
static int join_names(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    const kw_table *file = join->file, *model = join->model;
    kw_index file_keys = KW_INDEX_EMPTY, model_keys = KW_INDEX_EMPTY;
    uint8_t *bad_file = kw_arena_alloc(&join->work, file->group_count);
    uint8_t *bad_model = kw_arena_alloc(&join->work, model->group_count);
    int result = bad_file == NULL || bad_model == NULL ? kw_fail_memory(err) : 0;
    if (result == 0) result = index_names(join, file, false, NULL, &file_keys, bad_file, err);
    if (result == 0) result = index_names(join, model, true, e->weighted, &model_keys, bad_model, err);
    for (uint32_t f = 0; f < file->group_count; f++) e->of_file[f] = KW_NONE;
    for (uint32_t g = 0; result == 0 && g < model->group_count; g++) {
        const kw_group *group = &model->groups[g];
        e->of_model[g] = e->next[g] = e->previous[g] = KW_NONE;
        if (!kw_model_name_given(group) || !e->weighted[g]) continue;
        char *key = make_key(join, group->path, group->name);
        if (key == NULL) {
            result = kw_fail_memory(err);
            break;
        }
        uint32_t f = kw_index_find(&file_keys, key);
        if (f == KW_NONE || bad_file[f] || bad_model[g] || kw_index_find(&model_keys, key) != g) continue;
        e->of_model[g] = f;
        e->of_file[f] = g;
    }
    kw_index_free(&file_keys);
    kw_index_free(&model_keys);
    return result;
}

/* The number at the end of a path: "dense_3" 3, "dense" 0. */
static uint32_t parse_place(const char *path) {
    size_t end = strlen(path), at = end;
    uint32_t number = 0;
    while (at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9' && end - at < 8) at--;
    if (at == end || at < 2 || path[at - 1] != '_') return 0;
    for (; at < end; at++) number = number * 10 + (uint32_t)(path[at] - '0');
    return number;
}

static int open_places(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    const kw_table *tables[] = {join->file, join->model};
    uint32_t *places[] = {e->place_file, e->place_model};
    for (int side = 0; side < 2; side++) {
        uint32_t top;
        uint32_t *rows = kw_arena_alloc(&join->work, tables[side]->group_count * sizeof *rows);
        if (rows == NULL) return kw_fail_memory(err);
        uint32_t count = join->legacy ? kw_layers_list(tables[side], rows, &top) : tables[side]->group_count;
        for (uint32_t i = 0; i < count; i++) {
            if (join->legacy) {
                places[side][rows[i]] = i;
            } else {
                places[side][i] = parse_place(tables[side]->groups[i].path);
            }
        }
    }
    return 0;
}

static int index_all(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const char *name = join->file->groups[f].name;
        if (name != NULL && kw_index_add(&e->file_names, name, f, NULL, err) < 0) return -1;
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_group *group = &join->model->groups[g];
        if (group->name != NULL && kw_index_add(&e->model_names, group->name, g, NULL, err) < 0) return -1;
        if (kw_index_add(&e->model_paths, group->path, g, NULL, err) < 0) return -1;
    }
    return 0;
}

static int open_evidence(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    size_t files = join->file->group_count, models = join->model->group_count;
    e->of_model = kw_arena_alloc(&join->work, models * sizeof *e->of_model);
    e->next = kw_arena_alloc(&join->work, models * sizeof *e->next);
    e->previous = kw_arena_alloc(&join->work, models * sizeof *e->previous);
    e->place_model = kw_arena_alloc(&join->work, models * sizeof *e->place_model);
    e->of_file = kw_arena_alloc(&join->work, files * sizeof *e->of_file);
    e->place_file = kw_arena_alloc(&join->work, files * sizeof *e->place_file);
    if (e->of_model == NULL || e->next == NULL || e->previous == NULL || e->place_model == NULL ||
        e->of_file == NULL || e->place_file == NULL) {
        return kw_fail_memory(err);
    }
    if (kw_join_weighted(join, &e->weighted, err) < 0 || join_names(e, err) < 0) return -1;
    return open_places(e, err) < 0 || index_all(e, err) < 0 ? -1 : 0;
}

/* Pairs that the place decided. */
static bool is_placed(const evidence *e, uint32_t g) {
    const kw_match *match = &e->join->matches[g];
    return e->weighted[g] && (match->rule == KW_PAIR_PATH || match->rule == KW_PAIR_ORDER);
}

/* Who gets whose tensors. */
static void link_chains(evidence *e) {
    for (uint32_t g = 0; g < e->join->model->group_count; g++) {
        uint32_t f = e->join->matches[g].candidate;
        if (f == KW_NONE || !is_placed(e, g)) continue;
        uint32_t owner = e->of_file[f];
        if (owner == KW_NONE || owner == g || !is_placed(e, owner) || e->previous[owner] != KW_NONE) continue;
        e->next[g] = owner;
        e->previous[owner] = g;
    }
}

/* True when a name says that the group gets what is another's. */
static bool is_crossed(const evidence *e, uint32_t g) {
    uint32_t f = e->join->matches[g].candidate;
    if (!is_placed(e, g) || f == KW_NONE) return false;
    return e->next[g] != KW_NONE || (e->of_model[g] != KW_NONE && e->of_model[g] != f);
}

/* The first of the chain that g is in; g itself in a cycle. */
static uint32_t find_head(const evidence *e, uint32_t g, bool *cycle) {
    uint32_t head = g;
    *cycle = false;
    while (e->previous[head] != KW_NONE) {
        head = e->previous[head];
        if (head == g) {
            *cycle = true;
            break;
        }
    }
    return head;
}

typedef struct chain {
    uint32_t head, tail, shifted;
    bool cycle, by_order, even; /* even: all stand the same number of places off */
    bool head_is_new;   /* the file has no layer of that name */
    bool tail_is_gone;  /* what the tail gets is of a layer that the model has not */
} chain;

static chain measure(const evidence *e, uint32_t g) {
    const kw_join *join = e->join;
    chain c = {.even = true};
    int64_t first = 0;
    c.head = find_head(e, g, &c.cycle);
    c.head_is_new = kw_model_name_given(&join->model->groups[c.head]) && e->of_model[c.head] == KW_NONE;
    for (uint32_t at = c.head;; at = e->next[at]) {
        uint32_t own = e->of_model[at];
        c.by_order = c.by_order || join->matches[at].by_order;
        c.tail = at;
        if (own != KW_NONE) {
            int64_t off = (int64_t)e->place_file[own] - (int64_t)e->place_model[at];
            if (c.shifted++ == 0) first = off;
            c.even = c.even && off == first && off != 0;
        } else if (at != c.head) {
            c.even = false;
        }
        if (e->next[at] == KW_NONE || e->next[at] == c.head) break;
    }
    uint32_t last = join->matches[c.tail].candidate;
    c.tail_is_gone = last != KW_NONE && kw_file_name_given(&join->file->groups[last]) && e->of_file[last] == KW_NONE;
    c.even = c.even && c.shifted > 0;
    return c;
}

/* Marks what the finding explains; its variables become related. */
static int mark_chain(evidence *e, const chain *c, bool wrong, kw_error *err) {
    kw_join *join = e->join;
    for (uint32_t at = c->head;; at = e->next[at]) {
        kw_match *match = &join->matches[at];
        match->explained = true;
        match->wrong = wrong;
        if (e->of_model[at] != KW_NONE) join->used[e->of_model[at]] = 1;
        for (uint32_t i = 0; i < join->model->groups[at].count; i++) {
            if (kw_join_relate(join, kw_join_variable(join, at, i), err) < 0) return -1;
        }
        if (at == c->tail) return 0;
    }
}

static int report_chain(evidence *e, uint32_t g, kw_error *err) {
    kw_join *join = e->join;
    chain c = measure(e, g);
    bool inserted = !c.cycle && c.even && (c.head_is_new || c.tail_is_gone);
    bool sure = c.by_order; /* places decided; a name in the code would be evidence too */
    kw_finding *finding = kw_join_add(join, inserted ? KW_INSERTED : KW_SWAPPED, sure ? KW_ERROR : KW_WARNING, err);
    if (finding == NULL) return -1;
    uint32_t first = e->next[c.head] != KW_NONE || c.shifted > 0 ? c.head : g;
    finding->a = finding->b = c.shifted;
    if (inserted) {
        if (c.head_is_new) finding->model_group = c.head;
        if (c.tail_is_gone) finding->file_group = join->matches[c.tail].candidate;
        finding->other_group = c.head_is_new && e->next[c.head] != KW_NONE ? e->next[c.head] : c.head;
    } else {
        finding->model_group = first;
        finding->file_group = join->matches[first].candidate;
        finding->other_group = e->next[first];
    }
    return mark_chain(e, &c, sure, err);
}

/* The nearest group that this one is inside of and that a finding explains; KW_NONE. */
static uint32_t find_explained_parent(const evidence *e, uint32_t g) {
    const char *path = e->join->model->groups[g].path;
    kw_text prefix = kw_name_prefix(path);
    char copy[1024];
    while (e->join->v3 && prefix.len > 0 && prefix.len < sizeof copy) {
        memcpy(copy, path, prefix.len);
        copy[prefix.len] = '\0';
        uint32_t parent = kw_index_find(&e->model_paths, copy);
        if (parent != KW_NONE && e->join->matches[parent].explained) return parent;
        prefix = kw_name_prefix(copy);
    }
    return KW_NONE;
}

/* A note for a pair of layers that both have names which the other side does not know. */
static int note_renamed(evidence *e, uint32_t g, kw_error *err) {
    kw_join *join = e->join;
    const kw_match *match = &join->matches[g];
    const kw_group *to = &join->model->groups[g];
    if (match->candidate == KW_NONE || match->fit.kind != KW_FIT_OK || !is_placed(e, g) || to->count == 0) return 0;
    const kw_group *from = &join->file->groups[match->candidate];
    if (!kw_file_name_given(from) || !kw_model_name_given(to) || strcmp(from->name, to->name) == 0) return 0;
    if (kw_index_find(&e->model_names, from->name) != KW_NONE) return 0;
    if (kw_index_find(&e->file_names, to->name) != KW_NONE) return 0;
    kw_finding *finding = kw_join_add(join, KW_RENAMED, KW_NOTE, err);
    if (finding == NULL) return -1;
    finding->model_group = g;
    finding->file_group = finding->other_group = match->candidate;
    return 0;
}

int kw_find_evidence(kw_join *join, kw_error *err) {
    evidence e = {.join = join};
    int result = open_evidence(&e, err);
    if (result == 0) link_chains(&e);
    for (uint32_t g = 0; result == 0 && g < join->model->group_count; g++) {
        kw_match *match = &join->matches[g];
        if (match->explained || !kw_join_selects(join, g) || kw_group_is_state(&join->model->groups[g])) continue;
        uint32_t parent = find_explained_parent(&e, g);
        if (parent != KW_NONE) {
            match->explained = true;
            match->below_wrong = join->matches[parent].wrong || join->matches[parent].below_wrong;
        } else if (is_crossed(&e, g)) {
            result = report_chain(&e, g, err);
        } else {
            result = note_renamed(&e, g, err);
        }
    }
    kw_index_free(&e.model_names);
    kw_index_free(&e.file_names);
    kw_index_free(&e.model_paths);
    return result;
}
