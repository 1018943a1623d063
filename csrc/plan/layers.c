/* layers.c -- one side has more layers of a list than the other.
 *
 *     file   a  b  c  d        equal from the front: a        one too many in the
 *     model  a  c  d           equal from the back:  c d      file: b
 *
 * The list is all layers of a legacy file that is loaded by order; in V3 it is
 * what shares a path but for the number at its end (layers/dense, layers/dense_1).
 * Two layers are equal when both have names that people gave and these are the
 * same; else, from the front, when their shapes are the same; from the back,
 * behind the change, when they put out the same: an input may have changed.  When
 * no names agree and fewer than half of them fit, the file is another model's.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

enum { INSERTED_MAX = 8 };

typedef struct layer_lists {
    kw_join *join;
    const uint32_t *file, *model; /* rows, in order */
    uint32_t file_count, model_count;
} layer_lists;

/* 1: names say equal; 0: they say different; -1: they say nothing. */
static int compare_names(const kw_join *join, uint32_t f, uint32_t g) {
    if (!kw_file_name_given(join, f) || !kw_model_name_given(join, g)) return -1;
    return strcmp(join->file->groups[f].name, join->model->groups[g].name) == 0;
}

static bool is_equal(const layer_lists *lists, uint32_t i, uint32_t j, bool behind) {
    uint32_t f = lists->file[i], g = lists->model[j];
    int names = compare_names(lists->join, f, g);
    if (names >= 0) return names;
    return behind ? kw_join_puts_out_same(lists->join, f, g) : kw_join_fit(lists->join, f, g).kind == KW_FIT_OK;
}

/* True when the layer before the change could as well be the one too many: nothing tells it from the last of these. */
static bool may_slide(const layer_lists *lists, uint32_t front, uint32_t more) {
    const kw_join *join = lists->join;
    bool in_file = lists->file_count > lists->model_count;
    if (front == 0 || compare_names(join, lists->file[front - 1], lists->model[front - 1]) >= 0) return false;
    uint32_t f = in_file ? lists->file[front + more - 1] : lists->file[front - 1];
    uint32_t g = in_file ? lists->model[front - 1] : lists->model[front + more - 1];
    return kw_join_fit(join, f, g).kind == KW_FIT_OK;
}

/* True when names agree, or half of the layers before and behind the change fit. */
static bool is_alike(const layer_lists *lists, uint32_t front, uint32_t fewer) {
    uint32_t fits = 0;
    for (uint32_t k = 0; k < fewer; k++) {
        uint32_t i = k < front ? k : lists->file_count - fewer + k, j = k < front ? k : lists->model_count - fewer + k;
        if (compare_names(lists->join, lists->file[i], lists->model[j]) > 0) return true;
        fits += kw_join_fit(lists->join, lists->file[i], lists->model[j]).kind == KW_FIT_OK;
    }
    return 2 * (uint64_t)fits >= fewer;
}

/* How many layers from the front are equal; *sure when all others, moved by the
 * difference, are too, and no other place would do. */
static uint32_t find_change(const layer_lists *lists, bool *sure) {
    uint32_t m = lists->model_count, n = lists->file_count, fewer = n < m ? n : m, more = n < m ? m - n : n - m;
    uint32_t front = 0, back = 0;
    while (front < fewer && is_equal(lists, front, front, false)) front++;
    while (back < fewer - front && is_equal(lists, n - 1 - back, m - 1 - back, true)) back++;
    *sure = front + back == fewer && more <= INSERTED_MAX && !may_slide(lists, front, more);
    *sure = *sure && is_alike(lists, front, fewer);
    return front;
}

static int report_count(const layer_lists *lists, kw_error *err) {
    kw_finding *finding = kw_join_add(lists->join, KW_COUNT, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->a = lists->file_count;
    finding->b = lists->model_count;
    return 0;
}

/* One finding for each layer that only one side has. */
static int report_inserted(const layer_lists *lists, uint32_t front, kw_error *err) {
    bool in_file = lists->file_count > lists->model_count;
    uint32_t more = in_file ? lists->file_count - lists->model_count : lists->model_count - lists->file_count;
    uint32_t behind = (in_file ? lists->model_count : lists->file_count) - front;
    for (uint32_t i = 0; i < more; i++) {
        kw_finding *finding = kw_join_add(lists->join, KW_INSERTED, KW_ERROR, err);
        if (finding == NULL) return -1;
        finding->a = finding->b = behind;
        if (in_file) {
            finding->file_group = lists->file[front + i];
            if (behind > 0) finding->other_group = lists->model[front];
        } else {
            finding->model_group = lists->model[front + i];
            if (behind > 0) finding->other_group = lists->model[front + more];
        }
    }
    return 0;
}

/* Nothing more is said of these layers. */
static void explain(const layer_lists *lists, uint32_t front) {
    for (uint32_t j = front; j < lists->model_count; j++) lists->join->matches[lists->model[j]].explained = true;
    for (uint32_t i = front; i < lists->file_count; i++) lists->join->used[lists->file[i]] = 1;
}

/* A layer whose group, or whose list of weights, is gone from the file is why the numbers differ. */
static int report_lost(kw_join *join, bool *found, kw_error *err) {
    *found = false;
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        if ((group->flags & (KW_GROUP_ABSENT | KW_GROUP_NO_LIST)) == 0 || !kw_group_is_layer(group)) continue;
        kw_finding *finding = kw_join_add(join, KW_MISSING, KW_ERROR, err);
        if (finding == NULL) return -1;
        finding->file_group = f;
        *found = true;
    }
    return 0;
}

