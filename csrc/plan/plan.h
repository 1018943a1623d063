/* plan.h -- the join of two tensor tables: which tensor goes to which variable,
 * what Keras would do with this very call, and what is wrong.  No bytes, no
 * files, no Python.
 *
 * What Keras does is driven by kw_rules: a row of the table in rules.c
 * (layout x Keras generation) plus the call's options.
 *
 * Facts only: a finding is numbers (rows of the two tables, an axis, counts);
 * the sentences are made in Python from the same data.
 */
#ifndef KW_PLAN_PLAN_H
#define KW_PLAN_PLAN_H

#include "base/table.h"
#include "plan/graph.h"

typedef enum kw_flavour {
    KW_FLAVOUR_KERAS3,
    KW_FLAVOUR_TF_KERAS, /* 2.x as a part of TensorFlow, and tf_keras after it */
    KW_FLAVOUR_KERAS2    /* 2.x by itself, up to 2.3 */
} kw_flavour;

/* Another Keras than the model's own, which the prediction is about: what the same
 * architecture is there.  Its first rows are those of the model's own table; the
 * rows behind them are objects that only this Keras finds. */
typedef struct kw_other {
    kw_flavour flavour;
    uint32_t version;
    const kw_table *model;
    const kw_graph *graph; /* NULL: legacy */
    const char *unsure;    /* why it is not known what the architecture is there; NULL: it is */
} kw_other;

/* The suffix of the file's name decides which of its loaders Keras takes. */
typedef enum kw_suffix {
    KW_SUFFIX_KERAS,        /* .keras */
    KW_SUFFIX_WEIGHTS_H5,   /* .weights.h5 (Keras tests "weights.h5") */
    KW_SUFFIX_WEIGHTS_JSON, /* .weights.json */
    KW_SUFFIX_H5,           /* .h5, .hdf5 */
    KW_SUFFIX_OTHER
} kw_suffix;

typedef struct kw_rules {
    kw_flavour flavour;
    uint32_t version; /* Keras: major * 10000 + minor * 100 + patch: 31501 */
    kw_suffix suffix;
    bool by_name_given; /* by_name was passed at all (Keras 3 refuses it for V3 files) */
    bool by_name;
    bool skip_mismatch;
    bool is_zip;    /* the file really is a zip, with its directory: .keras loading needs that */
    bool is_hdf5;   /* the file really is HDF5 */
    bool is_folder; /* an unzipped archive */
    bool is_nested; /* a zip whose weights lie in a folder of it, or that has none */
    bool is_shards; /* a map of shards, perhaps of none */
    bool is_text;   /* no JSON: what a map of shards should be */
    bool zip_damaged;  /* the directory of the zip is */
    bool hdf5_damaged; /* the HDF5 file, or the zip's, is cut short or was never finished: it does not open */
    bool root_damaged; /* its root group is */
    bool keras_1;   /* legacy layout: Keras 1 wrote it */
    bool theano;    /* legacy layout: it was written with Theano, which turns kernels around when it convolves */
    bool versionless; /* legacy layout: no version is recorded beside the names of the layers, or "1": what tf_keras and
                         Keras 2 take for Keras 1 */
    /* kwload's own options, on the model's side, already resolved to rows: */
    const uint8_t *selected;         /* one byte a model group: 0 = not asked for; NULL = all */
    const uint32_t *mapped;          /* one a model group: file group it is mapped to, or KW_NONE; NULL */
    const kw_other *other;           /* predict for this one; NULL: for the model's own Keras */
} kw_rules;

/* Who decides a pair. */
typedef enum kw_pair_rule { KW_PAIR_PATH, KW_PAIR_ORDER, KW_PAIR_NAME, KW_PAIR_MAPPED } kw_pair_rule;

typedef struct kw_pair {
    uint32_t file_tensor;
    uint32_t model_tensor;
    uint8_t rule; /* kw_pair_rule */
    uint8_t cast; /* kw_cast */
} kw_pair;

