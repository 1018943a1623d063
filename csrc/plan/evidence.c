/* evidence.c -- what names that people gave say about pairs that the order made.
 *
 *     file   a  b  c           place       0    1    2
 *     model  a  new  b         gets        a    b    c        "new" gets b's, "b" gets c's
 *
 *     chain  new -> b          each gets the tensors that bear the name of the next:
 *                              shifted all by one place: INSERTED, else SWAPPED
 *
 * Only names that are unique count, in the whole or at least beside their
 * siblings, and never those that Keras makes (dense_7).  A chain says nothing when
 * the shapes speak against it: when a layer does not fit the tensors of its name.  Siblings: the layers of a
 * legacy file; in V3 what has the same path but for its last component.  A chain is followed from its head,
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
    uint32_t *parents;    /* of the model's groups */
    kw_index model_names, file_names; /* given names: the first group of each */
    uint8_t *shared_model, *shared_file; /* one a group: it is the first of several of its name */
    uint8_t *refuted;     /* one a model group: its chain is, by shapes */
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

/* "siblings' path \n name" in the arena, or "\n name" when no two groups of a side share it; NULL: no memory. */
static char *make_key(evidence *e, const char *path, const char *name) {
    kw_join *join = e->join;
    uint32_t f = kw_index_find(&e->file_names, name), g = kw_index_find(&e->model_names, name);
    bool unique = (f == KW_NONE || !e->shared_file[f]) && (g == KW_NONE || !e->shared_model[g]);
    size_t prefix = join->v3 && !unique ? kw_name_prefix(path).len : 0, len = strlen(name);
    char *key = kw_arena_alloc(&join->work, prefix + len + 2);
    if (key == NULL) return NULL;
    memcpy(key, path, prefix);
    key[prefix] = '\n';
    memcpy(key + prefix + 1, name, len);
    return key;
}

static bool is_given(const evidence *e, bool is_model, uint32_t g) {
    if (is_model) return e->weighted[g] && kw_model_name_given(e->join, g);
    return kw_file_name_given(e->join, g) && !kw_group_is_state(&e->join->file->groups[g]);
}

/* The given names of one table: the first group of each in `index`, which `shared` marks when there are more. */
static int index_names(evidence *e, bool is_model, kw_index *index, uint8_t *shared, kw_error *err) {
    const kw_table *table = is_model ? e->join->model : e->join->file;
    for (uint32_t g = 0; g < table->group_count; g++) {
        uint32_t first = KW_NONE;
        if (!is_given(e, is_model, g)) continue;
        if (kw_index_add(index, table->groups[g].name, g, &first, err) < 0) return -1;
        if (first != KW_NONE) shared[first] = 1;
    }
    return 0;
}

/* The keys of one table, as index_names does with names. */
static int index_keys(evidence *e, bool is_model, char **keys, kw_index *index, uint8_t *worthless, kw_error *err) {
    const kw_table *table = is_model ? e->join->model : e->join->file;
    for (uint32_t g = 0; g < table->group_count; g++) {
        uint32_t first = KW_NONE;
        if (!is_given(e, is_model, g)) continue;
        keys[g] = make_key(e, table->groups[g].path, table->groups[g].name);
        if (keys[g] == NULL) return kw_fail_memory(err);
        if (kw_index_add(index, keys[g], g, &first, err) < 0) return -1;
        if (first != KW_NONE) worthless[first] = 1;
    }
    return 0;
}

/* Joins the two tables by name: of_model and of_file. */
static int join_names(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    uint32_t files = join->file->group_count, models = join->model->group_count;
    kw_index file_keys = KW_INDEX_EMPTY, model_keys = KW_INDEX_EMPTY;
    uint8_t *bad_file = kw_arena_alloc(&join->work, files), *bad_model = kw_arena_alloc(&join->work, models);
    char **keys_file = kw_arena_alloc(&join->work, files * sizeof *keys_file);
    char **keys_model = kw_arena_alloc(&join->work, models * sizeof *keys_model);
    int result = -1;
    if (bad_file == NULL || bad_model == NULL || keys_file == NULL || keys_model == NULL) return kw_fail_memory(err);
    if (index_keys(e, false, keys_file, &file_keys, bad_file, err) < 0) goto done;
    if (index_keys(e, true, keys_model, &model_keys, bad_model, err) < 0) goto done;
    for (uint32_t f = 0; f < files; f++) e->of_file[f] = KW_NONE;
    for (uint32_t g = 0; g < models; g++) {
        e->of_model[g] = e->next[g] = e->previous[g] = KW_NONE;
        uint32_t f = keys_model[g] == NULL ? KW_NONE : kw_index_find(&file_keys, keys_model[g]);
        if (f == KW_NONE || bad_file[f] || bad_model[g] || kw_index_find(&model_keys, keys_model[g]) != g) continue;
        e->of_model[g] = f;
        e->of_file[f] = g;
    }
    result = 0;
done:
    kw_index_free(&file_keys);
    kw_index_free(&model_keys);
    return result;
}

