/* What Keras does with calls that seldom are made: a V3 name for a file of lists, links in the file, the texts of old
 * versions, lookups of the model's own variables; and shapes that changed in many ways.  On tables built by hand. */
#include "check.h"
#include "plan_tables.h"

enum { GIVEN = KW_GROUP_NAMED };

static const kw_rules V3 = {.flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_WEIGHTS_H5, .is_hdf5 = true};
static const kw_rules H5 = {.flavour = KW_FLAVOUR_KERAS3, .version = 31501, .suffix = KW_SUFFIX_H5, .is_hdf5 = true};

/* Dense layers of 4 to 4 called a, b, c ... */
static builder *dense_lists(int count)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    builder *b = new_table(KW_LAYOUT_LEGACY);
    for (int i = 0; i < count; i++)
        add_dense(b, names[i], names[i], GIVEN, 4, 4);
    return b;
}

/* A V3 file, or model with its graph, of one Dense layer. */
static builder *one_dense(bool model)
{
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Sequential", GIVEN);
    add_dense(b, "layers/dense", "dense", GIVEN, 4, 4);
    if (model)
        add_layers(b, "dense");
    return b;
}

/* A name that ends in .weights.h5, and lists in the file: every object finds nothing. */
static void test_lists_under_a_v3_name(void)
{
    builder *file = dense_lists(2), *model = dense_lists(2);
    kw_rules rules = V3;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "A total of ");
    CHECK_STR(plan->prediction.inner_prefix, "Layer '");
    CHECK_EQ(plan->prediction.a, 2);
    CHECK_EQ(plan->prediction.error_group, 0);
    kw_plan_free(plan);
    rules.version = 30300; /* the root is asked for, too, and before them */
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "A total of ");
    CHECK_EQ(plan->prediction.a, 3);
    CHECK_EQ(plan->prediction.error_group, KW_NONE);
    kw_plan_free(plan);
    rules.version = 30000; /* nothing is collected */
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "KeyError");
    kw_plan_free(plan);
    rules.skip_mismatch = true;
    plan = make_plan(file, model, &rules);
    CHECK(plan->prediction.outcome != KW_OUTCOME_RAISES);
    CHECK_EQ(plan->keras_pair_count, 0);
    kw_plan_free(plan);
    /* With variables of its own the root itself asks for them. */
    add_group(model, "top_level_model_weights", "net", NULL, KW_GROUP_TOP_LEVEL);
    add_tensor(model, "scale", 1, 4);
    rules.version = 30300;
    rules.skip_mismatch = false;
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.a, 3); /* the root is one of those that own variables */
    release(plan, file, model);
}

/* With LoRA a layer does not count, and misses its first key. */
static void test_lora_under_a_v3_name(void)
{
    builder *file = dense_lists(1), *model = dense_lists(1);
    add_tensor(model, "lora_kernel_a", 2, 4, 2);
    add_tensor(model, "lora_kernel_b", 2, 2, 4);
    kw_plan *plan = make_plan(file, model, &V3);
    CHECK_STR(plan->prediction.error_prefix, "A total of ");
    CHECK_STR(plan->prediction.inner_prefix, "");
    CHECK_EQ(plan->prediction.a, 1);
    release(plan, file, model);
}

static void test_links(void)
{
    static const char *const places[] = {"layers/dense", "layers"};
    for (size_t i = 0; i < 2; i++) {
        builder *file = new_table(KW_LAYOUT_V3), *model = one_dense(true);
        add_group(file, "", NULL, NULL, 0);
        add_group(file, places[i], NULL, NULL, KW_GROUP_LINK);
        kw_rules rules = V3;
        kw_plan *plan = make_plan(file, model, &rules);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
        CHECK_STR(plan->prediction.error_prefix, "Not allowed: H5 file with ");
        CHECK_EQ(plan->prediction.error_group, 1);
        kw_plan_free(plan);
        rules.version = 31300; /* follows it */
        plan = make_plan(file, model, &rules);
        CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_UNKNOWN);
        CHECK_STR(plan->prediction.reason, "it follows a link of the file");
        release(plan, file, model);
    }
    /* One elsewhere is never looked at. */
    builder *file = one_dense(false), *model = one_dense(true);
    add_group(file, "layers/dense_1", NULL, NULL, KW_GROUP_LINK);
    kw_plan *plan = make_plan(file, model, &V3);
    CHECK(plan->prediction.outcome != KW_OUTCOME_RAISES && plan->prediction.outcome != KW_OUTCOME_UNKNOWN);
    release(plan, file, model);
}

