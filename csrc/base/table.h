/* table.h -- the tensor table: what a file has and what a model wants, in one
 * shape, so that the plan is a join of two of them.
 *
 *   tensors  every dataset of the file / every variable of the model
 *   slots    an ordered list of (variable name, tensor) pairs; a group owns a
 *            consecutive run of them
 *   groups   ordered as the layout orders them: a legacy layer, a `vars` group
 *            of the Keras 3 layout, an object of the model
 *
 * All strings and arrays live in the table's arena.  Text is NUL-terminated
 * UTF-8 as far as the file's bytes are; control characters are still in it, and
 * whoever prints it escapes it.  Immutable once built.
 */
#ifndef KW_BASE_TABLE_H
#define KW_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/dtype.h"
#include "base/error.h"

#define KW_NONE UINT32_MAX

/* In the shape of a model's variable: a length that nobody knows; as the only one: any number of them. */
#define KW_LEN_UNKNOWN UINT64_MAX
#define KW_LEN_ANY (UINT64_MAX - 1)

/* X(NAME, "slug") */
#define KW_LAYOUTS(X)                                                               \
    X(UNKNOWN, "unknown")           /* not looked at */                             \
    X(HDF5, "hdf5")                 /* an HDF5 file that is not Keras's */          \
    X(LEGACY, "legacy")             /* root attribute layer_names */                \
    X(LEGACY_MODEL, "legacy-model") /* whole model: model_config, model_weights */  \
    X(KERAS0, "keras-0")            /* nb_layers, layer_0/param_0 */                \
    X(HF_SHARD, "hf-shard")         /* layer_names are dataset paths */             \
    X(V3, "keras-3")                /* layers/<class>/vars/<i> */                   \
    X(V3_TF212, "tf-2.12")          /* _layer_checkpoint_dependencies/... */        \
    X(OPTIMIZER_ONLY, "optimizer-only")

typedef enum kw_layout {
#define KW_LAYOUT_ENUM(name, slug) KW_LAYOUT_##name,
    KW_LAYOUTS(KW_LAYOUT_ENUM)
#undef KW_LAYOUT_ENUM
} kw_layout;
const char *kw_layout_name(kw_layout layout);

/* X(NAME, "slug") */
#define KW_STORAGES(X)                                                      \
    X(NONE, "none")             /* a variable of a model: no bytes */       \
    X(CONTIGUOUS, "contiguous") /* one extent at `off` */                   \
    X(COMPACT, "compact")       /* in the object header, at `off` */        \
    X(CHUNKED, "chunked")       /* off = KW_NOWHERE */                      \
    X(FILL, "fill")             /* never allocated: the fill value */

typedef enum kw_storage {
#define KW_STORAGE_ENUM(name, slug) KW_STORAGE_##name,
    KW_STORAGES(KW_STORAGE_ENUM)
#undef KW_STORAGE_ENUM
} kw_storage;
const char *kw_storage_name(kw_storage storage);

typedef struct kw_fault {
    int code; /* KW_OK: sound */
    uint64_t at;
    const char *detail; /* in the arena, or static */
} kw_fault;

typedef struct kw_tensor {
    const char *path;      /* file: without leading '/'; model: "dense_1/kernel" */
    const char *layer;     /* the user-visible layer: legacy layer name, V3 `name`
                              or group path; model: "outer/inner" */
    const char *variable;  /* "kernel" where known, else the key ("0") */
    const char *type_text; /* the type as the file declares it, when dtype is NONE */
    const uint64_t *shape; /* rank of them */
    uint8_t rank;
    uint8_t dtype;   /* kw_dtype */
    uint8_t storage; /* kw_storage */
    bool big_endian;
    bool unmarked;   /* two opaque bytes, taken for a bfloat16, and no attribute that says so */
    bool trainable;  /* models only */
    uint32_t part;   /* index of the source in the file: 0, or the shard */
    uint64_t off;    /* of the first byte in that source; KW_NOWHERE */
    uint64_t nbytes; /* product of shape times itemsize: checked, also when faulted */
    uint64_t object; /* HDF5: address of the object header, else KW_NOWHERE */
    uint32_t group;  /* index into groups, or KW_NONE */
    kw_fault fault;
} kw_tensor;

typedef struct kw_slot {
    const char *name; /* V3: the key; legacy: the full weight name; model: variable name */
    uint32_t tensor;  /* KW_NONE: listed in the file, but not there */
} kw_slot;