/* Names that are alike but for one text before or behind them are as good: "pre_conv1" and "conv1". */
static int join_affixed(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    uint8_t *files = kw_arena_alloc(&join->work, join->file->group_count);
    uint8_t *models = kw_arena_alloc(&join->work, join->model->group_count);
    uint32_t unused = 0, missing = 0;
    kw_affix affix;
    if (files == NULL || models == NULL) return kw_fail_memory(err);
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        bool short_name = is_given(e, false, f) && strlen(join->file->groups[f].name) < KW_NAME_LEN_MAX;
        files[f] = short_name && e->of_file[f] == KW_NONE;
        unused += files[f];
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        bool short_name = is_given(e, true, g) && strlen(join->model->groups[g].name) < KW_NAME_LEN_MAX;
        models[g] = short_name && e->of_model[g] == KW_NONE;
        missing += models[g];
    }
    if (unused < 2 || missing < 2) return 0;
    if (kw_find_affix(join, files, models, &affix, err) < 0) return -1;
    bool holds = affix.count >= 2 && 2 * (uint64_t)affix.count >= missing;
    for (uint32_t i = 0; holds && i < affix.count; i++) {
        const kw_name_pair *pair = &affix.pairs[i];
        if (e->of_file[pair->file] != KW_NONE || e->of_model[pair->model] != KW_NONE) continue;
        e->of_model[pair->model] = pair->file;
        e->of_file[pair->file] = pair->model;
    }
    return 0;
}

