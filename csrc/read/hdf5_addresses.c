/* hdf5_addresses.c -- open addressing, at most half full.
 *
 *     slot  | - | 0x0320 -> 4 | 0x0800 -> 1 | - | - | ...      value + 1; 0: empty
 */
#include "read/hdf5_addresses.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/seed.h"
#include "base/table.h"

struct kw_addresses_entry {
    uint64_t address;
    uint32_t value_plus_1;
};

/* The slot of an address, or the empty one where it belongs. */
static struct kw_addresses_entry *find_slot(const kw_addresses *map, uint64_t address) {
    size_t mask = map->capacity - 1;
    size_t i = (size_t)(address * map->seed >> 32) & mask;
    while (map->entries[i].value_plus_1 != 0 && map->entries[i].address != address) i = (i + 1) & mask;
    return &map->entries[i];
}

uint32_t kw_addresses_find(const kw_addresses *map, uint64_t address) {
    if (map->count == 0) return KW_NONE;
    return find_slot(map, address)->value_plus_1 - 1;
}

/* Doubles the slots; 0 or KW_MEMORY. */
static int enlarge(kw_addresses *map, kw_error *err) {
    kw_addresses grown = {.capacity = map->capacity == 0 ? 64 : map->capacity * 2, .count = map->count};
    grown.seed = map->seed != 0 ? map->seed : (kw_seed() | 1);
    grown.entries = kw_memory_zeroed(grown.capacity * sizeof *grown.entries);
    if (grown.entries == NULL) return kw_fail_memory(err);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value_plus_1 != 0) *find_slot(&grown, map->entries[i].address) = map->entries[i];
    kw_memory_free(map->entries, map->capacity * sizeof *map->entries);
    *map = grown;
    return 0;
}

int kw_addresses_add(kw_addresses *map, uint64_t address, uint32_t value, kw_error *err) {
    if (map->count >= map->capacity / 2 && enlarge(map, err) != 0) return -1;
    *find_slot(map, address) = (struct kw_addresses_entry){.address = address, .value_plus_1 = value + 1};
    map->count++;
    return 0;
}

void kw_addresses_free(kw_addresses *map) {
    kw_memory_free(map->entries, map->capacity * sizeof *map->entries);
    *map = (kw_addresses){0};
}
