/* naming.c -- names that differ by one rule, where the call asks for names.
 *
 *     file   swa_model/conv1  swa_model/conv2       conv2d     conv2d_1   dense
 *     model  conv1            conv2                 conv2d_6   conv2d_7   dense_3
 *            KW_PREFIX: one text before, or behind, every name
 *            KW_COUNTER: the numbers of each class off by a constant, of names that Keras made
 *
 * A rule holds for two layers at least, for half of those that find nothing, and
 * for shapes.  Numbers are appended per process (keras/src/utils/naming.py,
 * auto_name), so a model that is built second has other ones; by name some of its
 * layers may then find the weights of another layer of their class.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

typedef struct naming {
    kw_join *join;
    uint8_t *missing; /* one a model group: it is asked for by name, and no group of the file has its name */
    uint8_t *unused;  /* one a file group: it has a name that nobody asks for */
    uint32_t missing_count, wanted_count;
} naming;

static bool has_name(const kw_group *group) {
    bool layer = group->count > 0 && !kw_group_is_state(group) && (group->flags & KW_GROUP_TOP_LEVEL) == 0;
    return layer && group->name != NULL && group->name[0] != '\0' && strlen(group->name) < KW_NAME_LEN_MAX;
}

static int open_naming(naming *n, kw_error *err) {
    kw_join *join = n->join;
    n->missing = kw_arena_alloc(&join->work, join->model->group_count);
    n->unused = kw_arena_alloc(&join->work, join->file->group_count);
    if (n->missing == NULL || n->unused == NULL) return kw_fail_memory(err);
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        if (!has_name(&join->model->groups[g]) || !kw_join_selects(join, g)) continue;
        n->wanted_count++;
        n->missing[g] = join->matches[g].candidate == KW_NONE;
        n->missing_count += n->missing[g];
    }
    for (uint32_t f = 0; f < join->file->group_count; f++) {
        n->unused[f] = has_name(&join->file->groups[f]) && !join->used[f];
    }
    return 0;
}

/* One finding a pair of groups; they are told apart from others by their code. */
static int report_pair(const naming *n, int code, kw_severity severity, uint32_t f, uint32_t g, kw_error *err) {
    kw_join *join = n->join;
    kw_finding *finding = kw_join_add(join, code, severity, err);
    if (finding == NULL) return -1;
    finding->file_group = f;
    finding->model_group = g;
    finding->a = kw_join_fit(join, f, g).kind == KW_FIT_OK;
    finding->b = n->wanted_count;
    join->matches[g].explained = true;
    join->used[f] = 1;
    return 0;
}

/* How many model groups find tensors of their name. */
static uint32_t count_found(const kw_join *join) {
    uint32_t found = 0;
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        found += has_name(&join->model->groups[g]) && kw_join_selects(join, g) && join->matches[g].source != KW_NONE;
    }
    return found;
}

static int find_affix(const naming *n, kw_error *err) {
    kw_affix affix;
    uint32_t fits = 0;
    if (kw_find_affix(n->join, n->unused, n->missing, &affix, err) < 0) return -1;
    for (uint32_t i = 0; i < affix.count; i++) {
        fits += kw_join_fit(n->join, affix.pairs[i].file, affix.pairs[i].model).kind == KW_FIT_OK;
    }
    if (fits < 2 || 2 * (uint64_t)fits < n->missing_count) return 0;
    kw_severity severity = count_found(n->join) == 0 ? KW_ERROR : KW_WARNING;
    for (uint32_t i = 0; i < affix.count; i++) {
        if (report_pair(n, KW_PREFIX, severity, affix.pairs[i].file, affix.pairs[i].model, err) < 0) return -1;
    }
    return 0;
}

/* A name that Keras made, as its base and its number. */
typedef struct counted {
    uint64_t base;
    uint32_t number, group;
} counted;

