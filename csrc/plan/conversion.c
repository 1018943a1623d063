/* conversion.c -- what kwload itself makes of weights that are kept otherwise than today.
 *
 *     Keras 1's, and what Theano convolved with     by the rules of tf_keras and Keras 2 (convert.c)
 *     cuDNN's, in any layout                        kernel, recurrent_kernel and bias of each
 *
 * Only where every variable then has its shape, no kernel had to be turned because
 * of its shape alone, and the names of the gates, where they are known, agree.
 */
#include "plan/convert.h"

#include <string.h>

#include "plan/join.h"

/* True when the weights of the group's class are not taken as they are. */
static bool is_concerned(const kw_join *join, uint32_t f, uint32_t g) {
    const kw_group *to = &join->model->groups[g];
    bool rules = join->legacy && (join->rules->keras_1 || join->rules->theano);
    return rules && f != KW_NONE && to->units != NULL && to->units->kind != KW_UNIT_PLAIN;
}

/* True unless the names say that the gates stand in another order: lstm_1_W_i, lstm_1_W_f, ... */
static bool names_agree(const kw_join *join, const kw_made *made, unsigned at) {
    const char *gates = made->part_count == 4 ? "ifco" : "zrh";
    for (unsigned k = 0; made->part_count > 1 && k < made->part_count; k++) {
        kw_text name = kw_name_last(join->file->tensors[made->from[k]].path);
        const char *end = name.data + name.len;
        if (name.len < 4 || end[-2] != '_' || end[-4] != '_' || strchr("WUb", end[-3]) == NULL) return true;
        if (end[-1] != gates[k] || end[-3] != "WUb"[at % 3]) return false;
    }
    return true;
}

/* What the rules make of the file group's weights, as many as the model group has; false when they make others. */
static bool convert(const kw_join *join, uint32_t f, uint32_t g, kw_arena *arena, kw_made_list *list) {
    const kw_group *to = &join->model->groups[g];
    kw_made_how how = {.first = join->rules->keras_1, .flips = join->rules->theano};
    uint32_t absent;
    kw_raise raise;
    if (!kw_made_read(join->file, &join->file->groups[f], arena, list, &absent)) return false;
    kw_made_end end = kw_made_convert(to, join->model, how, arena, list, &raise);
    return end == KW_MADE_FINE && list->count == to->count;
}

/* True when the names say that the rules for Keras 1 join the wrong gates. */
static bool is_misjoined(const kw_join *join, uint32_t f, uint32_t g) {
    kw_arena arena = KW_ARENA_EMPTY;
    kw_made_list list;
    bool misjoined = false;
    if (is_concerned(join, f, g) && convert(join, f, g, &arena, &list)) {
        for (uint32_t i = 0; i < list.count; i++) misjoined = misjoined || !names_agree(join, &list.rows[i], i);
    }
    kw_arena_free(&arena);
    return misjoined;
}

/* The weights that the group gets from a file group, each of its shape; false when that cannot be. */
static bool make_weights(const kw_join *join, uint32_t f, uint32_t g, kw_arena *arena, kw_made_list *list) {
    if (!convert(join, f, g, arena, list)) return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const kw_made *made = &list->rows[i];
        if (made->own || kw_made_is_blind(made) || !names_agree(join, made, i)) return false;
        if (!kw_made_fits(made, &join->model->tensors[kw_join_variable(join, g, i)])) return false;
        for (unsigned k = 0; made->step_count > 0 && k < made->part_count; k++) {
            if (join->file->tensors[made->from[k]].dtype == KW_DTYPE_NONE) return false;
        }
    }
    return true;
}

bool kw_conversion_fits(const kw_join *join, uint32_t f, uint32_t g) {
    kw_arena arena = KW_ARENA_EMPTY;
    kw_made_list list;
    bool fits = is_concerned(join, f, g) && make_weights(join, f, g, &arena, &list);
    kw_arena_free(&arena);
    return fits;
}

/* One conversion; what is taken as it is, from where it is, is none. */
static int add(kw_join *join, uint32_t g, uint32_t variable, const kw_made *made, kw_error *err) {
    kw_plan *plan = join->plan;
    uint32_t row = kw_join_variable(join, g, variable);
    bool moved = made->from[0] != kw_join_tensor(join, join->matches[g].candidate, variable);
    if (made->step_count == 0 && !moved) return 0;
    join->matches[g].converts = true;
    join->signs[row] = kw_made_sign(made);
    if (!kw_join_selects(join, g)) return 0;
    if (KW_GROW(plan->conversions, plan->conversion_count, join->conversion_capacity, err) < 0) return -1;
    kw_conversion *out = &plan->conversions[plan->conversion_count++];
    *out = (kw_conversion){.model_tensor = row, .part_count = made->part_count, .step_count = made->step_count};
    memcpy(out->from, made->from, sizeof out->from);
    memcpy(out->steps, made->steps, sizeof out->steps);
    return 0;
}

