/* architecture.c -- the file of another model: one finding instead of one for each layer that differs.
 *
 *     file    conv(7,7,3,64) bn conv(1,1,64,64) bn ...   107 layers      shapes that both have, as often:
 *     model   conv(3,3,3,64) conv(3,3,64,64) ... dense    16 layers      9 of 123: nowhere near
 *
 * Decided last, over what the other causes found: never when there is one small
 * cause, when a variant explains something, or when the layers are the same ones
 * with other widths.  Between networks of many convolutions that are all of one
 * rank, the windows tell (1x1, 3x3, 7x7, one channel at a time): a width or a
 * layer more leaves nearly all of them as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

enum { LAYERS_LEAST = 4, CAUSES_LEAST = 4, APART_LEAST = 8, KIND_LEAST = 2, KERNELS_LEAST = 16, RANKS = 8 };

typedef struct tally {
    uint32_t file, model; /* layers with weights */
    uint32_t common;      /* shapes of layers that both have, as often */
    uint32_t fit, kind;   /* layers of the model that fit, or have the same rank at least */
    uint32_t file_kernels, model_kernels, windows; /* layers with a window; those with one that both have, as often */
    bool mixed; /* windows of several sizes on both sides */
    uint32_t file_ranks[RANKS], model_ranks[RANKS]; /* layers by rank; what has more counts as the last */
} tally;

/* What a layer is: its first tensor of the highest rank, whatever biases and scales stand beside it; NULL: none is there. */
static const kw_tensor *find_main(const kw_table *table, const kw_group *group, const uint32_t *ordered) {
    const kw_tensor *found = NULL;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t row = ordered != NULL ? ordered[group->first + i] : table->slots[group->first + i].tensor;
        const kw_tensor *tensor = row == KW_NONE ? NULL : &table->tensors[row];
        if (tensor != NULL && (found == NULL || tensor->rank > found->rank)) found = tensor;
    }
    return found;
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Hash of a shape, or of its window alone (three axes and more): the spatial axes, and whether it takes one channel at
 * a time. */
static uint64_t hash_shape(const kw_join *join, const kw_tensor *tensor, bool window) {
    uint32_t axes = window ? tensor->rank - 2 : tensor->rank;
    kw_text shape = {(const char *)tensor->shape, axes * sizeof *tensor->shape};
    bool alone = window && tensor->rank == 4 && tensor->shape[3] == 1;
    return kw_text_hash(shape, join->seed ^ (alone ? ~(uint64_t)tensor->rank : tensor->rank));
}

typedef struct hashes {
    uint64_t *shapes, *windows; /* sorted; NULL: no memory */
    uint32_t count, kernels;
} hashes;

/* The layers with weights by their shapes, those of three axes and more by their windows too, and how many have which
 * rank. */
static hashes list_hashes(kw_join *join, const kw_table *table, const uint32_t *ordered, uint32_t *ranks) {
    hashes out = {.shapes = kw_arena_alloc(&join->work, table->group_count * sizeof *out.shapes),
                  .windows = kw_arena_alloc(&join->work, table->group_count * sizeof *out.windows)};
    for (uint32_t g = 0; out.shapes != NULL && out.windows != NULL && g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        if (group->count == 0 || kw_group_is_state(group)) continue;
        const kw_tensor *tensor = find_main(table, group, ordered);
        if (tensor == NULL) continue;
        out.shapes[out.count++] = hash_shape(join, tensor, false);
        if (tensor->rank > 2) out.windows[out.kernels++] = hash_shape(join, tensor, true);
        ranks[tensor->rank < RANKS ? tensor->rank : RANKS - 1]++;
    }
    if (out.shapes != NULL && out.count > 0) qsort(out.shapes, out.count, sizeof *out.shapes, compare_hashes);
    if (out.windows != NULL && out.kernels > 0) qsort(out.windows, out.kernels, sizeof *out.windows, compare_hashes);
    return out;
}

/* How many values two sorted lists have in common, each as often as both have it. */
static uint32_t count_common(const uint64_t *a, uint32_t a_count, const uint64_t *b, uint32_t b_count) {
    uint32_t common = 0;
    for (uint32_t i = 0, j = 0; i < a_count && j < b_count;) {
        uint64_t x = a[i], y = b[j];
        common += x == y;
        i += x <= y;
        j += y <= x;
    }
    return common;
}

/* True when both are layers of the same rank. */
static bool is_same_kind(const kw_join *join, uint32_t f, uint32_t g) {
    if (f == KW_NONE) return false;
    const kw_tensor *a = find_main(join->file, &join->file->groups[f], join->ordered);
    const kw_tensor *b = find_main(join->model, &join->model->groups[g], NULL);
    return a != NULL && b != NULL && a->rank == b->rank;
}

