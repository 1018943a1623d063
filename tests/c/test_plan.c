/* The join of two tables: pairs, prediction and findings, on tables built by hand. What real Keras does with the same
 * is tested in Python. */
#include "check.h"
#include "plan/nearest.h"
#include "plan_tables.h"

enum { GIVEN = KW_GROUP_NAMED, AUTO = KW_GROUP_NAMED | KW_GROUP_AUTO_NAME };
static const char *const PATHS[] = {"layers/dense", "layers/dense_1", "layers/dense_2", "layers/dense_3"};

/* A V3 file or model of Dense layers; NULL names are automatic. */
static builder *v3(const char *const *names, int count, const int *sizes, bool model)
{
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Sequential", AUTO);
    for (int i = 0; i < count; i++)
        add_dense(b, PATHS[i], names[i] ? names[i] : "dense_7", names[i] ? GIVEN : AUTO, sizes[i], sizes[i + 1]);
    if (model)
        add_layers(b, "dense");
    return b;
}

static builder *legacy(const char *const *names, int count, const int *sizes)
{
    builder *b = new_table(KW_LAYOUT_LEGACY);
    for (int i = 0; i < count; i++)
        add_dense(b, names[i] ? names[i] : PATHS[i], names[i] ? names[i] : PATHS[i] + 7, names[i] ? GIVEN : AUTO,
                  sizes[i], sizes[i + 1]);
    return b;
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__})
#define SIZES(...) ((const int[]){__VA_ARGS__})

#define RULES(kind, number, named) {.flavour = (kind), .version = (number), .suffix = (named), .is_hdf5 = true}
static const kw_rules V3_RULES = RULES(KW_FLAVOUR_KERAS3, 31501, KW_SUFFIX_WEIGHTS_H5);
static const kw_rules H5_RULES = RULES(KW_FLAVOUR_KERAS3, 31501, KW_SUFFIX_H5);
static const kw_rules TF_RULES = RULES(KW_FLAVOUR_TF_KERAS, 22100, KW_SUFFIX_H5);

static void test_same_model_again(void)
{
    builder *file = v3(NAMES(NULL, NULL), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES(NULL, NULL), 2, SIZES(4, 8, 3), true);
    model->groups[1].name = "dense_31";
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->pair_count, 4);
    CHECK_EQ(plan->keras_pair_count, 4);
    CHECK_EQ(plan->wanted, 4);
    CHECK_EQ(plan->unused, 0);
    CHECK_EQ(plan->source_group[2], 2);
    CHECK_STR(kw_outcome_name(plan->prediction.outcome), "loads");
    release(plan, file, model);
}

