/* layers.c -- legacy files with another number of layers, loaded by order.
 *
 *     file   a  b  c  d        equal from the front: a        one too many in the
 *     model  a  c  d           equal from the back:  c d      file: b
 *
 * Two layers are equal when both have names that people gave and these are the
 * same; else, from the front, when their shapes are the same; from the back,
 * behind the change, when they put out the same: an input may have changed.
 */
#include <string.h>

#include "plan/join.h"

typedef struct layer_lists {
    const kw_join *join;
    uint32_t *file, *model;
    uint32_t file_count, model_count;
} layer_lists;

/* 1: names say equal; 0: they say different; -1: they say nothing. */
static int compare_names(const kw_group *from, const kw_group *to) {
    if (!kw_file_name_given(from) || !kw_model_name_given(to)) return -1;
    return strcmp(from->name, to->name) == 0;
}

/* True when the weights have the same ranks and last axes. */
static bool puts_out_same(const kw_join *join, uint32_t f, uint32_t g) {
    const kw_group *from = &join->file->groups[f], *to = &join->model->groups[g];
    if (from->count != to->count) return false;
    for (uint32_t i = 0; i < to->count; i++) {
        uint32_t row = kw_join_tensor(join, f, i);
        if (row == KW_NONE) return false;
        const kw_tensor *a = &join->file->tensors[row], *b = &join->model->tensors[kw_join_variable(join, g, i)];
        if (a->rank != b->rank || (a->rank > 0 && a->shape[a->rank - 1] != b->shape[b->rank - 1])) return false;
    }
    return true;
}

static bool is_equal(const layer_lists *lists, uint32_t i, uint32_t j, bool behind) {
    const kw_join *join = lists->join;
    uint32_t f = lists->file[i], g = lists->model[j];
    int names = compare_names(&join->file->groups[f], &join->model->groups[g]);
    if (names >= 0) return names;
    return behind ? puts_out_same(join, f, g) : kw_join_fit(join, f, g).kind == KW_FIT_OK;
}

/* How many layers from the front are equal; *fits tells whether all others, moved by the difference, are too. */
static uint32_t find_change(const layer_lists *lists, bool *fits) {
    uint32_t fewer = lists->file_count < lists->model_count ? lists->file_count : lists->model_count;
    uint32_t front = 0, back = 0;
    while (front < fewer && is_equal(lists, front, front, false)) front++;
    while (back < fewer - front &&
           is_equal(lists, lists->file_count - 1 - back, lists->model_count - 1 - back, true)) {
        back++;
    }
    *fits = front + back == fewer;
    return front;
}

static int report_count(kw_join *join, const layer_lists *lists, kw_error *err) {
    kw_finding *finding = kw_join_add(join, KW_COUNT, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->a = lists->file_count;
    finding->b = lists->model_count;
    return 0;
}

/* One finding for each layer that only one side has. */
static int report_inserted(kw_join *join, const layer_lists *lists, uint32_t front, kw_error *err) {
    bool in_file = lists->file_count > lists->model_count;
    uint32_t more = in_file ? lists->file_count - lists->model_count : lists->model_count - lists->file_count;
    uint32_t behind = (in_file ? lists->model_count : lists->file_count) - front;
    for (uint32_t i = 0; i < more; i++) {
        kw_finding *finding = kw_join_add(join, KW_INSERTED, KW_ERROR, err);
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
static bool is_decided(const kw_join *join, const layer_lists *lists) {
    if (join->rules->selected == NULL && join->rules->mapped == NULL) return false;
    for (uint32_t j = 0; j < lists->model_count; j++) {
        uint32_t g = lists->model[j];
        if (kw_join_selects(join, g) && join->matches[g].candidate == KW_NONE) return false;
    }
    return true;
}

int kw_find_layers(kw_join *join, kw_error *err) {
    layer_lists lists = {.join = join};
    uint32_t top;
    if (!join->legacy || join->rules->by_name) return 0;
    lists.file = kw_arena_alloc(&join->work, join->file->group_count * sizeof *lists.file);
    lists.model = kw_arena_alloc(&join->work, join->model->group_count * sizeof *lists.model);
    if (lists.file == NULL || lists.model == NULL) return kw_fail_memory(err);
    lists.file_count = kw_layers_list(join->file, lists.file, &top);
    lists.model_count = kw_layers_list(join->model, lists.model, &top);
    if (lists.file_count == lists.model_count || is_decided(join, &lists)) return 0;
    bool fits, lost;
    if (report_lost(join, &lost, err) < 0) return -1;
    uint32_t front = find_change(&lists, &fits);
    int result = lost ? 0 : fits ? report_inserted(join, &lists, front, err) : report_count(join, &lists, err);
    for (uint32_t j = 0; j < lists.model_count; j++) join->matches[lists.model[j]].explained = true;
    for (uint32_t i = 0; i < lists.file_count; i++) join->used[lists.file[i]] = 1;
    return result;
}
