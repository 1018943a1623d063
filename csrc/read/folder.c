/* folder.c -- folders, told by the files in them.
 *
 *   unzipped .keras   config.json  metadata.json  model.weights.h5                     Keras >= 3.4, zipped=False
 *   KerasHub preset   the same, or model.weights.json and its shards;  tokenizer.json  preprocessor.json  task.json
 *   SavedModel        saved_model.pb  variables/
 *   TF checkpoints    checkpoint, a text naming the newest
 *   Orbax             _CHECKPOINT_METADATA  manifest.ocdbt ..., or folders of them, one a step
 *
 * Names are tried; only for Orbax, whose steps are numbers, some of the folder is
 * listed.
 */
#include "read/folder.h"

#include <dirent.h>

#include "read/detect.h"
#include "read/hdf5_private.h"
#include "read/keras.h"

bool kw_is_folder(const kw_source *source) { return kw_source_path(source) != NULL && kw_source_fd(source) < 0; }

/* Whether there is something of this name, file or folder: 1 or 0; -1 with KW_MEMORY. */
static int exists(const kw_source *folder, const char *name, kw_error *err) {
    kw_source *source;
    kw_error why = {0};
    if (kw_source_open_sibling(folder, name, &source, &why) < 0) {
        if (why.code == KW_MEMORY) return *err = why, -1;
        return why.code == KW_DIRECTORY || why.code == KW_DENIED;
    }
    kw_source_release(source);
    return 1;
}

/* The same for any of several names. */
static int any_exists(const kw_source *folder, const char *const *names, size_t count, kw_error *err) {
    int there = 0;
    for (size_t i = 0; there == 0 && i < count; i++) there = exists(folder, names[i], err);
    return there;
}

/* All bytes of a JSON file; *out is empty when it is not there, or cannot be read, for which there is a fault then. */
static int read_text(kw_build *build, const char *name, kw_view *out, kw_error *err) {
    kw_error why = {0};
    kw_source *source;
    *out = (kw_view){0};
    if (kw_source_open_sibling(build->file->source, name, &source, &why) < 0) {
        if (why.code == KW_MEMORY) return *err = why, -1;
        return why.code == KW_NOT_FOUND ? 0
                                        : kw_build_fault(build, why.code, why.at, name, 0, 0, err, "%s", why.detail);
    }
    int result = kw_build_text(build, source, out, &why);
    kw_source_release(source);
    if (result == 0) return 0;
    *out = (kw_view){0};
    return kw_build_blame(build, &why, name, err);
}

/* config.json and metadata.json. */
static int read_texts(kw_build *build, kw_error *err) {
    kw_view text;
    kw_error why = {0};
    if (read_text(build, "config.json", &text, err) < 0) return -1;
    build->file->config = (const char *)text.data;
    build->file->config_len = text.len;
    if (read_text(build, "metadata.json", &text, err) < 0) return -1;
    if (text.data == NULL || kw_build_metadata(build, text, &why) == 0) return 0;
    return kw_build_blame(build, &why, "metadata.json", err);
}

/* An unzipped archive or a preset; 0, or -1. */
static int tell_kind(kw_build *build, kw_error *err) {
    static const char *const of_preset[] = {"tokenizer.json", "preprocessor.json", "task.json"};
    int preset = kw_build_find_meta(build, "keras_hub_version") != NULL;
    if (!preset) preset = any_exists(build->file->source, of_preset, sizeof of_preset / sizeof *of_preset, err);
    if (preset < 0) return -1;
    build->file->content = preset ? KW_CONTENT_PRESET_FOLDER : KW_CONTENT_KERAS_FOLDER;
    return 0;
}

/* Adds model.weights.h5, which is open, as a part. */
static int add_weights(kw_build *build, kw_source *source, kw_error *err) {
    kw_content content;
    const char *title;
    if (kw_build_part(build, source, "model.weights.h5", err) == NULL) return -1;
    if (kw_detect(source, &build->file->table.arena, &content, &title, err) < 0) return -1;
    if (content == KW_CONTENT_HDF5) return kw_keras_open_part(build, err);
    build->file->title = title;
    return kw_build_fault(build, content == KW_CONTENT_EMPTY ? KW_EMPTY : KW_NOT_WEIGHTS, 0, "model.weights.h5", 0, 0,
                          err, "%s", kw_content_phrase(content));
}

static int add_shards(kw_build *build, kw_shards *shards, kw_error *err) {
    kw_source *map;
    kw_error why = {0};
    if (kw_source_open_sibling(build->file->source, "model.weights.json", &map, &why) < 0) {
        if (why.code == KW_MEMORY) return *err = why, -1;
        return kw_build_fault(build, why.code, why.at, "model.weights.json", 0, 0, err, "%s", why.detail);
    }
    int result = kw_shards_open(build, map, shards, err);
    kw_source_release(map);
    return result;
}

