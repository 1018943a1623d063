/* zip.c -- the members of an archive, by its directory or without it.
 *
 *     end record --> directory --> local headers        zip_end, zip_directory, zip_extents
 *          | lost or damaged
 *          +-------> local headers from the start       zip_walk
 */
#include "read/zip.h"

#include <stdlib.h>

#include "read/zip_directory.h"
#include "read/zip_walk.h"

void kw_zip_free(kw_zip *zip) {
    if (zip == NULL) return;
    kw_source_release(zip->source);
    kw_arena_free(&zip->arena);
    free(zip->members);
    free(zip);
}

const kw_zip_member *kw_zip_find(const kw_zip *zip, const char *name) {
    for (uint32_t i = zip->count; i > 0; i--)
        if (strcmp(zip->members[i - 1].name, name) == 0) return &zip->members[i - 1];
    return NULL;
}

/* Reads the directory whose end record is at `end_at`.  KW_CORRUPT when it is damaged. */
static int read_whole(kw_zip *zip, kw_build *build, uint64_t end_at, uint8_t *room, kw_error *err) {
    kw_zip_directory d = {0};
    if (kw_zip_read_end(zip->source, end_at, &d, err) < 0) return -1;
    return kw_zip_read_directory(zip, build, &d, room, err);
}

/* Reads the members from the directory, else from the local headers. */
static int read_members(kw_zip *zip, kw_build *build, uint8_t *room, kw_error *err) {
    uint32_t before = build->file->fault_count;
    uint64_t end_at;
    kw_error why = {0};
    if (kw_zip_find_end(zip->source, &end_at, err) < 0) return -1;
    if (end_at == KW_NOWHERE) return kw_zip_walk(zip, build, NULL, room, err);
    if (read_whole(zip, build, end_at, room, &why) == 0) return 0;
    zip->count = 0;
    if (why.code != KW_CORRUPT) return kw_build_blame(build, &why, "", err);
    build->file->fault_count = before;
    return kw_zip_walk(zip, build, &why, room, err);
}

int kw_zip_open(kw_source *source, kw_build *build, kw_zip **out, kw_error *err) {
    int result = -1;
    uint8_t *room = malloc(UINT16_MAX);
    kw_zip *zip = calloc(1, sizeof *zip);
    if (room == NULL || zip == NULL) {
        (void)kw_fail_memory(err);
        goto done;
    }
    zip->source = kw_source_retain(source);
    if (read_members(zip, build, room, err) < 0) goto done;
    *out = zip;
    zip = NULL;
    result = 0;
done:
    kw_zip_free(zip);
    free(room);
    return result;
}
