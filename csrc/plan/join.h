/* join.h -- the join while it is made: the two tables, what is looked up in them,
 * what each model group was matched with, and the findings so far.
 *
 *   join.c    look-ups, how a file group fits a model group
 *   walk.c    V3: the walk over the model's graph, for Keras and for kwload
 *   replay_v3.c, replay_legacy.c, predict.c    what Keras does
 *   match.c   what kwload pairs
 *   cause.c, evidence.c, variant.c, shape.c    what is wrong, and why
 *
 * Everything here lives as long as one call of kw_plan_make.
 */
#ifndef KW_PLAN_JOIN_H
#define KW_PLAN_JOIN_H

#include "plan/plan.h"
#include "plan/rules.h"

typedef enum kw_fit_kind {
    KW_FIT_OK,    /* each variable has its tensor, of its shape */
    KW_FIT_NONE,  /* no tensors at all, variables wanted */
    KW_FIT_COUNT, /* another number of them */
    KW_FIT_KEYS,  /* V3: a key is missing ("0" ... "n-1") */
    KW_FIT_HOLE,  /* legacy: listed, not in the file */
    KW_FIT_SHAPE, /* the first that differs is `at` */
    KW_FIT_ORDER  /* legacy: shapes may fit, names say that the order is another */
} kw_fit_kind;

typedef struct kw_fit {
    uint8_t kind; /* kw_fit_kind */
    uint32_t at;  /* variable of the group */
} kw_fit;

/* One a model group: what kwload matches it with. */
typedef struct kw_match {
    uint32_t candidate; /* file group that the rule gives it, fitting or not; KW_NONE */
    uint32_t source;    /* file group that its values come from; KW_NONE */
    kw_fit fit;         /* of the candidate */
    uint8_t rule;       /* kw_pair_rule */
    bool by_order;      /* the place in a list decided, not a name in the code */
    bool reached;       /* V3: the walk came to it */
    bool converts;      /* its source's weights become others when they are loaded: cuDNN's, or Keras 1's */
    bool dealt;         /* its source has more than it wants, and Keras drops the rest */
    bool explained;     /* some finding says already what is wrong with it */
    bool wrong;         /* the evidence gives its tensors to another */
    bool below_wrong;   /* it is inside such a one */
} kw_match;

typedef struct kw_leaves kw_leaves; /* order.c: names of layers, also inside others */

typedef struct kw_join {
    const kw_table *file, *model;
    const kw_graph *graph; /* NULL: a legacy model */
    const kw_rules *rules;
    uint32_t does;      /* KW_DOES_* */
    kw_loader loader;
    bool v3;            /* the file's own layout, whatever its name */
    bool legacy;
    kw_plan *plan;
    kw_arena work;
    kw_index paths;     /* V3: path of a file group -> row */
    uint32_t *ordered;  /* one a file slot: the tensor in its place (V3: by key) */
    const char **sorted_paths; /* V3: of groups that are there, sorted */
    uint32_t sorted_count;
    kw_match *matches;
    uint8_t *automatic; /* one a file group: its name is what Keras makes of a class of the model */
    uint8_t *chosen;    /* one a file group: Keras makes such names, but not for a layer of this class */
    uint8_t *automatic_model; /* one a model group: its name is what some Keras makes of its class */
    uint8_t *used;      /* one a file group: some model group is matched with it */
    uint8_t *loaded;    /* one a file group: it is the source of pairs */
    uint32_t *assigned; /* one a model tensor: the file tensor that Keras leaves in it, or KW_NONE */
    bool names_missing; /* V3: by_name was asked for, and the file does not record every name */
    bool names_ignored; /* the same of tf_keras, which does not look at the option here */
    uint64_t seed;       /* of the hashes of names */
    kw_leaves *file_leaves, *model_leaves; /* legacy: made when first needed */
    bool converted;     /* legacy: Keras transposed a kernel blindly */
    uint64_t *keras_signs, *signs; /* one a model tensor: what is done to the values that it gets, kw_made_sign */
    size_t finding_capacity, related_count, related_capacity, conversion_capacity;
} kw_join;

int kw_join_open(kw_join *join, kw_error *err);
void kw_join_close(kw_join *join);

/* True when every tensor of the file can be asked for by the name of its layer. */
bool kw_join_has_names(const kw_join *join);

/* State that is neither wanted nor missed: optimizer, metrics. */
bool kw_group_is_state(const kw_group *group);
/* The class loads what was matched by code of its own; not where it counts first, and the numbers differ. */
bool kw_join_is_own(const kw_join *join, uint32_t model_group);
bool kw_group_is_layer(const kw_group *group); /* legacy: neither state nor the top-level variables */
bool kw_join_selects(const kw_join *join, uint32_t model_group);
bool kw_model_is_unbuilt(const kw_join *join);