/* A key that is a link, among those that are none. */
static void test_link_as_key(void)
{
    builder *file = one_dense(false), *model = one_dense(true);
    file->slots[1].tensor = KW_NONE;
    file->groups[1].fault.code = KW_LINK;
    kw_plan *plan = make_plan(file, model, &V3);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_STR(plan->prediction.inner_prefix, "Not allowed: H5 file with ");
    release(plan, file, model);
}

/* A listed weight that is a link: legacy. */
static void test_link_in_a_list(void)
{
    builder *file = dense_lists(2), *model = dense_lists(2);
    file->slots[1].tensor = KW_NONE;
    file->groups[0].fault.code = KW_LINK;
    kw_plan *plan = make_plan(file, model, &H5);
    CHECK_STR(plan->prediction.error_prefix, "Not allowed: H5 file with ");
    kw_plan_free(plan);
    file->groups[0].fault.code = KW_CORRUPT;
    plan = make_plan(file, model, &H5);
    CHECK_STR(plan->prediction.error_type, "KeyError");
    release(plan, file, model);
}

static void test_lost_shard(void)
{
    builder *file = one_dense(false), *model = one_dense(true);
    kw_rules rules = V3;
    rules.suffix = KW_SUFFIX_WEIGHTS_JSON;
    rules.is_hdf5 = false;
    rules.is_shards = true;
    file->groups[1].fault.code = KW_SHARD_MISSING;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "FileNotFoundError");
    CHECK_EQ(plan->prediction.error_group, 1);
    release(plan, file, model);
}

/* What Keras said before 2.7. */
static void test_old_texts(void)
{
    kw_rules rules = H5;
    rules.flavour = KW_FLAVOUR_KERAS2;
    rules.version = 20301;
    builder *file = dense_lists(2), *model = dense_lists(2);
    add_tensor(model, "more", 1, 4);
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Layer #");
    release(plan, file, model);
    file = dense_lists(2);
    model = dense_lists(2);
    model->shapes[0][1] = 5;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "ValueError");
    CHECK_STR(plan->prediction.error_prefix, ""); /* TensorFlow's own */
    kw_plan_free(plan);
    rules.by_name = rules.by_name_given = true;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Layer #");
    kw_plan_free(plan);
    rules.flavour = KW_FLAVOUR_TF_KERAS;
    rules.version = 21500;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Shape mismatch in layer #");
    release(plan, file, model);
}

/* A layer of the file that is listed and not there; a layer of tables in the model. */
static void test_by_name(void)
{
    builder *file = dense_lists(2), *model = dense_lists(2);
    kw_rules rules = H5;
    rules.by_name = rules.by_name_given = true;
    add_group(file, "gone", "gone", NULL, GIVEN | KW_GROUP_ABSENT);
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "KeyError");
    CHECK_EQ(plan->prediction.assigned, 4);
    kw_plan_free(plan);
    file->groups[2].flags |= KW_GROUP_LINK;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Not allowed: H5 file with ");
    release(plan, file, model);
    /* Two layers of the model with one name: both get it. */
    file = dense_lists(1);
    model = dense_lists(2);
    model->groups[1].name = "a";
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->keras_pair_count, 4);
    model->groups[1].flags |= KW_GROUP_NOT_LOADABLE;
    kw_plan_free(plan);
    plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.error_group, 1);
    release(plan, file, model);
}

/* By name, a layer with more weights than the file has for it. */
static void test_more_weights_by_name(void)
{
    builder *file = dense_lists(1), *model = dense_lists(1);
    kw_rules rules = H5;
    rules.by_name = rules.by_name_given = true;
    add_tensor(model, "more", 1, 4);
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_prefix, "Weight count mismatch for layer #");
    CHECK(plan->prediction.a == 3 && plan->prediction.b == 2);
    kw_plan_free(plan);
    rules.skip_mismatch = true;
    plan = make_plan(file, model, &rules);
    CHECK(plan->prediction.outcome != KW_OUTCOME_RAISES);
    CHECK_EQ(plan->keras_pair_count, 0);
    release(plan, file, model);
}

/* tf_keras does not look at by_name in a V3 file; where no names are recorded, nor does this. */
static void test_by_name_without_names(void)
{
    builder *file = new_table(KW_LAYOUT_V3), *model = one_dense(true);
    kw_rules rules = V3;
    rules.flavour = KW_FLAVOUR_TF_KERAS;
    rules.version = 21500;
    rules.by_name = rules.by_name_given = true;
    add_group(file, "", NULL, NULL, 0);
    add_dense(file, "layers/dense", NULL, 0, 4, 4);
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->pair_count, 2);
    CHECK_EQ(plan->pairs[0].rule, KW_PAIR_PATH);
    CHECK_EQ(plan->keras_pair_count, 2);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_LOADS);
    release(plan, file, model);
}

