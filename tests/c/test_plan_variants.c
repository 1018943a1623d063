/* Causes in shapes and in variants of layers: transposed kernels, widths, quantized layers, LoRA, a head that one side
 * lacks, the file of another model; and what is nearly one of these and is not. */
#include "check.h"
#include "plan_tables.h"

static const kw_rules V3_RULES = {
    .flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_WEIGHTS_H5, .is_hdf5 = true};
static const kw_rules H5_RULES = {
    .flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_H5, .is_hdf5 = true};

enum { LAYERS_MAX = 32 };

/* A table of layers of one kernel each, with a bias where `bias` is not 0; `model` names the variables. */
typedef struct layer {
    int rank, shape[4], bias;
} layer;

static builder *build(kw_layout layout, const layer *layers, int count, bool model)
{
    static char paths[LAYERS_MAX][TEXT_MAX];
    builder *b = new_table(layout);
    bool keys = layout == KW_LAYOUT_V3 && !model;
    if (layout == KW_LAYOUT_V3)
        add_group(b, "", NULL, NULL, 0);
    for (int i = 0; i < count; i++) {
        const int *s = layers[i].shape;
        (void)snprintf(paths[i], TEXT_MAX, i ? "layers/conv_%d" : "layers/conv", i);
        const char *name = layout == KW_LAYOUT_V3 ? NULL : paths[i] + 7;
        add_group(b, paths[i], name, model ? "Conv2D" : NULL, KW_GROUP_AUTO_NAME);
        add_tensor(b, keys ? "0" : "kernel", layers[i].rank, s[0], s[1], s[2], s[3]);
        if (layers[i].bias)
            add_tensor(b, keys ? "1" : "bias", 1, layers[i].bias);
    }
    if (model && layout == KW_LAYOUT_V3)
        add_layers(b, "conv");
    return b;
}

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

static uint32_t count_code(const kw_plan *plan, int code, kw_severity severity)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->finding_count; i++)
        count += plan->findings[i].code == code && plan->findings[i].severity == severity;
    return count;
}

/* Kernels of two conventions are one error; what looks the same either way is one warning. */
static void test_transposed(void)
{
    static const layer have[] = {{4, {8, 3, 5, 5}, 8}, {4, {16, 8, 5, 5}, 16}, {4, {3, 3, 3, 3}, 3}, {2, {10, 16}, 10}};
    static const layer want[] = {{4, {5, 5, 3, 8}, 8}, {4, {5, 5, 8, 16}, 16}, {4, {3, 3, 3, 3}, 3}, {2, {16, 10}, 10}};
    builder *file = build(KW_LAYOUT_V3, have, 4, false), *model = build(KW_LAYOUT_V3, want, 4, true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 2);
    CHECK_EQ(plan->findings[0].code, KW_TRANSPOSED);
    CHECK_EQ(plan->findings[0].severity, KW_ERROR);
    CHECK_EQ(plan->findings[0].related_count, 2);
    CHECK_EQ(plan->findings[0].axis, 0);
    CHECK_EQ(plan->findings[0].a, 3);
    CHECK_EQ(plan->findings[1].code, KW_TRANSPOSED);
    CHECK_EQ(plan->findings[1].severity, KW_WARNING);
    CHECK_EQ(plan->findings[1].model_tensor, 4);
    release(plan, file, model);
}