static void test_renamed(void)
{
    builder *file = v3(NAMES("one", "out"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("uno", "out"), 2, SIZES(4, 8, 3), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_RENAMED);
    CHECK_EQ(plan->findings[0].severity, KW_NOTE);
    CHECK_EQ(plan->findings[0].model_group, 1);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

static void test_swapped(void)
{
    builder *file = v3(NAMES("a", "b"), 2, SIZES(4, 4, 4), false);
    builder *model = v3(NAMES("b", "a"), 2, SIZES(4, 4, 4), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_SWAPPED);
    CHECK_EQ(plan->findings[0].severity, KW_ERROR);
    CHECK_EQ(plan->findings[0].model_group, 1);
    CHECK_EQ(plan->findings[0].file_group, 1);
    CHECK_EQ(plan->findings[0].other_group, 2);
    CHECK_EQ(plan->findings[0].a, 2);
    CHECK_EQ(plan->findings[0].b, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    release(plan, file, model);
}

/* Two layers, each inside another one: in a list, or held by attributes of the model. */
static builder *wrapped(const char *const *outer, const char *const *inner, bool in_list, bool is_model)
{
    static const char *const paths[][4] = {
        {"one", "one/layer", "two", "two/layer"},
        {"layers/wrap", "layers/wrap/layer", "layers/wrap_1", "layers/wrap_1/layer"},
    };
    builder *b = new_table(KW_LAYOUT_V3);
    uint32_t flags = is_model ? 0 : KW_GROUP_NAMED;
    add_group(b, "", NULL, "Sequential", 0);
    for (int i = 0; i < 2; i++) {
        bool made = kw_name_is_automatic(outer[i], "Dense");
        add_group(b, paths[in_list][2 * i], outer[i], "Dense", flags | (made ? KW_GROUP_AUTO_NAME : 0u));
        add_dense(b, paths[in_list][2 * i + 1], inner[i], flags, 4, 4);
    }
    if (!is_model)
        return b;
    add_node(b, 0);
    add_edge(b, in_list ? "layers" : "one", 1);
    if (!in_list)
        add_edge(b, "two", 3);
    if (in_list) {
        add_node(b, KW_NONE);
        add_edge(b, "wrap", 2);
        add_edge(b, "wrap", 4);
    }
    for (uint32_t g = 1; g < 5; g++) {
        add_node(b, g);
        if (g % 2 == 1)
            add_edge(b, "layer", g + 1 + in_list);
    }
    return b;
}

/* Names of layers inside others: the places of these may be in a list, though "layer" is a name in the code. */
static void test_swapped_inside(void)
{
    static const struct {
        const char *outer[2];
        bool in_list;
        kw_severity severity;
    } rows[] = {
        {{"dense", "dense_1"}, true, KW_ERROR},
        {{"x", "y"}, true, KW_WARNING}, /* names against names */
        {{"dense", "dense_1"}, false, KW_WARNING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = wrapped(rows[i].outer, NAMES("a", "b"), rows[i].in_list, false);
        builder *model = wrapped(rows[i].outer, NAMES("b", "a"), rows[i].in_list, true);
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->finding_count, 1);
        CHECK_EQ(plan->findings[0].code, KW_SWAPPED);
        CHECK_EQ(plan->findings[0].severity, rows[i].severity);
        CHECK_EQ(plan->prediction.outcome, i == 0 ? KW_OUTCOME_LOADS_WRONG : KW_OUTCOME_LOADS);
        release(plan, file, model);
    }
}

/* Names that the shapes speak against are no evidence. */
static void test_swapped_by_name_alone(void)
{
    static const struct {
        const char *names[2];
        int sizes[3], code, other, count;
    } rows[] = {
        {{"b", "a"}, {10, 10, 10}, KW_SHAPE, KW_SWAPPED, 1}, /* no layer fits anything */
        {{"b", "a"}, {10, 64, 10}, KW_RENAMED, KW_SWAPPED, 2}, /* each fits what is in its place */
        {{"new", "a"}, {10, 7, 9}, KW_SHAPE, KW_INSERTED, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = v3(NAMES("a", "b"), 2, SIZES(10, 64, 10), false);
        builder *model = v3(rows[i].names, 2, rows[i].sizes, true);
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->finding_count, rows[i].count);
        CHECK_EQ(plan->findings[0].code, rows[i].code);
        CHECK(find(plan, rows[i].other) == NULL);
        release(plan, file, model);
    }
    builder *file = v3(NAMES("a", "b"), 2, SIZES(4, 4, 4), false), *model = v3(NAMES("b", "a"), 2, SIZES(4, 4, 4), true);
    file->shapes[0][0] = model->shapes[2][0] = 6; /* beside each other: names fit, places do not */
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->findings[0].code, KW_SWAPPED);
    CHECK_EQ(plan->findings[0].a, 2);
    CHECK_EQ(plan->findings[0].b, 0);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    release(plan, file, model);
}

/* a b c -> a new b: "new" gets b's tensors, and b gets c's. */
static void test_inserted(void)
{
    builder *file = v3(NAMES("a", "b", "c"), 3, SIZES(4, 4, 4, 4), false);
    builder *model = v3(NAMES("a", "new", "b"), 3, SIZES(4, 4, 4, 4), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_INSERTED);
    CHECK_EQ(plan->findings[0].model_group, 2);
    CHECK_EQ(plan->findings[0].file_group, 3);
    CHECK_EQ(plan->findings[0].other_group, 3);
    CHECK_EQ(plan->findings[0].related_count, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    release(plan, file, model);
}

static void test_removed(void)
{
    builder *file = v3(NAMES("a", "b", "c"), 3, SIZES(4, 4, 4, 4), false);
    builder *model = v3(NAMES("a", "c"), 2, SIZES(4, 4, 4), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_INSERTED);
    CHECK_EQ(plan->findings[0].file_group, 2);
    CHECK_EQ(plan->findings[0].model_group, KW_NONE);
    CHECK_EQ(plan->findings[0].other_group, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    release(plan, file, model);
}

/* Without names, shapes tell where the layer stood. */
static void test_inserted_by_shape(void)
{
    builder *file = v3(NAMES(NULL, NULL, NULL), 3, SIZES(10, 64, 32, 12), false);
    builder *model = v3(NAMES(NULL, NULL), 2, SIZES(10, 64, 12), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_INSERTED);
    CHECK_EQ(plan->findings[0].file_group, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_STR(plan->prediction.error_prefix, "A total of ");
    CHECK_EQ(plan->prediction.a, 1);
    CHECK_EQ(plan->prediction.assigned, 2);
    release(plan, file, model);
}

/* A file of another model: where it differs is no layer too many. */
static void test_wrong_file(void)
{
    builder *file = legacy(NAMES(NULL, NULL, NULL), 3, SIZES(7, 5, 6, 3));
    builder *model = legacy(NAMES(NULL, NULL), 2, SIZES(4, 6, 3));
    file->shapes[4][0] = 9; /* what is behind puts out the same, and fits nowhere */
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK(find(plan, KW_INSERTED) == NULL);
    CHECK(find(plan, KW_COUNT) != NULL);
    release(plan, file, model);
    file = v3(NAMES("a", "b", "c"), 3, SIZES(4, 5, 6, 3), false);
    model = v3(NAMES("new", "a", "b"), 3, SIZES(2, 4, 5, 6), true);
    kw_rules rules = V3_RULES;
    rules.skip_mismatch = true;
    plan = make_plan(file, model, &rules);
    CHECK(find(plan, KW_NOTHING_MATCHED) != NULL);
    CHECK(find(plan, KW_INSERTED) == NULL);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_NOTHING);
    release(plan, file, model);
}

/* 64 -> 128 units: one cause, which the bias and the next layer's input follow from. */
static void test_shape_cause(void)
{
    builder *file = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 64, 10, 5), false);
    builder *model = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 128, 10, 6), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 2);
    const kw_finding *first = &plan->findings[0], *second = &plan->findings[1];
    CHECK_EQ(first->code, KW_SHAPE);
    CHECK_EQ(first->model_tensor, 0);
    CHECK_EQ(first->axis, 1);
    CHECK_EQ(first->related_count, 2);
    CHECK_EQ(plan->related[first->related_first], 1);
    CHECK_EQ(plan->related[first->related_first + 1], 2);
    CHECK_EQ(second->model_tensor, 4);
    CHECK_EQ(second->related_count, 1);
    CHECK_EQ(plan->prediction.a, 3);
    CHECK_STR(plan->prediction.inner_prefix, "The shape of the target variable and the shape of the target value in "
                                             "`variable.assign(value)` must match. ");
    CHECK_EQ(plan->pair_count, 0);
    release(plan, file, model);
}

static void test_transposed(void)
{
    builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
    add_group(file, "", NULL, NULL, 0);
    add_group(file, "layers/conv2d", NULL, NULL, 0);
    add_tensor(file, "0", 4, 8, 3, 5, 5);
    add_tensor(file, "1", 1, 8);
    add_group(model, "", "net", "Sequential", AUTO);
    add_group(model, "layers/conv2d", "conv2d", "Conv2D", AUTO);
    add_tensor(model, "kernel", 4, 5, 5, 3, 8);
    add_tensor(model, "bias", 1, 8);
    add_layers(model, "conv2d");
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_TRANSPOSED);
    CHECK_EQ(plan->findings[0].axis, 0);
    release(plan, file, model);
}

/* An assign that fails leaves the variables before it: half a layer in Keras, none in kwload. */
static void test_skip_mismatch_half(void)
{
    builder *file = v3(NAMES(NULL, NULL), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES(NULL, NULL), 2, SIZES(4, 8, 3), true);
    file->shapes[3][0] = 9;
    kw_rules rules = V3_RULES;
    rules.skip_mismatch = true;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_SKIPPED);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->findings[0].model_tensor, 3);
    CHECK_EQ(plan->pair_count, 2);
    CHECK_EQ(plan->keras_pair_count, 3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_PART);
    release(plan, file, model);
}

static void test_counts_and_keys(void)
{
    builder *file = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 8, 3, 3), false);
    builder *model = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 8, 3, 3), true);
    file->groups[1].count = 1;
    file->slots[3].name = "01";
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 2);
    CHECK_EQ(plan->findings[0].code, KW_COUNT);
    CHECK_EQ(plan->findings[0].a, 1);
    CHECK_EQ(plan->findings[0].b, 2);
    CHECK_EQ(plan->findings[1].code, KW_KEYS);
    CHECK_EQ(plan->findings[1].model_tensor, 3);
    CHECK_EQ(plan->prediction.a, 2);
    CHECK_STR(plan->prediction.inner_prefix, "Layer '");
    CHECK_EQ(plan->prediction.error_group, 1);
    release(plan, file, model);
}