static void test_tables_by_order(void)
{
    builder *file = dense_lists(2), *model = dense_lists(2);
    kw_rules rules = H5;
    rules.flavour = KW_FLAVOUR_TF_KERAS;
    rules.version = 21500;
    model->groups[1].flags |= KW_GROUP_NOT_LOADABLE;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.error_group, 1);
    CHECK_EQ(plan->prediction.assigned, 0);
    release(plan, file, model);
}

/* The model's own variables, in a model and a file that have several. */
static void test_top_level(void)
{
    static const struct {
        int first, second, file_count;
        kw_outcome outcome;
    } cases[] = {{1, 1, 2, KW_OUTCOME_LOADS},   {4, 4, 2, KW_OUTCOME_RAISES}, {4, 3, 2, KW_OUTCOME_UNKNOWN},
                 {1, 1, 1, KW_OUTCOME_RAISES}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        builder *file = dense_lists(1), *model = dense_lists(1);
        add_group(file, "top_level_model_weights", NULL, NULL, KW_GROUP_TOP_LEVEL);
        add_group(model, "top_level_model_weights", "net", NULL, KW_GROUP_TOP_LEVEL);
        add_tensor(model, "u", 1, cases[i].first);
        add_tensor(model, "v", 1, cases[i].second);
        add_tensor(file, "u", 1, cases[i].first);
        if (cases[i].file_count > 1)
            add_tensor(file, "v", 1, cases[i].second);
        kw_plan *plan = make_plan(file, model, &H5);
        if (!CHECK_EQ(plan->prediction.outcome, cases[i].outcome))
            fprintf(stderr, "    case %zu\n", i);
        if (cases[i].file_count == 1)
            CHECK_STR(plan->prediction.error_prefix,
                      "Weight count mismatch for top-level weights when loading weights from file. Model expects ");
        release(plan, file, model);
    }
}

/* A projection to heads: a kernel (in, heads, size) and its bias, or (heads, size, out) and (out). */
static uint32_t add_heads(builder *b, const char *path, int heads, int size, bool output)
{
    bool keys = b->table.layout == KW_LAYOUT_V3;
    uint32_t group = add_group(b, path, path + 7, "EinsumDense", GIVEN);
    if (output)
        add_tensor(b, keys ? "0" : "kernel", 3, heads, size, 64);
    else
        add_tensor(b, keys ? "0" : "kernel", 3, 64, heads, size);
    if (output)
        add_tensor(b, keys ? "1" : "bias", 1, 64);
    else
        add_tensor(b, keys ? "1" : "bias", 2, heads, size);
    return group;
}

static builder *attention(int heads, int size, int output_size, bool model)
{
    builder *b = new_table(KW_LAYOUT_V3);
    add_group(b, "", "net", "Sequential", GIVEN);
    add_heads(b, "layers/dense", heads, size, false);
    add_heads(b, "layers/dense_1", heads, output_size, true);
    if (model)
        add_layers(b, "dense");
    return b;
}

/* Heads and their size change together: one cause in all projections. */
static void test_heads(void)
{
    builder *file = attention(4, 16, 16, false), *model = attention(8, 8, 8, true);
    kw_plan *plan = make_plan(file, model, &V3);
    const kw_finding *shape = find(plan, KW_SHAPE);
    CHECK_EQ(plan->finding_count, 1);
    if (CHECK(shape != NULL)) {
        CHECK_EQ(shape->model_tensor, 0);
        CHECK_EQ(shape->related_count, 2); /* its bias, and the other kernel */
        CHECK_EQ(plan->related[shape->related_first + 1], 2);
    }
    release(plan, file, model);
    /* Another size at the output is something else. */
    file = attention(4, 16, 16, false);
    model = attention(8, 8, 24, true);
    plan = make_plan(file, model, &V3);
    CHECK_EQ(plan->finding_count, 2);
    release(plan, file, model);
    /* So is another class. */
    file = attention(4, 16, 16, false);
    model = attention(8, 8, 8, true);
    model->groups[2].class_name = "Dense";
    plan = make_plan(file, model, &V3);
    CHECK_EQ(plan->finding_count, 2);
    release(plan, file, model);
}