/* What was not asked for is evidence all the same; a kernel of its rank that is shown to be straight clears it. */
static void test_doubtful(void)
{
    static const layer have[] = {{2, {10, 16}, 10}, {2, {16, 16}, 16}, {2, {16, 4}, 4}};
    static const layer want[] = {{2, {16, 10}, 10}, {2, {16, 16}, 16}, {2, {16, 4}, 4}};
    static const uint8_t selected[] = {1, 0, 1, 1};
    for (int straight = 0; straight < 2; straight++) {
        builder *file = build(KW_LAYOUT_V3, have, 2 + straight, false);
        builder *model = build(KW_LAYOUT_V3, want, 2 + straight, true);
        kw_rules rules = V3_RULES;
        rules.selected = selected;
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(count_code(plan, KW_TRANSPOSED, KW_WARNING), !straight);
        CHECK_EQ(count_code(plan, KW_TRANSPOSED, KW_ERROR), 0);
        release(plan, file, model);
    }
    builder *file = build(KW_LAYOUT_V3, want + 1, 2, false), *model = build(KW_LAYOUT_V3, want + 1, 2, true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK(find(plan, KW_TRANSPOSED) == NULL); /* a square kernel alone is nothing to speak of */
    release(plan, file, model);
}

/* A width multiplier is one cause; two changes that have nothing to do with each other are two. */
static void test_scaled(void)
{
    static const layer have[] = {{4, {3, 3, 3, 32}, 32}, {4, {3, 3, 32, 64}, 64}, {4, {1, 1, 64, 128}, 128}};
    static const layer half[] = {{4, {3, 3, 3, 16}, 16}, {4, {3, 3, 16, 32}, 32}, {4, {1, 1, 32, 64}, 64}};
    static const layer two[] = {{4, {3, 3, 3, 16}, 16}, {4, {3, 3, 16, 64}, 64}, {4, {1, 1, 64, 7}, 7}};
    for (int other = 0; other < 2; other++) {
        builder *file = build(KW_LAYOUT_V3, have, 3, false), *model = build(KW_LAYOUT_V3, other ? two : half, 3, true);
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        CHECK_EQ(plan->finding_count, 1 + other);
        CHECK_EQ(plan->findings[0].code, KW_SHAPE);
        CHECK_EQ(plan->findings[0].related_count, other ? 2 : 5);
        release(plan, file, model);
    }
}

/* The variables of one layer: type and shape of each. */
typedef struct variable {
    uint8_t dtype;
    int rank, shape[2];
} variable;

static void add_variables(builder *b, const variable *variables)
{
    static const char *const keys[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    add_group(b, "layers/conv", NULL, b->groups[0].class_name ? "Dense" : NULL, 0);
    for (int i = 0; i < 8 && variables[i].rank >= 0; i++) {
        uint32_t row = add_tensor(b, keys[i], variables[i].rank, variables[i].shape[0], variables[i].shape[1]);
        b->tensors[row].dtype = variables[i].dtype;
    }
}

#define F KW_DTYPE_FLOAT32
#define I KW_DTYPE_INT8
#define U KW_DTYPE_UINT8
#define END {0, -1, {0, 0}}
static const variable PLAIN[] = {{F, 2, {12, 16}}, {F, 1, {16, 0}}, END}, BARE[] = {{F, 2, {12, 16}}, END};
static const variable INT8[] = {{I, 2, {12, 16}}, {F, 1, {16, 0}}, {F, 1, {16, 0}}, END};
static const variable INT8_BARE[] = {{I, 2, {12, 16}}, {F, 1, {16, 0}}, END};
static const variable INT4[] = {{I, 2, {12, 8}}, {F, 1, {16, 0}}, {F, 1, {16, 0}}, END};
static const variable INT4_GROUPED[] = {{I, 2, {12, 8}}, {F, 1, {16, 0}}, {F, 2, {3, 16}},
                                        {I, 2, {3, 16}}, {F, 1, {12, 0}}, END};
static const variable FLOAT8[] = {{F, 2, {12, 16}},  {F, 1, {16, 0}}, {F, 0, {0, 0}},    {F, 1, {1024, 0}},
                                  {F, 0, {0, 0}},    {F, 1, {1024, 0}}, {F, 0, {0, 0}}, {F, 1, {1024, 0}}};
static const variable GPTQ[] = {{F, 1, {16, 0}}, {U, 2, {8, 12}}, {F, 2, {16, 1}}, {U, 2, {16, 1}}, {F, 1, {12, 0}}, END};
static const variable AWQ[] = {{F, 1, {16, 0}}, {U, 2, {8, 12}},  {F, 2, {16, 1}}, {U, 2, {16, 1}},
                               {F, 1, {12, 0}}, {F, 1, {12, 0}}, END};
static const variable ALL_INT8[] = {{I, 2, {12, 16}}, {I, 1, {16, 0}}, END};
static const variable WIDER[] = {{I, 2, {12, 20}}, {F, 1, {20, 0}}, {F, 1, {20, 0}}, END};

static void test_quantized(void)
{
    static const struct {
        const variable *have, *want;
        int from, to; /* modes; both NOT: no such finding */
        bool silent;
    } rows[] = {
        {INT8, PLAIN, KW_QUANTIZED_INT8, KW_QUANTIZED_NOT, false},
        {PLAIN, INT8, KW_QUANTIZED_NOT, KW_QUANTIZED_INT8, false},
        {INT8_BARE, BARE, KW_QUANTIZED_INT8, KW_QUANTIZED_NOT, false},
        {INT8_BARE, PLAIN, KW_QUANTIZED_INT8, KW_QUANTIZED_NOT, true}, /* the scale fits the bias */
        {PLAIN, INT8_BARE, KW_QUANTIZED_NOT, KW_QUANTIZED_INT8, true},
        {INT4, PLAIN, KW_QUANTIZED_INT4, KW_QUANTIZED_NOT, false},
        {INT4, INT8, KW_QUANTIZED_INT4, KW_QUANTIZED_INT8, false}, /* as many, half as long */
        {INT8, INT4, KW_QUANTIZED_INT8, KW_QUANTIZED_INT4, false},
        {INT4_GROUPED, INT4, KW_QUANTIZED_INT4, KW_QUANTIZED_INT4, false},
        {INT4_GROUPED, PLAIN, KW_QUANTIZED_INT4, KW_QUANTIZED_NOT, false},
        {FLOAT8, PLAIN, KW_QUANTIZED_FLOAT8, KW_QUANTIZED_NOT, false},
        {GPTQ, PLAIN, KW_QUANTIZED_GPTQ, KW_QUANTIZED_NOT, false},
        {AWQ, PLAIN, KW_QUANTIZED_AWQ, KW_QUANTIZED_NOT, false},
        {ALL_INT8, PLAIN, KW_QUANTIZED_NOT, KW_QUANTIZED_NOT, false}, /* only stored so */
        {INT8, INT8, KW_QUANTIZED_NOT, KW_QUANTIZED_NOT, false},
        {INT8, WIDER, KW_QUANTIZED_NOT, KW_QUANTIZED_NOT, false}, /* other units: a matter of shape */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
        add_group(file, "", NULL, NULL, 0);
        add_group(model, "", NULL, "Sequential", 0);
        add_variables(file, rows[i].have);
        add_variables(model, rows[i].want);
        add_layers(model, "conv");
        kw_plan *plan = make_plan(file, model, &V3_RULES);
        const kw_finding *found = find(plan, KW_QUANTIZED);
        bool expected = rows[i].from != KW_QUANTIZED_NOT || rows[i].to != KW_QUANTIZED_NOT;
        CHECK_EQ(found != NULL, expected);
        if (found != NULL) {
            CHECK_EQ(found->axis, rows[i].from * KW_QUANTIZED_COUNT + rows[i].to);
            CHECK_EQ(found->a, rows[i].from != KW_QUANTIZED_NOT);
            CHECK_EQ(found->b, rows[i].to != KW_QUANTIZED_NOT);
            CHECK_EQ(plan->prediction.outcome, rows[i].silent ? KW_OUTCOME_LOADS_WRONG : KW_OUTCOME_RAISES);
        }
        release(plan, file, model);
    }
}

/* LoRA is told by the names that the legacy layout has. */
static void test_lora(void)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        builder *file = new_table(KW_LAYOUT_LEGACY), *model = new_table(KW_LAYOUT_LEGACY);
        for (int k = 0; k < 2; k++) {
            add_dense(file, k ? "b" : "a", k ? "b" : "a", KW_GROUP_NAMED, 8, 4);
            add_dense(model, k ? "b" : "a", k ? "b" : "a", KW_GROUP_NAMED, 8, 4);
            builder *with = reverse ? model : file;
            add_tensor(with, "lora_kernel_a", 2, 8, 2);
            add_tensor(with, "lora_kernel_b", 2, 2, 4);
        }
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->finding_count, 1);
        CHECK_EQ(plan->findings[0].code, KW_LORA);
        CHECK_EQ(plan->findings[0].a, reverse ? 0 : 2);
        CHECK_EQ(plan->findings[0].b, reverse ? 2 : 0);
        CHECK_EQ(plan->findings[0].related_count, reverse ? 4 : 2);
        release(plan, file, model);
    }
}

