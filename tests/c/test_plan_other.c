/* Predictions for a Keras that is not the model's own, and files that TensorFlow 2.12 to 2.14 numbered, on tables built by
 * hand. */
#include "check.h"
#include "plan_tables.h"

#define LIST "_layer_checkpoint_dependencies/"

static const kw_rules OWN = {
    .flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_WEIGHTS_H5, .is_hdf5 = true};

static builder *dense_model(int count)
{
    static const char *const paths[] = {"layers/dense", "layers/dense_1", "layers/dense_2"};
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Sequential", KW_GROUP_NAMED);
    for (int i = 0; i < count; i++)
        add_dense(b, paths[i], paths[i] + 7, KW_GROUP_NAMED | KW_GROUP_AUTO_NAME, 4, 4);
    add_layers(b, "dense");
    return b;
}

static builder *dense_file(kw_layout layout, const char *const *paths, int count)
{
    builder *b = new_table(layout);
    add_group(b, "", NULL, NULL, 0);
    for (int i = 0; i < count; i++)
        add_dense(b, paths[i], NULL, 0, 4, 4);
    return b;
}

#define FILE_OF(layout, ...)                                                                                           \
    dense_file(layout, (const char *const[]){__VA_ARGS__},                                                             \
               (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static kw_plan *plan_for(builder *file, builder *model, builder *there, kw_flavour flavour, uint32_t version)
{
    kw_other other = {.flavour = flavour, .version = version, .model = &there->table, .graph = &there->graph};
    kw_rules rules = OWN;
    rules.other = &other;
    return make_plan(file, model, &rules);
}

/* 2.12 and 2.13 number layers with weights by two, 2.14 by one; kwload reads both. */
static void test_numbers(void)
{
    builder *gaps = FILE_OF(KW_LAYOUT_V3_TF212, LIST "dense", LIST "dense_2", LIST "dense_4");
    builder *closed = FILE_OF(KW_LAYOUT_V3_TF212, LIST "dense", LIST "dense_1", LIST "dense_2");
    builder *model = dense_model(3);
    kw_plan *plan = make_plan(gaps, model, &OWN);
    CHECK_EQ(plan->pair_count, 6);
    CHECK_EQ(plan->source_group[3], 3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    kw_plan_free(plan);
    plan = make_plan(closed, model, &OWN);
    CHECK_EQ(plan->pair_count, 6);
    CHECK_EQ(plan->source_group[2], 2);
    CHECK_EQ(plan->source_group[3], 3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    free(gaps);
    release(plan, closed, model);
}

/* What kwload pairs stays, what Keras does is another's. */
static void test_old_texts(void)
{
    builder *file = FILE_OF(KW_LAYOUT_V3, "layers/dense", "layers/dense_1"), *model = dense_model(2);
    kw_plan *plan = plan_for(file, model, model, KW_FLAVOUR_KERAS2, 20301);
    CHECK_EQ(plan->pair_count, 4);
    CHECK_EQ(plan->keras_pair_count, 0);
    CHECK_STR(plan->prediction.error_prefix, "You are trying to load a weight file containing ");
    kw_plan_free(plan);
    plan = plan_for(file, model, model, KW_FLAVOUR_TF_KERAS, 20700);
    CHECK_STR(plan->prediction.error_prefix, "Layer count mismatch when loading weights from file. Model expected ");
    kw_plan_free(plan);
    plan = plan_for(file, model, model, KW_FLAVOUR_TF_KERAS, 21500);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    CHECK_EQ(plan->keras_pair_count, 4);
    release(plan, file, model);
}

/* An object that only the other Keras finds has rows behind the model's own. */
static void test_more_objects(void)
{
    builder *file = FILE_OF(KW_LAYOUT_V3, "layers/dense"), *model = dense_model(1), *there = dense_model(2);
    kw_plan *plan = plan_for(file, model, there, KW_FLAVOUR_KERAS3, 30303);
    CHECK_EQ(plan->pair_count, 2);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->keras_pair_count, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.error_group, KW_NONE);
    free(there);
    release(plan, file, model);
}

/* Where it is not known what the model is there, only what does not depend on it is said. */
static void test_unsure(void)
{
    builder *file = FILE_OF(KW_LAYOUT_V3, "layers/dense"), *model = dense_model(1);
    kw_other other = {.flavour = KW_FLAVOUR_KERAS3, .version = 30303, .model = &model->table, .graph = &model->graph};
    kw_rules rules = OWN;
    other.unsure = "nobody knows";
    rules.other = &other;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    CHECK_STR(plan->prediction.reason, "nobody knows");
    kw_plan_free(plan);
    rules.by_name = rules.by_name_given = true;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Invalid keyword arguments: ");
    release(plan, file, model);
}

int main(void)
{
    RUN(test_numbers);
    RUN(test_old_texts);
    RUN(test_more_objects);
    RUN(test_unsure);
    return check_result(__FILE__);
}
