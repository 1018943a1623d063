/* open.c -- the line from a source to a kw_file.
 *
 *   kw_source --+-- folder -----------------------+
 *               |                                 v
 *               +-- detect --+-- zip: archive --> parts --> hdf5 --> keras --> table
 *                            +-- JSON: shards --->  ^
 *                            +-- HDF5 --------------+
 *                            +-- anything else: named, with an empty table
 *
 * Parts are added, and opened as HDF5, by whoever finds them; the table is made
 * from all of them at once.
 */
#include <stdlib.h>

#include "base/crc.h"
#include "base/work.h"
#include "read/archive.h"
#include "read/build.h"
#include "read/detect.h"
#include "read/folder.h"
#include "read/hdf5.h"
#include "read/keras.h"
#include "read/shards.h"

#define INFLATE_LIMIT ((uint64_t)4 << 30)

enum { STRETCH_LEN = 4 << 20, BLOCK_LEN = 1 << 20 };

void kw_file_free(kw_file *file) {
    if (file == NULL) return;
    for (uint32_t i = 0; i < file->part_count; i++) {
        if (file->parts[i].hdf5 != NULL) kw_hdf5_free(file->parts[i].hdf5);
        kw_source_release(file->parts[i].source);
    }
    free(file->parts);
    free(file->metas);
    free(file->faults);
    kw_table_free(&file->table);
    kw_source_release(file->source);
    free(file);
}

/* ---- opening ---- */

/* A file that is HDF5 itself. */
static int open_hdf5(kw_build *build, kw_error *err) {
    if (kw_build_part(build, kw_source_retain(build->file->source), "", err) == NULL) return -1;
    return kw_keras_open_part(build, err);
}

/* The weights of an archive, once it has told which member they are. */
static int open_archive(kw_build *build, kw_error *err) {
    kw_file *file = build->file;
    kw_content content;
    const char *title;
    if (kw_archive_open(build, err) < 0) return -1;
    if (file->part_count == 0) return 0;
    kw_part *part = &file->parts[0];
    if (kw_detect(part->source, &file->table.arena, &content, &title, err) < 0) return -1;
    /* Cut within its first bytes: that it is cut is said already. */
    if (!part->has_crc && kw_source_size(part->source) < 8 && file->fault_count > 0) return 0;
    if (content == KW_CONTENT_HDF5) return kw_keras_open_part(build, err);
    file->title = title;
    return kw_build_fault(build, KW_NOT_WEIGHTS, 0, part->name, 0, 0, err, "%s", kw_content_phrase(content));
}

/* Content that is recognised and not read. */
static int name_content(kw_build *build, kw_error *err) {
    kw_content content = build->file->content;
    bool later = content == KW_CONTENT_TF_CHECKPOINT || content == KW_CONTENT_SAVED_MODEL ||
                 content == KW_CONTENT_SAFETENSORS;
    int code = content == KW_CONTENT_EMPTY ? KW_EMPTY : later ? KW_UNSUPPORTED : KW_NOT_WEIGHTS;
    return kw_build_fault(build, code, 0, "", 0, 0, err, "%s%s", kw_content_phrase(content),
                          later ? ": not read by this version" : "");
}

/* Adds the parts of the file, and what is wrong with its container. */
static int open_content(kw_build *build, kw_shards *shards, kw_error *err) {
    kw_file *file = build->file;
    if (kw_is_folder(file->source)) return kw_folder_open(build, shards, err);
    if (kw_detect(file->source, &file->table.arena, &file->content, &file->title, err) < 0) return -1;
    if (file->content == KW_CONTENT_HDF5) return open_hdf5(build, err);
    if (file->content == KW_CONTENT_ZIP) return open_archive(build, err);
    if (file->content == KW_CONTENT_JSON && kw_shards_open(build, file->source, shards, err) < 0) return -1;
    if (file->content == KW_CONTENT_SHARDS || file->content == KW_CONTENT_HF_SHARDS) {
        file->title = NULL;
        return 0;
    }
    return name_content(build, err);
}

/* What the container says about the HDF5 files in it. */
static kw_keras_kind kind_of(const kw_file *file, const kw_shards *shards) {
    if (file->content == KW_CONTENT_HDF5) return KW_KERAS_ANY;
    return file->content == KW_CONTENT_HF_SHARDS ? shards->kind : KW_KERAS_V3;
}

/* KW_CHANGED when a file that was read is no longer as it was at opening. */
static int check_unchanged(const kw_file *file, kw_error *err) {
    if (kw_source_unchanged(file->source, err) < 0) return -1;
    for (uint32_t i = 0; i < file->part_count; i++)
        if (kw_source_unchanged(file->parts[i].source, err) < 0) return -1;
    return 0;
}