/* Without the last layers the first ones still match by their places: not when the last of them could be the odd one. */
static void test_without_head(void)
{
    static const layer layers[] = {{2, {4, 8}, 8}, {2, {8, 8}, 8}, {2, {8, 3}, 3}};
    static const uint8_t selected[] = {1, 1, 0};
    for (int same = 0; same < 2; same++) {
        layer more[3] = {layers[0], layers[1], same ? layers[1] : layers[2]};
        builder *file = build(KW_LAYOUT_LEGACY, more, 2, false), *model = build(KW_LAYOUT_LEGACY, more, 3, true);
        kw_plan *plan = make_plan(file, model, &H5_RULES);
        CHECK_EQ(plan->pair_count, same ? 0 : 4);
        CHECK(plan->findings[0].severity == KW_ERROR);
        kw_plan_free(plan);
        kw_rules rules = H5_RULES;
        rules.selected = selected;
        plan = make_plan(file, model, &rules); /* the caller says which one is new */
        CHECK_EQ(plan->pair_count, 4);
        CHECK_EQ(plan->finding_count == 0 || plan->findings[0].severity != KW_ERROR, true);
        release(plan, file, model);
    }
    builder *file = build(KW_LAYOUT_LEGACY, layers, 3, false), *model = build(KW_LAYOUT_LEGACY, layers, 2, true);
    model->groups[1].name = "another"; /* names of people that disagree are no prefix */
    model->groups[1].flags = file->groups[1].flags = 0;
    file->groups[1].flags = KW_GROUP_NAMED;
    file->groups[1].name = "given";
    kw_plan *plan = make_plan(file, model, &H5_RULES);
    CHECK_EQ(plan->pair_count, 0);
    release(plan, file, model);
}