static int count_layers(kw_join *join, tally *out, kw_error *err) {
    hashes a = list_hashes(join, join->file, join->ordered, out->file_ranks);
    hashes b = list_hashes(join, join->model, NULL, out->model_ranks);
    uint32_t alike = 0;
    if (a.shapes == NULL || a.windows == NULL || b.shapes == NULL || b.windows == NULL) return kw_fail_memory(err);
    out->file = a.count;
    out->model = b.count;
    out->file_kernels = a.kernels;
    out->model_kernels = b.kernels;
    out->common = count_common(a.shapes, a.count, b.shapes, b.count);
    out->windows = count_common(a.windows, a.kernels, b.windows, b.kernels);
    out->mixed = a.kernels > 0 && b.kernels > 0 && a.windows[0] != a.windows[a.kernels - 1] &&
                 b.windows[0] != b.windows[b.kernels - 1];
    for (uint32_t g = 0; g < join->model->group_count; g++) {
        const kw_group *group = &join->model->groups[g];
        if (group->count == 0 || kw_group_is_state(group)) continue;
        out->fit += join->matches[g].fit.kind == KW_FIT_OK;
        out->kind += is_same_kind(join, join->matches[g].candidate, g);
    }
    for (unsigned rank = 0; rank < RANKS; rank++) {
        alike += out->file_ranks[rank] < out->model_ranks[rank] ? out->file_ranks[rank] : out->model_ranks[rank];
    }
    /* By order, another number of layers leaves none against each other. */
    if (join->legacy && out->file != out->model && alike > out->kind) out->kind = alike;
    return 0;
}

/* How many causes there are of those that another architecture would have, some by chance: two families call layers
 * alike (conv3_block2_1_bn).  0 when one of them is of another kind. */
static uint32_t count_causes(const kw_join *join, uint32_t first) {
    uint32_t causes = 0;
    for (uint32_t i = first; i < join->plan->finding_count; i++) {
        const kw_finding *finding = &join->plan->findings[i];
        if (finding->severity == KW_NOTE || finding->code == KW_UNUSED) continue;
        bool none = finding->code == KW_NOTHING_MATCHED;
        bool whole = finding->code == KW_COUNT || finding->code == KW_INSERTED; /* of layers, and nothing tells which */
        whole = whole && finding->model_group == KW_NONE && finding->file_group == KW_NONE;
        whole = whole || (join->legacy && finding->code == KW_INSERTED); /* by order all the others are behind it */
        bool one = finding->code == KW_SHAPE || finding->code == KW_COUNT || finding->code == KW_MISSING;
        bool chance = finding->code == KW_TRANSPOSED || finding->code == KW_INSERTED || finding->code == KW_SWAPPED;
        if (!none && !one && !chance && finding->code != KW_KEYS) return 0;
        causes += none || whole ? CAUSES_LEAST : 1;
    }
    return causes;
}

/* True when one side has several layers of a rank that the other has not at all. */
static bool has_other_kind(const tally *t) {
    for (unsigned rank = 2; rank < RANKS; rank++) {
        uint32_t a = t->file_ranks[rank], b = t->model_ranks[rank];
        if ((a == 0 && b >= KIND_LEAST) || (b == 0 && a >= KIND_LEAST)) return true;
    }
    return false;
}

/* Where one side has a few layers only: true when half of the other's are of another kind, and not one shape is on
 * both. */
static bool is_small_unlike(const tally *t) {
    uint64_t more = t->file > t->model ? t->file : t->model, fewer = t->file < t->model ? t->file : t->model;
    if (fewer < KIND_LEAST && more < LAYERS_LEAST) return false;
    if (fewer == 0 || t->common > 0 || t->fit > 0) return false;
    return 2 * (uint64_t)t->kind < more && has_other_kind(t);
}

/* Where both have many kernels, and not as many: true when a quarter of the windows are on one side only.  One size all
 * over that became another is a change of the same network. */
static bool has_other_windows(const tally *t) {
    uint64_t more = t->file_kernels > t->model_kernels ? t->file_kernels : t->model_kernels;
    if (t->file_kernels < KERNELS_LEAST || t->model_kernels < KERNELS_LEAST || t->file == t->model) return false;
    return t->mixed && 4 * (uint64_t)t->windows < 3 * more;
}

/* True when neither the shapes nor the kinds of the layers agree anywhere near.  Kinds agree by chance where all layers
 * are convolutions; other widths alone do not change how many layers there are. */
static bool is_unlike(const tally *t) {
    uint64_t all = (uint64_t)t->file + t->model, more = t->file > t->model ? t->file : t->model;
    uint64_t apart = 2 * more - all;
    if (t->file < LAYERS_LEAST || t->model < LAYERS_LEAST) return is_small_unlike(t);
    if (6 * (uint64_t)t->common >= all || 2 * (uint64_t)t->fit >= t->model) return false;
    return 4 * (uint64_t)t->kind < 3 * more || (apart >= APART_LEAST && 10 * apart > more) || has_other_windows(t);
}

int kw_find_architecture(kw_join *join, uint32_t first, uint32_t related, kw_error *err) {
    const kw_rules *rules = join->rules;
    tally t = {.file = 0};
    if (rules->by_name || rules->skip_mismatch || rules->selected != NULL || rules->mapped != NULL) return 0;
    uint32_t causes = count_causes(join, first);
    if (causes == 0) return 0;
    if (count_layers(join, &t, err) < 0) return -1;
    if (!(causes >= CAUSES_LEAST ? is_unlike(&t) : is_small_unlike(&t))) return 0;
    join->plan->finding_count = first;
    join->related_count = related;
    kw_finding *finding = kw_join_add(join, KW_WRONG_FILE, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->a = t.file;
    finding->b = t.model;
    return 0;
}
