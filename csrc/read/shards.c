/* shards.c -- shard maps.
 *
 *   Keras >= 3.10   {"metadata": {"total_size": 688.0},
 *                    "weight_map": {"/layers/dense/vars": "m_00000.weights.h5" or ["m_00000.weights.h5", ...]}}
 *   Hugging Face    {"metadata": {"total_size": 688},
 *                    "weight_map": {"bert/encoder/kernel:0": "tf_model-00001-of-00003.h5"}}
 *
 * A map names few files many times: names are kept once, entries by number.
 */
#include "read/shards.h"

#include <stdlib.h>

#include "read/detect.h"
#include "read/hdf5_private.h"
#include "read/json.h"

enum { ENTRIES_MAX = 200000, SHARDS_MAX = 4096 };

/* A path and one shard that it is mapped to. */
typedef struct entry {
    const char *path;
    uint32_t shard, key;
} entry;

typedef struct map_key {
    uint32_t first; /* of its entries that count: those where it stands for the last time */
    bool repeated;
} map_key;

typedef struct shard {
    const char *name;
    kw_fault fault; /* why it cannot be used */
    uint32_t part;
} shard;

typedef struct map {
    kw_build *build;
    kw_arena *arena;
    kw_json json;
    entry *entries;
    shard *shards;
    map_key *keys;
    size_t entry_count, entry_capacity, shard_count, shard_capacity, key_count, key_capacity;
    kw_index names, paths; /* of shards; of keys */
    bool found, of_keras;
} map;

void kw_shards_free(kw_shards *shards) { kw_arena_free(&shards->arena); }

/* The key or text just read; *cut tells whether there is a NUL in it. */
static const char *text_of(map *m, bool *cut, kw_error *err) {
    size_t len;
    const char *text = kw_json_text(&m->json, m->arena, &len);
    if (text == NULL) (void)kw_fail_memory(err);
    *cut = text != NULL && strlen(text) < len;
    return text;
}

/* True when the key of entry `i` does not come again behind it. */
static bool counts(const map *m, size_t i) { return i >= m->keys[m->entries[i].key].first; }

/* Adds a shard.  0 or -1. */
static int add_shard(map *m, const char *name, int code, kw_error *err) {
    if (KW_GROW(m->shards, m->shard_count, m->shard_capacity, err) < 0) return -1;
    m->shards[m->shard_count++] = (shard){.name = name, .fault = {.code = code}};
    return 0;
}

/* Maps `path` to the shard whose name was just read. */
static int add_entry(map *m, const char *path, uint32_t key_row, kw_error *err) {
    uint32_t row;
    bool cut;
    const char *name = text_of(m, &cut, err);
    if (name == NULL) return -1;
    if (m->entry_count == ENTRIES_MAX || m->shard_count == SHARDS_MAX)
        return kw_fail(err, KW_UNSUPPORTED, m->json.raw.off, "more entries or shards than %d, %d", ENTRIES_MAX,
                       SHARDS_MAX);
    /* What is in front of a NUL would be the name of another file. */
    row = KW_NONE;
    if (!cut && kw_index_add(&m->names, name, (uint32_t)m->shard_count, &row, err) < 0) return -1;
    if (row == KW_NONE) {
        row = (uint32_t)m->shard_count;
        if (add_shard(m, name, cut ? KW_LINK : KW_OK, err) < 0) return -1;
    }
    if (KW_GROW(m->entries, m->entry_count, m->entry_capacity, err) < 0) return -1;
    m->entries[m->entry_count++] = (entry){.path = path, .shard = row, .key = key_row};
    return 0;
}

/* The row of a key in *row.  When it was seen before, what it was mapped to no longer counts.  0 or -1. */
static int add_key(map *m, const char *path, uint32_t *row, kw_error *err) {
    uint32_t existing;
    if (kw_index_add(&m->paths, path, (uint32_t)m->key_count, &existing, err) < 0) return -1;
    if (existing == KW_NONE) {
        if (KW_GROW(m->keys, m->key_count, m->key_capacity, err) < 0) return -1;
        m->keys[m->key_count] = (map_key){.first = (uint32_t)m->entry_count};
        return *row = (uint32_t)m->key_count++, 0;
    }
    map_key *seen = &m->keys[*row = existing];
    seen->first = (uint32_t)m->entry_count;
    if (seen->repeated) return 0;
    seen->repeated = true;
    return kw_build_fault(m->build, KW_CORRUPT, m->json.raw.off, path, 0, 0, err, "the map has this key twice");
}