/* Of many causes the newest are known: what follows from the last is related to it. */
static void test_many_causes(void)
{
    enum { LAYERS = 20 };
    static const int primes[LAYERS + 1] = {3,   7,   11,  13,  17,  19,  23,  29,  31,  37, 41,
                                           43,  47,  53,  59,  61,  67,  71,  73,  79, 83};
    static char paths[LAYERS + 1][TEXT_MAX];
    builder *file = new_table(KW_LAYOUT_V3), *model = new_table(KW_LAYOUT_V3);
    add_group(file, "", "net", "Sequential", GIVEN);
    add_group(model, "", "net", "Sequential", GIVEN);
    for (int i = 0; i < LAYERS; i++) {
        (void)snprintf(paths[i], TEXT_MAX, i == 0 ? "layers/dense" : "layers/dense_%d", i);
        add_dense(file, paths[i], paths[i] + 7, GIVEN, 5, primes[i]);
        add_dense(model, paths[i], paths[i] + 7, GIVEN, 5, primes[i + 1] + 100);
    }
    (void)snprintf(paths[LAYERS], TEXT_MAX, "layers/dense_%d", LAYERS);
    add_dense(file, paths[LAYERS], paths[LAYERS] + 7, GIVEN, primes[LAYERS - 1], 2);
    add_dense(model, paths[LAYERS], paths[LAYERS] + 7, GIVEN, primes[LAYERS] + 100, 2);
    add_layers(model, "dense");
    kw_plan *plan = make_plan(file, model, &V3);
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->finding_count; i++)
        count += plan->findings[i].code == KW_SHAPE;
    CHECK_EQ(count, LAYERS);
    if (CHECK(plan->finding_count >= LAYERS))
        CHECK_EQ(plan->findings[LAYERS - 1].related_count, 2); /* its bias, and what it feeds */
    release(plan, file, model);
}

/* The rank of a later variable differs, too. */
static void test_rank(void)
{
    builder *file = one_dense(false), *model = one_dense(true);
    file->tensors[0].rank = 1;
    kw_plan *plan = make_plan(file, model, &V3);
    const kw_finding *shape = find(plan, KW_SHAPE);
    if (CHECK(shape != NULL)) {
        CHECK_EQ(shape->axis, -1);
        CHECK_EQ(shape->model_tensor, 0);
    }
    release(plan, file, model);
}

/* What stops a loader before it looks at any layer. */
static void test_refused(void)
{
    builder *file = one_dense(false), *model = one_dense(true);
    kw_rules rules = V3;
    rules.suffix = KW_SUFFIX_WEIGHTS_JSON;
    rules.is_hdf5 = false;
    rules.is_text = true;
    kw_plan *plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "JSONDecodeError");
    release(plan, file, model);
    file = dense_lists(1);
    model = one_dense(true);
    file->table.layout = KW_LAYOUT_HF_SHARD;
    plan = make_plan(file, model, &H5);
    CHECK_STR(plan->prediction.error_prefix, "Invalid H5 file, expected Group but received ");
    release(plan, file, model);
    file = dense_lists(1);
    model = new_table(KW_LAYOUT_LEGACY);
    add_group(model, "a", "a", "Dense", GIVEN);
    add_group(model, "top_level_model_weights", "net", NULL, KW_GROUP_TOP_LEVEL | KW_GROUP_NOT_BUILT);
    rules = H5;
    rules.flavour = KW_FLAVOUR_TF_KERAS;
    rules.version = 21500;
    plan = make_plan(file, model, &rules);
    CHECK_STR(plan->prediction.error_type, "ValueError");
    CHECK(strncmp(plan->prediction.error_prefix, "Unable to load weights saved in HDF5 format", 43) == 0);
    release(plan, file, model);
}

/* Two opaque bytes of which nothing says that they are bfloat16 go into no variable. */
static void test_opaque_in_a_list(void)
{
    builder *file = dense_lists(2), *model = dense_lists(2);
    file->tensors[2].dtype = KW_DTYPE_BFLOAT16;
    kw_plan *plan = make_plan(file, model, &H5);
    CHECK_EQ(plan->prediction.outcome, KW_OUTCOME_RAISES);
    CHECK_EQ(plan->prediction.error_tensor, 2);
    CHECK_EQ(plan->prediction.assigned, 2);
    release(plan, file, model);
}

static void test_words(void)
{
    CHECK_STR(kw_step_name(KW_STEP_JOIN), "join");
    CHECK_STR(kw_step_name(KW_STEP_FLAT), "flat");
    CHECK_STR(kw_outcome_name(KW_OUTCOME_UNKNOWN), "unknown");
}

int main(void)
{
    RUN(test_lists_under_a_v3_name);
    RUN(test_lora_under_a_v3_name);
    RUN(test_links);
    RUN(test_link_as_key);
    RUN(test_link_in_a_list);
    RUN(test_lost_shard);
    RUN(test_old_texts);
    RUN(test_by_name);
    RUN(test_more_weights_by_name);
    RUN(test_by_name_without_names);
    RUN(test_tables_by_order);
    RUN(test_top_level);
    RUN(test_heads);
    RUN(test_many_causes);
    RUN(test_rank);
    RUN(test_refused);
    RUN(test_opaque_in_a_list);
    RUN(test_words);
    return check_result(__FILE__);
}
