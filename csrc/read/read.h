/* read.h -- the door of this room: a source becomes a kw_file.
 *
 *   source --> detect --> zip / shards / folder --> hdf5 --> keras --> kw_file
 *
 * A kw_file is the tensor table of everything that was found, with what is
 * needed to read the bytes of each tensor.  Immutable once opened, except that
 * reading may use the sources' caches; one thread at a time for kw_file_read of
 * chunked tensors, any number for extents read by kw_source_pread.
 */
#ifndef KW_READ_READ_H
#define KW_READ_READ_H

#include "base/source.h"
#include "base/table.h"

/* X(NAME, "slug", "what a person calls it") -- what first bytes say. */
#define KW_CONTENTS(X)                                                              \
    X(UNKNOWN, "unknown", "unknown data")                                           \
    X(EMPTY, "empty", "an empty file")                                              \
    X(ZEROS, "zeros", "a file of zero bytes")                                       \
    X(HDF5, "hdf5", "an HDF5 file")                                                 \
    X(ZIP, "zip", "a zip archive")                                                  \
    X(KERAS_ZIP, "keras", "a .keras archive")                                       \
    X(KERAS_FOLDER, "keras-folder", "an unzipped .keras folder")                    \
    X(PRESET_FOLDER, "preset", "a KerasHub preset folder")                          \
    X(SHARDS, "shards", "a Keras shard map (.weights.json)")                        \
    X(HF_SHARDS, "hf-shards", "a Hugging Face shard index")                         \
    X(TF_CHECKPOINT, "tf-checkpoint", "a TensorFlow checkpoint")                    \
    X(SAVED_MODEL, "saved-model", "a TensorFlow SavedModel")                        \
    X(SAFETENSORS, "safetensors", "a safetensors file")                             \
    X(LFS_POINTER, "git-lfs-pointer", "a Git LFS pointer")                          \
    X(HTML, "html", "a web page")                                                   \
    X(GZIP, "gzip", "a gzip file")                                                  \
    X(PICKLE, "pickle", "a Python pickle")                                          \
    X(NPY, "npy", "a NumPy .npy array")                                             \
    X(NPZ, "npz", "a NumPy .npz archive")                                           \
    X(ONNX, "onnx", "an ONNX model")                                                \
    X(PYTORCH, "pytorch", "a PyTorch checkpoint")                                   \
    X(ORBAX, "orbax", "an Orbax checkpoint folder")                                 \
    X(TFLITE, "tflite", "a TensorFlow Lite model")                                  \
    X(GGUF, "gguf", "a GGUF file")                                                  \
    X(JSON, "json", "a JSON text")                                                  \
    X(TEXT, "text", "a plain text")

typedef enum kw_content {
#define KW_CONTENT_ENUM(name, slug, phrase) KW_CONTENT_##name,
    KW_CONTENTS(KW_CONTENT_ENUM)
#undef KW_CONTENT_ENUM
} kw_content;
const char *kw_content_name(kw_content content);   /* slug */
const char *kw_content_phrase(kw_content content); /* for a sentence */

/* One file that bytes come from: the file itself, or a shard. */
typedef struct kw_part {
    kw_source *source;  /* HDF5 bytes start at offset 0 of it: a zip member is a part source */
    const char *name;   /* shard's file name, member's name; "" for the file itself */
    struct kw_hdf5 *hdf5;
    bool has_crc;       /* a zip member: its CRC-32 is `crc` over all of `source` */
    bool inflated;      /* source is memory that was inflated (and its CRC verified then) */
    uint32_t crc;
    uint32_t first_tensor; /* row of this part's first dataset: rows are in the order of hdf5->datasets */
} kw_part;

/* A key and a value that the container records: "keras_version", "backend",
 * "date_saved", "total_size", "superblock", ... */
typedef struct kw_meta {
    const char *key;
    const char *value;
} kw_meta;

/* A fault of the container that did not stop it (truncated tail, bad checksum,
 * unsupported structure somewhere): the report's KW2xx findings. */
typedef struct kw_container_fault {
    kw_fault fault;
    const char *path; /* of the group or member it belongs to; "" for the file */
    uint64_t a, b;    /* KW_TRUNCATED: bytes present, bytes expected; KW_UNCLAIMED: all of them, the longest run, at */
} kw_container_fault;

typedef struct kw_file {
    kw_content content;
    kw_table table;
    kw_part *parts;
    uint32_t part_count;
    kw_meta *metas;
    uint32_t meta_count;
    kw_container_fault *faults;
    uint32_t fault_count;
    const char *config; /* JSON text of the architecture (config.json, model_config), or NULL */
    size_t config_len;
    const char *training; /* JSON text of how it was compiled (training_config of a whole-model .h5), or NULL */
    size_t training_len;
    bool versionless;  /* a legacy layout: no version of Keras is recorded beside the names of the layers, or "1" */
    const char *title; /* of an HTML page, oid/size of an LFS pointer: what helps a reader; or NULL */
    kw_source *source; /* the one that was opened */
} kw_file;

typedef struct kw_open_options {
    uint64_t inflate_limit; /* bytes that all inflating together may produce; 0: the default */
    bool audit;             /* a second look at all of the file: read/audit.h */
} kw_open_options;

/* Retains `source`.  Returns 0 with *out owned by the caller also for a damaged
 * file whose structure could be walked in part (see faults), and for content
 * that is recognised but holds no weights (content tells which; the table is
 * empty and faults has KW_NOT_WEIGHTS / KW_EMPTY / KW_UNSUPPORTED).  -1 only for
 * failures to read at all: KW1xx, KW_CHANGED, KW_MEMORY. */
int kw_file_open(kw_source *source, const kw_open_options *options, kw_file **out, kw_error *err);
void kw_file_free(kw_file *file);

/* The bytes of a tensor, C order, native byte order, into `out` of exactly
 * tensor->nbytes.  Its fault is returned as an error. */
int kw_file_read(kw_file *file, uint32_t tensor, void *out, kw_error *err);

/* True when kw_file_read may call libhdf5, or a callback source's function: then only in the thread that calls it. */
bool kw_file_is_for_one_thread(const kw_file *file, uint32_t tensor);

/* Reads every byte of each part that carries a CRC-32 and compares, on up to
 * `threads` threads.  KW_CHECKSUM naming the member. */
int kw_file_verify(kw_file *file, int threads, kw_error *err);

#endif
