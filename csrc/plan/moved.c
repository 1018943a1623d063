/* moved.c -- objects of the V3 layout that the file has at another path, or never had.
 *
 *     file   enc/dense      layers/multi_head_attention/query_dense
 *     model  encoder/dense  layers/multi_head_attention/_query_dense     an attribute was renamed: KW_RENAMED
 *
 *     model  layers/block/rows/container/dense     a list in a list, which Keras before 3.15 did not save:
 *     file   no path has a "container"             KW_NOT_SAVED
 *
 * Paths are those of attributes in the code, so a changed one loads nothing, however
 * alike the rest is.  A path counts as changed when the shapes are the same, one
 * component differs (or the whole is alike), and no other would do (best.c).
 *
 * keras/src/saving/saving_lib.py: _save_container_state.
 */
#include <string.h>

#include "plan/join.h"

/* How many components of two paths differ; SIZE_MAX when that is more than half of them, or they have not as many.
 * The first of each in *a_part, *b_part. */
static size_t count_changes(const char *a, const char *b, kw_text *a_part, kw_text *b_part) {
    for (size_t changes = 0, parts = 1;; parts++) {
        size_t a_len = strcspn(a, "/"), b_len = strcspn(b, "/");
        if ((a[a_len] == '/') != (b[b_len] == '/')) return SIZE_MAX;
        if (a_len != b_len || memcmp(a, b, a_len) != 0) {
            if (changes++ == 0) {
                *a_part = (kw_text){a, a_len};
                *b_part = (kw_text){b, b_len};
            }
        }
        if (a[a_len] == '\0') return changes > 1 && 2 * changes > parts ? SIZE_MAX : changes;
        a += a_len + 1;
        b += b_len + 1;
    }
}

/* True for the name of a class of Keras's own, as a component of a path. */
static bool is_class(kw_text part) {
    enum { PART_MAX = 64 };
    char text[PART_MAX];
    if (part.len >= PART_MAX) return false;
    memcpy(text, part.data, part.len);
    text[part.len] = '\0';
    return kw_name_is_automatic(text, NULL);
}

/* True when one path became the other by a renamed attribute, or class. */
static bool is_moved(const kw_join *join, uint32_t f, uint32_t g) {
    kw_text from = {"", 0}, to = {"", 0};
    bool given = kw_file_name_given(join, f) && kw_model_name_given(join, g);
    if (given && strcmp(join->file->groups[f].name, join->model->groups[g].name) != 0) return false;
    size_t changes = count_changes(join->file->groups[f].path, join->model->groups[g].path, &from, &to);
    if (changes == 0 || changes == SIZE_MAX) return false;
    return !(is_class(from) && is_class(to)); /* another layer of Keras, or another place in a list */
}

static void mark_left(const kw_join *join, uint8_t *missing, uint8_t *unused) {
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        unused[f] = group->count > 0 && !kw_group_is_state(group) && !join->used[f];
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_match *match = &join->matches[g];
        const kw_group *group = &join->model->groups[g];
        bool own = kw_join_is_own(join, g);
        missing[g] = group->count > 0 && !kw_group_is_state(group) && !own && kw_join_selects(join, g) &&
                     !match->explained && match->fit.kind == KW_FIT_NONE;
    }
}

static int report(kw_join *join, int code, uint32_t f, uint32_t g, kw_error *err) {
    bool soft = join->rules->skip_mismatch;
    kw_finding *finding = kw_join_add(join, code, soft ? KW_WARNING : KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->file_group = f;
    finding->model_group = g;
    join->matches[g].explained = true;
    if (f != KW_NONE) join->used[f] = 1;
    return 0;
}

/* True when a component of the path is a list in a list: "container", "container_2". */
static bool is_in_container(const char *path) {
    for (const char *at = path; (at = strstr(at, "/container")) != NULL; at++) {
        const char *end = at + strlen("/container");
        while (*end == '_' || (*end >= '0' && *end <= '9')) end++;
        if (*end == '/' || *end == '\0') return true;
    }
    return false;
}

/* Layers in lists in lists, when the file has no such thing at all. */
static int find_not_saved(kw_join *join, const uint8_t *missing, kw_error *err) {
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        if (is_in_container(join->file->groups[f].path)) return 0;
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (!missing[g] || !is_in_container(join->model->groups[g].path)) continue;
        if (report(join, KW_NOT_SAVED, KW_NONE, g, err) < 0) return -1;
    }
    return 0;
}

int kw_find_moved(kw_join *join, kw_error *err) {
    uint8_t *missing = kw_arena_alloc(&join->work, join->model->group_count);
    uint8_t *unused = kw_arena_alloc(&join->work, join->file->group_count);
    uint32_t *best_file = kw_arena_alloc(&join->work, join->model->group_count * sizeof *best_file);
    uint32_t *best_model = kw_arena_alloc(&join->work, join->file->group_count * sizeof *best_model);
    if (missing == NULL || unused == NULL || best_file == NULL || best_model == NULL) return kw_fail_memory(err);
    if (!join->v3 || join->rules->by_name || join->graph == NULL) return 0;
    mark_left(join, missing, unused);
    if (find_not_saved(join, missing, err) < 0) return -1;
    mark_left(join, missing, unused);
    if (kw_find_best(join, missing, unused, best_file, best_model, err) < 0) return -1;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        uint32_t f = best_file[g];
        if (f != KW_NONE && is_moved(join, f, g) && report(join, KW_RENAMED, f, g, err) < 0) return -1;
    }
    return 0;
}
