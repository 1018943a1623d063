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

/* Whether there is something of this name, file or folder. */
static bool exists(const kw_source *folder, const char *name) {
    kw_source *source;
    kw_error why = {0};
    if (kw_source_open_sibling(folder, name, &source, &why) < 0)
        return why.code == KW_DIRECTORY || why.code == KW_DENIED;
    kw_source_release(source);
    return true;
}

static bool any_exists(const kw_source *folder, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (exists(folder, names[i])) return true;
    return false;
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

static kw_content kind_of(const kw_build *build) {
    static const char *const of_preset[] = {"tokenizer.json", "preprocessor.json", "task.json"};
    bool preset = kw_build_find_meta(build, "keras_hub_version") != NULL ||
                  any_exists(build->file->source, of_preset, sizeof of_preset / sizeof *of_preset);
    return preset ? KW_CONTENT_PRESET_FOLDER : KW_CONTENT_KERAS_FOLDER;
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

/* A folder called by a number: how Keras itself tells Orbax's steps. */
static bool has_step(const kw_source *folder) {
    enum { LISTED_MAX = 1000 };
    bool found = false;
    const struct dirent *item;
    DIR *listing = opendir(kw_source_path(folder));
    if (listing == NULL) return false;
    for (int i = 0; !found && i < LISTED_MAX && (item = readdir(listing)) != NULL; i++) {
        kw_source *file;
        kw_error why = {0};
        if (item->d_name[strspn(item->d_name, "0123456789")] != '\0') continue;
        if (kw_source_open_sibling(folder, item->d_name, &file, &why) == 0) kw_source_release(file);
        found = why.code == KW_DIRECTORY;
    }
    (void)closedir(listing);
    return found;
}

/* A folder without weights of Keras: named when something tells what it is. */
static int name_other(kw_build *build, kw_error *err) {
    static const char *const of_orbax[] = {"_CHECKPOINT_METADATA", "_METADATA",           "manifest.ocdbt",
                                           "orbax.checkpoint",     "checkpoint_metadata", "pytree.orbax-checkpoint"};
    const kw_source *folder = build->file->source;
    kw_content content = KW_CONTENT_UNKNOWN;
    if (exists(folder, "saved_model.pb"))
        content = KW_CONTENT_SAVED_MODEL;
    else if (any_exists(folder, of_orbax, sizeof of_orbax / sizeof *of_orbax))
        content = KW_CONTENT_ORBAX;
    else if (exists(folder, "checkpoint"))
        content = KW_CONTENT_TF_CHECKPOINT;
    else if (!exists(folder, "model.weights.npz") && has_step(folder))
        content = KW_CONTENT_ORBAX;
    else if (!exists(folder, "model.weights.npz"))
        return kw_fail(err, KW_DIRECTORY, KW_NOWHERE, "a folder without model.weights.h5");
    if (content == KW_CONTENT_UNKNOWN) {
        build->file->content = KW_CONTENT_KERAS_FOLDER;
        return kw_build_fault(build, KW_UNSUPPORTED, 0, "model.weights.npz", 0, 0, err,
                              "weights as .npz are pickles, which Keras since 3.9 does not load either");
    }
    build->file->content = content;
    return kw_build_fault(build, content == KW_CONTENT_ORBAX ? KW_NOT_WEIGHTS : KW_UNSUPPORTED, 0, "", 0, 0, err, "%s",
                          kw_content_phrase(content));
}

int kw_folder_open(kw_build *build, kw_shards *shards, kw_error *err) {
    kw_source *weights = NULL;
    kw_error why = {0};
    bool opened = kw_source_open_sibling(build->file->source, "model.weights.h5", &weights, &why) == 0;
    *shards = (kw_shards){.arena = KW_ARENA_EMPTY, .kind = KW_KERAS_V3};
    if (!opened && why.code == KW_MEMORY) return *err = why, -1;
    bool sharded = !opened && why.code == KW_NOT_FOUND && exists(build->file->source, "model.weights.json");
    if (!opened && !sharded && why.code == KW_NOT_FOUND) return name_other(build, err);
    if (read_texts(build, err) < 0) {
        kw_source_release(weights);
        return -1;
    }
    build->file->content = kind_of(build);
    if (opened) return add_weights(build, weights, err);
    if (sharded) return add_shards(build, shards, err);
    return kw_build_fault(build, why.code, why.at, "model.weights.h5", 0, 0, err, "%s", why.detail);
}
