/* rules.h -- the table of what each Keras does, looked up by flavour, version and
 * suffix of the file's name; and the texts that it raises.
 */
#ifndef KW_PLAN_RULES_H
#define KW_PLAN_RULES_H

#include "plan/plan.h"

/* Which of its loaders Keras takes. */
typedef enum kw_loader {
    KW_LOADER_V3_HDF5,   /* layers/dense/vars/0 in an HDF5 file */
    KW_LOADER_V3_ZIP,    /* the same in a .keras archive */
    KW_LOADER_V3_SHARDS, /* the same behind a .weights.json map */
    KW_LOADER_LEGACY,    /* layer_names, weight_names */
    KW_LOADER_REFUSED    /* none: "File format not supported" */
} kw_loader;

/* What a generation of Keras does. */
enum {
    KW_DOES_RETRY = 1u << 0,        /* V3: collects errors; what failed is tried again at its other paths */
    KW_DOES_UNBUILT = 1u << 1,      /* V3: refuses a model that was not built */
    KW_DOES_NESTED = 1u << 2,       /* V3: lists in lists are walked, as "container" */
    KW_DOES_SKIP_SEEN = 1u << 3,    /* V3: objects seen before do not advance the numbers of a list */
    KW_DOES_NEED_ROOT = 1u << 4,    /* V3: the group /vars must exist */
    KW_DOES_TF212 = 1u << 5,        /* V3: looks into _layer_checkpoint_dependencies too */
    KW_DOES_SHARDS = 1u << 6,       /* knows .weights.json */
    KW_DOES_NAME_TEXT = 1u << 7,    /* has a sentence of its own for by_name with a V3 file */
    KW_DOES_SAFE_GROUPS = 1u << 8,  /* refuses links, and datasets where a group must be */
    KW_DOES_ORDER_SHAPES = 1u << 9, /* legacy, by order: compares shapes before assigning */
    KW_DOES_ORDER_SKIP = 1u << 10,  /* legacy, by order: honours skip_mismatch */
    KW_DOES_TOP_ALL = 1u << 11,     /* legacy, by name: counts all variables as top-level ones */
    KW_DOES_CONVERT = 1u << 12,     /* legacy: converts kernels and cuDNN weights, assigns after the last layer */
    KW_DOES_BFLOAT16 = 1u << 13,    /* V3: knows its own bfloat16 mark */
    KW_DOES_NO_V3 = 1u << 14,       /* whatever the file's name is, it is a legacy one */
    KW_DOES_OLD_TEXTS = 1u << 15,   /* legacy: speaks as Keras did before 2.7 */
    KW_DOES_NO_TOP = 1u << 16       /* legacy: the model's own variables are not loaded */
};

typedef struct kw_generation {
    kw_flavour flavour;
    uint32_t from, to; /* versions: from <= v < to */
    uint32_t does;
} kw_generation;

