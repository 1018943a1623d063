/* best.c -- for what is missing, what is left over and would fit: in blocks of
 * equal shapes the assignment whose names are most alike in sum.
 *
 *     missing model groups, unused file groups  --by hash of their shapes-->  blocks
 *
 *                  conv_a   conv_b          each pair has a likeness; the best sum is found
 *     stem_conv_a   0.55     0.36           by shortest augmenting paths (Kuhn, Munkres)
 *     stem_conv_b   0.36     0.55
 *
 * A pair is kept when no other of its block is as alike to either.  Blocks of more
 * than BLOCK_MAX on one side, and all once the work is used up, keep nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"
#include "plan/nearest.h"

enum { BLOCK_MAX = 64, WORK_MAX = 20000000, PART_MAX = 32 }; /* work: cells of the tables of edits */
#define LIKE_LEAST 0.5
#define LIKE_MARGIN 0.02

typedef struct shape_row {
    uint64_t hash;
    uint32_t group;
} shape_row;

typedef struct block {
    const shape_row *files, *models;
    uint32_t file_count, model_count;
    double like[BLOCK_MAX][BLOCK_MAX]; /* of model i and file j */
} block;

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

/* How alike two texts are; 0 once `*work` is used up. */
static double compare_texts(const char *x, const char *y, uint64_t *work) {
    size_t x_len = strlen(x), y_len = strlen(y), limit = 256;
    uint64_t cells = (uint64_t)(x_len < limit ? x_len : limit) * (y_len < limit ? y_len : limit) + 1;
    if (cells > *work) return 0.0;
    *work -= cells;
    return kw_name_similarity(x, y);
}

/* The mean likeness of the components of two paths; 0 when they are not as many. */
static double compare_paths(const char *a, const char *b, uint64_t *work) {
    enum { TEXT_MAX = 256 };
    char left[TEXT_MAX], right[TEXT_MAX];
    double sum = 0.0;
    for (int parts = 1; parts <= PART_MAX; parts++) {
        size_t a_len = strcspn(a, "/"), b_len = strcspn(b, "/");
        if (a_len >= TEXT_MAX || b_len >= TEXT_MAX || (a[a_len] == '/') != (b[b_len] == '/')) return 0.0;
        memcpy(left, a, a_len);
        memcpy(right, b, b_len);
        left[a_len] = right[b_len] = '\0';
        sum += strcmp(left, right) == 0 ? 1.0 : compare_texts(left, right, work);
        if (a[a_len] == '\0') return sum / parts;
        a += a_len + 1;
        b += b_len + 1;
    }
    return 0.0;
}

/* What a group is called: its name, else the end of its path. */
static const char *call(const kw_group *group) {
    return group->name != NULL && group->name[0] != '\0' ? group->name : kw_name_last(group->path).data;
}

/* How alike two groups are: by their names; in V3, but for by_name, by their paths and a name that people gave. */
static double compare_groups(const kw_join *join, uint32_t f, uint32_t g, uint64_t *work) {
    const kw_group *from = &join->file->groups[f], *to = &join->model->groups[g];
    if (!join->v3 || join->rules->by_name) return compare_texts(call(from), call(to), work);
    double paths = compare_paths(from->path, to->path, work);
    bool named = kw_file_name_given(join, f) && kw_model_name_given(join, g) && strcmp(from->name, to->name) == 0;
    return named ? (1.0 + paths) / 2 : paths;
}

/* Munkres with potentials over 1 - like; match[column] = row, both from 1, 0 for none.  Rows are the side that
 * has fewer: models, or files when `turned`. */
