/* undecidable.c -- layers that nothing in file or model can tell apart.
 *
 *     layers/dense, layers/dense_1     Dense, kernel (8, 8), bias (8,)     by place only
 *
 * They are in one run when place decided their pairs, their class, shapes and
 * types are the same, and no name that a person gave, the same on both sides,
 * tells them apart.  One that finds nothing, at a place like theirs, is of the run
 * too: nothing tells which of them the file lacks.  A note is made of a run only
 * when something hints that the order may have changed.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

typedef struct kind_row {
    uint64_t kind;
    uint32_t group;
} kind_row;

static int compare_kinds(const void *a, const void *b) {
    const kind_row *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* A hash of the path with the numbers "_3" of its components left out. */
static uint64_t hash_place(const char *path, uint64_t hash) {
    for (const char *at = path; *at != '\0';) {
        size_t len = strcspn(at, "/"), end = len;
        while (end > 0 && at[end - 1] >= '0' && at[end - 1] <= '9') end--;
        bool numbered = end < len && end > 1 && at[end - 1] == '_';
        hash = kw_text_hash((kw_text){at, numbered ? end - 1 : len}, hash);
        at += len + (at[len] == '/');
    }
    return hash;
}

static uint64_t hash_kind(const kw_join *join, const kw_group *group) {
    uint64_t hash = join->seed;
    if (group->class_name != NULL) hash = kw_text_hash((kw_text){group->class_name, strlen(group->class_name)}, hash);
    if (join->v3) hash = hash_place(group->path, hash);
    for (uint32_t i = 0; i < group->count; i++) {
        const kw_tensor *tensor = &join->model->tensors[join->model->slots[group->first + i].tensor];
        hash = kw_text_hash((kw_text){(const char *)&tensor->dtype, sizeof tensor->dtype}, hash);
        hash = kw_text_hash((kw_text){(const char *)tensor->shape, tensor->rank * sizeof *tensor->shape}, hash);
    }
    return hash;
}

/* True when nothing but its place gave the group its tensors. */
static bool is_open(const kw_join *join, uint32_t g) {
    const kw_match *match = &join->matches[g];
    const kw_group *to = &join->model->groups[g];
    if (to->count == 0 || match->source == KW_NONE || match->explained || !kw_join_selects(join, g)) return false;
    if (kw_group_is_state(to) || (match->rule != KW_PAIR_PATH && match->rule != KW_PAIR_ORDER)) return false;
    const kw_group *from = &join->file->groups[match->source];
    if (!kw_model_name_given(join, g) || from->name == NULL) return true;
    bool legacy = join->legacy && strcmp(from->name, to->name) == 0; /* also "dense_1", where the class is not known */
    return !legacy && (!kw_file_name_given(join, match->source) || strcmp(from->name, to->name) != 0);
}

/* True when one side records names that people gave, and the other automatic ones. */
static bool has_hint(const kw_join *join, const kind_row *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t g = rows[i].group, f = join->matches[g].source;
        if (f == KW_NONE) continue;
        const kw_group *to = &join->model->groups[g], *from = &join->file->groups[f];
        bool recorded = (from->flags & KW_GROUP_NAMED) != 0 && from->name != NULL && to->name != NULL;
        if (recorded && kw_file_name_given(join, f) != kw_model_name_given(join, g)) return true;
    }
    return false;
}

/* A hash of where a file group stands and of its shapes. */
static uint64_t hash_file(const kw_join *join, uint32_t f) {
    const kw_group *group = &join->file->groups[f];
    uint64_t hash = join->v3 ? hash_place(group->path, join->seed) : join->seed;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t row = kw_join_tensor(join, f, i);
        if (row == KW_NONE) continue;
        const kw_tensor *tensor = &join->file->tensors[row];
        hash = kw_text_hash((kw_text){(const char *)tensor->shape, tensor->rank * sizeof *tensor->shape}, hash);
    }
    return hash;
}