/* What is missing below one part is one finding; so is what is unused. */
static void test_missing_and_unused_parts(void)
{
    builder *file = v3(NAMES(NULL), 1, SIZES(4, 8), false), *model = v3(NAMES(NULL), 1, SIZES(4, 8), false);
    add_group(file, "layers/old", "old", NULL, GIVEN);
    add_dense(file, "layers/old/x", NULL, 0, 2, 2);
    add_dense(file, "layers/old/y", NULL, 0, 2, 2);
    add_group(model, "layers/block", "block", "Block", AUTO);
    add_dense(model, "layers/block/p", "p", GIVEN, 3, 3);
    add_dense(model, "layers/block/q", "q", GIVEN, 3, 3);
    add_node(model, 0);
    add_edge(model, "layers", 1);
    add_node(model, KW_NONE);
    add_edge(model, "dense", 2);
    add_edge(model, "block", 3);
    add_node(model, 1);
    add_node(model, 2);
    add_edge(model, "p", 4);
    add_edge(model, "q", 5);
    add_node(model, 3);
    add_node(model, 4);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 2);
    const kw_finding *missing = find(plan, KW_MISSING), *unused = find(plan, KW_UNUSED);
    if (!CHECK(missing != NULL && unused != NULL))
        return;
    CHECK_EQ(missing->model_group, 2);
    CHECK_EQ(missing->b, 4);
    CHECK_EQ(missing->related_count, 4);
    CHECK_EQ(unused->file_group, 2);
    CHECK_EQ(unused->a, 4);
    CHECK_EQ(plan->unused, 4);
    CHECK_EQ(plan->prediction.a, 2);
    release(plan, file, model);
}

/* An object that fails in the list is found under the attribute that holds it too. */
static void test_second_path(void)
{
    builder *file = new_table(KW_LAYOUT_V3), *model = v3(NAMES("x"), 1, SIZES(4, 8), false);
    add_group(file, "", NULL, NULL, 0);
    add_dense(file, "head", NULL, 0, 4, 8);
    add_node(model, 0);
    add_edge(model, "layers", 1);
    add_edge(model, "head", 2);
    add_node(model, KW_NONE);
    add_edge(model, "dense", 2);
    add_node(model, 1);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->pair_count, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    kw_plan_free(plan);
    kw_rules old = V3_RULES;
    old.version = 30001; /* before 3.0.2 the first error was the last */
    plan = make_plan(file, model, &old);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_STR(plan->prediction.error_prefix, "Layer '");
    release(plan, file, model);
}

/* Lists in lists: walked by 3.15; a file without them leaves their layers as they are, silently. */
static void test_nested_lists(void)
{
    builder *file = new_table(KW_LAYOUT_V3), *model = v3(NAMES("x"), 1, SIZES(4, 8), false);
    add_group(file, "", NULL, NULL, 0);
    add_node(model, 0);
    add_edge(model, "deep", 1);
    add_node(model, KW_NONE);
    add_edge(model, NULL, 2);
    add_node(model, KW_NONE);
    add_edge(model, "dense", 3);
    add_node(model, 1);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_NOTHING);
    CHECK(find(plan, KW_NOTHING_MATCHED) != NULL);
    kw_plan_free(plan);
    add_dense(file, "deep/container/dense", NULL, 0, 4, 8);
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    CHECK_EQ(plan->finding_count, 0);
    kw_plan_free(plan);
    kw_rules old = V3_RULES;
    old.version = 31401;
    plan = make_plan(file, model, &old);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_NOTHING);
    CHECK_EQ(plan->pair_count, 2);
    release(plan, file, model);
}

/* TensorFlow 2.12 numbered layers with weights by two: dense, dense_2, dense_4. */
static void test_tf212_numbers(void)
{
    builder *file = new_table(KW_LAYOUT_V3_TF212), *model = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 4, 4, 4), true);
    add_group(file, "", NULL, NULL, 0);
    add_dense(file, "_layer_checkpoint_dependencies/dense", NULL, 0, 4, 4);
    add_dense(file, "_layer_checkpoint_dependencies/dense_2", NULL, 0, 4, 4);
    add_dense(file, "_layer_checkpoint_dependencies/dense_4", NULL, 0, 4, 4);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->pair_count, 6);
    CHECK_EQ(plan->source_group[3], 3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.a, 1);
    CHECK_EQ(plan->prediction.error_group, 2);
    kw_plan_free(plan);
    kw_rules rules = V3_RULES;
    rules.skip_mismatch = true;
    plan = make_plan(file, model, &rules); /* Keras gives the second's tensors to the third */
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    release(plan, file, model);
}

/* A child that refers to its parent: Keras 3 never comes back, tf_keras does. */
static void test_cycle(void)
{
    builder *file = v3(NAMES("x"), 1, SIZES(4, 8), false), *model = v3(NAMES("x"), 1, SIZES(4, 8), false);
    add_node(model, 0);
    add_edge(model, "layers", 2);
    add_node(model, 1);
    add_edge(model, "parent", 0);
    add_node(model, KW_NONE);
    add_edge(model, "dense", 1);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_STR(plan->prediction.error_type, "RecursionError");
    CHECK_EQ(plan->pair_count, 2);
    kw_plan_free(plan);
    kw_rules rules = rules_of(KW_FLAVOUR_TF_KERAS, KW_SUFFIX_WEIGHTS_H5);
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

/* 2^40 ways to an object that always fails: what has failed before makes nothing above it fail anew. */
static void test_many_ways(void)
{
    builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
    add_group(file, "", NULL, NULL, 0);
    for (uint32_t i = 0; i <= 40; i++)
        add_group(model, i == 0 ? "" : "x", "x", "X", GIVEN);
    add_tensor(model, "w", 1, 3);
    for (uint32_t i = 0; i <= 40; i++) {
        add_node(model, i);
        if (i == 40)
            break;
        add_edge(model, "left", i + 1);
        add_edge(model, "right", i + 1);
    }
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.a, 1);
    release(plan, file, model);
}

