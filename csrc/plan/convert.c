/* convert.c -- what tf_keras makes of a layer's saved weights before it assigns them.
 *
 *   lstm_1_W_i lstm_1_U_i lstm_1_b_i lstm_1_W_c ...  --join-->  kernel recurrent_kernel bias     Keras 1
 *   (filters, in, rows, columns)                     --2310-->  (rows, columns, in, filters)     Keras 1
 *   bias (8 u,)                                      -halves->  bias (4 u,)                      cuDNN
 *
 * A wrapper or a model inside of another hands its weights on to the layers inside
 * it and takes back what these make of them.  Only shapes are known here; which
 * values would come out is said as a list of steps.
 *
 * tf_keras/src/saving/legacy/hdf5_format.py, 2.12 to 2.21, and
 * keras/engine/saving.py, 2.1.5 to 2.3.1: preprocess_weights_for_loading and
 * _convert_rnn_weights.
 */
#include "plan/convert.h"

#include <string.h>

#include "base/view.h"

enum { DEPTH_MAX = 64, VISITS_MAX = 1 << 16 };

/* A layer whose weights are being converted. */
typedef struct frame {
    const kw_unit *unit;
    kw_made_list list;     /* what it got, in the end what it made */
    uint32_t stage;        /* how many of the layers inside were asked */
    uint32_t next;         /* units behind it that were asked */
    uint32_t trainable;    /* weights that the layer asked last counts as such */
    kw_made_list left[2];  /* a model's, not dealt out yet: trainable, not trainable */
    kw_made_list done[2];
    uint32_t room;         /* in each of these */
} frame;

typedef struct converter {
    kw_arena *arena;
    kw_made_how how;
    kw_raise raise;
    kw_made_end end;
    frame *stack;
    uint32_t depth, depth_max, visits;
    kw_made_list given; /* what the layer that was left last made */
} converter;

static bool stop(converter *c, kw_made_end end, kw_raise raise) {
    c->end = end;
    c->raise = raise;
    return false;
}

static bool raises(converter *c, kw_raise raise) { return stop(c, KW_MADE_RAISES, raise); }

/* ---- one weight ---- */

/* True when one undoes the other. */
static bool cancels(kw_step a, kw_step b) {
    if (a == KW_STEP_AXES_2310 || b == KW_STEP_AXES_2310) return a == KW_STEP_AXES_3201 || b == KW_STEP_AXES_3201;
    return a == b && (a == KW_STEP_AXES_0132 || a == KW_STEP_AXES_2301);
}

/* One more step; none, and the last one gone, when it undoes that. */
static bool add_step(converter *c, kw_made *made, kw_step step) {
    if (made->step_count > 0 && cancels((kw_step)made->steps[made->step_count - 1], step)) {
        made->step_count--;
        return true;
    }
    if (made->step_count == KW_CONVERSION_STEPS) return stop(c, KW_MADE_UNSURE, 0);
    made->steps[made->step_count++] = (uint8_t)step;
    return true;
}

static uint64_t *new_shape(converter *c, unsigned rank) {
    uint64_t *shape = kw_arena_alloc(c->arena, rank * sizeof *shape);
    if (shape == NULL) (void)stop(c, KW_MADE_MEMORY, 0);
    return shape;
}

/* np.transpose. */
static bool transpose(converter *c, kw_made *made, kw_step step) {
    static const uint8_t axes[][5] = {
        [KW_STEP_AXES_2310] = {2, 3, 1, 0},     [KW_STEP_AXES_2301] = {2, 3, 0, 1}, [KW_STEP_AXES_0132] = {0, 1, 3, 2},
        [KW_STEP_AXES_23410] = {2, 3, 4, 1, 0}, [KW_STEP_AXES_3201] = {3, 2, 0, 1},
    };
    unsigned rank = step == KW_STEP_AXES_23410 ? 5 : 4;
    if (made->rank != rank) return raises(c, KW_RAISE_VALUE);
    uint64_t *shape = new_shape(c, rank);
    if (shape == NULL || !add_step(c, made, step)) return false;
    for (unsigned i = 0; i < rank; i++) shape[i] = made->shape[axes[step][i]];
    made->shape = shape;
    return true;
}