/* Whether there is a folder called by a number, how Keras itself tells Orbax's steps: 1 or 0; -1 with KW_MEMORY. */
static int has_step(const kw_source *folder, kw_error *err) {
    enum { LISTED_MAX = 1000 };
    int found = 0;
    const struct dirent *item;
    DIR *listing = opendir(kw_source_path(folder));
    if (listing == NULL) return 0;
    for (int i = 0; found == 0 && i < LISTED_MAX && (item = readdir(listing)) != NULL; i++) {
        kw_source *file;
        kw_error why = {0};
        if (item->d_name[strspn(item->d_name, "0123456789")] != '\0') continue;
        if (kw_source_open_sibling(folder, item->d_name, &file, &why) == 0) kw_source_release(file);
        if (why.code == KW_DIRECTORY) found = 1;
        if (why.code == KW_MEMORY) *err = why, found = -1;
    }
    (void)closedir(listing);
    return found;
}

/* What a folder without model.weights.h5 is, by a name in it; KW_CONTENT_UNKNOWN when none tells.  0, or -1. */
static int tell_other(const kw_source *folder, kw_content *out, kw_error *err) {
    static const char *const of_saved[] = {"saved_model.pb"}, *const of_checkpoint[] = {"checkpoint"};
    static const char *const of_pickles[] = {"model.weights.npz"};
    static const char *const of_orbax[] = {"_CHECKPOINT_METADATA", "_METADATA",           "manifest.ocdbt",
                                           "orbax.checkpoint",     "checkpoint_metadata", "pytree.orbax-checkpoint"};
    static const struct {
        kw_content content;
        const char *const *names;
        size_t count;
    } kinds[] = {{KW_CONTENT_SAVED_MODEL, of_saved, 1},
                 {KW_CONTENT_ORBAX, of_orbax, sizeof of_orbax / sizeof *of_orbax},
                 {KW_CONTENT_TF_CHECKPOINT, of_checkpoint, 1},
                 {KW_CONTENT_KERAS_FOLDER, of_pickles, 1}};
    int there = 0;
    *out = KW_CONTENT_UNKNOWN;
    for (size_t i = 0; there == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        there = any_exists(folder, kinds[i].names, kinds[i].count, err);
        if (there > 0) *out = kinds[i].content;
    }
    if (there == 0 && (there = has_step(folder, err)) > 0) *out = KW_CONTENT_ORBAX;
    return there < 0 ? -1 : 0;
}

/* A folder without weights of Keras: named when something tells what it is. */
static int name_other(kw_build *build, kw_error *err) {
    kw_content content;
    if (tell_other(build->file->source, &content, err) < 0) return -1;
    if (content == KW_CONTENT_UNKNOWN)
        return kw_fail(err, KW_DIRECTORY, KW_NOWHERE, "a folder without model.weights.h5");
    build->file->content = content;
    if (content == KW_CONTENT_KERAS_FOLDER)
        return kw_build_fault(build, KW_UNSUPPORTED, 0, "model.weights.npz", 0, 0, err,
                              "weights as .npz are pickles, which Keras since 3.9 does not load either");
    return kw_build_fault(build, content == KW_CONTENT_ORBAX ? KW_NOT_WEIGHTS : KW_UNSUPPORTED, 0, "", 0, 0, err, "%s",
                          kw_content_phrase(content));
}

int kw_folder_open(kw_build *build, kw_shards *shards, kw_error *err) {
    kw_source *weights = NULL;
    kw_error why = {0};
    bool opened = kw_source_open_sibling(build->file->source, "model.weights.h5", &weights, &why) == 0;
    *shards = (kw_shards){.arena = KW_ARENA_EMPTY, .kind = KW_KERAS_V3};
    if (!opened && why.code == KW_MEMORY) return *err = why, -1;
    int sharded = 0;
    if (!opened && why.code == KW_NOT_FOUND) {
        sharded = exists(build->file->source, "model.weights.json", err);
        if (sharded <= 0) return sharded < 0 ? -1 : name_other(build, err);
    }
    if (read_texts(build, err) < 0 || tell_kind(build, err) < 0) {
        kw_source_release(weights);
        return -1;
    }
    if (opened) return add_weights(build, weights, err);
    if (sharded) return add_shards(build, shards, err);
    return kw_build_fault(build, why.code, why.at, "model.weights.h5", 0, 0, err, "%s", why.detail);
}
