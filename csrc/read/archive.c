/* archive.c -- what the members of a zip archive say that it is.
 *
 *   .keras        metadata.json  config.json  model.weights.h5  [assets/...]    Keras >= 2.13
 *   zipped folder x/metadata.json x/config.json x/model.weights.h5              Keras needs them at the top
 *   PyTorch       x/data.pkl  x/data/0 ...
 *   npz           a.npy  b.npy ...
 *   SavedModel    saved_model.pb  variables/...
 */
#include "read/archive.h"

#include <stdio.h>

#include "base/crc.h"
#include "read/zip.h"

static const char weights_name[] = "model.weights.h5", npz_name[] = "model.weights.npz",
                  map_name[] = "model.weights.json";

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* True when the member is `file`, at the top or in a folder. */
static bool is_file(const char *name, const char *file) {
    size_t len = strlen(name), file_len = strlen(file);
    return ends_with(name, file) && (len == file_len || name[len - file_len - 1] == '/');
}

/* The member called `file`: at the top, else in the folder nearest to it; NULL. */
static const kw_zip_member *find_file(const kw_zip *zip, const char *file) {
    const kw_zip_member *best = kw_zip_find(zip, file);
    for (uint32_t i = 0; best == NULL && i < zip->count; i++)
        if (is_file(zip->members[i].name, file) && strncmp(zip->members[i].name, "__MACOSX/", 9) != 0)
            best = &zip->members[i];
    /* Of several folders the least deep, and there the last member of its name. */
    for (uint32_t i = 0; best != NULL && i < zip->count; i++) {
        const kw_zip_member *m = &zip->members[i];
        if (is_file(m->name, file) && strncmp(m->name, "__MACOSX/", 9) != 0 &&
            (strlen(m->name) < strlen(best->name) || strcmp(m->name, best->name) == 0))
            best = m;
    }
    return best;
}

/* The member `file` in the folder that `beside` is in; NULL. */
static const kw_zip_member *find_beside(const kw_zip *zip, const kw_zip_member *beside, const char *beside_file,
                                        const char *file) {
    size_t folder = strlen(beside->name) - strlen(beside_file);
    for (uint32_t i = zip->count; i > 0; i--) {
        const char *name = zip->members[i - 1].name;
        if (strncmp(name, beside->name, folder) == 0 && strcmp(name + folder, file) == 0) return &zip->members[i - 1];
    }
    return NULL;
}

static bool all_end_with(const kw_zip *zip, const char *end) {
    for (uint32_t i = 0; i < zip->count; i++)
        if (!ends_with(zip->members[i].name, end)) return false;
    return zip->count > 0;
}

/* The first names, for an archive that is none of Keras's; NULL when memory is short. */
static const char *list_names(kw_build *build, const kw_zip *zip) {
    enum { LEN = 200, SHOWN = 4 };
    char *text = kw_arena_alloc(&build->file->table.arena, LEN);
    int len = 0;
    for (uint32_t i = 0; text != NULL && i < zip->count && i < SHOWN; i++)
        len += snprintf(text + len, (size_t)(LEN - len), "%s%.40s", i > 0 ? ", " : "", zip->members[i].name);
    if (text != NULL && zip->count > SHOWN)
        (void)snprintf(text + len, (size_t)(LEN - len), " and %u more", zip->count - SHOWN);
    return text;
}

/* All bytes of a JSON member; *out is empty when they cannot be had, for which there is a fault then. */
static int read_text(kw_build *build, const kw_zip *zip, const kw_zip_member *member, kw_view *out, kw_error *err) {
    kw_error why = {0};
    kw_source *source = NULL;
    bool inflated, sound = true;
    uint64_t limit = build->inflate_left < KW_TEXT_LIMIT ? build->inflate_left : KW_TEXT_LIMIT, before = limit;
    int result = kw_zip_open_member(zip, member, &limit, &source, &inflated, &sound, &why);
    build->inflate_left -= before - limit;
    *out = (kw_view){0};
    if (result == 0) result = kw_build_text(build, source, out, &why);
    kw_source_release(source);
    if (result < 0) {
        *out = (kw_view){0};
        return kw_build_blame(build, &why, member->name, err);
    }
    if (!inflated && member->has_crc && member->present == member->len)
        sound = kw_crc32(0, out->data, out->len) == member->crc;
    if (sound) return 0;
    return kw_build_fault(build, KW_CHECKSUM, member->header_at, member->name, 0, 0, err, "its CRC-32 is wrong");
}

/* config.json and metadata.json, which may both be absent. */
static int read_texts(kw_build *build, const kw_zip *zip, const kw_zip_member *config, const kw_zip_member *metadata,
                      kw_error *err) {
    kw_view text;
    kw_error why = {0};
    if (config != NULL) {
        if (read_text(build, zip, config, &text, err) < 0) return -1;
        build->file->config = (const char *)text.data;
        build->file->config_len = text.len;
    }
    if (metadata == NULL) return 0;
    if (read_text(build, zip, metadata, &text, err) < 0) return -1;
    if (text.data != NULL && kw_build_metadata(build, text, &why) < 0)
        return kw_build_blame(build, &why, metadata->name, err);
    return 0;
}

