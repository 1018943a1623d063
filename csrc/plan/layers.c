/* layers.c -- one side has more layers of a list than the other.
 *
 *     file   a  b  c  d        equal from the front: a        one too many in the
 *     model  a  c  d           equal from the back:  c d      file: b
 *
 * The list is all layers of a legacy file that is loaded by order; in V3 it is
 * what shares a path but for the number at its end (layers/dense, layers/dense_1).
 * Names that people gave, the same on both sides and in the same order, cut both
 * lists into segments; within one, which has more on one side, shapes say where:
 *
 *     file   a  .  .  b            between a and b one more: a third of three that are
 *     model  a  .  .  .  b         alike is not told from the others (KW_INSERTED without groups)
 *
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
    *sure = front + back == fewer && more > 0 && more <= INSERTED_MAX && !may_slide(lists, front, more);
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

/* One finding for each layer that only one side has; `next` is the model's layer behind the segment, or KW_NONE. */
static int report_inserted(const layer_lists *lists, uint32_t front, uint32_t next, uint32_t behind, kw_error *err) {
    bool in_file = lists->file_count > lists->model_count;
    uint32_t more = in_file ? lists->file_count - lists->model_count : lists->model_count - lists->file_count;
    uint32_t after = in_file ? front : front + more;
    for (uint32_t i = 0; i < more; i++) {
        kw_finding *finding = kw_join_add(lists->join, KW_INSERTED, KW_ERROR, err);
        if (finding == NULL) return -1;
        finding->a = finding->b = behind;
        finding->other_group = after < lists->model_count ? lists->model[after] : next;
        if (in_file) {
            finding->file_group = lists->file[front + i];
        } else {
            finding->model_group = lists->model[front + i];
        }
    }
    return 0;
}

/* Some of the layers of a segment are only on one side, and nothing tells which. */
static int report_some(const layer_lists *lists, uint32_t next, kw_error *err) {
    kw_finding *finding = kw_join_add(lists->join, KW_INSERTED, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->other_group = next;
    finding->a = lists->file_count;
    finding->b = lists->model_count;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        if (kw_join_relate(lists->join, kw_join_variable(lists->join, lists->model[j], 0), err) < 0) return -1;
    }
    return 0;
}

/* Nothing more is said of these layers. */
static void explain(const layer_lists *lists, uint32_t front) {
    for (uint32_t j = front; j < lists->model_count; j++) lists->join->matches[lists->model[j]].explained = true;
    for (uint32_t i = front; i < lists->file_count; i++) lists->join->used[lists->file[i]] = 1;
}

/* The file's layer of the same given name for each of the model's, or KW_NONE; *count of them.  None at all when
 * their order is not the same, or a name is not unique, or shapes speak against one. */
static int find_anchors(const layer_lists *lists, uint32_t *partner, uint32_t *count, kw_error *err) {
    const kw_join *join = lists->join;
    kw_index names = KW_INDEX_EMPTY;
    uint32_t least = 0;
    bool good = true;
    int result = 0;
    *count = 0;
    for (uint32_t i = 0; result == 0 && i < lists->file_count; i++) {
        uint32_t before = KW_NONE;
        if (!kw_file_name_given(join, lists->file[i])) continue;
        result = kw_index_add(&names, join->file->groups[lists->file[i]].name, i, &before, err);
        good = good && before == KW_NONE;
    }
    for (uint32_t j = 0; j < lists->model_count; j++) {
        uint32_t g = lists->model[j];
        partner[j] = kw_model_name_given(join, g) ? kw_index_find(&names, join->model->groups[g].name) : KW_NONE;
        if (partner[j] == KW_NONE) continue;
        good = good && partner[j] >= least && kw_join_puts_out_same(join, lists->file[partner[j]], g);
        least = partner[j] + 1;
        *count += 1;
    }
    kw_index_free(&names);
    for (uint32_t j = 0; !good && j < lists->model_count; j++) partner[j] = KW_NONE;
    if (!good) *count = 0;
    return result;
}