/* The same of a model group, so that it can be looked up among those. */
static uint64_t hash_model(const kw_join *join, uint32_t g) {
    const kw_group *group = &join->model->groups[g];
    uint64_t hash = join->v3 ? hash_place(group->path, join->seed) : join->seed;
    for (uint32_t i = 0; i < group->count; i++) {
        const kw_tensor *tensor = &join->model->tensors[kw_join_variable(join, g, i)];
        hash = kw_text_hash((kw_text){(const char *)tensor->shape, tensor->rank * sizeof *tensor->shape}, hash);
    }
    return hash;
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* True when the group finds nothing at its place. */
static bool lacks_all(const kw_join *join, uint32_t g) {
    const kw_group *group = &join->model->groups[g];
    const kw_match *match = &join->matches[g];
    if (group->count == 0 || match->fit.kind != KW_FIT_NONE || match->explained || kw_group_is_state(group)) return false;
    return (match->rule == KW_PAIR_PATH || match->rule == KW_PAIR_ORDER) && kw_join_selects(join, g);
}

/* Hashes of the file's groups that nobody takes, and of the model's that find nothing, sorted; NULL: no memory. */
static uint64_t *list_spare(kw_join *join, uint32_t *count) {
    size_t most = (size_t)join->file->group_count + join->model->group_count;
    uint64_t *spare = kw_arena_alloc(&join->work, most * sizeof *spare);
    *count = 0;
    if (spare == NULL) return NULL;
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        if (group->count > 0 && !join->used[f] && !kw_group_is_state(group)) spare[(*count)++] = hash_file(join, f);
    }
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (lacks_all(join, g)) spare[(*count)++] = hash_model(join, g);
    }
    if (*count > 0) qsort(spare, *count, sizeof *spare, compare_hashes);
    return spare;
}

/* One note for all runs of which something hints at another order. */
static int report(kw_join *join, const kind_row *rows, uint32_t count, kw_finding **note, kw_error *err) {
    if (*note == NULL) {
        *note = kw_join_add(join, KW_UNDECIDABLE, KW_NOTE, err);
        if (*note == NULL) return -1;
        (*note)->model_group = rows[0].group;
        (*note)->file_group = join->matches[rows[0].group].source;
    }
    (*note)->a += count;
    (*note)->b += count;
    for (uint32_t i = 0; i < count; i++) {
        if (kw_join_relate(join, kw_join_variable(join, rows[i].group, 0), err) < 0) return -1;
    }
    return 0;
}

/* The file's group of the first of a run that has one; KW_NONE. */
static uint32_t find_source(const kw_join *join, const kind_row *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (join->matches[rows[i].group].source != KW_NONE) return join->matches[rows[i].group].source;
    }
    return KW_NONE;
}

int kw_find_undecidable(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    uint32_t groups = join->model->group_count, count = 0, spare_count, end;
    kw_finding *note = NULL;
    kind_row *rows = kw_arena_alloc(&join->work, groups * sizeof *rows);
    uint64_t *spare = list_spare(join, &spare_count);
    plan->undecidable = kw_arena_alloc(&plan->arena, 2 * (size_t)groups * sizeof(uint32_t));
    if (rows == NULL || spare == NULL || plan->undecidable == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < groups; g++) {
        if (is_open(join, g) || lacks_all(join, g)) rows[count++] = (kind_row){hash_kind(join, &join->model->groups[g]), g};
    }
    qsort(rows, count, sizeof *rows, compare_kinds);
    for (uint32_t i = 0; i < count; i = end) {
        end = i + 1;
        while (end < count && rows[end].kind == rows[i].kind) end++;
        uint32_t source = find_source(join, rows + i, end - i);
        if (end - i < 2 || source == KW_NONE) continue;
        if (plan->undecidable_count > 0) plan->undecidable[plan->undecidable_count++] = KW_NONE;
        for (uint32_t k = i; k < end; k++) plan->undecidable[plan->undecidable_count++] = rows[k].group;
        uint64_t kind = hash_file(join, source);
        bool more = bsearch(&kind, spare, spare_count, sizeof *spare, compare_hashes) != NULL;
        if ((more || has_hint(join, rows + i, end - i)) && report(join, rows + i, end - i, &note, err) < 0) return -1;
    }
    return 0;
}