/* np.concatenate of the weights at every third place from `at` on, along the last axis, into *out. */
static bool join_gates(converter *c, const kw_made *weights, const uint8_t *gates, unsigned count, unsigned at,
                       kw_made *out) {
    *out = weights[3 * gates[0] + at];
    if (out->rank == 0) return raises(c, KW_RAISE_VALUE);
    uint64_t *shape = new_shape(c, out->rank);
    if (shape == NULL) return false;
    memcpy(shape, out->shape, out->rank * sizeof *shape);
    for (unsigned k = 0; k < count; k++) {
        const kw_made *part = &weights[3 * gates[k] + at];
        if (part->step_count > 0 || part->own) return stop(c, KW_MADE_UNSURE, 0);
        bool same = part->rank == out->rank && memcmp(part->shape, shape, (out->rank - 1u) * sizeof *shape) == 0;
        if (!same) return raises(c, KW_RAISE_VALUE);
        out->from[k] = part->from[0];
        if (k > 0) shape[out->rank - 1] += part->shape[out->rank - 1];
    }
    out->part_count = (uint8_t)count;
    out->shape = shape;
    return add_step(c, out, KW_STEP_JOIN);
}

/* The weights of each gate apart, as Keras 1 keeps them: i, c, f, o of an LSTM, z, r, h of a GRU. */
static bool join_all(converter *c, kw_made_list *list, unsigned count) {
    static const uint8_t lstm[] = {0, 2, 1, 3}, gru[] = {0, 1, 2};
    kw_made out[3];
    for (unsigned at = 0; at < 3; at++) {
        if (!join_gates(c, list->rows, count == 4 ? lstm : gru, count, at, &out[at])) return false;
    }
    memcpy(list->rows, out, sizeof out);
    list->count = 3;
    return true;
}

/* ---- Keras 1 ---- */

/* (length, 1, in, filters), or (filters, in, length, 1), which the first versions wrote, becomes (length, in, filters). */
static bool convert_conv1d(converter *c, const kw_unit *unit, kw_made *made) {
    const uint64_t *shape = made->shape;
    bool newer = made->rank >= 2 && shape[0] == unit->window && shape[1] == 1;
    if (newer && made->rank < 4) return raises(c, KW_RAISE_INDEX);
    if (!newer || shape[3] != unit->filters) {
        if (made->rank == 0) return raises(c, KW_RAISE_INDEX);
        bool older = made->rank == 4 && shape[0] == unit->filters && shape[2] == unit->window && shape[3] == 1;
        if (!older) return raises(c, KW_RAISE_ASSERT);
        if (!transpose(c, made, KW_STEP_AXES_2310)) return false;
    }
    uint64_t *left = new_shape(c, made->rank);
    if (left == NULL || !add_step(c, made, KW_STEP_DROP_1)) return false;
    left[0] = made->shape[0];
    memcpy(left + 1, made->shape + 2, (made->rank - 2u) * sizeof *left);
    made->shape = left;
    made->rank--;
    return true;
}

static bool convert_first(converter *c, const kw_unit *unit, kw_made_list *list) {
    bool first = unit->channels_first;
    switch ((kw_unit_kind)unit->kind) {
        case KW_UNIT_CONV1D:
            if (list->count == 0) return raises(c, KW_RAISE_INDEX);
            return convert_conv1d(c, unit, list->rows);
        case KW_UNIT_CONV2D:
        case KW_UNIT_CONV3D:
            if (!first) return true;
            if (list->count == 0) return raises(c, KW_RAISE_INDEX);
            return transpose(c, list->rows, unit->kind == KW_UNIT_CONV2D ? KW_STEP_AXES_2310 : KW_STEP_AXES_23410);
        case KW_UNIT_CONV2D_TRANSPOSE:
            if (list->count == 0) return raises(c, KW_RAISE_INDEX);
            return transpose(c, list->rows, first ? KW_STEP_AXES_2301 : KW_STEP_AXES_0132);
        case KW_UNIT_GRU: return list->count != 9 || join_all(c, list, 3);
        case KW_UNIT_LSTM: return list->count != 12 || join_all(c, list, 4);
        case KW_UNIT_CONV_LSTM2D:
            if (list->count != 12) return true;
            if (!join_all(c, list, 4)) return false;
            if (!first) return true;
            return transpose(c, &list->rows[0], KW_STEP_AXES_2310) && transpose(c, &list->rows[1], KW_STEP_AXES_2310);
        default: return true;
    }
}