/* X(NAME, "exception type", "message up to its first inserted value") */
#define KW_RAISES(X)                                                                                                   \
    X(TOTAL, "ValueError", "A total of ")                                                                              \
    X(VARIABLES, "ValueError", "Layer '")                                                                              \
    X(SHAPE, "ValueError",                                                                                             \
      "The shape of the target variable and the shape of the target value in `variable.assign(value)` must match. ")   \
    X(TF_SHAPE, "ValueError", "Cannot assign value to variable '")                                                     \
    X(UNBUILT, "ValueError",                                                                                           \
      "You are loading weights into a model that has not yet been built. Try building the model first by calling it "  \
      "on some data or by using `build()`.")                                                                           \
    X(TF_UNBUILT, "ValueError",                                                                                        \
      "Unable to load weights saved in HDF5 format into a subclassed Model which has not created its variables yet. "  \
      "Call the Model first, then load the weights.")                                                                  \
    X(BY_NAME, "ValueError", "`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: ")              \
    X(KEYWORD, "ValueError", "Invalid keyword arguments: ")                                                            \
    X(SKIP_MISMATCH, "ValueError",                                                                                     \
      "When calling model.load_weights, skip_mismatch can only be set to True when by_name is True.")                  \
    X(FORMAT, "ValueError", "File format not supported: filepath=")                                                    \
    X(LAYERS, "ValueError", "Layer count mismatch when loading weights from file. Model expected ")                    \
    X(OLD_LAYERS, "ValueError", "You are trying to load a weight file containing ")                                    \
    X(OLD_LAYER, "ValueError", "Layer #")                                                                              \
    X(WEIGHTS, "ValueError", "Weight count mismatch for layer #")                                                      \
    X(LAYER_SHAPE, "ValueError", "Shape mismatch in layer #")                                                          \
    X(TOP_WEIGHTS, "ValueError",                                                                                       \
      "Weight count mismatch for top-level weights when loading weights from file. Model expects ")                    \
    X(TOP_WEIGHTS_NAME, "ValueError", "Weight count mismatch for top-level weights of model. Model expects ")          \
    X(TOP_SHAPE, "ValueError", "Shape mismatch in top-level modelfor weight ")                                         \
    X(TOP_SHAPE_NAME, "ValueError", "Shape mismatch in model for top-level weight ")                                   \
    X(BIAS, "ValueError", "Invalid bias shape: ")                                                                      \
    X(GRU_AFTER, "ValueError", "GRU(reset_after=True) is not compatible with GRU(reset_after=False)")                  \
    X(GRU_BEFORE, "ValueError", "GRU(reset_after=False) is not compatible with ")                                      \
    X(GRU_CUDNN, "ValueError", "CuDNNGRU is not compatible with GRU(reset_after=False)")                               \
    X(LINK, "ValueError", "Not allowed: H5 file with ")                                                                \
    X(NOT_GROUP, "ValueError", "Invalid H5 file, expected Group but received ")                                        \
    X(RECURSION, "RecursionError", "maximum recursion depth exceeded")                                                 \
    X(NOT_VARIABLE, "NotImplementedError",                                                                             \
      "Save or restore weights that is not an instance of `tf.Variable` is not supported in h5, use "                  \
      "`save_format='tf'` instead. Received a model or layer ")                                                        \
    X(VALUE, "ValueError", "")   /* from NumPy: the text is not Keras's */                                             \
    X(INDEX, "IndexError", "")   /* from Python */                                                                     \
    X(ASSERT, "AssertionError", "")                                                                                    \
    X(KEY, "KeyError", "")       /* a name that is not there */                                                        \
    X(OS, "OSError", "")         /* from h5py: not an HDF5 file, or cut short */                                       \
    X(FOLDER, "IsADirectoryError", "")                                                                                 \
    X(NO_SHARD, "FileNotFoundError", "")                                                                               \
    X(ZIP, "BadZipFile", "")                                                                                           \
    X(TEXT, "UnicodeDecodeError", "")                                                                                  \
    X(JSON, "JSONDecodeError", "")

typedef enum kw_raise {
#define KW_RAISE_ENUM(name, type, prefix) KW_RAISE_##name,
    KW_RAISES(KW_RAISE_ENUM)
#undef KW_RAISE_ENUM
} kw_raise;

typedef struct kw_raise_text {
    const char *type, *prefix;
} kw_raise_text;

/* Both texts are static. */
kw_raise_text kw_raise_find_text(kw_raise raise);

/* What a Keras with these KW_DOES_* raises where the newest raises this. */
kw_raise kw_raise_find_own(kw_raise raise, uint32_t does);

/* The rules as the Keras has them that the prediction is about. */
kw_rules kw_rules_of_reader(const kw_rules *rules);

/* KW_DOES_* of the Keras that the rules name; of the newest when the version is unknown. */
uint32_t kw_rules_find_does(const kw_rules *rules);

/* The loader that it takes for a file of that name and content. */
kw_loader kw_rules_find_loader(const kw_rules *rules);

#endif
