/* best.c -- for what is missing, what is left over and would fit: equal shapes
 * first, then the name that is most alike.
 *
 *     missing model groups, unused file groups  --by hash of their shapes-->  runs
 *     in each run, each model group against up to 64 file groups
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"
#include "plan/nearest.h"

enum { CANDIDATE_MAX = 64, WORK_MAX = 20000000 }; /* work: cells of the tables of edits */

typedef struct shape_row {
    uint64_t hash;
    uint32_t group;
} shape_row;

/* A hash of the number and the shapes of a group's tensors. */
static uint64_t hash_shapes(const kw_table *table, const kw_group *group, const uint32_t *ordered, uint64_t seed) {
    uint64_t hash = kw_text_hash((kw_text){(const char *)&group->count, sizeof group->count}, seed);
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t row = ordered != NULL ? ordered[group->first + i] : table->slots[group->first + i].tensor;
        if (row == KW_NONE) continue;
        const kw_tensor *tensor = &table->tensors[row];
        hash = kw_text_hash((kw_text){(const char *)tensor->shape, tensor->rank * sizeof *tensor->shape}, hash);
    }
    return hash;
}

static int compare_rows(const void *a, const void *b) {
    const shape_row *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* What a group is called: its name, else the end of its path. */
static const char *call(const kw_group *group) {
    return group->name != NULL && group->name[0] != '\0' ? group->name : kw_name_last(group->path).data;
}

/* How alike two groups are called; 0 once `*work` is used up. */
static double compare_names(const kw_group *a, const kw_group *b, uint64_t *work) {
    const char *x = call(a), *y = call(b);
    size_t x_len = strlen(x), y_len = strlen(y), limit = 256;
    uint64_t cells = (uint64_t)(x_len < limit ? x_len : limit) * (y_len < limit ? y_len : limit) + 1;
    if (cells > *work) return 0.0;
    *work -= cells;
    return kw_name_similarity(x, y);
}

static const shape_row *find_run(const shape_row *rows, uint32_t count, uint64_t hash) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rows[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return rows + low;
}

int kw_find_best(kw_join *join, const uint8_t *missing, const uint8_t *unused, uint32_t *best_file,
                 uint32_t *best_model, kw_error *err) {
    const kw_table *file = join->file, *model = join->model;
    shape_row *rows = kw_arena_alloc(&join->work, file->group_count * sizeof *rows);
    double *likeness = kw_arena_alloc(&join->work, file->group_count * sizeof *likeness);
    uint32_t count = 0;
    uint64_t work = WORK_MAX;
    if (rows == NULL || likeness == NULL) return kw_fail_memory(err);
    for (uint32_t f = 0; f < file->group_count; f++) {
        best_model[f] = KW_NONE;
        if (!unused[f]) continue;
        rows[count++] = (shape_row){hash_shapes(file, &file->groups[f], join->ordered, join->seed), f};
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    for (uint32_t g = 0; g < model->group_count; g++) {
        double best = -1.0;
        best_file[g] = KW_NONE;
        if (!missing[g]) continue;
        uint64_t hash = hash_shapes(model, &model->groups[g], NULL, join->seed);
        const shape_row *row = find_run(rows, count, hash);
        for (int i = 0; i < CANDIDATE_MAX && row < rows + count && row->hash == hash; i++, row++) {
            double alike = compare_names(&file->groups[row->group], &model->groups[g], &work);
            if (alike > best) {
                best = alike;
                best_file[g] = row->group;
            }
            if (best_model[row->group] == KW_NONE || alike > likeness[row->group]) {
                best_model[row->group] = g;
                likeness[row->group] = alike;
            }
        }
    }
    return 0;
}