/* The segment that begins at *file and *model and ends before the next anchor; both move behind that. */
static layer_lists take_segment(const layer_lists *lists, const uint32_t *partner, uint32_t *file, uint32_t *model) {
    uint32_t j = *model, i = lists->file_count;
    while (j < lists->model_count && partner[j] == KW_NONE) j++;
    if (j < lists->model_count) i = partner[j];
    layer_lists part = {lists->join, lists->file + *file, lists->model + *model, i - *file, j - *model};
    *file = i + 1;
    *model = j + 1;
    return part;
}

/* One finding for each segment of which one side has more. */
static int report_segments(const layer_lists *lists, const uint32_t *partner, kw_error *err) {
    for (uint32_t i = 0, j = 0; i <= lists->file_count && j <= lists->model_count;) {
        bool sure;
        layer_lists part = take_segment(lists, partner, &i, &j);
        uint32_t next = j - 1 < lists->model_count ? lists->model[j - 1] : KW_NONE, behind = lists->model_count - j + 1;
        if (part.file_count == part.model_count) continue;
        bool empty = part.file_count == 0 || part.model_count == 0;
        uint32_t front = find_change(&part, &sure);
        int result = empty || sure ? report_inserted(&part, front, next, behind, err) : report_some(&part, next, err);
        if (result < 0) return -1;
    }
    return 0;
}

/* As report_inserted does, for a whole list. */
static int report_whole(const layer_lists *lists, uint32_t front, kw_error *err) {
    uint32_t fewer = lists->file_count < lists->model_count ? lists->file_count : lists->model_count;
    return report_inserted(lists, front, KW_NONE, fewer - front, err);
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
    uint32_t *partner = kw_arena_alloc(&join->work, lists.model_count * sizeof *partner);
    if (partner == NULL) return kw_fail_memory(err);
    uint32_t front = find_change(&lists, &sure), anchors;
    if (find_anchors(&lists, partner, &anchors, err) < 0) return -1;
    explain(&lists, 0);
    if (lost) return 0;
    if (anchors > 0) return report_segments(&lists, partner, err);
    return sure ? report_whole(&lists, front, err) : report_count(&lists, err);
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
    return report_whole(lists, front, err);
}

/* Where the layers between two anchors are as many on both sides, or shapes say which are too many, the others go by
 * their order. */
static void fill_partners(const layer_lists *lists, uint32_t *partner) {
    for (uint32_t i = 0, j = 0; i <= lists->file_count && j <= lists->model_count;) {
        bool sure;
        uint32_t first = j, i_first = i;
        layer_lists part = take_segment(lists, partner, &i, &j);
        uint32_t fewer = part.file_count < part.model_count ? part.file_count : part.model_count;
        uint32_t front = find_change(&part, &sure);
        if (fewer == 0 || (!sure && part.file_count != part.model_count)) continue;
        if (part.file_count == part.model_count) front = fewer;
        for (uint32_t k = 0; k < fewer; k++) {
            uint32_t from = k < front ? k : part.file_count - fewer + k, to = k < front ? k : part.model_count - fewer + k;
            bool fits = kw_join_puts_out_same(lists->join, part.file[from], part.model[to]);
            if (fits) partner[first + to] = i_first + from;
        }
    }
}

/* True when the j-th layer of the model would get what the names give to another, or not what they give to it. */
static bool is_shifted(const layer_lists *lists, const uint32_t *partner, const uint8_t *taken, uint32_t j) {
    uint32_t f = lists->join->matches[lists->model[j]].candidate;
    if (partner[j] != KW_NONE) return f != lists->file[partner[j]];
    return f != KW_NONE && taken[f];
}