int kw_file_open(kw_source *source, const kw_open_options *options, kw_file **out, kw_error *err) {
    kw_build build = {.inflate_left = options != NULL && options->inflate_limit > 0 ? options->inflate_limit
                                                                                    : INFLATE_LIMIT};
    kw_shards shards = {.arena = KW_ARENA_EMPTY, .kind = KW_KERAS_V3};
    int result = -1;
    build.audit = options != NULL && options->audit;
    kw_file *file = build.file = calloc(1, sizeof *build.file);
    if (file == NULL) return kw_fail_memory(err);
    file->source = kw_source_retain(source);
    if (open_content(&build, &shards, err) < 0) goto done;
    if (kw_keras_read(&build, kind_of(file, &shards), &shards.mapped, err) < 0) goto done;
    if (kw_shards_compare(&build, &shards, err) < 0) goto done;
    if (check_unchanged(file, err) < 0) goto done;
    *out = file;
    file = NULL;
    result = 0;
done:
    kw_shards_free(&shards);
    kw_file_free(file);
    return result;
}

/* ---- reading ---- */

int kw_file_read(kw_file *file, uint32_t tensor, void *out, kw_error *err) {
    if (tensor >= file->table.tensor_count) return kw_fail(err, KW_MISSING, KW_NOWHERE, "no tensor %u", tensor);
    const kw_tensor *t = &file->table.tensors[tensor];
    const kw_part *part = &file->parts[t->part];
    if (t->fault.code != KW_OK)
        return kw_fail(err, t->fault.code, t->fault.at, "%s", t->fault.detail != NULL ? t->fault.detail : "");
    return kw_hdf5_read(part->hdf5, tensor - part->first_tensor, out, err);
}

bool kw_file_is_for_one_thread(const kw_file *file, uint32_t tensor) {
    const kw_part *part = &file->parts[file->table.tensors[tensor].part];
    return kw_hdf5_is_for_one_thread(part->hdf5, tensor - part->first_tensor);
}

/* ---- verifying ---- */

/* A source and the CRC-32 of each stretch of it. */
typedef struct sums {
    kw_source *source;
    uint32_t *crcs;
} sums;

static uint64_t stretch_len(const sums *s, size_t index) {
    uint64_t left = kw_source_size(s->source) - (uint64_t)index * STRETCH_LEN;
    return left < STRETCH_LEN ? left : STRETCH_LEN;
}

/* kw_work.step */
static int sum_stretch(void *context, size_t index, void *own, kw_error *err) {
    const sums *s = context;
    uint64_t len = stretch_len(s, index), at = (uint64_t)index * STRETCH_LEN;
    s->crcs[index] = 0;
    for (uint64_t done = 0; done < len;) {
        size_t more = len - done < BLOCK_LEN ? (size_t)(len - done) : BLOCK_LEN;
        if (kw_source_pread(s->source, at + done, own, more, err) < 0) return -1;
        s->crcs[index] = kw_crc32(s->crcs[index], own, more);
        done += more;
    }
    return 0;
}

/* The CRC-32 of all bytes of a source.  0 and *crc, or -1 with the first error by offset. */
static int sum_source(kw_source *source, int threads, uint32_t *crc, kw_error *err) {
    uint64_t size = kw_source_size(source);
    size_t count = (size_t)(size / STRETCH_LEN + (size % STRETCH_LEN != 0));
    sums s = {.source = source, .crcs = malloc((count + 1) * sizeof *s.crcs)};
    kw_work work = {.count = count, .step = sum_stretch, .context = &s, .own_len = BLOCK_LEN};
    int result = s.crcs == NULL ? kw_fail_memory(err) : kw_work_run(&work, threads, err);
    *crc = 0;
    for (size_t i = 0; result == 0 && i < count; i++) *crc = kw_crc32_join(*crc, s.crcs[i], stretch_len(&s, i));
    free(s.crcs);
    return result;
}

int kw_file_verify(kw_file *file, int threads, kw_error *err) {
    for (uint32_t i = 0; i < file->part_count; i++) {
        const kw_part *part = &file->parts[i];
        uint32_t crc;
        if (!part->has_crc || part->inflated) continue; /* inflated: compared at opening */
        if (sum_source(part->source, threads, &crc, err) < 0) return -1;
        if (crc != part->crc) return kw_fail(err, KW_CHECKSUM, KW_NOWHERE, "%.100s", part->name);
    }
    return check_unchanged(file, err);
}