/* ---- any Keras 2 ---- */

/* True when turning a kernel around changes it. */
static bool has_window(const kw_made *made) {
    for (unsigned i = 0; i + 2u < made->rank; i++) {
        if (made->shape[i] > 1) return true;
    }
    return false;
}

/* convert_kernel: all axes but those of the channels backwards. */
static bool flip_kernel(converter *c, kw_made *made) {
    if (made->rank < 3 || made->rank > 5) return raises(c, KW_RAISE_VALUE);
    return !has_window(made) || add_step(c, made, KW_STEP_FLIP);
}

/* A kernel whose shape differs is transposed without a second look. */
static bool turn_kernels(converter *c, const kw_unit *unit, kw_made_list *list) {
    bool both = unit->kind == KW_UNIT_CONV_LSTM2D;
    if (!both && (unit->kind < KW_UNIT_CONV1D || unit->kind > KW_UNIT_CONV2D_TRANSPOSE)) return true;
    if (unit->rank == KW_UNIT_BARE || list->count == 0) return raises(c, KW_RAISE_INDEX);
    if (both && list->count < 2 && c->how.flips) return raises(c, KW_RAISE_INDEX);
    if (c->how.flips && (!flip_kernel(c, &list->rows[0]) || (both && !flip_kernel(c, &list->rows[1])))) return false;
    const kw_made *made = list->rows;
    if (made->rank == unit->rank && memcmp(made->shape, unit->shape, unit->rank * sizeof *unit->shape) == 0) return true;
    if (!transpose(c, &list->rows[0], KW_STEP_AXES_3201)) return false;
    if (both && list->count < 2) return raises(c, KW_RAISE_INDEX);
    return !both || transpose(c, &list->rows[1], KW_STEP_AXES_3201);
}

/* np.hsplit into so many parts; false when it raises. */
static bool split(converter *c, const kw_made *made, unsigned gates) {
    if (made->rank == 0 || made->shape[made->rank == 1 ? 0 : 1] % gates != 0) return raises(c, KW_RAISE_VALUE);
    return true;
}

/* The kernels of a recurrent layer from cuDNN's order to the plain one, or back. */
static bool turn_gates(converter *c, kw_made_list *list, unsigned gates, kw_step kernel, kw_step recurrent) {
    kw_made *own = &list->rows[0], *other = &list->rows[1];
    if (!split(c, own, gates) || !split(c, other, gates)) return false;
    if (own->rank > 2 || other->rank > 2) return stop(c, KW_MADE_UNSURE, 0);
    if (!add_step(c, own, kernel) || !add_step(c, other, recurrent)) return false;
    if (other->rank < 2) return true;
    uint64_t *shape = new_shape(c, 2);
    if (shape == NULL) return false;
    shape[0] = other->shape[1] / gates;
    shape[1] = other->shape[0] * gates;
    other->shape = shape;
    return true;
}

static bool reshape_bias(converter *c, kw_made *bias, kw_step step, unsigned rank, uint64_t one, uint64_t two) {
    uint64_t *shape = new_shape(c, 2);
    if (shape == NULL || !add_step(c, bias, step)) return false;
    shape[0] = one;
    shape[1] = two;
    bias->shape = shape;
    bias->rank = (uint8_t)rank;
    return true;
}

/* How the bias of a recurrent layer says what it is of: gates of a plain layer, twice as many of cuDNN's, 7 for the
 * two rows of a GRU(reset_after=True); 0: of none. */
static unsigned find_source(const kw_made *bias, uint64_t units, unsigned gates) {
    uint64_t one, two;
    if (!kw_mul(units, gates, &one) || !kw_mul(one, 2, &two)) return 0;
    if (bias->rank == 1 && bias->shape[0] == two) return 2 * gates;
    if (gates == 3 && bias->rank == 2 && bias->shape[0] == 2 && bias->shape[1] == one) return 7;
    return bias->rank == 1 && bias->shape[0] == one ? gates : 0;
}

