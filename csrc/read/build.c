/* build.c -- what is added to a kw_file: arrays that double, texts in the arena. */
#include "read/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "read/hdf5_private.h"
#include "read/json.h"

enum { FAULTS_MAX = 1000, VALUE_MAX = 4096 };

int kw_build_fault(kw_build *build, int code, uint64_t at, const char *path, uint64_t a, uint64_t b, kw_error *err,
                   const char *format, ...) {
    kw_file *file = build->file;
    char detail[KW_DETAIL_LEN];
    if (file->fault_count > FAULTS_MAX) return 0;
    if (KW_GROW(file->faults, file->fault_count, build->fault_capacity, err) < 0) return -1;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    if (file->fault_count == FAULTS_MAX) {
        path = "";
        a = b = 0;
        (void)snprintf(detail, sizeof detail, "more faults than are listed");
    }
    kw_container_fault fault = {.fault = {.code = code, .at = at}, .a = a, .b = b};
    fault.path = kw_arena_text(&file->table.arena, path, strlen(path));
    fault.fault.detail = kw_arena_text(&file->table.arena, detail, strlen(detail));
    if (fault.path == NULL || fault.fault.detail == NULL) return kw_fail_memory(err);
    file->faults[file->fault_count++] = fault;
    return 0;
}

int kw_build_blame(kw_build *build, const kw_error *cause, const char *path, kw_error *err) {
    if (kw_error_is_fatal(cause)) {
        if (err != cause) *err = *cause;
        return -1;
    }
    kw_error copy = *cause;
    return kw_build_fault(build, copy.code, copy.at, path, 0, 0, err, "%s", copy.detail);
}

const char *kw_build_find_meta(const kw_build *build, const char *key) {
    for (uint32_t i = 0; i < build->file->meta_count; i++)
        if (strcmp(build->file->metas[i].key, key) == 0) return build->file->metas[i].value;
    return NULL;
}

int kw_build_meta(kw_build *build, const char *key, const char *value, kw_error *err) {
    kw_file *file = build->file;
    if (kw_build_find_meta(build, key) != NULL) return 0;
    if (KW_GROW(file->metas, file->meta_count, build->meta_capacity, err) < 0) return -1;
    size_t len = strnlen(value, VALUE_MAX);
    kw_meta meta = {.key = kw_arena_text(&file->table.arena, key, strlen(key)),
                    .value = kw_arena_text(&file->table.arena, value, len)};
    if (meta.key == NULL || meta.value == NULL) return kw_fail_memory(err);
    file->metas[file->meta_count++] = meta;
    return 0;
}

kw_part *kw_build_part(kw_build *build, kw_source *source, const char *name, kw_error *err) {
    kw_file *file = build->file;
    kw_part part = {.source = source, .name = kw_arena_text(&file->table.arena, name, strlen(name))};
    if (part.name == NULL) (void)kw_fail_memory(err);
    if (part.name == NULL || KW_GROW(file->parts, file->part_count, build->part_capacity, err) < 0) {
        kw_source_release(source);
        return NULL;
    }
    file->parts[file->part_count] = part;
    return &file->parts[file->part_count++];
}

int kw_build_text(kw_build *build, kw_source *source, kw_view *out, kw_error *err) {
    uint64_t size = kw_source_size(source);
    if (size > KW_TEXT_LIMIT)
        return kw_fail(err, KW_UNSUPPORTED, 0, "%llu bytes of JSON: more than 64 MiB", (unsigned long long)size);
    uint8_t *bytes = kw_arena_alloc(&build->file->table.arena, (size_t)size + 1);
    if (bytes == NULL) return kw_fail_memory(err);
    *out = (kw_view){.data = bytes, .len = (size_t)size, .off = 0};
    return kw_source_read(source, 0, bytes, (size_t)size, err);
}

/* The value that comes next, when it is a text or a number, as a fact.  0 or -1; `json` itself stays where it is. */
static int take_fact(kw_build *build, const kw_json *json, const char *key, kw_error *err) {
    kw_json ahead = *json;
    int token = kw_json_next(&ahead, err);
    if (token < 0) return -1;
    if (token == KW_JSON_TEXT || token == KW_JSON_NUMBER) {
        const char *value = kw_json_text(&ahead, &build->file->table.arena, NULL);
        return value == NULL ? kw_fail_memory(err) : kw_build_meta(build, key, value, err);
    }
    return 0;
}

int kw_build_metadata(kw_build *build, kw_view text, kw_error *err) {
    static const char *const keys[] = {"keras_version", "date_saved", "keras_hub_version", "parameter_count"};
    kw_json json = kw_json_of(text);
    int token = kw_json_next(&json, err);
    if (token < 0) return -1;
    if (token != KW_JSON_OBJECT) return kw_fail(err, KW_CORRUPT, 0, "JSON: not an object");
    while ((token = kw_json_next(&json, err)) == KW_JSON_KEY) {
        const char *key = NULL;
        for (size_t i = 0; i < sizeof keys / sizeof *keys && key == NULL; i++)
            if (kw_json_is(&json, keys[i])) key = keys[i];
        if (key != NULL && take_fact(build, &json, key, err) < 0) return -1;
        if (kw_json_skip(&json, err) < 0) return -1;
    }
    return token < 0 || kw_json_next(&json, err) < 0 ? -1 : 0;
}
