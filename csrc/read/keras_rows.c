/* keras_rows.c -- groups and slots of a table while they are found.
 *
 *     groups  g0 g1 g2            slots, as they come    g0 g1 g0 g2 g1
 *                                 at the end, in runs    g0 g0 g1 g1 g2
 *
 * An object's `vars` may be split across shards, so a group can get slots at any time.
 */
#include "read/keras_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "read/hdf5_private.h"

/* Counts rows that names in the part stand for: twice their size, as arrays double.  0 or -1: KW_BOMB. */
static int spend(kw_keras_reader *r, size_t row_len, kw_error *err) {
    return r->part == NULL || r->part->hdf5 == NULL ? 0 : kw_hdf5_spend(r->part->hdf5, 2 * (uint64_t)row_len, err);
}

uint32_t kw_keras_add_group(kw_keras_reader *r, const char *path, const char *name, uint32_t flags, kw_error *err) {
    if (spend(r, sizeof(kw_group), err) < 0) return KW_NONE;
    if (KW_GROW(r->groups, r->group_count, r->group_capacity, err) < 0) return KW_NONE;
    if (name != NULL) {
        flags |= KW_GROUP_NAMED;
        if (strnlen(name, KW_KERAS_NAME_MAX) < KW_KERAS_NAME_MAX && kw_name_is_automatic(name, NULL))
            flags |= KW_GROUP_AUTO_NAME;
    }
    r->groups[r->group_count] = (kw_group){.path = path, .name = name, .flags = flags};
    return r->group_count++;
}

uint32_t kw_keras_group_of_path(kw_keras_reader *r, const char *path, kw_error *err) {
    uint32_t row;
    if (kw_index_add(&r->paths, path, r->group_count, &row, err) < 0) return KW_NONE;
    return row != KW_NONE ? row : kw_keras_add_group(r, path, NULL, 0, err);
}

uint32_t kw_keras_add_layer(kw_keras_reader *r, uint32_t root, uint32_t node, const char *name, uint32_t flags,
                            kw_error *err) {
    const char *path = node != KW_NONE ? r->hdf5->nodes[node].path : NULL;
    if (path == NULL) {
        const char *above = r->hdf5->nodes[root].path;
        size_t above_len = strlen(above), len = strnlen(name, KW_KERAS_NAME_MAX), room = above_len + len + 2;
        if (kw_hdf5_spend(r->part->hdf5, room, err) < 0) return KW_NONE;
        char *joined = kw_arena_alloc(&r->file->table.arena, room);
        if (joined == NULL) {
            (void)kw_fail_memory(err);
            return KW_NONE;
        }
        (void)snprintf(joined, room, "%s%s%.*s", above, above_len > 0 ? "/" : "", (int)len, name);
        path = joined;
    }
    uint32_t row = kw_keras_add_group(r, path, name, flags, err);
    if (row != KW_NONE && node != KW_NONE) r->groups[row].fault = r->hdf5->nodes[node].fault;
    return row;
}

bool kw_keras_take_node(kw_keras_reader *r, uint32_t group, uint32_t node) {
    if (r->users[node] == KW_NONE) return r->users[node] = group, true;
    r->groups[group].fault =
        (kw_fault){KW_ALIAS, r->hdf5->nodes[node].address, "listed before, under this or another name"};
    return false;
}

int kw_keras_add_slot(kw_keras_reader *r, uint32_t group, const char *name, uint32_t node, const char *variable,
                      kw_error *err) {
    uint32_t row = kw_keras_is_dataset(r->hdf5, node) ? r->part->first_tensor + r->hdf5->nodes[node].dataset : KW_NONE;
    if (spend(r, sizeof(kw_slot) + sizeof(uint32_t), err) < 0) return -1;
    if (KW_GROW(r->slots, r->slot_count, r->slot_capacity, err) < 0) return -1;
    if (KW_GROW(r->slot_groups, r->slot_count, r->owner_capacity, err) < 0) return -1;
    r->slots[r->slot_count] = (kw_slot){.name = name, .tensor = row};
    r->slot_groups[r->slot_count++] = group;
    if (row == KW_NONE) return 0;
    kw_tensor *tensor = &r->file->table.tensors[row];
    if (tensor->group != KW_NONE) return 0;
    const kw_group *owner = &r->groups[group];
    tensor->group = group;
    tensor->layer = owner->name != NULL ? owner->name : owner->path;
    tensor->variable = variable;
    return 0;
}