/* The findings since `first` explain the layers of the list; the shifted ones are related to the first of them. */
static int explain_shifted(const layer_lists *lists, const uint32_t *partner, const uint8_t *taken, uint32_t first,
                           kw_error *err) {
    kw_join *join = lists->join;
    kw_plan *plan = join->plan;
    uint32_t last = plan->finding_count - 1, had = plan->findings[last].related_count;
    uint32_t begin = plan->findings[last].related_first + had;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        uint32_t g = lists->model[j];
        kw_match *match = &join->matches[g];
        match->wrong = is_shifted(lists, partner, taken, j);
        if (partner[j] != KW_NONE) join->plan->own_group[g] = lists->file[partner[j]];
        match->explained = match->wrong || match->fit.kind != KW_FIT_OK;
        for (uint32_t i = 0; match->wrong && i < join->model->groups[g].count; i++) {
            if (kw_join_relate(join, kw_join_variable(join, g, i), err) < 0) return -1;
        }
    }
    /* What is related to the last finding by now is the first's. */
    uint32_t moved = plan->findings[last].related_count - had;
    plan->findings[last].related_count = had;
    plan->findings[first].related_first = begin;
    plan->findings[first].related_count = moved;
    for (uint32_t i = 0; i < lists->file_count; i++) join->used[lists->file[i]] = 1;
    return 0;
}

/* One list of V3 in which given names stand at other places because one side has more. */
static int find_named_list(const layer_lists *lists, uint32_t *partner, uint8_t *taken, kw_error *err) {
    kw_join *join = lists->join;
    bool shifted = false, open = true;
    uint32_t anchors;
    if (lists->file_count == 0 || lists->file_count == lists->model_count) return 0;
    if (find_anchors(lists, partner, &anchors, err) < 0) return -1;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        if (partner[j] != KW_NONE) taken[lists->file[partner[j]]] = 1;
    }
    for (uint32_t j = 0; j < lists->model_count; j++) {
        uint32_t g = lists->model[j];
        shifted = shifted || (partner[j] != KW_NONE && is_shifted(lists, partner, taken, j));
        open = open && !join->matches[g].explained && kw_join_selects(join, g);
    }
    uint32_t first = join->plan->finding_count;
    if (!shifted || !open) return 0;
    if (report_segments(lists, partner, err) < 0) return -1;
    if (join->plan->finding_count == first) return 0;
    fill_partners(lists, partner);
    for (uint32_t j = 0; j < lists->model_count; j++) {
        if (partner[j] != KW_NONE) taken[lists->file[partner[j]]] = 1;
    }
    return explain_shifted(lists, partner, taken, first, err);
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

/* Each list of V3 that both sides have: by names, or by shapes. */
static int find_v3(kw_join *join, bool names, kw_error *err) {
    uint32_t files = join->file->group_count, models = join->model->group_count;
    place_row *from = kw_arena_alloc(&join->work, files * sizeof *from);
    place_row *to = kw_arena_alloc(&join->work, models * sizeof *to);
    uint32_t *file = kw_arena_alloc(&join->work, files * sizeof *file);
    uint32_t *model = kw_arena_alloc(&join->work, models * sizeof *model);
    uint32_t *partner = kw_arena_alloc(&join->work, models * sizeof *partner);
    uint8_t *taken = kw_arena_alloc(&join->work, files);
    if (from == NULL || to == NULL || file == NULL || model == NULL || partner == NULL || taken == NULL) {
        return kw_fail_memory(err);
    }
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
        if (names ? find_named_list(&lists, partner, taken, err) < 0 : find_in_list(&lists, err) < 0) return -1;
    }
    return 0;
}

int kw_find_layers(kw_join *join, kw_error *err) {
    if (join->rules->by_name) return 0;
    return join->legacy ? find_legacy(join, err) : join->v3 ? find_v3(join, false, err) : 0;
}

int kw_find_named_lists(kw_join *join, kw_error *err) {
    return join->v3 && !join->rules->by_name ? find_v3(join, true, err) : 0;
}