static int open_places(evidence *e, kw_error *err) {
    kw_join *join = e->join;
    const kw_table *tables[] = {join->file, join->model};
    uint32_t *places[] = {e->place_file, e->place_model};
    for (int side = 0; side < 2; side++) {
        uint32_t top;
        size_t len;
        uint32_t *rows = kw_arena_alloc(&join->work, tables[side]->group_count * sizeof *rows);
        if (rows == NULL) return kw_fail_memory(err);
        uint32_t count = join->legacy ? kw_layers_list(tables[side], rows, &top) : tables[side]->group_count;
        for (uint32_t i = 0; i < count; i++) {
            if (join->legacy) {
                places[side][rows[i]] = i;
            } else {
                places[side][i] = kw_path_place(tables[side]->groups[i].path, &len);
            }
        }
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
    e->shared_model = kw_arena_alloc(&join->work, models);
    e->shared_file = kw_arena_alloc(&join->work, files);
    e->refuted = kw_arena_alloc(&join->work, models);
    e->parents = kw_table_parents(join, join->model);
    if (e->of_model == NULL || e->next == NULL || e->previous == NULL || e->place_model == NULL ||
        e->of_file == NULL || e->place_file == NULL || e->shared_model == NULL || e->shared_file == NULL ||
        e->refuted == NULL || e->parents == NULL) {
        return kw_fail_memory(err);
    }
    if (kw_join_weighted(join, &e->weighted, err) < 0 || open_places(e, err) < 0) return -1;
    if (index_names(e, false, &e->file_names, e->shared_file, err) < 0) return -1;
    if (index_names(e, true, &e->model_names, e->shared_model, err) < 0) return -1;
    return join_names(e, err) < 0 ? -1 : join_affixed(e, err);
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
    uint32_t misfits; /* how many do not fit what they would get */
    bool cycle, by_order, even; /* even: all stand the same number of places off */
    bool head_is_new;   /* the file has no layer of that name */
    bool tail_is_gone;  /* what the tail gets is of a layer that the model has not */
    bool fits, nearly;  /* each fits the tensors of its name, or would with another input */
} chain;

/* True when a place in a list decided, not a name in the code, that the group gets what it gets: its own place, or
 * that of the object around it at which the paths part ("layers/rnn/cell", "layers/rnn_1/cell"), unless that bears the
 * name that a person gave it. */
static bool is_by_order(const evidence *e, uint32_t g) {
    const kw_join *join = e->join;
    uint32_t f = join->matches[g].candidate, other = e->of_model[g];
    if (f == KW_NONE || join->matches[g].by_order) return true;
    if (other == KW_NONE && e->next[g] != KW_NONE) other = join->matches[e->next[g]].candidate;
    if (other == KW_NONE || !join->v3) return false;
    const char *path = join->file->groups[f].path, *part = join->file->groups[other].path;
    size_t first = 0;
    for (size_t i = 0; path[i] != '\0' && path[i] == part[i]; i++)
        if (path[i] == '/') first = i + 1;
    size_t len = first + strcspn(path + first, "/");
    for (uint32_t up = e->parents[g]; up != KW_NONE; up = e->parents[up]) {
        const kw_match *match = &join->matches[up];
        const char *above = match->candidate != KW_NONE ? join->file->groups[match->candidate].path : "";
        if (strncmp(above, path, len) != 0) return false;
        if (above[len] == '\0') return match->by_order && e->of_model[up] != match->candidate;
    }
    return false;
}

static chain measure(const evidence *e, uint32_t g) {
    const kw_join *join = e->join;
    chain c = {.even = true, .by_order = true, .fits = true, .nearly = true};
    int64_t first = 0;
    c.head = find_head(e, g, &c.cycle);
    c.head_is_new = kw_model_name_given(join, c.head) && e->of_model[c.head] == KW_NONE;
    for (uint32_t at = c.head;; at = e->next[at]) {
        uint32_t own = e->of_model[at];
        c.by_order = c.by_order && is_by_order(e, at);
        c.tail = at;
        c.misfits += join->matches[at].candidate != KW_NONE && join->matches[at].fit.kind != KW_FIT_OK;
        if (own != KW_NONE && kw_join_fit(join, own, at).kind != KW_FIT_OK) {
            c.fits = false;
            c.nearly = c.nearly && kw_join_puts_out_same(join, own, at);
        }
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
    c.tail_is_gone = last != KW_NONE && kw_file_name_given(join, last) && e->of_file[last] == KW_NONE;
    c.even = c.even && c.shifted > 0;
    return c;
}

/* Marks what the finding explains; variables of other groups than its own become related. */
static int mark_chain(evidence *e, const chain *c, bool wrong, kw_error *err) {
    kw_join *join = e->join;
    uint32_t own = join->plan->findings[join->plan->finding_count - 1].model_group;
    for (uint32_t at = c->head;; at = e->next[at]) {
        kw_match *match = &join->matches[at];
        match->explained = true;
        match->wrong = wrong;
        join->plan->own_group[at] = e->of_model[at];
        if (e->of_model[at] != KW_NONE) join->used[e->of_model[at]] = 1;
        for (uint32_t i = 0; at != own && i < join->model->groups[at].count; i++) {
            if (kw_join_relate(join, kw_join_variable(join, at, i), err) < 0) return -1;
        }
        if (at == c->tail) return 0;
    }
}

/* A note that what is in place of group g has another name. */
static int add_renamed(kw_join *join, uint32_t g, kw_error *err) {
    kw_finding *finding = kw_join_add(join, KW_RENAMED, KW_NOTE, err);
    if (finding == NULL) return -1;
    finding->model_group = g;
    finding->file_group = finding->other_group = join->matches[g].candidate;
    return 0;
}

/* The tensors of the names do not fit: where those in place do, the layers were renamed. */
static int refute_chain(evidence *e, const chain *c, kw_error *err) {
    for (uint32_t at = c->head;; at = e->next[at]) {
        const kw_match *match = &e->join->matches[at];
        bool renamed = match->candidate != KW_NONE && match->fit.kind == KW_FIT_OK;
        e->refuted[at] = 1;
        if (renamed && kw_file_name_given(e->join, match->candidate) && add_renamed(e->join, at, err) < 0) return -1;
        if (at == c->tail) return 0;
    }
}

static int report_chain(evidence *e, uint32_t g, kw_error *err) {
    kw_join *join = e->join;
    chain c = measure(e, g);
    bool inserted = !c.cycle && c.even && (c.head_is_new || c.tail_is_gone);
    bool sure = c.by_order; /* else an attribute's name in the code speaks against the layer's */
    if (inserted ? !c.nearly : !c.fits) return refute_chain(e, &c, err);
    kw_finding *finding = kw_join_add(join, inserted ? KW_INSERTED : KW_SWAPPED, sure ? KW_ERROR : KW_WARNING, err);
    if (finding == NULL) return -1;
    uint32_t first = e->next[c.head] != KW_NONE || c.shifted > 0 ? c.head : g;
    finding->a = c.shifted;
    finding->b = c.misfits < c.shifted ? c.shifted - c.misfits : 0;
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
    uint32_t parent = e->parents[g];
    /* Parents come before what is below them, so one step tells what more would. */
    return parent != KW_NONE && e->join->matches[parent].explained ? parent : KW_NONE;
}

/* A note for a pair of layers that both have names which the other side does not know. */
static int note_renamed(evidence *e, uint32_t g, kw_error *err) {
    kw_join *join = e->join;
    const kw_match *match = &join->matches[g];
    const kw_group *to = &join->model->groups[g];
    if (match->candidate == KW_NONE || match->fit.kind != KW_FIT_OK || !is_placed(e, g) || to->count == 0) return 0;
    const kw_group *from = &join->file->groups[match->candidate];
    if (!kw_file_name_given(join, match->candidate) || !kw_model_name_given(join, g)) return 0;
    if (strcmp(from->name, to->name) == 0) return 0;
    if (kw_index_find(&e->model_names, from->name) != KW_NONE) return 0;
    if (kw_index_find(&e->file_names, to->name) != KW_NONE) return 0;
    return add_renamed(join, g, err);
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
        } else if (e.refuted[g]) {
            continue; /* its shapes are looked at */
        } else if (is_crossed(&e, g)) {
            result = report_chain(&e, g, err);
        } else {
            result = note_renamed(&e, g, err);
        }
    }
    kw_index_free(&e.model_names);
    kw_index_free(&e.file_names);
    return result;
}
