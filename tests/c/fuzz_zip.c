/* fuzz_zip.c -- an archive: its members listed, each opened and read to its end; and its JSON texts. */
#include <stdlib.h>
#include <string.h>

#include "read/json.h"
#include "read/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { READ_MAX = 1 << 16, MEMBERS_MAX = 64 };

static void read_member(const kw_zip *zip, const kw_zip_member *member, uint64_t *left) {
    kw_source *source = NULL;
    kw_error err = {0};
    bool inflated, sound;
    if (kw_zip_open_member(zip, member, left, &source, &inflated, &sound, &err) < 0) return;
    uint64_t size = kw_source_size(source);
    size_t take = size < READ_MAX ? (size_t)size : READ_MAX;
    void *bytes = malloc(take + 1);
    if (bytes != NULL) (void)kw_source_read(source, 0, bytes, take, &err);
    free(bytes);
    kw_source_release(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_zip *zip = NULL;
    kw_error err = {0};
    kw_file file = {0};
    kw_build build = {.file = &file, .inflate_left = 1 << 20};
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return 0;
    if (kw_zip_open(source, &build, &zip, &err) == 0) {
        for (uint32_t i = 0; i < zip->count && i < MEMBERS_MAX; i++) read_member(zip, &zip->members[i], &build.inflate_left);
        (void)kw_zip_find(zip, "config.json");
    }
    kw_zip_free(zip);
    free(file.faults);
    free(file.metas);
    kw_table_free(&file.table);
    kw_source_release(source);
    return 0;
}