/* A name that a person gave: the only kind that is evidence. */
bool kw_file_name_given(const kw_join *join, uint32_t file_group);
bool kw_model_name_given(const kw_join *join, uint32_t model_group);

/* The file group at a V3 path; KW_NONE. */
uint32_t kw_join_find_path(const kw_join *join, const char *path);

/* True when the file has anything at or below a V3 path. */
bool kw_join_has_path(const kw_join *join, const char *path);

/* The i-th tensor of a file group; KW_NONE. */
uint32_t kw_join_tensor(const kw_join *join, uint32_t file_group, uint32_t i);

/* The i-th variable of a model group. */
uint32_t kw_join_variable(const kw_join *join, uint32_t model_group, uint32_t i);

/* True when `a` has the shape that the model's `b` wants, as far as that is known. */
bool kw_shapes_equal(const kw_tensor *a, const kw_tensor *b);

/* How file group `f` (or KW_NONE) fits model group `g`. */
kw_fit kw_join_fit(const kw_join *join, uint32_t file_group, uint32_t model_group);

/* True when the weights of both have the same ranks and last axes: they may differ in their input. */
bool kw_join_puts_out_same(const kw_join *join, uint32_t file_group, uint32_t model_group);

/* Text of the last component of a path; without ":0". */
typedef struct kw_text {
    const char *data;
    size_t len;
} kw_text;
kw_text kw_name_last(const char *path);
kw_text kw_name_prefix(const char *path); /* all before the last component */
bool kw_text_equal(kw_text a, kw_text b);
uint64_t kw_text_hash(kw_text text, uint64_t seed);

/* A new finding with every row KW_NONE; NULL: KW_MEMORY. */
kw_finding *kw_join_add(kw_join *join, int code, kw_severity severity, kw_error *err);

/* One more related model tensor of the finding that was added last. */
int kw_join_relate(kw_join *join, uint32_t model_tensor, kw_error *err);

/* walk.c: what happens at an object of the model, with the path that leads to it. */
typedef enum kw_visit { KW_VISIT_FINE, KW_VISIT_FAILED, KW_VISIT_STOP, KW_VISIT_MEMORY } kw_visit;
typedef struct kw_walker {
    void *context;
    /* Loads the object's own variables.  `loud` is false where Keras swallows what fails. */
    kw_visit (*enter)(void *context, uint32_t node, const char *path, bool in_list, bool loud);
    void (*forgive)(void *context, uint32_t node); /* it failed before and is fine now */
    bool retry, nested, skip_seen;
    bool own;   /* kwload's: never enters an object inside itself, nor one too often */
    bool tf212; /* lists of layers are named as TensorFlow 2.12 to 2.14 did */
    bool gaps;  /* and numbered as 2.12 and 2.13 did: a layer with variables counts twice */
} kw_walker;
typedef enum kw_walk_end {
    KW_WALK_DONE,
    KW_WALK_STOPPED,  /* enter said so */
    KW_WALK_TOO_DEEP, /* for Python */
    KW_WALK_TOO_LONG,
    KW_WALK_MEMORY
} kw_walk_end;
kw_walk_end kw_walk(kw_join *join, const kw_walker *walker);

/* One byte a node: some object at or below it has variables.  NULL: no memory. */
uint8_t *kw_graph_weighted(kw_join *join);

/* What Keras does: plan->prediction and join->assigned. */
int kw_predict(kw_join *join, kw_error *err);
int kw_replay_v3(kw_join *join, kw_error *err);
int kw_replay_legacy(kw_join *join, kw_error *err);
void kw_predict_raise(kw_join *join, kw_raise raise, uint32_t group, uint32_t tensor, uint32_t a, uint32_t b);
void kw_predict_unknown(kw_join *join, const char *reason);

/* Keras comes to a link: what it raises, or with the outcome KW_OUTCOME_UNKNOWN that it follows it. */
kw_raise kw_predict_link(kw_join *join);

/* Keras reads a tensor of the file.  False with *raise when it raises; with the
 * outcome KW_OUTCOME_UNKNOWN when that cannot be told. */
bool kw_predict_read(kw_join *join, uint32_t file_tensor, kw_raise *raise);

/* Keras assigns a tensor that it has read (shapes are not looked at).  False with *raise. */
bool kw_predict_take(kw_join *join, uint32_t file_tensor, uint32_t model_tensor, kw_raise *raise);

/* What kwload does: join->matches. */
int kw_match_all(kw_join *join, kw_error *err);