static void test_own_code(void)
{
    builder *file = v3(NAMES("x", "y"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("x", "y"), 2, SIZES(4, 8, 3), true);
    model->groups[1].flags |= KW_GROUP_OWN_LOAD;
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    CHECK(find(plan, KW_NOT_VERIFIABLE) != NULL);
    CHECK_EQ(plan->pair_count, 2);
    CHECK_EQ(plan->source_group[1], 1);
    kw_plan_free(plan);
    file->groups[2].count = 1; /* another layer that surely fails */
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    kw_plan_free(plan);
    model->groups[2].flags |= KW_GROUP_OWN_LOAD | KW_GROUP_COUNTED; /* that counts before it loads */
    model->groups[1].flags &= ~(unsigned)KW_GROUP_OWN_LOAD;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_STR(plan->prediction.inner_prefix, "Layer '");
    CHECK_EQ(find(plan, KW_COUNT)->model_group, 2);
    kw_plan_free(plan);
    file->groups[2].count = 2;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    release(plan, file, model);
}

static void test_lookup_without_its_table(void)
{
    builder *file = v3(NAMES("x", "y"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("x", "y"), 2, SIZES(4, 8, 3), true);
    file->groups[1].count = model->groups[1].count = 0;
    model->groups[1].flags |= KW_GROUP_OWN_LOAD;
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK(plan->prediction.outcome != KW_OUTCOME_RAISES);
    kw_plan_free(plan);
    model->groups[1].class_name = "StringLookup";
    plan = make_plan(file, model, &V3_RULES);
    CHECK_STR(plan->prediction.error_prefix, "A total of ");
    CHECK_STR(plan->prediction.inner_prefix, "");
    release(plan, file, model);
}

static void test_unbuilt(void)
{
    builder *file = v3(NAMES("x"), 1, SIZES(4, 8), false), *model = v3(NAMES("x"), 0, SIZES(4), true);
    model->groups[0].flags |= KW_GROUP_NOT_BUILT;
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_NOT_BUILT);
    CHECK_STR(plan->prediction.error_prefix,
              "You are loading weights into a model that has not yet been built. Try building the model first "
                                             "by calling it on some data or by using `build()`.");
    release(plan, file, model);
    file = v3(NAMES("x"), 1, SIZES(4, 8), false);
    model = new_table(KW_LAYOUT_V3);
    add_group(model, "", "net", "Model", GIVEN);
    add_group(model, "layers/dense", "x", "Dense", GIVEN | KW_GROUP_NOT_BUILT);
    add_layers(model, "dense");
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1); /* no variable at all: the model as a whole */
    CHECK_EQ(plan->findings[0].model_group, KW_NONE);
    CHECK_STR(plan->prediction.inner_prefix, "Layer '");
    release(plan, file, model);
    file = v3(NAMES("x", "y"), 2, SIZES(4, 8, 3), false);
    model = new_table(KW_LAYOUT_V3);
    add_group(model, "", "net", "Model", GIVEN);
    add_group(model, "layers/dense", "x", "Dense", GIVEN | KW_GROUP_NOT_BUILT);
    add_dense(model, PATHS[1], "y", GIVEN, 8, 3);
    add_layers(model, "dense");
    plan = make_plan(file, model, &V3_RULES);
    const kw_finding *finding = find(plan, KW_NOT_BUILT);
    CHECK(finding != NULL && finding->model_group == 1 && finding->a == 2);
    release(plan, file, model);
}

/* A model that is built, of layers that are not: Keras returns and has loaded nothing. */
static void test_bare(void)
{
    for (int unbuilt = 0; unbuilt < 2; unbuilt++) {
        builder *file = v3(NAMES("x"), 1, SIZES(4, 8), false), *model = new_table(KW_LAYOUT_V3);
        uint8_t selected[] = {1, 0};
        kw_rules rules = V3_RULES;
        add_group(model, "", "net", "Model", GIVEN);
        add_group(model, "d", "x", "Dense", GIVEN | (unbuilt ? KW_GROUP_NOT_BUILT : 0u));
        add_node(model, 0);
        add_edge(model, "d", 1);
        add_node(model, 1);
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(plan->finding_count, 1);
        CHECK_EQ(plan->findings[0].code, unbuilt ? KW_NOT_BUILT : KW_NOTHING_MATCHED);
        CHECK_EQ(plan->findings[0].severity, KW_ERROR);
        CHECK_EQ(plan->findings[0].model_group, KW_NONE);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_NOTHING);
        kw_plan_free(plan);
        rules.selected = selected; /* asked for nothing */
        plan = make_plan(file, model, &rules);
        CHECK(find(plan, KW_NOTHING_MATCHED) == NULL);
        release(plan, file, model);
    }
}

static void test_names_and_contents(void)
{
    builder *file = v3(NAMES("x"), 1, SIZES(4, 8), false), *model = v3(NAMES("x"), 1, SIZES(4, 8), true);
    static const struct {
        kw_flavour flavour;
        kw_suffix suffix;
        bool zip, hdf5, by_name;
        uint32_t version;
        const char *type, *prefix;
    } rows[] = {
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_OTHER, 0, 1, 0, 31501, "ValueError", "File format not supported: filepath="},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_KERAS, 0, 1, 0, 31501, "BadZipFile", ""},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5, 1, 0, 0, 31501, "OSError", ""},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5, 0, 1, 1, 31501, "ValueError",
         "`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: "},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5, 0, 1, 1, 31000, "ValueError", "Invalid keyword arguments: "},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_JSON, 0, 1, 0, 31501, "UnicodeDecodeError", ""},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_JSON, 0, 0, 0, 30900, "ValueError",
         "File format not supported: filepath="},
        {KW_FLAVOUR_KERAS3, KW_SUFFIX_H5, 0, 1, 0, 31501, "ValueError",
         "Layer count mismatch when loading weights from file. Model expected "},
        {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_OTHER, 0, 1, 0, 22100, "ValueError",
         "Layer count mismatch when loading weights from file. Model expected "},
        {KW_FLAVOUR_TF_KERAS, KW_SUFFIX_H5, 1, 0, 0, 22100, "OSError", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kw_rules rules = rules_of(rows[i].flavour, rows[i].suffix);
        rules.version = rows[i].version;
        rules.is_zip = rows[i].zip;
        rules.is_hdf5 = rows[i].hdf5;
        rules.by_name = rules.by_name_given = rows[i].by_name;
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
        CHECK_STR(plan->prediction.error_type, rows[i].type);
        CHECK_STR(plan->prediction.error_prefix, rows[i].prefix);
        CHECK_EQ(plan->pair_count, 2); /* kwload goes by the content */
        kw_plan_free(plan);
    }
    release(NULL, file, model);
}

/* Damage that stops whoever opens the file, before anything is assigned. */
static void test_damaged_containers(void)
{
    builder *file = v3(NAMES("x"), 1, SIZES(4, 8), false), *model = v3(NAMES("x"), 1, SIZES(4, 8), true);
    const kw_rules h5 = {.suffix = KW_SUFFIX_WEIGHTS_H5, .is_hdf5 = true};
    const kw_rules zip = {.suffix = KW_SUFFIX_KERAS, .is_zip = true};
    kw_rules rows[] = {h5, zip, zip, zip, zip, zip, h5, zip};
    static const char *const types[] = {"OSError",  "OSError",           "BadZipFile",        "BadZipFile",
                                        "KeyError", "IsADirectoryError", "IsADirectoryError", NULL};
    rows[0].hdf5_damaged = rows[1].hdf5_damaged = true;
    rows[2].is_zip = false;
    rows[3].zip_damaged = rows[3].hdf5_damaged = true;
    rows[4].is_nested = rows[4].hdf5_damaged = true;
    rows[5].is_folder = rows[6].is_folder = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].version = 31501;
        kw_plan *plan = make_plan(file, model, &rows[i]);
        CHECK_STR(plan->prediction.error_type, types[i]);
        CHECK_EQ(plan->prediction.assigned, types[i] ? 0 : 2);
        kw_plan_free(plan);
    }
    rows[0].hdf5_damaged = false;
    rows[0].root_damaged = true;
    kw_plan *plan = make_plan(file, model, &rows[0]);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    release(plan, file, model);
}

