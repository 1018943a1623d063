/* tree.c -- which group of a V3 table lies below which, by their paths.
 *
 *     layers/block            parent of   layers/block/fc1   layers/block/seq/dense
 *
 * A path is hashed from left to right once; the hash at each '/' is looked up
 * among the hashes of all groups, so the work is linear in the text of the paths.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

typedef struct path_row {
    uint64_t hash;
    uint32_t group;
} path_row;

typedef struct length_row {
    size_t len;
    uint32_t group;
} length_row;

static uint64_t step_hash(uint64_t hash, char c) { return (hash ^ (unsigned char)c) * 0x100000001b3u; }
static uint64_t end_hash(uint64_t hash) { return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15u; }

static int compare_rows(const void *a, const void *b) {
    const path_row *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The nearest group above the one at `path`; KW_NONE. */
static uint32_t find_parent(const path_row *rows, uint32_t count, const char *path, uint64_t seed) {
    uint32_t parent = KW_NONE;
    uint64_t hash = seed;
    for (; *path != '\0'; hash = step_hash(hash, *path++)) {
        path_row key = {.hash = end_hash(hash)};
        const path_row *row = *path == '/' ? bsearch(&key, rows, count, sizeof *rows, compare_rows) : NULL;
        if (row != NULL) parent = row->group;
    }
    return parent;
}

uint32_t kw_path_place(const char *path, size_t *len) {
    size_t end = strlen(path), at = end;
    uint32_t number = 0;
    *len = end;
    while (at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9' && end - at < 8) at--;
    if (at == end || at < 2 || path[at - 1] != '_') return 0;
    *len = at - 1;
    for (; at < end; at++) number = number * 10 + (uint32_t)(path[at] - '0');
    return number;
}

uint32_t *kw_table_parents(kw_join *join, const kw_table *table) {
    uint32_t count = 0;
    path_row *rows = kw_arena_alloc(&join->work, table->group_count * sizeof *rows);
    uint32_t *parents = kw_arena_alloc(&join->work, table->group_count * sizeof *parents);
    if (rows == NULL || parents == NULL) return NULL;
    for (uint32_t g = 0; g < table->group_count; g++) {
        uint64_t hash = join->seed;
        for (const char *at = table->groups[g].path; *at != '\0'; at++) hash = step_hash(hash, *at);
        if (table->groups[g].path[0] != '\0') rows[count++] = (path_row){end_hash(hash), g};
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    for (uint32_t g = 0; g < table->group_count; g++) {
        parents[g] = join->v3 ? find_parent(rows, count, table->groups[g].path, join->seed) : KW_NONE;
    }
    return parents;
}

static int compare_lengths(const void *a, const void *b) {
    const length_row *x = a, *y = b;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

uint32_t *kw_table_roots(kw_join *join, const kw_table *table, const uint8_t *present) {
    uint32_t count = table->group_count, *parents = kw_table_parents(join, table);
    uint32_t *roots = kw_arena_alloc(&join->work, count * sizeof *roots);
    uint8_t *holds = kw_arena_alloc(&join->work, count);
    length_row *rows = kw_arena_alloc(&join->work, count * sizeof *rows);
    if (parents == NULL || roots == NULL || holds == NULL || rows == NULL) return NULL;
    for (uint32_t g = 0; g < count; g++) {
        rows[g] = (length_row){strlen(table->groups[g].path), g};
        holds[g] = present[g];
    }
    qsort(rows, count, sizeof *rows, compare_lengths);
    for (uint32_t i = count; i-- > 0;) { /* the longest first: what is below before what is above */
        uint32_t g = rows[i].group;
        if (holds[g] && parents[g] != KW_NONE) holds[parents[g]] = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t g = rows[i].group, parent = parents[g];
        roots[g] = parent != KW_NONE && !holds[parent] ? roots[parent] : g;
    }
    return roots;
}

/* The beginnings of paths that end with an entry of a list of layers, each once. */
typedef struct entry_list {
    kw_index index;
    char **texts;
    size_t count, capacity;
} entry_list;

/* Adds the beginnings of a path, the longest first: those of one that is known are known too.  0 or KW_MEMORY. */
static int add_entries(kw_join *join, entry_list *list, const char *path, kw_error *err) {
    static const char name[] = "_layer_checkpoint_dependencies/";
    for (size_t at = strlen(path); at-- > 0;) {
        if ((at > 0 && path[at - 1] != '/') || strncmp(path + at, name, sizeof name - 1) != 0) continue;
        const char *entry = path + at + sizeof name - 1;
        char *text = kw_arena_text(&join->work, path, (size_t)(entry - path) + strcspn(entry, "/"));
        uint32_t known = KW_NONE;
        if (text == NULL) return kw_fail_memory(err);
        if (kw_index_add(&list->index, text, 0, &known, err) < 0) return -1;
        if (known != KW_NONE) return 0;
        if (KW_GROW(list->texts, list->count, list->capacity, err) < 0) return -1;
        list->texts[list->count++] = text;
    }
    return 0;
}

/* True when the entry of the same class and of the number before it is there too; changes the text. */
static bool follows(const entry_list *list, char *text) {
    size_t len;
    uint32_t number = kw_path_place(text, &len);
    if (number == 0) return false;
    size_t room = strlen(text + len) + 1;
    text[len] = '\0';
    if (number > 1) (void)snprintf(text + len, room, "_%u", (unsigned)(number - 1));
    return kw_index_find(&list->index, text) != KW_NONE;
}

int kw_file_has_gaps(kw_join *join, bool *out, kw_error *err) {
    entry_list list = {.index = KW_INDEX_EMPTY};
    int result = 0;
    *out = join->file->layout == KW_LAYOUT_V3_TF212;
    for (uint32_t f = 0; *out && result == 0 && f < join->file->group_count; f++) {
        const kw_group *group = &join->file->groups[f];
        if (group->count > 0) result = add_entries(join, &list, group->path, err);
    }
    for (size_t i = 0; i < list.count; i++) { /* a copy, for the index points to the texts */
        char *copy = kw_arena_text(&join->work, list.texts[i], strlen(list.texts[i]));
        if (copy == NULL) result = kw_fail_memory(err);
        if (copy != NULL && follows(&list, copy)) *out = false;
    }
    free(list.texts);
    kw_index_free(&list.index);
    return result;
}
