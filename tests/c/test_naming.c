/* Names that differ by one rule, V3 objects at other paths, lists of which one side has more: on tables built by hand. */
#include <string.h>

#include "check.h"
#include "plan_tables.h"

enum { GIVEN = KW_GROUP_NAMED, AUTO = KW_GROUP_NAMED | KW_GROUP_AUTO_NAME, MANY = 80 };
static const char *const PATHS[] = {"layers/dense",   "layers/dense_1", "layers/dense_2",
                                    "layers/dense_3", "layers/dense_4", "layers/dense_5"};

/* A table of Dense layers; a name that begins with "dense" is automatic. */
static builder *table(kw_layout layout, bool model, int count, const char *const *names)
{
    builder *b = new_table(layout);
    bool v3 = layout == KW_LAYOUT_V3;
    if (v3)
        add_group(b, "", "net", "Sequential", AUTO);
    for (int i = 0; i < count; i++) {
        uint32_t flags = strncmp(names[i], "dense", 5) == 0 ? AUTO : GIVEN;
        add_dense(b, v3 ? PATHS[i] : names[i], names[i], flags, 8, 8);
    }
    if (v3 && model)
        add_layers(b, "dense");
    return b;
}

#define NAMES(...) (const char *const[]){__VA_ARGS__}

static uint32_t count_of(const kw_plan *plan, int code)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->finding_count; i++)
        count += plan->findings[i].code == code;
    return count;
}

static kw_rules by_name(void)
{
    kw_rules rules = rules_of(KW_FLAVOUR_KERAS3, KW_SUFFIX_H5);
    rules.by_name = rules.by_name_given = true;
    return rules;
}

static kw_plan *plan_names(builder **file, builder **model, int count, const char *const *old, const char *const *new_)
{
    kw_rules rules = by_name();
    *file = table(KW_LAYOUT_LEGACY, false, count, old);
    *model = table(KW_LAYOUT_LEGACY, true, count, new_);
    return make_plan(*file, *model, &rules);
}