static void test_legacy_order(void)
{
    builder *file = legacy(NAMES("a", "b"), 2, SIZES(4, 4, 4)), *model = legacy(NAMES("b", "a"), 2, SIZES(4, 4, 4));
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK(find(plan, KW_SWAPPED) != NULL);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    CHECK_EQ(plan->keras_pairs[0].file_tensor, 0);
    kw_plan_free(plan);
    kw_rules rules = H5_RULES;
    rules.by_name = rules.by_name_given = true;
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->keras_pairs[0].file_tensor, 2);
    CHECK_EQ(plan->pairs[0].rule, KW_PAIR_NAME);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

static void test_legacy_layer_counts(void)
{
    builder *file = legacy(NAMES("a", "b", "c"), 3, SIZES(4, 4, 4, 4));
    builder *model = legacy(NAMES("a", "c"), 2, SIZES(4, 4, 4));
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_INSERTED);
    CHECK_EQ(plan->findings[0].file_group, 1);
    CHECK_STR(plan->prediction.error_prefix, "Layer count mismatch when loading weights from file. Model expected ");
    CHECK_EQ(plan->prediction.a, 2);
    CHECK_EQ(plan->prediction.b, 3);
    CHECK_EQ(plan->prediction.assigned, 0);
    release(plan, file, model);
    file = legacy(NAMES(NULL, NULL, NULL), 3, SIZES(4, 4, 4, 4)); /* nothing tells which of equal layers it was */
    model = legacy(NAMES(NULL, NULL), 2, SIZES(4, 4, 4));
    plan = make_plan(file, model, &H5_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_COUNT);
    CHECK_EQ(plan->findings[0].model_group, KW_NONE);
    CHECK_EQ(plan->findings[0].a, 3);
    release(plan, file, model);
}

/* Keras 3 assigns layer by layer, tf_keras after the last one, until the first that is wrong. */
static void test_legacy_shape(void)
{
    builder *file = legacy(NAMES("a", "b"), 2, SIZES(4, 8, 3)), *model = legacy(NAMES("a", "b"), 2, SIZES(4, 8, 5));
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK_STR(plan->prediction.error_prefix, "Shape mismatch in layer #");
    CHECK_EQ(plan->prediction.error_tensor, 2);
    CHECK_EQ(plan->prediction.assigned, 2);
    kw_plan_free(plan);
    plan = make_plan(file, model, &TF_RULES);
    CHECK_STR(plan->prediction.error_prefix, "Cannot assign value to variable '");
    CHECK_EQ(plan->prediction.assigned, 2);
    kw_plan_free(plan);
    kw_rules rules = H5_RULES;
    rules.version = 30500; /* 3.0 to 3.5 did not look at shapes first */
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "The shape of the target variable and the shape of the target value in "
                                             "`variable.assign(value)` must match. ");
    kw_plan_free(plan);
    file->groups[1].count = 1;
    plan = make_plan(file, model, &TF_RULES);
    CHECK_STR(plan->prediction.error_prefix, "Weight count mismatch for layer #");
    CHECK_EQ(plan->prediction.assigned, 0);
    release(plan, file, model);
}

static void test_by_name_part(void)
{
    builder *file = legacy(NAMES("layer_1", "out"), 2, SIZES(4, 8, 3));
    builder *model = legacy(NAMES("layer_one", "out"), 2, SIZES(4, 8, 3));
    kw_rules rules = H5_RULES;
    rules.by_name = rules.by_name_given = true;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_MISSING);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->findings[0].model_group, 0);
    CHECK_EQ(plan->findings[0].other_group, 0);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_PART);
    kw_plan_free(plan);
    model->groups[1].name = "other";
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_NOTHING_MATCHED);
    CHECK_EQ(plan->findings[0].severity, KW_ERROR);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_NOTHING);
    release(plan, file, model);
}

