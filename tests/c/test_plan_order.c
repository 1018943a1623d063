/* Names against places: weights inside a nested model, names with a text before or behind them, and what tf_keras drops
 * of a nested model's weights. */
#include "check.h"
#include "plan_tables.h"

static const kw_rules H5_RULES = {
    .flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_H5, .is_hdf5 = true};
static const kw_rules TF_RULES = {.flavour = KW_FLAVOUR_TF_KERAS, .version = 22100, .suffix = KW_SUFFIX_H5, .is_hdf5 = true};

enum { GIVEN = KW_GROUP_NAMED };

/* Weights of a nested model, saved trainable, now frozen: gamma would become moving_mean. */
static void test_order_of_weights(void)
{
    static const char *const saved[] = {
        "in/bn1/gamma:0",       "in/bn1/beta:0",            "in/bn2/gamma:0",       "in/bn2/beta:0",
        "in/bn1/moving_mean:0", "in/bn1/moving_variance:0", "in/bn2/moving_mean:0", "in/bn2/moving_variance:0",
    };
    static const char *const frozen[] = {
        "bn1/gamma", "bn1/beta", "bn1/moving_mean", "bn1/moving_variance",
        "bn2/gamma", "bn2/beta", "bn2/moving_mean", "bn2/moving_variance",
    };
    static const char *const half[] = {
        "bn2/gamma",       "bn2/beta",            "bn1/gamma",       "bn1/beta",
        "bn1/moving_mean", "bn1/moving_variance", "bn2/moving_mean", "bn2/moving_variance",
    };
    const char *const *orders[] = {frozen, half};
    for (int k = 0; k < 2; k++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        add_group(file, "in", "in", NULL, GIVEN);
        add_group(model, "in", "in", "Functional", GIVEN);
        for (int i = 0; i < 8; i++) {
            add_tensor(file, saved[i], 1, 4);
            add_tensor(model, orders[k][i], 1, 4);
        }
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->finding_count, 1);
        const kw_finding *order = find(plan, KW_ORDER);
        CHECK(order != NULL && order->model_tensor == (k == 0 ? 2u : 0u));
        CHECK_EQ(plan->pair_count, 0);
        CHECK_EQ(plan->keras_pair_count, 8);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
        release(plan, file, model);
    }
}

/* One nested model whose weights have these names, each of four values. */
static builder *nested(const char *const *names, int count)
{
    builder *b = new_table(KW_LAYOUT_LEGACY);
    add_group(b, "in", "in", "Functional", GIVEN);
    for (int i = 0; i < count; i++)
        add_tensor(b, names[i], 1, 4);
    return b;
}

/* By name the nested model is found, and inside it the names of layers are evidence as they are by order. */
static void test_names_inside_by_name(void)
{
    static const char *const saved[] = {"in/a/bias:0", "in/b/bias:0"};
    static const struct {
        const char *names[2];
        kw_outcome outcome;
    } rows[] = {
        {{"b/bias", "a/bias"}, KW_OUTCOME_LOADS_WRONG},
        {{"in/b/bias", "in/a/bias"}, KW_OUTCOME_LOADS_WRONG},
        {{"a/bias", "b/bias"}, KW_OUTCOME_LOADS},
        {{"c/bias", "d/bias"}, KW_OUTCOME_LOADS}, /* renamed */
        {{"dense/bias", "dense_1/bias"}, KW_OUTCOME_LOADS},
    };
    kw_rules rules = H5_RULES;
    rules.by_name = rules.by_name_given = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = nested(saved, 2), *model = nested(rows[i].names, 2);
        kw_plan *plan = make_plan(file, model, &rules);
        bool wrong = rows[i].outcome == KW_OUTCOME_LOADS_WRONG;
        CHECK_EQ(plan->prediction.outcome, rows[i].outcome);
        CHECK((find(plan, KW_ORDER) != NULL) == wrong);
        CHECK_EQ(plan->pair_count, wrong ? 0 : 2);
        release(plan, file, model);
    }
}