static void assign(const block *b, bool turned, uint32_t *match) {
    uint32_t rows = turned ? b->file_count : b->model_count, columns = turned ? b->model_count : b->file_count;
    double u[BLOCK_MAX + 1] = {0}, v[BLOCK_MAX + 1] = {0};
    uint32_t way[BLOCK_MAX + 1] = {0};
    memset(match, 0, (BLOCK_MAX + 1) * sizeof *match);
    for (uint32_t i = 1; i <= rows; i++) {
        double least[BLOCK_MAX + 1];
        bool used[BLOCK_MAX + 1] = {false};
        uint32_t at = 0;
        match[0] = i;
        for (uint32_t j = 0; j <= columns; j++) least[j] = 1e9;
        do {
            uint32_t row = match[at], next = 0;
            double delta = 1e9;
            used[at] = true;
            for (uint32_t j = 1; j <= columns; j++) {
                if (used[j]) continue;
                double like = turned ? b->like[j - 1][row - 1] : b->like[row - 1][j - 1];
                double cost = 1.0 - like - u[row] - v[j];
                if (cost < least[j]) {
                    least[j] = cost;
                    way[j] = at;
                }
                if (least[j] < delta) {
                    delta = least[j];
                    next = j;
                }
            }
            for (uint32_t j = 0; j <= columns; j++) {
                if (used[j]) {
                    u[match[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            at = next;
        } while (match[at] != 0);
        for (uint32_t before; at != 0; at = before) {
            before = way[at];
            match[at] = match[before];
        }
    }
}

/* True when no other of the block is as alike to either, and they are alike enough to be told. */
static bool is_sure(const block *b, uint32_t i, uint32_t j) {
    double like = b->like[i][j];
    if (b->file_count == 1 && b->model_count == 1) return true;
    if (like < LIKE_LEAST) return false;
    for (uint32_t k = 0; k < b->file_count; k++) {
        if (k != j && b->like[i][k] > like - LIKE_MARGIN) return false;
    }
    for (uint32_t k = 0; k < b->model_count; k++) {
        if (k != i && b->like[k][j] > like - LIKE_MARGIN) return false;
    }
    return true;
}

static void solve(const kw_join *join, block *b, uint64_t *work, uint32_t *best_file, uint32_t *best_model) {
    uint32_t match[BLOCK_MAX + 1];
    bool turned = b->model_count > b->file_count;
    for (uint32_t i = 0; i < b->model_count; i++) {
        for (uint32_t j = 0; j < b->file_count; j++) {
            b->like[i][j] = compare_groups(join, b->files[j].group, b->models[i].group, work);
        }
    }
    assign(b, turned, match);
    for (uint32_t column = 1; column <= (turned ? b->model_count : b->file_count); column++) {
        if (match[column] == 0) continue;
        uint32_t i = turned ? column - 1 : match[column] - 1, j = turned ? match[column] - 1 : column - 1;
        if (!is_sure(b, i, j) || kw_join_fit(join, b->files[j].group, b->models[i].group).kind != KW_FIT_OK) continue;
        best_file[b->models[i].group] = b->files[j].group;
        best_model[b->files[j].group] = b->models[i].group;
    }
}

/* Rows of the marked groups of a table, sorted by shapes; their number. */
static uint32_t list_rows(const kw_table *table, const uint8_t *marked, const uint32_t *ordered, uint64_t seed,
                          shape_row *rows) {
    uint32_t count = 0;
    for (uint32_t g = 0; g < table->group_count; g++) {
        if (marked[g]) rows[count++] = (shape_row){hash_shapes(table, &table->groups[g], ordered, seed), g};
    }
    if (count > 0) qsort(rows, count, sizeof *rows, compare_rows);
    return count;
}

static uint32_t count_run(const shape_row *rows, uint32_t at, uint32_t count) {
    uint32_t end = at;
    while (end < count && rows[end].hash == rows[at].hash) end++;
    return end - at;
}

int kw_find_best(kw_join *join, const uint8_t *missing, const uint8_t *unused, uint32_t *best_file,
                 uint32_t *best_model, kw_error *err) {
    const kw_table *file = join->file, *model = join->model;
    shape_row *files = kw_arena_alloc(&join->work, file->group_count * sizeof *files);
    shape_row *models = kw_arena_alloc(&join->work, model->group_count * sizeof *models);
    block *b = kw_arena_alloc(&join->work, sizeof *b);
    uint64_t work = WORK_MAX;
    if (files == NULL || models == NULL || b == NULL) return kw_fail_memory(err);
    for (uint32_t f = 0; f < file->group_count; f++) best_model[f] = KW_NONE;
    for (uint32_t g = 0; g < model->group_count; g++) best_file[g] = KW_NONE;
    uint32_t file_count = list_rows(file, unused, join->ordered, join->seed, files), i = 0;
    uint32_t model_count = list_rows(model, missing, NULL, join->seed, models), run;
    for (uint32_t j = 0; j < model_count; j += run) {
        run = count_run(models, j, model_count);
        while (i < file_count && files[i].hash < models[j].hash) i++;
        if (i == file_count || files[i].hash != models[j].hash) continue;
        b->files = files + i;
        b->models = models + j;
        b->file_count = count_run(files, i, file_count);
        b->model_count = run;
        uint64_t steps = (uint64_t)run * run * b->file_count / 8; /* of assign, as the work of a cell */
        if (b->file_count > BLOCK_MAX || run > BLOCK_MAX || work < steps) continue;
        work -= steps;
        solve(join, b, &work, best_file, best_model);
    }
    return 0;
}