/* tf_keras transposes a convolution's kernel that differs, blindly. */
static void test_conversions(void)
{
    static const struct {
        const char *class_name;
        int have[4], want[4], rank;
        kw_outcome outcome;
        const char *type;
    } rows[] = {
        {"Conv2D", {4, 2, 2, 4}, {4, 2, 4, 2}, 4, KW_OUTCOME_LOADS_WRONG, NULL},
        {"Conv2D", {3, 3, 3, 4}, {3, 3, 3, 8}, 4, KW_OUTCOME_RAISES, "ValueError"},
        {"Conv1D", {3, 3, 4, 1}, {3, 3, 8, 1}, 3, KW_OUTCOME_RAISES, "ValueError"},
        {"Dense", {3, 4, 1, 1}, {3, 8, 1, 1}, 2, KW_OUTCOME_RAISES, "ValueError"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        add_group(file, "c", "c", NULL, GIVEN);
        const int *have = rows[i].have, *want = rows[i].want;
        add_tensor(file, "c/kernel:0", rows[i].rank, have[0], have[1], have[2], have[3]);
        add_group(model, "c", "c", rows[i].class_name, GIVEN);
        add_tensor(model, "kernel", rows[i].rank, want[0], want[1], want[2], want[3]);
        kw_plan *plan = make_plan(file, model, &TF_RULES);
        CHECK_EQ(plan->prediction.outcome, rows[i].outcome);
        CHECK_STR(plan->prediction.error_type, rows[i].type);
        CHECK(plan->findings[0].code == KW_TRANSPOSED || plan->findings[0].code == KW_SHAPE);
        CHECK_EQ(plan->pair_count, 0);
        release(plan, file, model);
    }
}

/* cuDNN weights have twice the bias; a GRU's tells how it resets. */
static void test_recurrent(void)
{
    static const struct {
        const char *class_name;
        int have[2], want[2]; /* the bias; 0: no second axis */
        const char *prefix;   /* NULL: loads */
    } rows[] = {
        {"LSTM", {16, 0}, {8, 0}, NULL},
        {"LSTM", {9, 0}, {8, 0}, "Invalid bias shape: "},
        {"GRU", {2, 6}, {6, 0}, "GRU(reset_after=True) is not compatible with GRU(reset_after=False)"},
        {"GRU", {6, 0}, {2, 6}, "GRU(reset_after=False) is not compatible with "},
        {"GRU", {12, 0}, {2, 6}, NULL},
        {"GRU", {2, 6}, {2, 6}, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int gates = rows[i].class_name[0] == 'L' ? 4 : 3;
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        add_group(file, "r", "r", NULL, GIVEN);
        add_group(model, "r", "r", rows[i].class_name, GIVEN);
        add_tensor(file, "r/kernel:0", 2, 5, 2 * gates);
        add_tensor(file, "r/recurrent_kernel:0", 2, 2, 2 * gates);
        add_tensor(file, "r/bias:0", rows[i].have[1] ? 2 : 1, rows[i].have[0], rows[i].have[1]);
        add_tensor(model, "kernel", 2, 5, 2 * gates);
        add_tensor(model, "recurrent_kernel", 2, 2, 2 * gates);
        add_tensor(model, "bias", rows[i].want[1] ? 2 : 1, rows[i].want[0], rows[i].want[1]);
        kw_plan *plan = make_plan(file, model, &TF_RULES);
        CHECK_EQ(plan->prediction.outcome, rows[i].prefix ? KW_OUTCOME_RAISES : KW_OUTCOME_LOADS);
        CHECK_STR(plan->prediction.error_prefix, rows[i].prefix);
        release(plan, file, model);
    }
}

/* By name a layer without variables is converted for too. */
static void test_recurrent_unbuilt(void)
{
    builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
    add_group(file, "r", "r", NULL, GIVEN);
    add_group(model, "r", "r", "GRU", GIVEN | KW_GROUP_NOT_BUILT);
    add_tensor(file, "r/kernel:0", 2, 5, 6);
    add_tensor(file, "r/recurrent_kernel:0", 2, 2, 6);
    add_tensor(file, "r/bias:0", 1, 7);
    kw_rules rules = TF_RULES;
    rules.by_name = rules.by_name_given = true;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Invalid bias shape: ");
    CHECK_EQ(plan->prediction.error_tensor, KW_NONE);
    release(plan, file, model);
}

static void test_options(void)
{
    builder *file = legacy(NAMES("a"), 1, SIZES(4, 8)), *model = legacy(NAMES("a"), 1, SIZES(4, 8));
    kw_rules rules = TF_RULES;
    rules.skip_mismatch = true;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->findings[0].code, KW_OPTION);
    CHECK_STR(plan->prediction.error_prefix,
              "When calling model.load_weights, skip_mismatch can only be set to True when by_name is True.");
    release(plan, file, model);
    file = v3(NAMES("a", "b"), 2, SIZES(4, 4, 4), false);
    model = v3(NAMES("b", "a"), 2, SIZES(4, 4, 4), true);
    rules = V3_RULES;
    rules.by_name = rules.by_name_given = true;
    plan = make_plan(file, model, &rules); /* Keras refuses; the recorded names will do */
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_OPTION);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->source_group[1], 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    kw_plan_free(plan);
    rules.flavour = KW_FLAVOUR_TF_KERAS;
    rules.version = 22100;
    plan = make_plan(file, model, &rules); /* tf_keras goes by the places, without a word */
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_OPTION);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->findings[0].a, 2);
    CHECK_EQ(plan->source_group[1], 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    kw_plan_free(plan);
    rules.flavour = KW_FLAVOUR_KERAS3;
    rules.version = 31501;
    file->groups[1].flags = 0;
    plan = make_plan(file, model, &rules);
    CHECK(find(plan, KW_OPTION) != NULL && find(plan, KW_OPTION)->severity == KW_ERROR);
    release(plan, file, model);
}

static void test_selected_and_mapped(void)
{
    builder *file = v3(NAMES("a", "b"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("a", "b"), 2, SIZES(4, 8, 5), true);
    kw_rules rules = V3_RULES;
    rules.selected = (const uint8_t[]){1, 1, 0};
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->wanted, 2);
    CHECK_EQ(plan->pair_count, 2);
    release(plan, file, model);
    file = legacy(NAMES("x", "y", "z"), 3, SIZES(4, 4, 4, 4));
    model = legacy(NAMES("a", "b"), 2, SIZES(4, 4, 4));
    rules = H5_RULES;
    rules.mapped = (const uint32_t[]){2, 0};
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->source_group[0], 2);
    CHECK_EQ(plan->pairs[0].rule, KW_PAIR_MAPPED);
    CHECK_EQ(plan->pairs[0].file_tensor, 4);
    CHECK_EQ(plan->finding_count, 1); /* y is left over */
    CHECK_EQ(plan->findings[0].code, KW_UNUSED);
    release(plan, file, model);
}

static void test_types(void)
{
    builder *file = v3(NAMES("a", "b"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("a", "b"), 2, SIZES(4, 8, 3), true);
    file->tensors[0].dtype = file->tensors[2].dtype = KW_DTYPE_FLOAT64;
    file->tensors[1].dtype = KW_DTYPE_FLOAT16;
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 2);
    CHECK_EQ(plan->findings[0].code, KW_DTYPE);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->findings[0].a, 2);
    CHECK_EQ(plan->findings[0].related_count, 1);
    CHECK_EQ(plan->findings[1].severity, KW_NOTE);
    CHECK_EQ(plan->pair_count, 4);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

/* Text where numbers are wanted is no pair; a damaged tensor stays one, whose damage is told when it is read. */
static void test_no_numbers(void)
{
    builder *file = v3(NAMES("a", "b"), 2, SIZES(4, 8, 3), false);
    builder *model = v3(NAMES("a", "b"), 2, SIZES(4, 8, 3), true);
    file->tensors[1].dtype = KW_DTYPE_NONE;
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_UNSUPPORTED);
    CHECK_EQ(plan->findings[0].severity, KW_ERROR);
    CHECK_EQ(plan->findings[0].file_tensor, 1);
    CHECK_EQ(plan->findings[0].model_tensor, 1);
    CHECK_EQ(plan->pair_count, 3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    kw_plan_free(plan);
    file->tensors[1].fault.code = KW_CORRUPT;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->pair_count, 4);
    release(plan, file, model);
}

static void test_optimizer(void)
{
    builder *file = v3(NAMES("a"), 1, SIZES(4, 8), false), *model = v3(NAMES("a"), 1, SIZES(4, 8), true);
    add_group(file, "optimizer", "adam", NULL, AUTO | KW_GROUP_OPTIMIZER);
    for (int i = 0; i < 3; i++)
        add_tensor(file, i == 0 ? "0" : i == 1 ? "1" : "2", 0);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 1);
    CHECK_EQ(plan->findings[0].code, KW_OPTIMIZER);
    CHECK_EQ(plan->findings[0].severity, KW_NOTE);
    CHECK_EQ(plan->unused, 0);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