/* What is done to the values of a tensor, or of several, to make a variable's of them: X(NAME, "slug"). */
#define KW_STEPS(X)                                                            \
    X(JOIN, "join")           /* all its tensors, along the last axis */        \
    X(AXES_2310, "2310")      /* transposed: axis 2 first */                    \
    X(AXES_2301, "2301")                                                       \
    X(AXES_0132, "0132")                                                       \
    X(AXES_23410, "23410")                                                     \
    X(AXES_3201, "3201")      /* blindly, because the shape differs */          \
    X(FLIP, "flip")           /* all axes but the last two backwards */         \
    X(DROP_1, "drop-1")       /* axis 1, of length 1, is left out */            \
    X(LSTM_PLAIN, "lstm-plain") X(LSTM_CUDNN, "lstm-cudnn") /* its kernel */    \
    X(GRU_PLAIN, "gru-plain") X(GRU_CUDNN, "gru-cudnn")                        \
    X(LSTM_TURN, "lstm-turn") X(GRU_TURN, "gru-turn") /* its recurrent kernel */ \
    X(HALVES, "halves")       /* the sum of both halves */                     \
    X(TWICE, "twice")         /* half of it, twice */                          \
    X(ROWS, "rows")           /* two rows */                                   \
    X(FLAT, "flat")           /* one row */
typedef enum kw_step {
#define KW_STEP_ENUM(name, text) KW_STEP_##name,
    KW_STEPS(KW_STEP_ENUM)
#undef KW_STEP_ENUM
} kw_step;
const char *kw_step_name(kw_step step);
enum { KW_CONVERSION_PARTS = 4, KW_CONVERSION_STEPS = 12 };

/* Kinds of conversion, as bits: gates are put together, axes are moved, kernels are turned around. */
enum { KW_VERSION_GATES = 1, KW_VERSION_AXES = 2, KW_VERSION_FLIPPED = 4 };

/* How a variable's values come about where they are not a tensor's as it is. */
typedef struct kw_conversion {
    uint32_t model_tensor;
    uint32_t from[KW_CONVERSION_PARTS]; /* file tensors; the first is the pair's */
    uint8_t part_count, step_count;
    uint8_t steps[KW_CONVERSION_STEPS]; /* kw_step */
} kw_conversion;

typedef enum kw_severity { KW_NOTE, KW_WARNING, KW_ERROR } kw_severity;

/* What the rows of a finding are, where it is not plain:
 *
 *   KW_INSERTED   model_group: a layer that the file has not, and/or file_group: one that the model has not;
 *                 other_group: the first model layer behind it, which is shifted; a: how many are;
 *                 b < a: that many of them fit what they would get, so that Keras raises;
 *                 without both groups: among a layers of the file and b of the model, the related ones, before
 *                 other_group, some are too many, and nothing tells which
 *   KW_SWAPPED    model_group would get file_group, which bears the name of other_group; the chain goes on with
 *                 the groups of the related tensors; a: its length; b as above
 *   KW_PREFIX, KW_COUNTER   one a pair of model_group and file_group, by name; a: 1 when the shapes fit; b: how many
 *                 layers are asked for by name
 *   KW_RENAMED    a note: model_group has file_group's place, and another name; else, in V3, file_group is where
 *                 model_group would be but for the name of an attribute or class
 *   KW_NOT_SAVED  model_group: it is in a list in a list
 *   KW_COUNT      without groups: of layers with weights, a in the file, b in the model
 *   KW_MISSING    model_group: the outermost object below which nothing is in the file; without: file_group is
 *                 listed and its group, or list of weights, is gone; with model_tensor: one listed weight is gone
 *   KW_UNUSED     file_group: the outermost one below which nobody takes anything; a: tensors
 *   KW_ORDER      file_tensor would go into model_tensor, the first that is wrong
 *   KW_SKIPPED    what KW_MISSING, KW_COUNT, KW_KEYS, KW_SHAPE or KW_TRANSPOSED would be without skip_mismatch
 *   KW_DTYPE      a = b: how many tensors have this change of type; the others are related
 *   KW_NOTHING_MATCHED   a: groups with tensors in the file, b: groups with variables in the model
 *   KW_OPTIMIZER  a: tensors of it in the file that are not loaded, b: variables of it in the model
 *   KW_RESET_AFTER   model_tensor: the first bias, in the shape of another variant; a = b: how many are, the others
 *                 are related. No error: they are cuDNN's, and converted when they are loaded
 *   KW_QUANTIZED  model_group, file_group: the first layer; the variables of the others are related; a: layers that
 *                 are quantized in the file, b: in the model; axis: the file's kw_quantization times
 *                 KW_QUANTIZED_COUNT, and the model's
 *   KW_LORA       the same; a: layers with LoRA in the file alone, b: in the model alone
 *   KW_TRANSPOSED model_tensor: the first kernel, the others are related; a = b: how many. A warning: they look the
 *                 same either way, and others are transposed
 *   KW_WRONG_FILE a: layers with weights in the file, b: in the model
 *   KW_VERSION    Keras 1 wrote the file, and layers of it are converted when they are loaded: model_group, file_group and
 *                 model_tensor are of the first, the other converted variables are related; a: layers, b: variables;
 *                 axis: bits KW_VERSION_*. A note: the Keras that is asked about converts them too
 *   KW_OPTION     an error: the option has no effect, or the call is refused; a warning: Keras 3 refuses by_name here, or
 *                 (a: 1, nor does kwload; 2) tf_keras does not look at it
 *   KW_UNSUPPORTED   file_tensor is not of numbers, which model_tensor wants
 */
