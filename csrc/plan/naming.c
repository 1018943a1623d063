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

enum { NAME_LEN_MAX = 256 };

/* Where the text that one side has more stands. */
typedef enum rule_kind { RULE_FILE_FRONT, RULE_FILE_BACK, RULE_MODEL_FRONT, RULE_MODEL_BACK, RULE_KINDS } rule_kind;

typedef struct name_row {
    uint64_t hash; /* of the whole name: from its end for a text in front, from its beginning for one behind */
    uint32_t group;
} name_row;

/* The name of `whole` is that of `part` and `len` bytes of text. */
typedef struct vote {
    const char *text;
    size_t len;
    uint32_t whole, part;
} vote;

typedef struct votes {
    vote *rows;
    uint32_t count;
} votes;

typedef struct naming {
    kw_join *join;
    uint8_t *missing; /* one a model group: it is asked for by name, and no group of the file has its name */
    uint8_t *unused;  /* one a file group: it has a name that nobody asks for */
    uint32_t missing_count, wanted_count;
} naming;

static bool has_name(const kw_group *group) {
    bool layer = group->count > 0 && !kw_group_is_state(group) && (group->flags & KW_GROUP_TOP_LEVEL) == 0;
    return layer && group->name != NULL && group->name[0] != '\0' && strlen(group->name) < NAME_LEN_MAX;
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

static uint64_t step_hash(uint64_t hash, char c) { return (hash ^ (unsigned char)c) * 0x100000001b3u; }
static uint64_t end_hash(uint64_t hash) { return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15u; }

/* The byte of a name that is the i-th to be hashed. */
static char byte_at(const char *name, size_t len, size_t i, bool from_end) { return name[from_end ? len - 1 - i : i]; }

static int compare_names(const void *a, const void *b) {
    const name_row *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static uint32_t list_names(const kw_join *join, const kw_table *table, const uint8_t *marked, bool from_end,
                           name_row *rows) {
    uint32_t count = 0;
    for (uint32_t g = 0; g < table->group_count; g++) {
        if (!marked[g]) continue;
        size_t len = strlen(table->groups[g].name);
        uint64_t hash = join->seed;
        for (size_t i = 0; i < len; i++) hash = step_hash(hash, byte_at(table->groups[g].name, len, i, from_end));
        rows[count++] = (name_row){end_hash(hash), g};
    }
    if (count > 0) qsort(rows, count, sizeof *rows, compare_names);
    return count;
}

/* The only group of that hash; KW_NONE. */
static uint32_t find_name(const name_row *rows, uint32_t count, uint64_t hash) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rows[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool one = low < count && rows[low].hash == hash && (low + 1 == count || rows[low + 1].hash != hash);
    return one ? rows[low].group : KW_NONE;
}

static int compare_votes(const void *a, const void *b) {
    const vote *x = a, *y = b;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    int order = memcmp(x->text, y->text, x->len);
    return order != 0 ? order : (x->whole > y->whole) - (x->whole < y->whole);
}

/* Every name of one side that is one of the other's and some text. */
static int collect(const naming *n, rule_kind kind, votes *out, kw_error *err) {
    kw_join *join = n->join;
    bool in_file = kind == RULE_FILE_FRONT || kind == RULE_FILE_BACK;
    bool front = kind == RULE_FILE_FRONT || kind == RULE_MODEL_FRONT;
    const kw_table *whole = in_file ? join->file : join->model, *part = in_file ? join->model : join->file;
    const uint8_t *whole_marked = in_file ? n->unused : n->missing, *part_marked = in_file ? n->missing : n->unused;
    name_row *rows = kw_arena_alloc(&join->work, part->group_count * sizeof *rows);
    size_t capacity = 0, count = 0;
    if (rows == NULL) return kw_fail_memory(err);
    uint32_t row_count = list_names(join, part, part_marked, front, rows);
    for (uint32_t w = 0; w < whole->group_count; w++) {
        if (!whole_marked[w]) continue;
        const char *name = whole->groups[w].name;
        size_t len = strlen(name);
        uint64_t hash = join->seed;
        for (size_t i = 0; i + 1 < len; i++) {
            hash = step_hash(hash, byte_at(name, len, i, front));
            uint32_t p = find_name(rows, row_count, end_hash(hash));
            if (p == KW_NONE) continue;
            if (KW_GROW(out->rows, count, capacity, err) < 0) return -1;
            out->rows[count++] = (vote){front ? name : name + i + 1, len - i - 1, w, p};
        }
    }
    out->count = (uint32_t)count;
    if (count > 0) qsort(out->rows, count, sizeof *out->rows, compare_votes);
    return 0;
}

/* The text with the most votes; *first and how many of them. */
static uint32_t find_winner(const votes *all, uint32_t *first) {
    uint32_t most = 0, end;
    for (uint32_t i = 0; i < all->count; i = end) {
        const vote *a = &all->rows[i];
        for (end = i + 1; end < all->count; end++) {
            const vote *b = &all->rows[end];
            if (b->len != a->len || memcmp(a->text, b->text, a->len) != 0) break;
        }
        if (end - i <= most) continue;
        most = end - i;
        *first = i;
    }
    return most;
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
    votes best = {NULL, 0};
    uint32_t most = 0, first = 0, fits = 0;
    bool in_file = false;
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        votes all = {NULL, 0};
        uint32_t at = 0;
        if (collect(n, (rule_kind)kind, &all, err) < 0) {
            free(all.rows);
            free(best.rows);
            return -1;
        }
        uint32_t count = find_winner(&all, &at);
        if (count <= most) {
            free(all.rows);
            continue;
        }
        free(best.rows);
        best = all;
        most = count;
        first = at;
        in_file = kind == RULE_FILE_FRONT || kind == RULE_FILE_BACK;
    }
    for (uint32_t i = first; i < first + most; i++) {
        uint32_t f = in_file ? best.rows[i].whole : best.rows[i].part, g = in_file ? best.rows[i].part : best.rows[i].whole;
        fits += kw_join_fit(n->join, f, g).kind == KW_FIT_OK;
    }
    int result = 0;
    bool holds = fits >= 2 && 2 * (uint64_t)fits >= n->missing_count;
    kw_severity severity = count_found(n->join) == 0 ? KW_ERROR : KW_WARNING;
    for (uint32_t i = first; holds && result == 0 && i < first + most; i++) {
        const vote *row = &best.rows[i];
        result = report_pair(n, KW_PREFIX, severity, in_file ? row->whole : row->part, in_file ? row->part : row->whole, err);
    }
    free(best.rows);
    return result;
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