/* An optimizer that was not built takes nothing; a file without its state leaves it fresh. */
static void test_optimizer_of_one_side(void)
{
    static const struct {
        bool saved;
        int axes, severity;
        uint32_t a, b;
    } rows[] = {{true, 0, KW_NOTE, 3, 2}, {true, 1, KW_WARNING, 3, 2}, {false, 1, KW_NOTE, 0, 2}, {false, 0, -1, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = v3(NAMES("a"), 1, SIZES(4, 8), false), *model = v3(NAMES("a"), 1, SIZES(4, 8), false);
        if (rows[i].saved)
            add_group(file, "optimizer", "adam", NULL, AUTO | KW_GROUP_OPTIMIZER);
        for (int k = 0; rows[i].saved && k < 3; k++)
            add_tensor(file, k == 0 ? "0" : k == 1 ? "1" : "2", 0);
        add_layers(model, "dense");
        model->nodes[0].count++;
        model->edges[1] = (kw_graph_edge){"optimizer", 3};
        model->edges[2] = (kw_graph_edge){"dense", 2};
        model->nodes[1].first = 2;
        add_node(model, add_group(model, "optimizer", "adam", "Adam", AUTO | KW_GROUP_OPTIMIZER));
        add_tensor(model, "iteration", 0);
        add_tensor(model, "momentum", rows[i].axes, 4);
        model->graph.edge_count = 3;
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        const kw_finding *finding = find(plan, KW_OPTIMIZER);
        CHECK_EQ(finding != NULL ? (int)finding->severity : -1, rows[i].severity);
        CHECK_EQ(finding != NULL ? finding->a : 0, rows[i].a);
        CHECK_EQ(finding != NULL ? finding->b : 0, rows[i].b);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
        release(plan, file, model);
    }
}

/* A recurrent layer of 2 units with a bias of a shape of its own. */
static void add_recurrent(builder *b, const char *path, int gates, const int *bias)
{
    bool keys = b->groups[0].class_name == NULL; /* a file */
    add_group(b, path, NULL, keys ? NULL : "GRUCell", 0);
    add_tensor(b, keys ? "0" : "kernel", 2, 5, 2 * gates);
    add_tensor(b, keys ? "1" : "recurrent_kernel", 2, 2, 2 * gates);
    add_tensor(b, keys ? "2" : "bias", bias[1] ? 2 : 1, bias[0], bias[1]);
}

/* A bias in the shape of another variant of the layer: one finding for both directions. */
static void test_reset_after(void)
{
    static const char *const paths[] = {"layers/both/forward_layer/cell", "layers/both/backward_layer/cell",
                                        "layers/gru/cell"};
    static const struct {
        int gates, have[2], want[2], code;
    } rows[] = {
        {3, {2, 6}, {6, 0}, KW_RESET_AFTER},  {3, {6, 0}, {2, 6}, KW_RESET_AFTER}, {3, {12, 0}, {2, 6}, KW_RESET_AFTER},
        {4, {16, 0}, {8, 0}, KW_RESET_AFTER}, {4, {2, 8}, {8, 0}, KW_SHAPE},       {3, {2, 9}, {6, 0}, KW_SHAPE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
        add_group(file, "", NULL, NULL, 0);
        add_group(model, "", "net", "Sequential", AUTO);
        for (int k = 0; k < 3; k++) {
            add_recurrent(file, paths[k], rows[i].gates, rows[i].have);
            add_recurrent(model, paths[k], rows[i].gates, rows[i].want);
        }
        add_node(model, 0);
        for (uint32_t g = 1; g < 4; g++)
            add_edge(model, paths[g - 1], g);
        for (uint32_t g = 1; g < 4; g++)
            add_node(model, g);
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->findings[0].code, rows[i].code);
        if (rows[i].code == KW_RESET_AFTER) {
            CHECK_EQ(plan->finding_count, 2); /* both directions, and the layer beside them */
            CHECK_EQ(plan->findings[0].file_tensor, 2);
            CHECK_EQ(plan->findings[0].model_tensor, 2);
            CHECK_EQ(plan->findings[0].related_count, 1);
            CHECK_EQ(plan->related[plan->findings[0].related_first], 5);
            CHECK_EQ(plan->findings[0].a, 2);
            CHECK_EQ(plan->findings[1].model_tensor, 8);
        }
        release(plan, file, model);
    }
}

/* int8 kernels and their scales on one side: one finding for all layers. */
static void test_quantized(void)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
        builder *quantized = reverse ? model : file;
        add_group(file, "", NULL, NULL, 0);
        add_group(model, "", "net", "Sequential", AUTO);
        for (int k = 0; k < 2; k++) {
            for (int side = 0; side < 2; side++) {
                builder *b = side ? model : file;
                uint32_t first = b->table.tensor_count;
                add_dense(b, PATHS[k], NULL, 0, 8, 8);
                if (b != quantized)
                    continue;
                add_tensor(b, side ? "kernel_scale" : "2", 1, 8);
                b->tensors[first].dtype = KW_DTYPE_INT8;
            }
        }
        add_layers(model, "dense");
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->finding_count, 1);
        CHECK_EQ(plan->findings[0].code, KW_QUANTIZED);
        CHECK_EQ(plan->findings[0].severity, KW_ERROR);
        CHECK_EQ(plan->findings[0].model_group, 1);
        CHECK_EQ(plan->findings[0].a, reverse ? 0 : 2);
        CHECK_EQ(plan->findings[0].b, reverse ? 2 : 0);
        CHECK_EQ(plan->findings[0].related_count, reverse ? 3 : 2);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
        release(plan, file, model);
    }
}

static void test_undecidable(void)
{
    builder *file = v3(NAMES(NULL, NULL, NULL), 3, SIZES(4, 4, 4, 4), false);
    builder *model = v3(NAMES(NULL, NULL), 2, SIZES(4, 4, 4), true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->undecidable_count, 2);
    CHECK(find(plan, KW_UNDECIDABLE) != NULL); /* the file has one more of them */
    CHECK(find(plan, KW_UNUSED) != NULL);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    kw_plan_free(plan);
    file->table.group_count--;
    file->table.tensor_count = file->table.slot_count = 4;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->undecidable_count, 2);
    CHECK_EQ(plan->finding_count, 0);
    release(plan, file, model);
}