/* One member of weight_map, its key just read: a text or a list of texts. */
static int read_entry(map *m, kw_error *err) {
    bool cut;
    uint32_t row;
    const char *path = text_of(m, &cut, err);
    if (path == NULL) return -1;
    if (cut) {
        if (kw_build_fault(m->build, KW_CORRUPT, m->json.raw.off, path, 0, 0, err, "a key with a NUL in it") < 0)
            return -1;
        return kw_json_skip(&m->json, err);
    }
    if (add_key(m, path, &row, err) < 0) return -1;
    if (m->entry_count == 0) m->of_keras = path[0] == '/';
    int token = kw_json_next(&m->json, err);
    if (token == KW_JSON_TEXT) return add_entry(m, path, row, err);
    if (token == KW_JSON_ARRAY) {
        while ((token = kw_json_next(&m->json, err)) == KW_JSON_TEXT)
            if (add_entry(m, path, row, err) < 0) return -1;
        if (token == KW_JSON_ARRAY_END) return 0;
    }
    if (token < 0) return -1;
    return kw_fail(err, KW_CORRUPT, kw_cursor_at(&m->json.cursor), "a shard's name is expected in weight_map");
}

/* The object that comes next: total_size of metadata. */
static int read_metadata(map *m, kw_error *err) {
    kw_json ahead = m->json;
    if (kw_json_skip(&m->json, err) < 0) return -1;
    if (kw_json_next(&ahead, err) != KW_JSON_OBJECT) return 0;
    while (kw_json_next(&ahead, err) == KW_JSON_KEY) {
        bool wanted = kw_json_is(&ahead, "total_size");
        kw_json value = ahead;
        if (kw_json_skip(&ahead, err) < 0) return -1;
        if (!wanted || kw_json_next(&value, err) != KW_JSON_NUMBER) continue;
        const char *size = kw_json_text(&value, m->arena, NULL);
        if (size == NULL) return kw_fail_memory(err);
        if (kw_build_meta(m->build, "total_size", size, err) < 0) return -1;
    }
    return 0;
}

static int read_weight_map(map *m, kw_error *err) {
    int token = kw_json_next(&m->json, err);
    if (token != KW_JSON_OBJECT)
        return token < 0 ? -1 : kw_fail(err, KW_CORRUPT, kw_cursor_at(&m->json.cursor), "weight_map is not an object");
    m->found = true;
    while ((token = kw_json_next(&m->json, err)) == KW_JSON_KEY)
        if (read_entry(m, err) < 0) return -1;
    return token < 0 ? -1 : 0;
}

/* The whole text.  0; KW_CORRUPT; KW_UNSUPPORTED; KW_MEMORY. */
static int read_map(map *m, kw_error *err) {
    int token = kw_json_next(&m->json, err);
    if (token == KW_JSON_ARRAY) {
        for (unsigned depth = m->json.depth; m->json.depth >= depth;)
            if (kw_json_next(&m->json, err) < 0) return -1;
        return kw_json_next(&m->json, err);
    }
    if (token < 0) return -1;
    while (token != KW_JSON_END && (token = kw_json_next(&m->json, err)) == KW_JSON_KEY) {
        int done = kw_json_is(&m->json, "weight_map") ? read_weight_map(m, err)
                   : kw_json_is(&m->json, "metadata") ? read_metadata(m, err)
                                                      : kw_json_skip(&m->json, err);
        if (done < 0) return -1;
    }
    return token < 0 || kw_json_next(&m->json, err) < 0 ? -1 : 0;
}

/* ---- the shards ---- */

/* Keeps on the shard, and on the container, why it cannot be used. */
static int lose_shard(map *m, shard *s, int code, const char *detail, uint64_t groups, kw_error *err) {
    s->fault = (kw_fault){code, KW_NOWHERE, kw_arena_text(&m->build->file->table.arena, detail, strlen(detail))};
    if (s->fault.detail == NULL) return kw_fail_memory(err);
    return kw_build_fault(m->build, code, KW_NOWHERE, s->name, groups, 0, err, "%s", detail);
}

/* Opens a shard as a part.  0 also when it cannot be used, -1 for what ends everything. */
static int open_shard(map *m, kw_source *beside, shard *s, uint64_t groups, kw_error *err) {
    kw_error why = {0};
    kw_source *source;
    kw_content content;
    const char *title;
    if (s->fault.code == KW_LINK) return lose_shard(m, s, KW_LINK, "not a plain file name: it has a NUL", groups, err);
    if (kw_source_open_sibling(beside, s->name, &source, &why) < 0) {
        if (why.code == KW_MEMORY) return *err = why, -1;
        bool missing = why.code == KW_NOT_FOUND || why.code == KW_DANGLING;
        return lose_shard(m, s, missing ? KW_SHARD_MISSING : why.code, why.detail, groups, err);
    }
    kw_part *part = kw_build_part(m->build, source, s->name, err);
    s->part = m->build->file->part_count - 1;
    if (part == NULL || kw_detect(source, m->arena, &content, &title, err) < 0) return -1;
    if (content != KW_CONTENT_HDF5) {
        int code = content == KW_CONTENT_SAFETENSORS ? KW_UNSUPPORTED
                   : content == KW_CONTENT_EMPTY     ? KW_EMPTY
                                                     : KW_NOT_WEIGHTS;
        return lose_shard(m, s, code, kw_content_phrase(content), groups, err);
    }
    return kw_keras_open_part(m->build, err);
}