/* True when the caller's choice of layers leaves nothing that the order would decide. */
static bool is_decided(const layer_lists *lists) {
    const kw_join *join = lists->join;
    if (join->rules->selected == NULL && join->rules->mapped == NULL) return false;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        uint32_t g = lists->model[j];
        if (kw_join_selects(join, g) && join->matches[g].candidate == KW_NONE) return false;
    }
    return true;
}

static int find_legacy(kw_join *join, kw_error *err) {
    uint32_t *file = kw_arena_alloc(&join->work, join->file->group_count * sizeof *file);
    uint32_t *model = kw_arena_alloc(&join->work, join->model->group_count * sizeof *model);
    uint32_t top;
    bool sure, lost;
    if (file == NULL || model == NULL) return kw_fail_memory(err);
    layer_lists lists = {.join = join, .file = file, .model = model};
    lists.file_count = kw_layers_list(join->file, file, &top);
    lists.model_count = kw_layers_list(join->model, model, &top);
    if (lists.file_count == lists.model_count || is_decided(&lists)) return 0;
    if (report_lost(join, &lost, err) < 0) return -1;
    uint32_t front = find_change(&lists, &sure);
    explain(&lists, 0);
    if (lost) return 0;
    return sure ? report_inserted(&lists, front, err) : report_count(&lists, err);
}

typedef struct place_row {
    uint64_t list; /* a hash of the path without its number */
    uint32_t place, group;
} place_row;

static int compare_places(const void *a, const void *b) {
    const place_row *x = a, *y = b;
    if (x->list != y->list) return x->list < y->list ? -1 : 1;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static place_row place_group(const kw_join *join, const char *path, uint32_t group) {
    size_t len;
    uint32_t place = kw_path_place(path, &len);
    return (place_row){kw_text_hash((kw_text){path, len}, join->seed), place, group};
}

/* Groups with variables of one table, by list and place; their number. */
static uint32_t list_places(const kw_join *join, const kw_table *table, bool is_model, place_row *rows) {
    uint32_t count = 0;
    for (uint32_t g = 0; g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        if (group->count == 0 || kw_group_is_state(group) || group->path[0] == '\0') continue;
        if (is_model && (!join->matches[g].by_order || join->matches[g].rule != KW_PAIR_PATH)) continue;
        rows[count++] = place_group(join, group->path, g);
    }
    if (count > 0) qsort(rows, count, sizeof *rows, compare_places);
    return count;
}

/* True when every layer is open to an explanation, and some needs one. */
static bool needs_reason(const layer_lists *lists) {
    bool misfit = false;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        const kw_match *match = &lists->join->matches[lists->model[j]];
        if (match->explained || !kw_join_selects(lists->join, lists->model[j])) return false;
        misfit = misfit || match->fit.kind != KW_FIT_OK;
    }
    return misfit;
}

/* One list of V3: reported only when the place of the change is sure. */
static int find_in_list(const layer_lists *lists, kw_error *err) {
    bool sure;
    if (lists->file_count == 0 || lists->file_count == lists->model_count || !needs_reason(lists)) return 0;
    uint32_t front = find_change(lists, &sure);
    bool behind = front < lists->file_count && front < lists->model_count;
    if (!sure || !behind) return 0; /* at the end: missing or unused says it */
    explain(lists, front);
    return report_inserted(lists, front, err);
}

/* The end of the run of one list that begins at `at`. */
static uint32_t end_of_run(const place_row *rows, uint32_t count, uint32_t at) {
    uint32_t end = at;
    while (end < count && rows[end].list == rows[at].list) end++;
    return end;
}

static void copy_groups(const place_row *rows, uint32_t count, uint32_t *out) {
    for (uint32_t i = 0; i < count; i++) out[i] = rows[i].group;
}

static int find_v3(kw_join *join, kw_error *err) {
    uint32_t files = join->file->group_count, models = join->model->group_count;
    place_row *from = kw_arena_alloc(&join->work, files * sizeof *from);
    place_row *to = kw_arena_alloc(&join->work, models * sizeof *to);
    uint32_t *file = kw_arena_alloc(&join->work, files * sizeof *file);
    uint32_t *model = kw_arena_alloc(&join->work, models * sizeof *model);
    if (from == NULL || to == NULL || file == NULL || model == NULL) return kw_fail_memory(err);
    uint32_t from_count = list_places(join, join->file, false, from), i = 0;
    uint32_t to_count = list_places(join, join->model, true, to), end;
    for (uint32_t j = 0; j < to_count; j = end) {
        end = end_of_run(to, to_count, j);
        while (i < from_count && from[i].list < to[j].list) i++;
        if (i == from_count || from[i].list != to[j].list) continue;
        layer_lists lists = {.join = join, .file = file, .model = model};
        lists.file_count = end_of_run(from, from_count, i) - i;
        lists.model_count = end - j;
        copy_groups(from + i, lists.file_count, file);
        copy_groups(to + j, lists.model_count, model);
        if (find_in_list(&lists, err) < 0) return -1;
    }
    return 0;
}

int kw_find_layers(kw_join *join, kw_error *err) {
    if (join->rules->by_name) return 0;
    return join->legacy ? find_legacy(join, err) : join->v3 ? find_v3(join, err) : 0;
}