/* Keras before 3.3 saved bare names: that of the layer itself tells that one inside the nested model bears it now. */
static void test_bare_names(void)
{
    static const struct {
        const char *inside, *beside;
        kw_outcome outcome;
    } rows[] = {
        {"in/nu/kernel", "dense_1", KW_OUTCOME_LOADS_WRONG},
        {"in/dense/kernel", "nu", KW_OUTCOME_LOADS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        add_group(file, "in", "in", NULL, GIVEN);
        add_tensor(file, "kernel", 2, 4, 4);
        add_group(file, "nu", "nu", NULL, GIVEN);
        add_tensor(file, "kernel", 2, 4, 4);
        add_group(model, "in", "in", "Functional", GIVEN);
        add_tensor(model, rows[i].inside, 2, 4, 4);
        add_group(model, rows[i].beside, rows[i].beside, "Dense", GIVEN);
        add_tensor(model, "kernel", 2, 4, 4);
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->prediction.outcome, rows[i].outcome);
        release(plan, file, model);
    }
}

static const uint64_t SHAPE[] = {4};
static const kw_unit UNITS[] = {
    {.kind = KW_UNIT_MODEL, .span = 2, .trainable = 2, .rank = 1, .shape = SHAPE},
    {.kind = KW_UNIT_PLAIN, .span = 1, .trainable = 2, .rank = 1, .shape = SHAPE},
};

/* Names that a layer makes of its own for those inside it count by what is behind its name. */
static void test_names_made_of_the_layer_around(void) {
    static const char *const saved[] = {"my/my_one/bias:0", "my/my_two/bias:0"};
    static const struct {
        const char *names[2];
        kw_outcome outcome;
    } rows[] = {
        {{"my_1/my_1_one/bias", "my_1/my_1_two/bias"}, KW_OUTCOME_LOADS},
        {{"my_1/my_1_two/bias", "my_1/my_1_one/bias"}, KW_OUTCOME_LOADS_WRONG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = nested(saved, 2), *model = nested(rows[i].names, 2);
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->prediction.outcome, rows[i].outcome);
        release(plan, file, model);
    }
}

/* tf_keras deals the weights of a nested model out and drops the rest; Keras 3 counts them. */
static void test_dropped_weights(void)
{
    static const char *const saved[] = {"in/a/gamma:0", "in/a/beta:0", "in/own:0"};
    static const char *const kept[] = {"a/gamma", "a/beta"}, *const others[] = {"a/beta", "a/own"};
    const char *const *wanted[] = {kept, others};
    for (int i = 0; i < 2; i++) {
        builder *file = nested(saved, 3), *model = nested(wanted[i], 2);
        model->groups[0].units = UNITS;
        model->groups[0].unit_count = 2;
        kw_plan *plan = make_plan(file, model, &TF_RULES);
        CHECK_EQ(plan->prediction.outcome, i == 0 ? KW_OUTCOME_LOADS : KW_OUTCOME_LOADS_WRONG);
        CHECK_EQ(plan->pair_count, i == 0 ? 2 : 0);
        CHECK_EQ(plan->findings[0].code, KW_COUNT);
        CHECK_EQ(plan->findings[0].severity, i == 0 ? KW_WARNING : KW_ERROR);
        kw_plan_free(plan);
        plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
        release(plan, file, model);
    }
}

/* Names that differ by one text before or behind them tell who is who. */
static void test_names_with_a_text(void)
{
    static const struct {
        const char *have[3], *want[3];
        bool swapped;
    } rows[] = {
        {{"pre_a", "pre_b", "pre_c"}, {"a", "c", "b"}, true},
        {{"a", "b", "c"}, {"a_ema", "c_ema", "b_ema"}, true},
        {{"pre_a", "pre_b", "pre_c"}, {"a", "b", "c"}, false},
        {{"pre_a", "b", "c"}, {"x", "a", "y"}, false}, /* one pair is no rule */
        {{"pre_a", "pre_b", "c"}, {"b", "a", "x"}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        for (int k = 0; k < 3; k++) {
            add_group(file, rows[i].have[k], rows[i].have[k], NULL, GIVEN);
            add_tensor(file, "kernel:0", 2, 4, 4);
            add_group(model, rows[i].want[k], rows[i].want[k], "Dense", GIVEN);
            add_tensor(model, "kernel", 2, 4, 4);
        }
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK((find(plan, KW_SWAPPED) != NULL) == rows[i].swapped);
        CHECK_EQ(plan->prediction.outcome, rows[i].swapped ? KW_OUTCOME_LOADS_WRONG : KW_OUTCOME_LOADS);
        release(plan, file, model);
    }
}

int main(void)
{
    RUN(test_order_of_weights);
    RUN(test_names_inside_by_name);
    RUN(test_names_made_of_the_layer_around);
    RUN(test_bare_names);
    RUN(test_dropped_weights);
    RUN(test_names_with_a_text);
    return check_result(__FILE__);
}
