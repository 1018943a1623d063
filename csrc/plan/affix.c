/* affix.c -- one text in front of every name of one side, or behind it.
 *
 *     file   swa_model/conv1  swa_model/conv2
 *     model  conv1            conv2                 "swa_model/" in front of the file's
 *
 * Every name of one side that is one of the other's and some text is a vote for
 * that text; the text with the most votes wins.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

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

static uint64_t step_hash(uint64_t hash, char c) { return (hash ^ (unsigned char)c) * 0x100000001b3u; }
static uint64_t end_hash(uint64_t hash) { return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15u; }

/* The byte of a name that is the i-th to be hashed. */
static char byte_at(const char *name, size_t len, size_t i, bool from_end) { return name[from_end ? len - 1 - i : i]; }

static int compare_names(const void *a, const void *b) {
    const name_row *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* Sorted rows of the names of the marked groups; their number. */
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

static bool is_in_file(rule_kind kind) { return kind == RULE_FILE_FRONT || kind == RULE_FILE_BACK; }

/* Every name of one side that is one of the other's and some text. */
static int collect(kw_join *join, const uint8_t *of_file, const uint8_t *of_model, rule_kind kind, votes *out,
                   kw_error *err) {
    bool in_file = is_in_file(kind), front = kind == RULE_FILE_FRONT || kind == RULE_MODEL_FRONT;
    const kw_table *whole = in_file ? join->file : join->model, *part = in_file ? join->model : join->file;
    const uint8_t *whole_marked = in_file ? of_file : of_model, *part_marked = in_file ? of_model : of_file;
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

/* Puts the pairs of one kind of rule into *out when they are more than it has. */
static int take_better(kw_join *join, rule_kind kind, const votes *all, kw_affix *out, kw_error *err) {
    uint32_t first = 0, count = find_winner(all, &first);
    if (count <= out->count) return 0;
    out->pairs = kw_arena_alloc(&join->work, count * sizeof *out->pairs);
    if (out->pairs == NULL) return kw_fail_memory(err);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const vote *row = &all->rows[first + i];
        out->pairs[i] = is_in_file(kind) ? (kw_name_pair){row->whole, row->part} : (kw_name_pair){row->part, row->whole};
    }
    return 0;
}

int kw_find_affix(kw_join *join, const uint8_t *of_file, const uint8_t *of_model, kw_affix *out, kw_error *err) {
    int result = 0;
    *out = (kw_affix){NULL, 0};
    for (int kind = 0; result == 0 && kind < RULE_KINDS; kind++) {
        votes all = {NULL, 0};
        result = collect(join, of_file, of_model, (rule_kind)kind, &all, err);
        if (result == 0) result = take_better(join, (rule_kind)kind, &all, out, err);
        free(all.rows);
    }
    return result;
}