static void test_affix(void)
{
    static const struct {
        const char *old[3], *new_[3];
        int code;
        uint32_t count;
    } rows[] = {
        {{"swa/a", "swa/b", "swa/c"}, {"a", "b", "c"}, KW_PREFIX, 3},
        {{"a", "b", "c"}, {"ema_a", "ema_b", "ema_c"}, KW_PREFIX, 3},
        {{"a_1", "b_1", "c_1"}, {"a", "b", "c"}, KW_PREFIX, 3},
        {{"a", "b", "c"}, {"a_x", "b_x", "c_x"}, KW_PREFIX, 3},
        {{"swa/a", "swa/b", "other"}, {"a", "b", "c"}, KW_PREFIX, 2},
        {{"swa/a", "x", "y"}, {"a", "b", "c"}, KW_PREFIX, 0}, /* one name is no rule */
        {{"swa/a", "ema/b", "y"}, {"a", "b", "c"}, KW_PREFIX, 0},
        {{"dense", "dense_1", "dense_2"}, {"dense_4", "dense_5", "dense_6"}, KW_COUNTER, 3},
        {{"dense", "dense_1", "dense_2"}, {"dense_1", "dense_2", "dense_3"}, KW_COUNTER, 3},
        {{"dense", "dense_1", "dense_2"}, {"dense", "dense_1", "dense_2"}, KW_COUNTER, 0},
        {{"dense", "dense_1", "dense_2"}, {"dense_4", "dense_6", "dense_7"}, KW_COUNTER, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file, *model;
        kw_plan *plan = plan_names(&file, &model, 3, rows[i].old, rows[i].new_);
        CHECK_EQ(count_of(plan, rows[i].code), rows[i].count);
        if (rows[i].count == 3)
            CHECK_EQ(plan->finding_count, 3); /* and nothing else: no "missing", no "unused" */
        release(plan, file, model);
    }
}

/* Shapes that do not fit are said, and too many of them refute the rule. */
static void test_affix_shapes(void)
{
    kw_rules rules = by_name();
    for (int wrong = 1; wrong <= 3; wrong++) {
        builder *file = table(KW_LAYOUT_LEGACY, false, 4, NAMES("p/a", "p/b", "p/c", "p/d"));
        builder *model = table(KW_LAYOUT_LEGACY, true, 4, NAMES("a", "b", "c", "d"));
        for (int i = 0; i < wrong; i++)
            file->shapes[2 * i][1] = 5;
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(count_of(plan, KW_PREFIX), wrong <= 2 ? 4 : 0);
        for (uint32_t i = 0; wrong <= 2 && i < 4; i++)
            CHECK_EQ(plan->findings[i].a, plan->findings[i].model_group >= (uint32_t)wrong);
        release(plan, file, model);
    }
}

/* A name of the model's that the file has is never part of a prefix, and a mapping is taken at its word. */
static void test_affix_is_not_asked_for(void)
{
    builder *file, *model;
    kw_plan *plan = plan_names(&file, &model, 3, NAMES("a", "b", "swa/c"), NAMES("a", "b", "c"));
    CHECK_EQ(count_of(plan, KW_PREFIX), 0);
    CHECK_EQ(find(plan, KW_MISSING)->other_group, 2);
    release(plan, file, model);
    kw_rules rules = by_name();
    const uint32_t mapped[] = {0, KW_NONE};
    rules.mapped = mapped;
    file = table(KW_LAYOUT_LEGACY, false, 2, NAMES("swa/a", "swa/b"));
    model = table(KW_LAYOUT_LEGACY, true, 2, NAMES("a", "b"));
    plan = make_plan(file, model, &rules);
    CHECK_EQ(count_of(plan, KW_PREFIX), 0);
    release(plan, file, model);
}

/* In a block of equal shapes the names that are most alike, and nothing when two are as alike. */
static void test_assignment(void)
{
    builder *file, *model;
    kw_plan *plan = plan_names(&file, &model, 3, NAMES("left_conv", "right_conv", "out"), NAMES("rightconv", "leftconv", "out"));
    CHECK_EQ(plan->finding_count, 2);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(plan->findings[i].other_group, 1 - plan->findings[i].model_group);
    release(plan, file, model);
    plan = plan_names(&file, &model, 3, NAMES("x1", "x2", "out"), NAMES("y", "z", "out"));
    for (uint32_t i = 0; i < plan->finding_count; i++)
        CHECK_EQ(plan->findings[i].other_group, KW_NONE);
    release(plan, file, model);
}

/* Past the cap nothing is claimed. */
static void test_assignment_cap(void)
{
    static char names[2][MANY][16];
    const char *old[MANY], *new_[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[0][i], 16, "w%dx", i);
        (void)snprintf(names[1][i], 16, "z%dyy", i);
        old[i] = names[0][i];
        new_[i] = names[1][i];
    }
    old[0] = new_[0] = "same";
    builder *file, *model;
    kw_plan *plan = plan_names(&file, &model, MANY, old, new_);
    for (uint32_t i = 0; i < plan->finding_count; i++)
        CHECK_EQ(plan->findings[i].other_group, KW_NONE);
    release(plan, file, model);
}

/* A model whose attribute holds a list in a list of two layers, and one that holds a layer. */
static builder *attributes(bool model, const char *first, const char *second, const char *name)
{
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Net", AUTO);
    add_dense(b, first, name, strcmp(name, "dense") == 0 ? AUTO : GIVEN, 8, 8);
    add_dense(b, second, "dense_1", AUTO, 8, 8);
    if (!model)
        return b;
    add_node(b, 0);
    add_edge(b, first, 1);
    add_edge(b, second, 2);
    add_node(b, 1);
    add_node(b, 2);
    return b;
}

static void test_moved(void)
{
    static const struct {
        const char *old, *new_, *old_name, *new_name;
        uint32_t count;
    } rows[] = {
        {"enc", "encoder", "dense", "dense", 1},
        {"enc", "encoder", "x", "x", 1},
        {"enc", "encoder", "x", "y", 0}, /* names that people gave say that it is another one */
        {"conv", "dense", "dense", "dense", 1},
        {"lstm", "dense", "dense", "dense", 0}, /* both are classes of Keras: another layer */
        {"a/b", "c", "dense", "dense", 0},
    };
    kw_rules rules = rules_of(KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = attributes(false, rows[i].old, "head", rows[i].old_name);
        builder *model = attributes(true, rows[i].new_, "head", rows[i].new_name);
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(count_of(plan, KW_RENAMED), rows[i].count);
        CHECK_EQ(plan->findings[0].severity, KW_ERROR);
        if (rows[i].count == 1) {
            CHECK_EQ(plan->finding_count, 1);
            CHECK_EQ(plan->findings[0].file_group, 1);
            CHECK_EQ(plan->findings[0].model_group, 1);
        }
        release(plan, file, model);
    }
}