/* The weights as a part of the file. */
static int add_weights(kw_build *build, const kw_zip *zip, const kw_zip_member *member, kw_error *err) {
    kw_error why = {0};
    kw_source *source = NULL;
    bool inflated, sound;
    if (kw_zip_open_member(zip, member, &build->inflate_left, &source, &inflated, &sound, &why) < 0)
        return kw_build_blame(build, &why, member->name, err);
    kw_part *part = kw_build_part(build, source, member->name, err);
    if (part == NULL) return -1;
    part->inflated = inflated;
    part->crc = member->crc;
    part->has_crc = member->has_crc && (inflated || member->present == member->len);
    if (sound) return 0;
    return kw_build_fault(build, KW_CHECKSUM, member->header_at, member->name, 0, 0, err, "its CRC-32 is wrong");
}

static int open_keras(kw_build *build, const kw_zip *zip, const kw_zip_member *weights, kw_error *err) {
    build->file->content = KW_CONTENT_KERAS_ZIP;
    if (strcmp(weights->name, weights_name) != 0 &&
        kw_build_fault(build, KW_MEMBER, weights->header_at, weights->name, 0, 0, err,
                       "in a folder of the archive: Keras needs it at the top") < 0)
        return -1;
    if (read_texts(build, zip, find_beside(zip, weights, weights_name, "config.json"),
                   find_beside(zip, weights, weights_name, "metadata.json"), err) < 0)
        return -1;
    return add_weights(build, zip, weights, err);
}

/* An archive of Keras whose weights are in a form that is not read. */
static int open_other_weights(kw_build *build, const kw_zip *zip, const kw_zip_member *member, const char *file,
                              kw_error *err) {
    build->file->content = KW_CONTENT_KERAS_ZIP;
    if (read_texts(build, zip, find_beside(zip, member, file, "config.json"),
                   find_beside(zip, member, file, "metadata.json"), err) < 0)
        return -1;
    return kw_build_fault(build, KW_UNSUPPORTED, member->header_at, member->name, 0, 0, err,
                          file == npz_name ? "weights as .npz are pickles, which Keras since 3.9 does not load either"
                                           : "sharded weights inside an archive");
}

static int no_weights(kw_build *build, kw_content content, const char *title, kw_error *err) {
    build->file->content = content;
    build->file->title = title;
    int code = content == KW_CONTENT_SAVED_MODEL ? KW_UNSUPPORTED : KW_NOT_WEIGHTS;
    return kw_build_fault(build, code, 0, "", 0, 0, err, "%s", kw_content_phrase(content));
}

/* Decides what the archive is, most telling member first. */
static int open_members(kw_build *build, const kw_zip *zip, kw_error *err) {
    const kw_zip_member *member;
    const kw_zip_member *config = find_file(zip, "config.json"), *metadata = find_file(zip, "metadata.json");
    if ((member = find_file(zip, weights_name)) != NULL) return open_keras(build, zip, member, err);
    if ((member = find_file(zip, npz_name)) != NULL) return open_other_weights(build, zip, member, npz_name, err);
    if ((member = find_file(zip, map_name)) != NULL) return open_other_weights(build, zip, member, map_name, err);
    if (find_file(zip, "data.pkl") != NULL) return no_weights(build, KW_CONTENT_PYTORCH, NULL, err);
    if (all_end_with(zip, ".npy")) return no_weights(build, KW_CONTENT_NPZ, NULL, err);
    if (find_file(zip, "saved_model.pb") != NULL) return no_weights(build, KW_CONTENT_SAVED_MODEL, NULL, err);
    if (config == NULL || metadata == NULL) return no_weights(build, KW_CONTENT_ZIP, list_names(build, zip), err);
    /* The two small members come first: an archive cut behind them, or whose weights were deleted. */
    build->file->content = KW_CONTENT_KERAS_ZIP;
    if (read_texts(build, zip, config, metadata, err) < 0) return -1;
    return kw_build_fault(build, KW_NOT_WEIGHTS, KW_NOWHERE, weights_name, 0, 0, err, "the archive has no %s",
                          weights_name);
}

int kw_archive_open(kw_build *build, kw_error *err) {
    kw_zip *zip;
    if (kw_zip_open(build->file->source, build, &zip, err) < 0) return -1;
    int result = open_members(build, zip, err);
    if (result == 0 && build->audit && build->file->content == KW_CONTENT_KERAS_ZIP) result = kw_zip_audit(zip, build, err);
    kw_zip_free(zip);
    return result;
}