/* Another model's file is one finding; other widths of the same layers, or one change in it, are not that. */
static void test_architecture(void)
{
    layer vgg[16], other[20], wide[16], changed[16], points[30];
    const layer few[] = {{2, {5, 7}, 7}, {2, {7, 3}, 3}}, one_of_it[] = {{2, {5, 7}, 7}, {4, {3, 3, 64, 64}, 64}};
    for (int i = 0; i < 16; i++) {
        vgg[i] = (layer){4, {3, 3, i ? 64 : 3, 64}, 64};
        wide[i] = (layer){4, {3, 3, i ? 60 + i : 3, 61 + i}, 61 + i};
        changed[i] = vgg[i];
    }
    for (int i = 0; i < 30; i++) points[i] = (layer){4, {1, 1, 5 + i, 6 + i}, 6 + i};
    for (int i = 0; i < 20; i++)
        other[i] = i % 2 ? (layer){2, {7 + i, 1}, 0} : (layer){4, {1, 1, 5 + i, 9 + 2 * i}, 9 + 2 * i};
    changed[15] = (layer){2, {64, 10}, 10};
    const struct {
        const layer *have;
        int count;
        bool wrong;
    } rows[] = {{other, 20, true},   {points, 30, true},   {few, 2, true},    {wide, 16, false},     {changed, 16, false},
                {changed, 12, false}, {points, 20, false}, {other, 3, false}, {one_of_it, 2, false}};
    for (int legacy = 0; legacy < 2; legacy++) {
        kw_layout layout = legacy ? KW_LAYOUT_LEGACY : KW_LAYOUT_V3;
        for (int i = 0; i < COUNT(rows); i++) {
            builder *file = build(layout, rows[i].have, rows[i].count, false), *model = build(layout, vgg, 16, true);
            kw_plan *plan = make_plan(file, model, legacy ? &H5_RULES : &V3_RULES);
            CHECK_EQ(find(plan, KW_WRONG_FILE) != NULL, rows[i].wrong);
            if (rows[i].wrong) {
                CHECK_EQ(plan->finding_count, 1);
                CHECK_EQ(plan->findings[0].a, rows[i].count);
                CHECK_EQ(plan->findings[0].b, 16);
            }
            release(plan, file, model);
        }
    }
}

/* Lengths of the model that nobody knows (-1), or not even how many there are (-2), fit every file; the others count. */
static void test_unknown_lengths(void)
{
    static const layer have[] = {{2, {8, 16}, 16}, {2, {16, 4}, 4}, {3, {2, 3, 4}, 0}};
    static const layer open[] = {{2, {-1, 16}, 16}, {2, {-1, -1}, -1}, {1, {-2}, 0}};
    static const layer other[] = {{2, {-1, 32}, 16}, {2, {16, 4}, 4}, {2, {-1, -1}, 0}};
    builder *file = build(KW_LAYOUT_V3, have, 3, false), *model = build(KW_LAYOUT_V3, open, 3, true);
    kw_plan *plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(plan->finding_count, 0);
    CHECK_EQ(plan->pair_count, 5);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
    file = build(KW_LAYOUT_V3, have, 3, false), model = build(KW_LAYOUT_V3, other, 3, true);
    plan = make_plan(file, model, &V3_RULES);
    CHECK_EQ(count_code(plan, KW_SHAPE, KW_ERROR), 2);
    CHECK_EQ(plan->findings[0].axis, 1);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    release(plan, file, model);
}

int main(void)
{
    RUN(test_transposed);
    RUN(test_doubtful);
    RUN(test_scaled);
    RUN(test_quantized);
    RUN(test_lora);
    RUN(test_without_head);
    RUN(test_architecture);
    RUN(test_unknown_lengths);
    return check_result(__FILE__);
}