/* "layers/dense" of "/layers/dense/vars". */
static const char *group_path(map *m, const char *key, kw_error *err) {
    size_t len = strlen(key);
    if (len > 0 && key[0] == '/') key++, len--;
    if (len == 4 && strcmp(key, "vars") == 0) len = 0;
    if (len > 5 && strcmp(key + len - 5, "/vars") == 0) len -= 5;
    const char *path = kw_arena_text(&m->build->file->table.arena, key, len);
    if (path == NULL) (void)kw_fail_memory(err);
    return path;
}

static int compare_parts(const void *a, const void *b) {
    const kw_mapped_group *x = a, *y = b;
    bool lost = x->fault.code != KW_OK, other = y->fault.code != KW_OK;
    if (lost != other) return lost ? 1 : -1;
    return (x->part > y->part) - (x->part < y->part);
}

/* Puts the rows of each path in the order of their parts, in which these are read. */
static void sort_parts(kw_mapped *mapped) {
    for (size_t first = 0, end; first < mapped->count; first = end) {
        for (end = first + 1; end < mapped->count; end++)
            if (strcmp(mapped->groups[end].path, mapped->groups[first].path) != 0) break;
        qsort(mapped->groups + first, end - first, sizeof *mapped->groups, compare_parts);
    }
}

/* Lists what the map says, of Hugging Face only what is lost. */
static int list_groups(map *m, kw_shards *out, kw_error *err) {
    kw_mapped *mapped = &out->mapped;
    mapped->groups = kw_arena_alloc(&out->arena, m->entry_count * sizeof *mapped->groups);
    mapped->strays = kw_arena_alloc(&out->arena, m->build->file->part_count * sizeof *mapped->strays);
    if (mapped->groups == NULL || mapped->strays == NULL) return kw_fail_memory(err);
    for (size_t i = 0; i < m->entry_count; i++) {
        const shard *s = &m->shards[m->entries[i].shard];
        if (!counts(m, i) || (!m->of_keras && s->fault.code == KW_OK)) continue;
        const char *path = group_path(m, m->entries[i].path, err);
        if (path == NULL) return -1;
        mapped->groups[mapped->count++] = (kw_mapped_group){.path = path, .part = s->part, .fault = s->fault};
    }
    sort_parts(mapped);
    return 0;
}

static int open_shards(map *m, kw_source *beside, kw_shards *out, kw_error *err) {
    int result = -1;
    uint64_t *groups = calloc(m->shard_count + 1, sizeof *groups);
    if (groups == NULL) return kw_fail_memory(err);
    for (size_t i = 0; i < m->entry_count; i++) groups[m->entries[i].shard] += counts(m, i);
    for (size_t i = 0; i < m->shard_count; i++)
        if (groups[i] > 0 && open_shard(m, beside, &m->shards[i], groups[i], err) < 0) goto done;
    result = list_groups(m, out, err);
done:
    free(groups);
    return result;
}

/* What a shard has not of what the map gives to it, and has beside it. */
static int compare_shard(kw_build *build, const kw_mapped *mapped, uint32_t part, uint64_t absent, const char *first,
                         kw_error *err) {
    const char *name = build->file->parts[part].name;
    uint64_t strays = mapped->strays[part];
    if (absent > 0)
        return kw_build_fault(build, KW_SHARD, KW_NOWHERE, name, absent, strays, err, "%.200s is not in it", first);
    if (strays == 0) return 0;
    return kw_build_fault(build, KW_SHARD, KW_NOWHERE, name, 0, strays, err, "the map does not list all that is in it");
}

/* Bytes of all tensors, as Keras adds them up; false when that is not the same: it counts a bool as one bit. */
static bool add_up(const kw_file *file, uint64_t *total) {
    *total = 0;
    for (uint32_t i = 0; i < file->table.tensor_count; i++) {
        const kw_tensor *tensor = &file->table.tensors[i];
        if (tensor->dtype == KW_DTYPE_BOOL || tensor->dtype == KW_DTYPE_NONE) return false;
        if (__builtin_add_overflow(*total, tensor->nbytes, total)) return false;
    }
    return true;
}

