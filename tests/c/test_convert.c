/* The conversion of weights that Keras 1, Theano and cuDNN kept otherwise: which tensors and steps make a variable, what
 * tf_keras raises, and layers that hand their weights on to others. */
#include "check.h"
#include "plan/convert.h"
#include "plan_tables.h"

static const kw_rules TF_RULES = {.flavour = KW_FLAVOUR_TF_KERAS,
                                  .version = 22100,
                                  .suffix = KW_SUFFIX_H5,
                                  .is_hdf5 = true,
                                  .keras_1 = true,
                                  .versionless = true};
static const kw_rules K3_RULES = {.flavour = KW_FLAVOUR_KERAS3,
                                  .version = 31501,
                                  .suffix = KW_SUFFIX_H5,
                                  .is_hdf5 = true,
                                  .keras_1 = true,
                                  .versionless = true};

/* An LSTM of 3 inputs and 2 units, gate by gate. */
static builder *apart(const char *gates)
{
    static char names[12][16];
    builder *file = new_table(KW_LAYOUT_LEGACY);
    add_group(file, "l", "l", NULL, KW_GROUP_NAMED);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(names[i], sizeof names[i], "l_%c_%c", "WUb"[i % 3], gates[i / 3]);
        if (i % 3 == 2)
            add_tensor(file, names[i], 1, 2);
        else
            add_tensor(file, names[i], 2, i % 3 == 0 ? 3 : 2, 2);
    }
    return file;
}

static builder *joined(const kw_unit *units, uint32_t count)
{
    builder *model = new_table(KW_LAYOUT_LEGACY);
    add_group(model, "l", "l", "LSTM", KW_GROUP_NAMED);
    add_tensor(model, "kernel", 2, 3, 8);
    add_tensor(model, "recurrent_kernel", 2, 2, 8);
    add_tensor(model, "bias", 1, 8);
    model->groups[0].units = units;
    model->groups[0].unit_count = count;
    return model;
}

static const uint64_t SHAPE[] = {3, 8};
static const kw_unit LSTM = {.kind = KW_UNIT_LSTM, .span = 1, .trainable = 3, .rank = 2, .shape = SHAPE};

static void test_gates(void)
{
    builder *file = apart("icfo"), *model = joined(&LSTM, 1);
    kw_plan *plan = make_plan(file, model, &TF_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    CHECK_EQ(plan->pair_count, 3);
    CHECK_EQ(plan->unused, 0);
    CHECK_EQ(plan->conversion_count, 3);
    const kw_conversion *kernel = &plan->conversions[0];
    CHECK_EQ(kernel->part_count, 4); /* i, f, c, o */
    CHECK(kernel->from[0] == 0 && kernel->from[1] == 6 && kernel->from[2] == 3 && kernel->from[3] == 9);
    CHECK(kernel->step_count == 1 && kernel->steps[0] == KW_STEP_JOIN);
    CHECK_EQ(plan->finding_count, 1);
    CHECK(plan->findings[0].code == KW_VERSION && plan->findings[0].severity == KW_NOTE);
    CHECK_EQ(plan->findings[0].axis, KW_VERSION_GATES);
    kw_plan_free(plan);
    plan = make_plan(file, model, &K3_RULES); /* which converts nothing */
    CHECK_STR(plan->prediction.error_prefix, "Weight count mismatch for layer #");
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    CHECK_EQ(plan->pair_count, 3);
    kw_plan_free(plan);
    kw_rules rules = TF_RULES;
    rules.versionless = false; /* "1.2.2" beside the names: tf_keras takes it for another than Keras 1 */
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->findings[0].severity, KW_WARNING);
    release(plan, file, model);
}

/* What the names of the gates say against the order of tf_keras is evidence. */
static void test_named_gates(void)
{
    builder *file = apart("ifco"), *model = joined(&LSTM, 1);
    kw_plan *plan = make_plan(file, model, &TF_RULES);
    CHECK_EQ(plan->pair_count, 0);
    CHECK_EQ(plan->findings[0].code, KW_COUNT);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_WRONG);
    release(plan, file, model);
}