/* Flags of a group. */
enum {
    KW_GROUP_NAMED = 1u << 0,      /* `name` was recorded by Keras (always, in legacy) */
    KW_GROUP_ABSENT = 1u << 1,     /* legacy: listed in layer_names, group not in the file */
    KW_GROUP_NO_LIST = 1u << 2,    /* legacy: weight_names attribute is missing */
    KW_GROUP_OPTIMIZER = 1u << 3,  /* optimizer state */
    KW_GROUP_METRIC = 1u << 4,     /* metric state (tf_keras) */
    KW_GROUP_TOP_LEVEL = 1u << 5,  /* legacy: top_level_model_weights */
    KW_GROUP_OWN_LOAD = 1u << 6,   /* model: class loads its variables itself (user code) */
    KW_GROUP_NOT_BUILT = 1u << 7,  /* model: never built */
    KW_GROUP_NO_COUNT = 1u << 8,   /* model: no count check (LoRA) */
    KW_GROUP_AUTO_NAME = 1u << 9,  /* model and file: the name is one Keras makes itself */
    KW_GROUP_NOT_LOADABLE = 1u << 10, /* model: object without load_own_variables */
    KW_GROUP_COUNTED = 1u << 11,      /* model: class loads its variables itself, when the file has as many */
    KW_GROUP_CONFIG_NAME = 1u << 12,  /* file: the name stands in config.json alone */
    KW_GROUP_LINK = 1u << 13          /* file: a link stands where the group should */
};

/* What a layer of a model is to the code that converts saved weights, which goes by the name of its class. */
typedef enum kw_unit_kind {
    KW_UNIT_PLAIN, /* its weights are taken as they are */
    KW_UNIT_BIDIRECTIONAL,
    KW_UNIT_TIME_DISTRIBUTED,
    KW_UNIT_MODEL,
    KW_UNIT_CONV1D,
    KW_UNIT_CONV2D,
    KW_UNIT_CONV3D,
    KW_UNIT_CONV2D_TRANSPOSE,
    KW_UNIT_CONV_LSTM2D,
    KW_UNIT_GRU,
    KW_UNIT_LSTM,
    KW_UNIT_CUDNN_GRU,
    KW_UNIT_CUDNN_LSTM,
    KW_UNIT_UNSURE /* a class of the user's own, under such a name */
} kw_unit_kind;

/* A layer, and behind it the layers inside it, each with its own behind it. */
typedef struct kw_unit {
    uint8_t kind;                            /* kw_unit_kind */
    uint8_t rank;                            /* of its first weight; KW_UNIT_BARE: it has none */
    bool channels_first, reset_after;
    uint32_t span;                           /* units: itself and what is inside */
    uint32_t trainable, fixed;               /* weights */
    uint32_t own_trainable, own_fixed;       /* a model's: those that no layer of it holds */
    uint64_t window, filters;                /* Conv1D */
    const uint64_t *shape;                   /* of its first weight */
} kw_unit;
enum { KW_UNIT_BARE = UINT8_MAX };
kw_unit_kind kw_unit_kind_find(const char *class_name);

typedef struct kw_group {
    const char *path;       /* file: path of the group ("layers/dense", "model_weights/d1");
                               model: canonical path ("layers/dense") or layer name (legacy) */
    const char *name;       /* layer name, or NULL when nothing records one */
    const char *class_name; /* "Dense"; NULL when unknown */
    uint32_t first, count;  /* run of slots */
    uint32_t flags;
    uint32_t unit_count;
    const kw_unit *units;   /* model: the layer and those inside it; NULL where only its class is known */
    kw_fault fault; /* the group itself could not be read whole */
} kw_group;

typedef struct kw_table {
    kw_arena arena;
    kw_layout layout;
    kw_tensor *tensors;
    kw_group *groups;
    kw_slot *slots;
    uint32_t tensor_count, group_count, slot_count;
} kw_table;

/* True when a length is the one that a model wants, or nobody knows which that is; the same of all lengths. */
bool kw_length_fits(uint64_t length, uint64_t wanted);
bool kw_lengths_fit(const uint64_t *shape, unsigned rank, const kw_tensor *wanted);

void kw_table_free(kw_table *table); /* frees the arena; safe on a zeroed table */

/* "dense", "dense_7", "conv2d_transpose_1": what Keras calls a layer of
 * `class_name` by itself.  With class_name NULL: what some Keras would call a
 * layer of one of its own classes; "block_1" and "my_dense_2" are the user's. */
bool kw_name_is_automatic(const char *name, const char *class_name);

/* "conv2d_transpose" for "Conv2DTranspose", as Keras 3 and tf_keras spell a class in a path.  False when the name is
 * longer than 255 bytes, or no name of a class in ASCII. */
enum { KW_SNAKE_LEN = 511 };
bool kw_name_snake(const char *class_name, char out[KW_SNAKE_LEN]);

/* A hash from text to index, for joins.  Keys are borrowed. */
typedef struct kw_index {
    struct kw_index_entry *entries;
    size_t capacity, count;
    uint64_t seed[2]; /* drawn at the first key */
} kw_index;
#define KW_INDEX_EMPTY ((kw_index){NULL, 0, 0, {0, 0}})
/* Keeps the first value of equal keys: *existing (may be NULL) is that value,
 * or KW_NONE when the key is new.  0, or -1 with KW_MEMORY. */
int kw_index_add(kw_index *index, const char *key, uint32_t value, uint32_t *existing, kw_error *err);
uint32_t kw_index_find(const kw_index *index, const char *key); /* KW_NONE */
void kw_index_free(kw_index *index);

#endif