static int compare_counted(const void *a, const void *b) {
    const counted *x = a, *y = b;
    if (x->base != y->base) return x->base < y->base ? -1 : 1;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static uint32_t list_counted(const kw_join *join, bool is_model, counted *rows) {
    const kw_table *table = is_model ? join->model : join->file;
    uint32_t count = 0;
    for (uint32_t g = 0; g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        size_t len;
        if (!has_name(group) || (is_model && !kw_join_selects(join, g))) continue;
        if (is_model ? kw_model_name_given(join, g) : kw_file_name_given(join, g)) continue;
        uint32_t number = kw_path_place(group->name, &len);
        rows[count++] = (counted){kw_text_hash((kw_text){group->name, len}, join->seed), number, g};
    }
    if (count > 0) qsort(rows, count, sizeof *rows, compare_counted);
    return count;
}

static uint32_t count_base(const counted *rows, uint32_t at, uint32_t count) {
    uint32_t end = at;
    while (end < count && rows[end].base == rows[at].base) end++;
    return end - at;
}

/* True when the k-th fits the k-th throughout, their numbers differ, and all by the same. */
static bool is_shifted(const kw_join *join, const counted *files, const counted *models, uint32_t count) {
    int64_t off = (int64_t)models[0].number - (int64_t)files[0].number;
    for (uint32_t k = 0; k < count; k++) {
        if ((int64_t)models[k].number - (int64_t)files[k].number != off) return false;
        if (kw_join_fit(join, files[k].group, models[k].group).kind != KW_FIT_OK) return false;
    }
    return off != 0;
}

typedef struct shift {
    uint32_t file, model;
} shift;

/* Pairs of the classes whose numbers are shifted; how many of them are missing, or find another's weights. */
static uint32_t list_shifts(const naming *n, const counted *files, uint32_t file_count, const counted *models,
                            uint32_t model_count, shift *out, uint32_t *missing, uint32_t *crossed) {
    uint32_t count = 0, i = 0, run;
    for (uint32_t j = 0; j < model_count; j += run) {
        run = count_base(models, j, model_count);
        while (i < file_count && files[i].base < models[j].base) i++;
        if (i == file_count || files[i].base != models[j].base) continue;
        if (count_base(files, i, file_count) != run || !is_shifted(n->join, files + i, models + j, run)) continue;
        for (uint32_t k = 0; k < run; k++) {
            *missing += n->missing[models[j + k].group];
            *crossed += !n->missing[models[j + k].group];
            out[count++] = (shift){files[i + k].group, models[j + k].group};
        }
    }
    return count;
}

static int find_counters(const naming *n, kw_error *err) {
    kw_join *join = n->join;
    counted *files = kw_arena_alloc(&join->work, join->file->group_count * sizeof *files);
    counted *models = kw_arena_alloc(&join->work, join->model->group_count * sizeof *models);
    shift *shifts = kw_arena_alloc(&join->work, join->model->group_count * sizeof *shifts);
    uint32_t missing = 0, crossed = 0;
    if (files == NULL || models == NULL || shifts == NULL) return kw_fail_memory(err);
    uint32_t file_count = list_counted(join, false, files), model_count = list_counted(join, true, models);
    uint32_t count = list_shifts(n, files, file_count, models, model_count, shifts, &missing, &crossed);
    if (count == 0 || 2 * (uint64_t)missing < n->missing_count) return 0;
    bool wrong = crossed > 0 || count_found(join) == 0;
    for (uint32_t i = 0; i < count; i++) {
        kw_severity severity = wrong ? KW_ERROR : KW_WARNING;
        if (report_pair(n, KW_COUNTER, severity, shifts[i].file, shifts[i].model, err) < 0) return -1;
    }
    return 0;
}

/* What the numbers explain is missing no more. */
static void close_counted(naming *n) {
    for (uint32_t g = 0; g < n->join->model->group_count; g++) {
        if (!n->missing[g] || !n->join->matches[g].explained) continue;
        n->missing[g] = 0;
        n->missing_count--;
    }
    for (uint32_t f = 0; f < n->join->file->group_count; f++) n->unused[f] = n->unused[f] && !n->join->used[f];
}

int kw_find_naming(kw_join *join, kw_error *err) {
    naming n = {.join = join};
    if (!join->rules->by_name || join->names_missing || join->rules->mapped != NULL) return 0;
    if (open_naming(&n, err) < 0) return -1;
    if (n.missing_count == 0 || find_counters(&n, err) < 0) return n.missing_count == 0 ? 0 : -1;
    close_counted(&n);
    return n.missing_count == 0 ? 0 : find_affix(&n, err);
}