static bool convert_lstm(converter *c, bool cudnn, kw_made_list *list, unsigned source) {
    kw_made *bias = &list->rows[2];
    uint64_t len = bias->shape[0];
    if (source == (cudnn ? 8u : 4u)) return true;
    if (!turn_gates(c, list, 4, cudnn ? KW_STEP_LSTM_CUDNN : KW_STEP_LSTM_PLAIN, KW_STEP_LSTM_TURN)) return false;
    return cudnn ? reshape_bias(c, bias, KW_STEP_TWICE, 1, 2 * len, 0) : reshape_bias(c, bias, KW_STEP_HALVES, 1, len / 2, 0);
}

static bool convert_gru(converter *c, unsigned wanted, kw_made_list *list, unsigned source) {
    kw_made *bias = &list->rows[2];
    if (source == wanted) return true;
    if (source == 3 || wanted == 3) {
        return raises(c, source == 7 ? KW_RAISE_GRU_AFTER : source == 3 ? KW_RAISE_GRU_BEFORE : KW_RAISE_GRU_CUDNN);
    }
    bool plain = source == 6;
    if (!turn_gates(c, list, 3, plain ? KW_STEP_GRU_PLAIN : KW_STEP_GRU_CUDNN, KW_STEP_GRU_TURN)) return false;
    if (plain) return reshape_bias(c, bias, KW_STEP_ROWS, 2, 2, bias->shape[0] / 2);
    return reshape_bias(c, bias, KW_STEP_FLAT, 1, 2 * bias->shape[1], 0);
}

/* _convert_rnn_weights. */
static bool convert_recurrent(converter *c, const kw_unit *unit, kw_made_list *list) {
    bool lstm = unit->kind == KW_UNIT_LSTM || unit->kind == KW_UNIT_CUDNN_LSTM;
    bool gru = unit->kind == KW_UNIT_GRU || unit->kind == KW_UNIT_CUDNN_GRU;
    if ((!lstm && !gru) || list->count != 3) return true;
    const kw_made *recurrent = &list->rows[1];
    if (recurrent->rank == 0) return raises(c, KW_RAISE_INDEX);
    unsigned source = find_source(&list->rows[2], recurrent->shape[0], lstm ? 4 : 3);
    if (source == 0) return raises(c, KW_RAISE_BIAS);
    if (lstm) return convert_lstm(c, unit->kind == KW_UNIT_CUDNN_LSTM, list, source);
    return convert_gru(c, unit->kind == KW_UNIT_CUDNN_GRU ? 6 : unit->reset_after ? 7 : 3, list, source);
}

/* ---- layers inside others ---- */

/* Room for `count` weights, the first `used` of them copied from `rows`. */
static bool copy_list(converter *c, const kw_made *rows, uint32_t used, uint32_t count, kw_made_list *out) {
    out->rows = kw_arena_alloc(c->arena, count * sizeof *out->rows);
    out->count = used;
    if (out->rows == NULL) return stop(c, KW_MADE_MEMORY, 0);
    if (used > 0) memcpy(out->rows, rows, used * sizeof *rows);
    return true;
}

static bool enter(converter *c, const kw_unit *unit, const kw_made *rows, uint32_t count) {
    if (c->depth == c->depth_max || ++c->visits > VISITS_MAX) return stop(c, KW_MADE_UNSURE, 0);
    frame *f = &c->stack[c->depth];
    *f = (frame){.unit = unit, .next = 1};
    if (!copy_list(c, rows, count, count, &f->list)) return false;
    c->depth++;
    return true;
}

static bool leave(converter *c) {
    c->given = c->stack[--c->depth].list;
    return true;
}

/* The next unit right inside of the frame's; NULL: no more. */
static const kw_unit *next_inside(frame *f) {
    if (f->next >= f->unit->span) return NULL;
    const kw_unit *unit = f->unit + f->next;
    f->next += unit->span;
    return unit;
}

/* The first half to the layer that reads forwards, the other to the one that reads backwards. */
static bool step_bidirectional(converter *c, frame *f) {
    uint32_t half = f->list.count / 2;
    if (f->stage > 0) {
        uint32_t had = f->done[0].count;
        kw_made_list both;
        if (!copy_list(c, f->done[0].rows, had, had + c->given.count, &both)) return false;
        if (c->given.count > 0) memcpy(both.rows + had, c->given.rows, c->given.count * sizeof *both.rows);
        both.count = had + c->given.count;
        f->done[0] = both;
    }
    const kw_unit *inside = f->stage < 2 ? next_inside(f) : NULL;
    if (f->stage < 2 && inside == NULL) return stop(c, KW_MADE_UNSURE, 0);
    if (f->stage == 2) {
        f->list = f->done[0];
        return leave(c);
    }
    bool forwards = f->stage++ == 0;
    return enter(c, inside, f->list.rows + (forwards ? 0 : half), forwards ? half : f->list.count - half);
}

