/* table.c -- what every table needs: its names, its end, and a hash for joins.
 *
 *     index.entries   | hash, key -> value | (empty: key NULL) | ...   capacity 2^n, at most 3/4 full
 *
 * Keys come from files, so the hash is SipHash (Aumasson and Bernstein, 2012)
 * with one round a word and a seed of its own: chosen keys do not collide.
 */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/seed.h"

static const char *const layout_names[] = {
#define LAYOUT_ROW(name, slug) slug,
    KW_LAYOUTS(LAYOUT_ROW)
#undef LAYOUT_ROW
};

static const char *const storage_names[] = {
#define STORAGE_ROW(name, slug) slug,
    KW_STORAGES(STORAGE_ROW)
#undef STORAGE_ROW
};

const char *kw_layout_name(kw_layout layout) {
    return layout_names[(unsigned)layout < sizeof layout_names / sizeof *layout_names ? layout : KW_LAYOUT_UNKNOWN];
}

const char *kw_storage_name(kw_storage storage) {
    return storage_names[(unsigned)storage < sizeof storage_names / sizeof *storage_names ? storage : KW_STORAGE_NONE];
}

bool kw_length_fits(uint64_t length, uint64_t wanted) { return length == wanted || wanted == KW_LEN_UNKNOWN; }

bool kw_lengths_fit(const uint64_t *shape, unsigned rank, const kw_tensor *wanted) {
    if (wanted->rank == 1 && wanted->shape[0] == KW_LEN_ANY) return true;
    if (rank != wanted->rank) return false;
    for (unsigned axis = 0; axis < rank; axis++) {
        if (!kw_length_fits(shape[axis], wanted->shape[axis])) return false;
    }
    return true;
}

void kw_table_free(kw_table *table) {
    kw_arena_free(&table->arena);
    memset(table, 0, sizeof *table);
}

struct kw_index_entry {
    const char *key; /* NULL: empty */
    uint32_t hash;
    uint32_t value;
};

static inline uint64_t rotate(uint64_t v, unsigned by) { return v << by | v >> (64 - by); }

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 of `key`, cut to 32 bits. */
static uint32_t hash_of(const uint64_t seed[2], const char *key) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d, seed[0] ^ 0x6c7967656e657261,
                     seed[1] ^ 0x7465646279746573};
    size_t len = strlen(key);
    uint64_t word;
    for (size_t left = len; left >= 8; left -= 8, key += 8) {
        memcpy(&word, key, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, key, len % 8);
    word ^= (uint64_t)len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(hash ^ hash >> 32);
}

/* The entry of `key`, or the empty one where it belongs. */
static struct kw_index_entry *find_entry(const kw_index *index, const char *key, uint32_t hash) {
    size_t i = hash & (index->capacity - 1);
    for (;; i = (i + 1) & (index->capacity - 1)) {
        struct kw_index_entry *entry = &index->entries[i];
        if (entry->key == NULL || (entry->hash == hash && strcmp(entry->key, key) == 0)) return entry;
    }
}

/* Twice the capacity, every entry in its new place; 0 or -1. */
static int grow_index(kw_index *index, kw_error *err) {
    kw_index grown = *index;
    grown.capacity = index->capacity == 0 ? 64 : index->capacity * 2;
    grown.entries = kw_memory_zeroed(grown.capacity * sizeof *grown.entries);
    if (grown.entries == NULL) return kw_fail_memory(err);
    if (index->capacity == 0) grown.seed[0] = kw_seed(), grown.seed[1] = kw_seed();
    for (size_t i = 0; i < index->capacity; i++) {
        const struct kw_index_entry *entry = &index->entries[i];
        if (entry->key != NULL) *find_entry(&grown, entry->key, entry->hash) = *entry;
    }
    kw_memory_free(index->entries, index->capacity * sizeof *index->entries);
    *index = grown;
    return 0;
}

int kw_index_add(kw_index *index, const char *key, uint32_t value, uint32_t *existing, kw_error *err) {
    if (index->count >= index->capacity / 4 * 3 && grow_index(index, err)) return -1;
    uint32_t hash = hash_of(index->seed, key);
    struct kw_index_entry *entry = find_entry(index, key, hash);
    if (existing != NULL) *existing = entry->key != NULL ? entry->value : KW_NONE;
    if (entry->key != NULL) return 0;
    *entry = (struct kw_index_entry){.key = key, .hash = hash, .value = value};
    index->count++;
    return 0;
}

uint32_t kw_index_find(const kw_index *index, const char *key) {
    if (index->count == 0) return KW_NONE;
    const struct kw_index_entry *entry = find_entry(index, key, hash_of(index->seed, key));
    return entry->key != NULL ? entry->value : KW_NONE;
}

void kw_index_free(kw_index *index) {
    kw_memory_free(index->entries, index->capacity * sizeof *index->entries);
    *index = KW_INDEX_EMPTY;
}

kw_unit_kind kw_unit_kind_find(const char *class_name) {
    static const struct {
        const char *name;
        kw_unit_kind kind;
    } rows[] = {
        {"Bidirectional", KW_UNIT_BIDIRECTIONAL},
        {"TimeDistributed", KW_UNIT_TIME_DISTRIBUTED},
        {"Model", KW_UNIT_MODEL},
        {"Sequential", KW_UNIT_MODEL},
        {"Functional", KW_UNIT_MODEL},
        {"Conv1D", KW_UNIT_CONV1D},
        {"Conv2D", KW_UNIT_CONV2D},
        {"Conv3D", KW_UNIT_CONV3D},
        {"Conv2DTranspose", KW_UNIT_CONV2D_TRANSPOSE},
        {"ConvLSTM2D", KW_UNIT_CONV_LSTM2D},
        {"GRU", KW_UNIT_GRU},
        {"LSTM", KW_UNIT_LSTM},
        {"CuDNNGRU", KW_UNIT_CUDNN_GRU},
        {"CuDNNLSTM", KW_UNIT_CUDNN_LSTM},
    };
    for (size_t i = 0; class_name != NULL && i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, class_name) == 0) return rows[i].kind;
    }
    return KW_UNIT_PLAIN;
}