/* Rows of the legacy layers that have weights, in order; their number.  The row of the top-level variables in *top. */
uint32_t kw_layers_list(const kw_table *table, uint32_t *rows, uint32_t *top);

/* conversion.c: what kwload makes of a layer's saved weights.  True when every variable of the model group gets
 * something of its shape, also by the rules for Keras 1. */
bool kw_conversion_fits(const kw_join *join, uint32_t file_group, uint32_t model_group);
/* Adds what is done for the group to plan->conversions, and sets match->converts when something is. */
int kw_conversion_add(kw_join *join, uint32_t model_group, kw_error *err);

/* affix.c: the text that stands before or behind the most names of one side, where the rest is a name of the other's:
 * those pairs.  Of the groups that are marked, each of which has a name of fewer than KW_NAME_LEN_MAX bytes. */
enum { KW_NAME_LEN_MAX = 256 };
typedef struct kw_name_pair {
    uint32_t file, model;
} kw_name_pair;
typedef struct kw_affix {
    kw_name_pair *pairs;
    uint32_t count;
} kw_affix;
int kw_find_affix(kw_join *join, const uint8_t *of_file, const uint8_t *of_model, kw_affix *out, kw_error *err);

/* Legacy: true when the last component of the weight's name is not the variable's. */
bool kw_order_names_another(const kw_join *join, uint32_t file_tensor, uint32_t model_tensor);

/* Legacy: true when the names of the weights say that file group `f` holds the
 * variables of model group `g` in another order; *at is the first wrong one. */
int kw_order_differs(kw_join *join, uint32_t file_group, uint32_t model_group, uint32_t *at, kw_error *err);

/* What is wrong, and why: plan->findings. */
int kw_find_causes(kw_join *join, kw_error *err);
int kw_find_naming(kw_join *join, kw_error *err);      /* by name: a prefix or other numbers as one rule */
int kw_find_moved(kw_join *join, kw_error *err);       /* V3: at another path, or never saved */
int kw_find_evidence(kw_join *join, kw_error *err);    /* by names: swapped, inserted, renamed */
int kw_find_layers(kw_join *join, kw_error *err);      /* another number of layers */
int kw_find_named_lists(kw_join *join, kw_error *err); /* V3: the same, told by given names */
int kw_find_converted(kw_join *join, kw_error *err);   /* by the rules for Keras 1 */
int kw_find_variants(kw_join *join, kw_error *err);    /* reset_after, and the next two */
bool kw_is_cudnn(const kw_join *join, uint32_t model_group); /* nothing differs but biases that cuDNN's layers have */
int kw_find_quantized(kw_join *join, kw_error *err);
int kw_find_lora(kw_join *join, kw_error *err);        /* legacy: its matrices are saved beside the kernel */
int kw_find_transposed(kw_join *join, kw_error *err);  /* kernels with their axes in another order */
bool kw_is_projection(const kw_group *group);          /* EinsumDense, or attention made of them: axes are heads */
int kw_find_shapes(kw_join *join, kw_error *err);      /* one finding a cause */
int kw_find_undecidable(kw_join *join, kw_error *err);

/* Replaces the findings from `first` on, and the related tensors from `related` on, by one that the file is another
 * model's, when that is why. */
int kw_find_architecture(kw_join *join, uint32_t first, uint32_t related, kw_error *err);

/* Pairs unused file groups with missing model groups of equal shapes by how alike
 * their names are, where no other would do: best_file[g], best_model[f], each a
 * row or KW_NONE. */
int kw_find_best(kw_join *join, const uint8_t *missing, const uint8_t *unused, uint32_t *best_file,
                 uint32_t *best_model, kw_error *err);

/* The number at the end of a path: "layers/dense_3" 3, "layers/dense" 0; *len without it. */
uint32_t kw_path_place(const char *path, size_t *len);

/* V3: one a group of the table: the nearest group that its path lies below, but
 * for the root; KW_NONE.  NULL: no memory. */
uint32_t *kw_table_parents(kw_join *join, const kw_table *table);

/* The numbers of lists of layers have the gaps of TensorFlow 2.12 and 2.13 (2.14 left them out). */
int kw_file_has_gaps(kw_join *join, bool *out, kw_error *err);

/* One a group that is not `present`: the outermost group above it, or itself, below
 * which nothing is present.  NULL: no memory. */
uint32_t *kw_table_roots(kw_join *join, const kw_table *table, const uint8_t *present);

/* One a model group: it or something below it has variables that are no state. */
int kw_join_weighted(kw_join *join, uint8_t **out, kw_error *err);

#endif