/* What is made of one weight of a layer: the steps, or what is raised. */
static void test_layers(void)
{
    static const struct {
        kw_unit_kind kind;
        bool first, theano;
        int have[4], want[4], rank, want_rank;
        uint64_t window, filters;
        int steps[2], count; /* -1: it raises */
        const char *type;
    } rows[] = {
        {KW_UNIT_CONV1D, false, false, {4, 1, 3, 6}, {4, 3, 6}, 4, 3, 4, 6, {KW_STEP_DROP_1}, 1, NULL},
        {KW_UNIT_CONV1D, false, false, {6, 3, 4, 1}, {4, 3, 6}, 4, 3, 4, 6, {KW_STEP_AXES_2310, KW_STEP_DROP_1}, 2, NULL},
        {KW_UNIT_CONV1D, false, false, {5, 1, 3, 6}, {4, 3, 6}, 4, 3, 4, 6, {0}, -1, "AssertionError"},
        {KW_UNIT_CONV1D, false, false, {4, 1, 6}, {4, 1, 6}, 3, 3, 4, 6, {0}, -1, "IndexError"},
        {KW_UNIT_CONV2D, true, false, {6, 3, 4, 5}, {4, 5, 3, 6}, 4, 4, 0, 0, {KW_STEP_AXES_2310}, 1, NULL},
        {KW_UNIT_CONV2D, true, false, {4, 5, 3, 6}, {4, 5, 3, 6}, 4, 4, 0, 0, {0}, 0, NULL}, /* turned twice */
        {KW_UNIT_CONV2D, false, false, {4, 5, 3, 6}, {4, 5, 3, 6}, 4, 4, 0, 0, {0}, 0, NULL},
        {KW_UNIT_CONV2D, false, true, {4, 5, 3, 6}, {4, 5, 3, 6}, 4, 4, 0, 0, {KW_STEP_FLIP}, 1, NULL},
        {KW_UNIT_CONV2D, false, true, {1, 1, 3, 6}, {1, 1, 3, 6}, 4, 4, 0, 0, {0}, 0, NULL},
        {KW_UNIT_CONV2D_TRANSPOSE, false, false, {3, 3, 4, 6}, {3, 3, 6, 4}, 4, 4, 0, 0, {KW_STEP_AXES_0132}, 1, NULL},
        {KW_UNIT_CONV2D_TRANSPOSE, true, false, {6, 4, 3, 3}, {3, 3, 6, 4}, 4, 4, 0, 0, {KW_STEP_AXES_2301}, 1, NULL},
        {KW_UNIT_CONV3D, true, false, {6, 4, 3, 3}, {3, 3, 6, 4}, 4, 4, 0, 0, {0}, -1, "ValueError"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        const int *have = rows[i].have, *want = rows[i].want;
        add_group(file, "c", "c", NULL, KW_GROUP_NAMED);
        add_tensor(file, "c_W", rows[i].rank, have[0], have[1], have[2], have[3]);
        add_group(model, "c", "c", "Conv2D", KW_GROUP_NAMED);
        add_tensor(model, "kernel", rows[i].want_rank, want[0], want[1], want[2], want[3]);
        kw_unit unit = {.kind = (uint8_t)rows[i].kind, .channels_first = rows[i].first, .span = 1, .trainable = 1};
        unit.rank = (uint8_t)rows[i].want_rank;
        unit.shape = model->shapes[0];
        unit.window = rows[i].window;
        unit.filters = rows[i].filters;
        model->groups[0].units = &unit;
        kw_rules rules = TF_RULES;
        rules.theano = rows[i].theano;
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_STR(plan->prediction.error_type, rows[i].type);
        bool flips = rows[i].count == 1 && rows[i].steps[0] == KW_STEP_FLIP; /* which tf_keras does not do */
        if (rows[i].count >= 0)
            CHECK_EQ(plan->prediction.outcome, flips ? KW_OUTCOME_LOADS_WRONG : KW_OUTCOME_LOADS);
        CHECK_EQ(plan->conversion_count, rows[i].count > 0);
        for (int k = 0; plan->conversion_count > 0 && k < rows[i].count; k++)
            CHECK_EQ(plan->conversions[0].steps[k], rows[i].steps[k]);
        release(plan, file, model);
    }
}

/* A wrapper and a model hand their weights on; a model's own weights stay as they are, and wrappers may lie deep. */
static void test_inside(void)
{
    enum { DEEP = 100 };
    static kw_unit units[DEEP];
    const kw_unit both[] = {
        {.kind = KW_UNIT_BIDIRECTIONAL, .span = 3, .trainable = 3, .rank = 2, .shape = SHAPE}, LSTM, LSTM};
    builder *file = apart("icfo"), *model = joined(both, 3);
    kw_plan *plan = make_plan(file, model, &TF_RULES); /* six to each direction: neither joins them */
    CHECK_STR(plan->prediction.error_prefix, "Weight count mismatch for layer #");
    release(plan, file, model);

    kw_unit own[] = {{.kind = KW_UNIT_MODEL, .span = 2, .trainable = 3, .own_trainable = 2, .rank = 1},
                     {.kind = KW_UNIT_PLAIN, .span = 1, .trainable = 1, .rank = 2, .shape = SHAPE}};
    file = new_table(KW_LAYOUT_LEGACY);
    add_group(file, "l", "l", NULL, KW_GROUP_NAMED);
    add_tensor(file, "kernel", 2, 3, 8);
    add_tensor(file, "recurrent_kernel", 2, 2, 8);
    add_tensor(file, "bias", 1, 8);
    model = joined(own, 2);
    plan = make_plan(file, model, &TF_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS_PART);
    CHECK_EQ(plan->keras_pair_count, 1);
    release(plan, file, model);

    /* A model with variables of its own that is asked twice has them twice, which its outer model has no room for. */
    kw_unit twice[] = {{.kind = KW_UNIT_MODEL, .span = 4, .trainable = 9, .rank = 1},
                       {.kind = KW_UNIT_TIME_DISTRIBUTED, .span = 3, .trainable = 9},
                       {.kind = KW_UNIT_MODEL, .span = 2, .trainable = 9, .own_trainable = 4, .rank = 1},
                       {.kind = KW_UNIT_PLAIN, .span = 1, .trainable = 9, .rank = 2, .shape = SHAPE}};
    file = new_table(KW_LAYOUT_LEGACY);
    add_group(file, "l", "l", NULL, KW_GROUP_NAMED);
    add_tensor(file, "kernel", 2, 3, 8);
    model = joined(twice, 4);
    plan = make_plan(file, model, &TF_RULES);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
    release(plan, file, model);

    for (uint32_t i = 0; i < DEEP; i++)
        units[i] = (kw_unit){.kind = KW_UNIT_TIME_DISTRIBUTED, .span = DEEP - i, .trainable = 3};
    units[DEEP - 1] = LSTM;
    file = apart("icfo");
    for (uint32_t deep = 3; deep <= DEEP; deep += DEEP - 3) { /* by the rules for Keras 1 each is asked twice */
        model = joined(units + DEEP - deep, deep);
        plan = make_plan(file, model, &TF_RULES);
        CHECK_EQ(plan->prediction.outcome, deep == 3 ? KW_OUTCOME_LOADS : KW_OUTCOME_UNKNOWN);
        kw_plan_free(plan);
        free(model);
    }
    free(file);
}

int main(void)
{
    RUN(test_gates);
    RUN(test_named_gates);
    RUN(test_layers);
    RUN(test_inside);
    return check_result(__FILE__);
}