const char *kw_keras_variable_of(kw_keras_reader *r, const char *weight, kw_error *err) {
    const char *slash = strrchr(weight, '/');
    const char *name = slash != NULL ? slash + 1 : weight;
    const char *colon = strrchr(name, ':');
    size_t len = strlen(name);
    if (colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
        len = (size_t)(colon - name);
    const char *variable = kw_arena_text(&r->file->table.arena, name, len);
    if (variable == NULL) (void)kw_fail_memory(err);
    return variable;
}

const char *kw_keras_parent_of(kw_keras_reader *r, const char *path, kw_error *err) {
    const char *slash = strrchr(path, '/');
    const char *parent = kw_arena_text(&r->file->table.arena, path, slash != NULL ? (size_t)(slash - path) : 0);
    if (parent == NULL) (void)kw_fail_memory(err);
    return parent;
}

/* The number of a decimal key without leading zero, or -1. */
static int64_t key_number(const char *key) {
    enum { DIGITS_MAX = 10 };
    int64_t number = 0;
    size_t len = 0;
    for (; key[len] >= '0' && key[len] <= '9' && len <= DIGITS_MAX; len++) number = number * 10 + (key[len] - '0');
    bool decimal = len > 0 && len <= DIGITS_MAX && key[len] == '\0' && (key[0] != '0' || len == 1);
    return decimal ? number : -1;
}

/* Decimal keys by number, then the others by name. */
static int by_key(const void *a, const void *b) {
    const kw_slot *x = a, *y = b;
    int64_t m = key_number(x->name), n = key_number(y->name);
    if (m >= 0 && n >= 0) return (m > n) - (m < n);
    if (m >= 0 || n >= 0) return m >= 0 ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Names come in the order of their bytes, which up to ten variables is that of their keys. */
static void sort_by_key(kw_slot *slots, uint32_t count) {
    bool sorted = true;
    for (uint32_t i = 1; i < count && sorted; i++) sorted = by_key(&slots[i - 1], &slots[i]) <= 0;
    if (!sorted) qsort(slots, count, sizeof *slots, by_key);
}

/* Puts the slots of each group in the order of their keys; a key that two shards have is a fault. */
static void sort_keys(kw_table *table) {
    for (uint32_t g = 0; g < table->group_count; g++) {
        kw_group *group = &table->groups[g];
        kw_slot *slots = table->slots + group->first;
        sort_by_key(slots, group->count);
        for (uint32_t i = 1; i < group->count; i++)
            if (strcmp(slots[i - 1].name, slots[i].name) == 0 && group->fault.code == KW_OK)
                group->fault = (kw_fault){KW_CORRUPT, KW_NOWHERE, "two shards have a variable of the same key"};
    }
}

int kw_keras_finish_rows(kw_keras_reader *r, kw_error *err) {
    kw_table *table = &r->file->table;
    table->groups = kw_arena_alloc(&table->arena, r->group_count * sizeof *table->groups);
    table->slots = kw_arena_alloc(&table->arena, r->slot_count * sizeof *table->slots);
    if (table->groups == NULL || table->slots == NULL) return kw_fail_memory(err);
    if (r->group_count > 0) memcpy(table->groups, r->groups, r->group_count * sizeof *table->groups);
    table->group_count = r->group_count;
    table->slot_count = r->slot_count;
    for (uint32_t i = 0; i < r->slot_count; i++) table->groups[r->slot_groups[i]].count++;
    for (uint32_t g = 0, first = 0; g < r->group_count; g++) {
        table->groups[g].first = first;
        first += table->groups[g].count;
        table->groups[g].count = 0;
    }
    for (uint32_t i = 0; i < r->slot_count; i++) {
        kw_group *group = &table->groups[r->slot_groups[i]];
        table->slots[group->first + group->count++] = r->slots[i];
    }
    /* The layer of a tensor is its group's name, which another shard may have told later. */
    for (uint32_t i = 0; i < table->tensor_count; i++) {
        kw_tensor *tensor = &table->tensors[i];
        if (tensor->group != KW_NONE && table->groups[tensor->group].name != NULL)
            tensor->layer = table->groups[tensor->group].name;
    }
    if (table->layout == KW_LAYOUT_V3 || table->layout == KW_LAYOUT_V3_TF212) sort_keys(table);
    return 0;
}