/* Once to the layer inside; by the rules for Keras 1 a second time. */
static bool step_distributed(converter *c, frame *f) {
    if (f->stage > 0) f->list = c->given;
    if (f->stage == (c->how.first ? 2u : 1u)) return leave(c);
    if (f->unit->span < 2) return stop(c, KW_MADE_UNSURE, 0);
    f->stage++;
    return enter(c, f->unit + 1, f->list.rows, f->list.count);
}

/* Takes the first weights of a list. */
static uint32_t take(kw_made_list *from, uint32_t count, kw_made *out) {
    uint32_t taken = count < from->count ? count : from->count;
    if (taken > 0) memcpy(out, from->rows, taken * sizeof *out);
    from->rows += taken;
    from->count -= taken;
    return taken;
}

/* More of what was made; a model that is asked twice, inside of a TimeDistributed, adds its own each time. */
static bool append(converter *c, const frame *f, kw_made_list *to, const kw_made *rows, uint32_t count) {
    if (count > f->room - to->count) return stop(c, KW_MADE_UNSURE, 0);
    if (count > 0) memcpy(to->rows + to->count, rows, count * sizeof *rows);
    to->count += count;
    return true;
}

/* Splits a model's weights into trainable ones and others. */
static bool open_model(converter *c, frame *f) {
    uint32_t room = f->list.count, first = f->unit->trainable < room ? f->unit->trainable : room;
    for (uint32_t i = 0; i < f->unit->span; i++) {
        uint32_t own = f->unit[i].own_trainable + f->unit[i].own_fixed;
        if (own > UINT32_MAX / 4 || room > UINT32_MAX / 4) return stop(c, KW_MADE_UNSURE, 0);
        room += own;
    }
    f->room = room;
    f->left[0] = (kw_made_list){f->list.rows, first};
    f->left[1] = (kw_made_list){f->list.rows + first, f->list.count - first};
    return copy_list(c, NULL, 0, room, &f->done[0]) && copy_list(c, NULL, 0, room, &f->done[1]);
}

/* What no layer of a model holds stays as it is; what is left over is dropped. */
static bool close_model(converter *c, frame *f) {
    static const kw_made own = {.own = true};
    uint32_t counts[] = {f->unit->own_trainable, f->unit->own_fixed};
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < counts[side]; i++) {
            if (!append(c, f, &f->done[side], &own, 1)) return false;
        }
    }
    uint32_t first = f->done[0].count, others = f->done[1].count;
    if (!copy_list(c, f->done[0].rows, first, first + others, &f->list)) return false;
    if (others > 0) memcpy(f->list.rows + first, f->done[1].rows, others * sizeof *f->list.rows);
    f->list.count = first + others;
    return leave(c);
}

/* As many weights to each layer as it has, and what it makes of them apart again by its numbers. */
static bool step_model(converter *c, frame *f) {
    if (f->stage++ == 0) {
        if (!open_model(c, f)) return false;
    } else {
        uint32_t first = f->trainable < c->given.count ? f->trainable : c->given.count;
        if (!append(c, f, &f->done[0], c->given.rows, first)) return false;
        if (!append(c, f, &f->done[1], c->given.rows + first, c->given.count - first)) return false;
    }
    const kw_unit *inside = next_inside(f);
    if (inside == NULL) return close_model(c, f);
    kw_made_list dealt;
    uint32_t most[2] = {f->left[0].count, f->left[1].count};
    if (inside->trainable < most[0]) most[0] = inside->trainable;
    if (inside->fixed < most[1]) most[1] = inside->fixed;
    if (!copy_list(c, NULL, 0, most[0] + most[1], &dealt)) return false;
    dealt.count = take(&f->left[0], inside->trainable, dealt.rows);
    dealt.count += take(&f->left[1], inside->fixed, dealt.rows + dealt.count);
    f->trainable = inside->trainable;
    return enter(c, inside, dealt.rows, dealt.count);
}