static void test_damage(void)
{
    builder *file = v3(NAMES("a"), 1, SIZES(4, 8), false), *model = v3(NAMES("a"), 1, SIZES(4, 8), true);
    file->tensors[1].fault = (kw_fault){KW_CORRUPT, 100, "x"};
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    kw_plan_free(plan);
    file->tensors[1].fault.code = KW_TRUNCATED;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_STR(plan->prediction.error_type, "OSError");
    kw_plan_free(plan);
    file->tensors[1].fault.code = KW_EXTERNAL;
    plan = make_plan(file, model, &V3_RULES);
    CHECK_STR(plan->prediction.inner_prefix, "Not allowed: H5 file with ");
    kw_plan_free(plan);
    file->slots[1].tensor = KW_NONE;
    plan = make_plan(file, model, &V3_RULES);
    CHECK(find(plan, KW_KEYS) != NULL);
    release(plan, file, model);
    file = legacy(NAMES("a", "b"), 2, SIZES(4, 8, 3));
    model = legacy(NAMES("a", "b"), 2, SIZES(4, 8, 3));
    file->slots[2].tensor = KW_NONE;
    plan = make_plan(file, model, &H5_RULES);
    CHECK_STR(plan->prediction.error_type, "KeyError");
    CHECK_EQ(plan->prediction.assigned, 2);
    CHECK(find(plan, KW_MISSING) != NULL);
    kw_plan_free(plan);
    file->groups[1].flags |= KW_GROUP_ABSENT;
    file->groups[1].count = 0;
    plan = make_plan(file, model, &H5_RULES);
    CHECK_STR(plan->prediction.error_type, "KeyError");
    CHECK_EQ(plan->prediction.assigned, 0);
    CHECK_EQ(find(plan, KW_MISSING)->file_group, 1);
    kw_plan_free(plan);
    kw_rules by_name = H5_RULES;
    by_name.by_name_given = by_name.by_name = true;
    plan = make_plan(file, model, &by_name); /* layer by layer */
    CHECK_STR(plan->prediction.error_type, "KeyError");
    CHECK_EQ(plan->prediction.assigned, 2);
    release(plan, file, model);
}

/* `v in model.weights` of Keras 3 compares values. */
static void test_own_variables_are_compared(void)
{
    builder *file = legacy(NAMES("a", "top"), 2, SIZES(4, 8, 8)), *model = legacy(NAMES("a", "top"), 2, SIZES(4, 8, 8));
    kw_rules by_name = H5_RULES;
    file->groups[1].flags |= KW_GROUP_TOP_LEVEL;
    model->groups[1].flags |= KW_GROUP_TOP_LEVEL;
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK_EQ(plan->prediction.outcome, model->groups[1].count > 1 ? KW_OUTCOME_RAISES : KW_OUTCOME_LOADS);
    CHECK_STR(plan->prediction.error_type, "ValueError");
    CHECK_STR(plan->prediction.error_prefix, "");
    CHECK_EQ(plan->prediction.assigned, 2);
    kw_plan_free(plan);
    by_name.by_name_given = by_name.by_name = true;
    plan = make_plan(file, model, &by_name);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

/* Keras 3.0 to 3.7, by name: what the file has as the model's own goes to the first of all its variables. */
static void test_own_variables_for_all(void)
{
    builder *file = legacy(NAMES("x", "top"), 2, SIZES(4, 8, 8)), *model = legacy(NAMES("a", "top"), 2, SIZES(4, 8, 8));
    kw_rules rules = RULES(KW_FLAVOUR_KERAS3, 30303, KW_SUFFIX_H5);
    rules.by_name_given = rules.by_name = true;
    file->groups[1].flags |= KW_GROUP_TOP_LEVEL;
    model->groups[1].flags |= KW_GROUP_TOP_LEVEL;
    add_tensor(file, "more", 1, 4);
    add_tensor(file, "most", 1, 4);
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    CHECK_EQ(plan->keras_pair_count, 0);
    release(plan, file, model);
}

static void test_empty_tables(void)
{
    for (int layout = KW_LAYOUT_UNKNOWN; layout <= KW_LAYOUT_OPTIMIZER_ONLY; layout++) {
        builder *file = new_table((kw_layout)layout), *model = new_table((kw_layout)layout);
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->pair_count, 0);
        CHECK_EQ(plan->finding_count, 0);
        release(plan, file, model);
    }
}

static void test_names(void)
{
    static const char *const names[] = {"conv_1", "dense_layer_1", "embedding", "dense_layer_two"};
    uint32_t rows[3];
    CHECK_EQ(kw_name_nearest("dense_layer_one", names, 4, rows, 3), 2);
    CHECK_EQ(rows[0], 1);
    CHECK_EQ(rows[1], 3);
    CHECK_EQ(kw_name_nearest("xyz", names, 4, rows, 3), 0);
    CHECK_EQ(kw_name_nearest("embeddnig", names, 4, rows, 1), 1);
    CHECK_EQ(rows[0], 2);
    CHECK(kw_name_similarity("a", "a") == 1.0 && kw_name_similarity("", "") == 1.0);
    CHECK(kw_name_similarity("a", "b") == 0.0);
    CHECK(kw_name_similarity("ab", "ba") == 0.5);
    char a[600], b[600];
    memset(a, 'x', sizeof a - 1);
    memset(b, 'y', sizeof b - 1);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    memcpy(b + 599 - 256, a, 256);
    CHECK(kw_name_similarity(a, b) == 1.0);
}

int main(void)
{
    RUN(test_same_model_again);
    RUN(test_renamed);
    RUN(test_swapped);
    RUN(test_swapped_inside);
    RUN(test_swapped_by_name_alone);
    RUN(test_inserted);
    RUN(test_removed);
    RUN(test_inserted_by_shape);
    RUN(test_wrong_file);
    RUN(test_shape_cause);
    RUN(test_transposed);
    RUN(test_skip_mismatch_half);
    RUN(test_counts_and_keys);
    RUN(test_missing_and_unused_parts);
    RUN(test_second_path);
    RUN(test_nested_lists);
    RUN(test_tf212_numbers);
    RUN(test_cycle);
    RUN(test_many_ways);
    RUN(test_own_code);
    RUN(test_lookup_without_its_table);
    RUN(test_unbuilt);
    RUN(test_bare);
    RUN(test_names_and_contents);
    RUN(test_damaged_containers);
    RUN(test_legacy_order);
    RUN(test_legacy_layer_counts);
    RUN(test_legacy_shape);
    RUN(test_by_name_part);
    RUN(test_conversions);
    RUN(test_recurrent);
    RUN(test_recurrent_unbuilt);
    RUN(test_options);
    RUN(test_selected_and_mapped);
    RUN(test_types);
    RUN(test_no_numbers);
    RUN(test_optimizer);
    RUN(test_optimizer_of_one_side);
    RUN(test_reset_after);
    RUN(test_quantized);
    RUN(test_undecidable);
    RUN(test_damage);
    RUN(test_own_variables_are_compared);
    RUN(test_own_variables_for_all);
    RUN(test_empty_tables);
    RUN(test_names);
    return check_result(__FILE__);
}