/* What `model.quantize` calls it. */
typedef enum kw_quantization {
    KW_QUANTIZED_NOT,
    KW_QUANTIZED_INT8,
    KW_QUANTIZED_INT4,
    KW_QUANTIZED_FLOAT8,
    KW_QUANTIZED_GPTQ,
    KW_QUANTIZED_AWQ
} kw_quantization;
enum { KW_QUANTIZED_COUNT = KW_QUANTIZED_AWQ + 1 };

typedef struct kw_finding {
    int code;                            /* enum kw_code */
    kw_severity severity;
    uint32_t file_group, model_group;    /* rows, or KW_NONE */
    uint32_t file_tensor, model_tensor;  /* rows, or KW_NONE */
    uint32_t other_group;                /* KW_RENAMED and KW_MISSING: the file group that best fits; KW_UNUSED: the
                                            model group */
    int32_t axis;                        /* KW_SHAPE: the first axis that differs, or -1 (rank); KW_QUANTIZED */
    uint32_t a, b;                       /* counts: in the file, in the model */
    uint32_t related_first, related_count; /* run of kw_plan.related: more model tensors of the same cause */
} kw_finding;

/* X(NAME, "outcome") */
#define KW_OUTCOMES(X)                  \
    X(LOADS, "loads")                   \
    X(LOADS_WRONG, "loads_wrong")       \
    X(LOADS_PART, "loads_part")         \
    X(LOADS_NOTHING, "loads_nothing")   \
    X(RAISES, "raises")                 \
    X(UNKNOWN, "unknown")
typedef enum kw_outcome {
#define KW_OUTCOME_ENUM(name, text) KW_OUTCOME_##name,
    KW_OUTCOMES(KW_OUTCOME_ENUM)
#undef KW_OUTCOME_ENUM
} kw_outcome;
const char *kw_outcome_name(kw_outcome outcome);

/* Which text Keras raises: X(NAME, "exception type", "message up to its first inserted value").
 * The list lives in rules.c's kw_raise_text. */
typedef struct kw_prediction {
    kw_outcome outcome;
    const char *error_type;   /* static; NULL unless RAISES */
    const char *error_prefix; /* static: the message up to its first inserted value; "" when not Keras's own text */
    const char *inner_prefix; /* V3: the first inner message's beginning; NULL */
    uint32_t error_group;     /* model group it is about, or KW_NONE */
    uint32_t error_tensor;    /* model tensor, or KW_NONE */
    uint32_t a, b;            /* the numbers it inserts first (expected, received / found) */
    uint32_t assigned;        /* variables already overwritten when it raises */
    const char *reason;       /* UNKNOWN: why; static, or kw_other's */
} kw_prediction;

typedef struct kw_plan {
    kw_arena arena;
    kw_pair *pairs; /* what kwload.load_weights assigns when nothing refuses */
    uint32_t pair_count;
    kw_pair *keras_pairs; /* what Keras would leave assigned: equals pairs when it loads the same */
    uint32_t keras_pair_count;
    kw_conversion *conversions; /* of pairs, in the order of the model's rows */
    uint32_t conversion_count;
    kw_finding *findings; /* by severity (errors first), then by model row */
    uint32_t finding_count;
    uint32_t *related;
    uint32_t *undecidable; /* model groups; runs separated by KW_NONE */
    uint32_t undecidable_count;
    uint32_t *source_group; /* one a model group: the file group its values come from, or KW_NONE */
    uint32_t *own_group;    /* one a model group that would get another's: the file group that names give it; KW_NONE */
    uint32_t wanted;        /* variables that this call selects (optimizer and metric state not counted) */
    uint32_t unused;        /* file tensors nobody takes (optimizer and metric state not counted) */
    kw_prediction prediction;
} kw_plan;

/* `model_graph` is needed for the V3 layouts (NULL for legacy).  0 with *out
 * owned by the caller; -1: KW_MEMORY. */
int kw_plan_make(const kw_table *file, const kw_table *model, const kw_graph *model_graph, const kw_rules *rules,
                 kw_plan **out, kw_error *err);
void kw_plan_free(kw_plan *plan);

#endif