static builder *rows_in_rows(bool model, bool saved)
{
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Net", AUTO);
    add_dense(b, "head", "dense", AUTO, 8, 8);
    if (saved || model)
        add_dense(b, saved ? "rows/container/dense" : "rows/container_1/dense", "dense_1", AUTO, 8, 8);
    if (!model)
        return b;
    add_node(b, 0);
    add_edge(b, "head", 1);
    add_edge(b, "rows", 2);
    add_node(b, 1);
    add_node(b, KW_NONE);
    add_edge(b, NULL, 3);
    add_node(b, KW_NONE);
    add_edge(b, "dense", 4);
    add_node(b, 2);
    return b;
}

static void test_not_saved(void)
{
    kw_rules rules = rules_of(KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5);
    for (int saved = 0; saved < 2; saved++) {
        builder *file = rows_in_rows(false, saved != 0), *model = rows_in_rows(true, true);
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(plan->finding_count, !saved);
        CHECK_EQ(count_of(plan, KW_NOT_SAVED), !saved);
        release(plan, file, model);
    }
}

/* One finding for each layer that only one side has, in V3 with those that would get a neighbour's tensors. */
static void test_several_inserted(void)
{
    static const struct {
        const char *old[6], *new_[6];
        int old_count, new_count;
        uint32_t first, inserted, shifted;
    } rows[] = {
        {{"a", "b", "c", "d"}, {"a", "x", "b", "y", "c", "d"}, 4, 6, 2, 2, 5},
        {{"a", "b", "c", "d", "e"}, {"a", "c", "e"}, 5, 3, KW_NONE, 2, 2},
        {{"a", "dense", "b"}, {"a", "dense_4", "dense_5", "b"}, 3, 4, KW_NONE, 1, 2},
        {{"a", "dense", "b"}, {"a", "dense_4", "b", "x"}, 3, 4, KW_NONE, 0, 0}, /* at the end: "missing" */
        {{"a", "b", "c"}, {"b", "a", "c", "d"}, 3, 4, KW_NONE, 0, 0},           /* another order is no insertion */
    };
    kw_rules rules = rules_of(KW_FLAVOUR_KERAS3, KW_SUFFIX_WEIGHTS_H5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        builder *file = table(KW_LAYOUT_V3, false, rows[i].old_count, rows[i].old);
        builder *model = table(KW_LAYOUT_V3, true, rows[i].new_count, rows[i].new_);
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(count_of(plan, KW_INSERTED), rows[i].inserted);
        if (rows[i].inserted > 0) {
            CHECK_EQ(plan->finding_count, rows[i].inserted);
            CHECK_EQ(find(plan, KW_INSERTED)->model_group, rows[i].first);
            CHECK_EQ(find(plan, KW_INSERTED)->related_count, 2 * rows[i].shifted);
        }
        release(plan, file, model);
    }
}

static void test_several_inserted_by_order(void)
{
    kw_rules rules = rules_of(KW_FLAVOUR_KERAS3, KW_SUFFIX_H5);
    builder *file = table(KW_LAYOUT_LEGACY, false, 4, NAMES("a", "b", "dense", "d"));
    builder *model = table(KW_LAYOUT_LEGACY, true, 6, NAMES("a", "x", "b", "dense_3", "dense_4", "d"));
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->finding_count, 2);
    CHECK_EQ(count_of(plan, KW_INSERTED), 2);
    const kw_finding *some = plan->findings[0].model_group == KW_NONE ? &plan->findings[0] : &plan->findings[1];
    CHECK_EQ(some->other_group, 5);
    CHECK_EQ(some->a, 1);
    CHECK_EQ(some->b, 2);
    CHECK_EQ(some->related_count, 2);
    release(plan, file, model);
}

int main(void)
{
    RUN(test_affix);
    RUN(test_affix_shapes);
    RUN(test_affix_is_not_asked_for);
    RUN(test_assignment);
    RUN(test_assignment_cap);
    RUN(test_moved);
    RUN(test_not_saved);
    RUN(test_several_inserted);
    RUN(test_several_inserted_by_order);
    return check_result(__FILE__);
}