/* The steps of one of cuDNN's layers: by the shape of its bias, of the model's, and of the recurrent kernel before it. */
static int add_cudnn(kw_join *join, uint32_t g, uint32_t bias, kw_error *err) {
    const kw_tensor *to = &join->model->tensors[kw_join_variable(join, g, bias)];
    bool gru = to->rank == 2;
    const uint8_t steps[] = {gru ? KW_STEP_GRU_PLAIN : KW_STEP_LSTM_PLAIN, gru ? KW_STEP_GRU_TURN : KW_STEP_LSTM_TURN,
                             gru ? KW_STEP_ROWS : KW_STEP_HALVES};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t row = kw_join_tensor(join, join->matches[g].candidate, bias - 2 + i);
        kw_made made = {.from = {row}, .part_count = 1, .step_count = 1, .steps = {steps[i]}};
        if (add(join, g, bias - 2 + i, &made, err) < 0) return -1;
    }
    return 0;
}

int kw_conversion_add(kw_join *join, uint32_t g, kw_error *err) {
    kw_match *match = &join->matches[g];
    uint32_t f = match->candidate;
    kw_made_list list;
    if (match->fit.kind == KW_FIT_OK && is_concerned(join, f, g) && make_weights(join, f, g, &join->work, &list)) {
        for (uint32_t i = 0; i < list.count; i++) {
            if (add(join, g, i, &list.rows[i], err) < 0) return -1;
        }
    }
    if (match->fit.kind == KW_FIT_COUNT) match->wrong = match->wrong || is_misjoined(join, f, g);
    if (join->rules->skip_mismatch || match->fit.kind != KW_FIT_SHAPE || !kw_is_cudnn(join, g)) return 0;
    for (uint32_t i = 2; i < join->model->groups[g].count; i++) {
        const kw_tensor *from = &join->file->tensors[kw_join_tensor(join, f, i)];
        if (kw_shapes_equal(from, &join->model->tensors[kw_join_variable(join, g, i)])) continue;
        if (add_cudnn(join, g, i, err) < 0) return -1;
    }
    return 0;
}

/* Which kinds of conversion there are, as bits. */
static int32_t find_kinds(const kw_conversion *conversion) {
    int32_t kinds = 0;
    for (unsigned i = 0; i < conversion->step_count; i++) {
        kw_step step = (kw_step)conversion->steps[i];
        kinds |= step == KW_STEP_JOIN ? KW_VERSION_GATES : step == KW_STEP_FLIP ? KW_VERSION_FLIPPED : KW_VERSION_AXES;
    }
    return kinds;
}

/* True when the Keras that is asked about leaves the same values in the variables. */
static bool does_same(const kw_join *join) {
    kw_rules reader = kw_rules_of_reader(join->rules);
    bool converts = (kw_rules_find_does(&reader) & KW_DOES_CONVERT) != 0;
    bool flips = reader.flavour == KW_FLAVOUR_KERAS2;
    if (!converts || kw_rules_find_loader(&reader) != KW_LOADER_LEGACY) return false;
    return reader.keras_1 == reader.versionless && (!reader.theano || flips);
}

int kw_find_converted(kw_join *join, kw_error *err) {
    kw_plan *plan = join->plan;
    kw_finding *finding = NULL;
    uint32_t last = KW_NONE;
    for (uint32_t i = 0; i < plan->conversion_count; i++) {
        uint32_t row = plan->conversions[i].model_tensor, g = join->model->tensors[row].group;
        kw_match *match = &join->matches[g];
        if (match->fit.kind != KW_FIT_OK) continue; /* cuDNN's: variant.c */
        match->explained = true;
        if (finding == NULL) {
            finding = kw_join_add(join, KW_VERSION, does_same(join) ? KW_NOTE : KW_WARNING, err);
            if (finding == NULL) return -1;
            finding->model_group = g;
            finding->file_group = match->candidate;
            finding->model_tensor = row;
            finding->file_tensor = plan->conversions[i].from[0];
            finding->axis = 0;
        } else if (kw_join_relate(join, row, err) < 0) {
            return -1;
        }
        finding->axis |= find_kinds(&plan->conversions[i]);
        finding->a += g != last;
        finding->b++;
        last = g;
    }
    return 0;
}