/* The size that the map records.  A fault of the map when it is not what the shards hold. */
static int compare_size(kw_build *build, kw_error *err) {
    const char *text = kw_build_find_meta(build, "total_size");
    uint64_t total;
    if (text == NULL || !add_up(build->file, &total)) return 0;
    double said = strtod(text, NULL), gap = said - (double)total;
    if (gap > -1 && gap < 1) return 0;
    uint64_t shown = said >= 0 && said < 1e18 ? (uint64_t)said : 0;
    return kw_build_fault(build, KW_SHARD, KW_NOWHERE, "", shown, total, err, "the map says %.40s bytes", text);
}

int kw_shards_compare(kw_build *build, const kw_shards *shards, kw_error *err) {
    const kw_mapped *mapped = &shards->mapped;
    uint32_t before = build->file->fault_count, parts = build->file->part_count;
    bool elsewhere = false;
    if (build->file->content == KW_CONTENT_HF_SHARDS || mapped->count == 0) return 0;
    uint64_t *absent = calloc(parts + 1, sizeof *absent);
    const char **first = calloc(parts + 1, sizeof *first);
    int result = absent == NULL || first == NULL ? kw_fail_memory(err) : 0;
    for (size_t i = 0; result == 0 && i < mapped->count; i++) {
        const kw_mapped_group *group = &mapped->groups[i];
        bool sound = group->fault.code == KW_OK && build->file->parts[group->part].hdf5 != NULL;
        if (i == 0 || strcmp(group->path, mapped->groups[i - 1].path) != 0) elsewhere = group->elsewhere;
        /* Keras lists objects that have no weights, too. */
        bool there = group->found || (group->empty && !elsewhere);
        if (!sound || there || absent[group->part]++ > 0) continue;
        first[group->part] = group->path[0] != '\0' ? group->path : "vars";
    }
    for (uint32_t part = 0; result == 0 && part < parts; part++) {
        /* Of a shard that is damaged that is said already. */
        const kw_hdf5 *hdf5 = build->file->parts[part].hdf5;
        if (hdf5 != NULL && hdf5->fault.code == KW_OK && !hdf5->truncated && !hdf5->interrupted)
            result = compare_shard(build, mapped, part, absent[part], first[part], err);
    }
    if (result == 0 && before == 0 && build->file->fault_count == 0) result = compare_size(build, err);
    free(absent);
    free(first);
    return result;
}

/* Acts on a map that was read, or on why it could not be. */
static int use_map(map *m, kw_source *source, const kw_error *why, kw_shards *out, kw_error *err) {
    kw_file *file = m->build->file;
    if (why->code != KW_OK && kw_error_is_fatal(why)) return *err = *why, -1;
    if (!m->found) {
        if (why->code != KW_OK && file->content == KW_CONTENT_JSON) file->content = KW_CONTENT_TEXT;
        if (file->content == KW_CONTENT_JSON || file->content == KW_CONTENT_TEXT) return 0;
        return kw_build_fault(m->build, KW_CORRUPT, why->code != KW_OK ? why->at : 0, "", 0, 0, err, "%s",
                              why->code != KW_OK ? why->detail : "a shard map without weight_map");
    }
    bool of_keras = m->of_keras || m->entry_count == 0;
    if (file->content == KW_CONTENT_JSON) file->content = of_keras ? KW_CONTENT_SHARDS : KW_CONTENT_HF_SHARDS;
    out->kind = of_keras ? KW_KERAS_V3 : KW_KERAS_HF_SHARD;
    if (why->code != KW_OK && kw_build_fault(m->build, why->code, why->at, "", 0, 0, err, "%s", why->detail) < 0)
        return -1;
    return open_shards(m, source, out, err);
}

int kw_shards_open(kw_build *build, kw_source *source, kw_shards *out, kw_error *err) {
    kw_error why = {0};
    kw_view text = {0};
    *out = (kw_shards){.arena = KW_ARENA_EMPTY};
    map m = {.build = build, .arena = &out->arena, .names = KW_INDEX_EMPTY, .paths = KW_INDEX_EMPTY};
    if (kw_build_text(build, source, &text, &why) == 0) {
        m.json = kw_json_of(text);
        if (read_map(&m, &why) == 0) why.code = KW_OK;
    }
    int result = use_map(&m, source, &why, out, err);
    kw_index_free(&m.names);
    kw_index_free(&m.paths);
    free(m.entries);
    free(m.keys);
    free(m.shards);
    return result;
}