static bool step_layer(converter *c, frame *f) {
    if (f->unit->kind == KW_UNIT_UNSURE) return stop(c, KW_MADE_UNSURE, 0);
    if (c->how.first && !convert_first(c, f->unit, &f->list)) return false;
    return turn_kernels(c, f->unit, &f->list) && convert_recurrent(c, f->unit, &f->list) && leave(c);
}

static bool step(converter *c) {
    frame *f = &c->stack[c->depth - 1];
    switch ((kw_unit_kind)f->unit->kind) {
        case KW_UNIT_BIDIRECTIONAL: return step_bidirectional(c, f);
        case KW_UNIT_TIME_DISTRIBUTED: return step_distributed(c, f);
        case KW_UNIT_MODEL: return step_model(c, f);
        default: return step_layer(c, f);
    }
}

/* ---- */

/* A layer of which only the class and the variables are known. */
static kw_unit guess_unit(const kw_group *to, const kw_table *model) {
    kw_unit unit = {.kind = (uint8_t)kw_unit_kind_find(to->class_name), .rank = KW_UNIT_BARE, .span = 1};
    bool holds = unit.kind >= KW_UNIT_BIDIRECTIONAL && unit.kind <= KW_UNIT_MODEL;
    if (holds) unit.kind = KW_UNIT_UNSURE;
    unit.reset_after = true; /* the default, which a bias tells */
    if (to->count > 2) unit.reset_after = model->tensors[model->slots[to->first + 2].tensor].rank != 1;
    if (to->count == 0) return unit;
    const kw_tensor *first = &model->tensors[model->slots[to->first].tensor];
    unit.rank = first->rank;
    unit.shape = first->shape;
    return unit;
}

bool kw_made_read(const kw_table *file, const kw_group *group, kw_arena *arena, kw_made_list *out, uint32_t *absent) {
    *absent = KW_NONE;
    out->count = group->count;
    out->rows = kw_arena_alloc(arena, group->count * sizeof *out->rows);
    for (uint32_t i = 0; out->rows != NULL && i < group->count; i++) {
        uint32_t row = file->slots[group->first + i].tensor;
        if (row == KW_NONE) {
            *absent = i;
            return false;
        }
        out->rows[i] = (kw_made){.from = {row}, .part_count = 1, .rank = file->tensors[row].rank};
        out->rows[i].shape = file->tensors[row].shape;
    }
    return out->rows != NULL;
}

kw_made_end kw_made_convert(const kw_group *to, const kw_table *model, kw_made_how how, kw_arena *arena, kw_made_list *list,
                            kw_raise *raise) {
    kw_unit guessed = {.span = 1};
    const kw_unit *unit = to->units;
    if (unit == NULL) {
        guessed = guess_unit(to, model);
        unit = &guessed;
    }
    if (unit->kind == KW_UNIT_PLAIN) return KW_MADE_FINE;
    converter c = {.arena = arena, .how = how, .end = KW_MADE_FINE};
    c.depth_max = unit->span < DEPTH_MAX ? unit->span : DEPTH_MAX;
    c.stack = kw_arena_alloc(arena, c.depth_max * sizeof *c.stack);
    if (c.stack == NULL) return KW_MADE_MEMORY;
    bool fine = enter(&c, unit, list->rows, list->count);
    while (fine && c.depth > 0) fine = step(&c);
    *list = c.given;
    *raise = c.raise;
    return c.end;
}

bool kw_made_fits(const kw_made *made, const kw_tensor *variable) {
    return made->own || kw_lengths_fit(made->shape, made->rank, variable);
}

bool kw_made_is_blind(const kw_made *made) {
    return made->step_count > 0 && memchr(made->steps, KW_STEP_AXES_3201, made->step_count) != NULL;
}

uint64_t kw_made_sign(const kw_made *made) {
    uint64_t sign = 0;
    for (unsigned i = 0; i < made->step_count; i++) sign = sign * 31 + made->steps[i] + 1;
    for (unsigned i = 1; i < made->part_count; i++) sign = sign * 0x9e3779b97f4a7c15u + made->from[i] + 1;
    return sign;
}
