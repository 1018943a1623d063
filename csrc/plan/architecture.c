/* architecture.c -- the file of another model: one finding instead of one for each layer that differs.
 *
 *     file    conv(7,7,3,64) bn conv(1,1,64,64) bn ...   107 layers      shapes that both have, as often:
 *     model   conv(3,3,3,64) conv(3,3,64,64) ... dense    16 layers      9 of 123: nowhere near
 *
 * Decided last, over what the other causes found: never when there is one small
 * cause, when a variant explains something, or when the layers are the same ones
 * with other widths.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

enum { LAYERS_LEAST = 4, CAUSES_LEAST = 4, APART_LEAST = 8, KIND_LEAST = 2, RANKS = 8 };

typedef struct tally {
    uint32_t file, model; /* layers with weights */
    uint32_t common;      /* shapes of layers that both have, as often */
    uint32_t fit, kind;   /* layers of the model that fit, or have the same rank at least */
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

/* Sorted hashes of the shapes of the layers with weights, and how many have which rank; NULL: no memory. */
static uint64_t *list_hashes(kw_join *join, const kw_table *table, const uint32_t *ordered, uint32_t *count,
                             uint32_t *ranks) {
    uint64_t *out = kw_arena_alloc(&join->work, table->group_count * sizeof *out);
    *count = 0;
    for (uint32_t g = 0; out != NULL && g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        if (group->count == 0 || kw_group_is_state(group)) continue;
        const kw_tensor *tensor = find_main(table, group, ordered);
        if (tensor == NULL) continue;
        kw_text shape = {(const char *)tensor->shape, tensor->rank * sizeof *tensor->shape};
        out[(*count)++] = kw_text_hash(shape, join->seed);
        ranks[tensor->rank < RANKS ? tensor->rank : RANKS - 1]++;
    }
    if (out != NULL && *count > 0) qsort(out, *count, sizeof *out, compare_hashes);
    return out;
}

/* True when both are layers of the same rank. */
static bool is_same_kind(const kw_join *join, uint32_t f, uint32_t g) {
    if (f == KW_NONE) return false;
    const kw_tensor *a = find_main(join->file, &join->file->groups[f], join->ordered);
    const kw_tensor *b = find_main(join->model, &join->model->groups[g], NULL);
    return a != NULL && b != NULL && a->rank == b->rank;
}

static int count_layers(kw_join *join, tally *out, kw_error *err) {
    const uint64_t *a = list_hashes(join, join->file, join->ordered, &out->file, out->file_ranks);
    const uint64_t *b = list_hashes(join, join->model, NULL, &out->model, out->model_ranks);
    uint32_t alike = 0;
    if (a == NULL || b == NULL) return kw_fail_memory(err);
    for (uint32_t i = 0, j = 0; i < out->file && j < out->model;) {
        out->common += a[i] == b[j];
        if (a[i] == b[j]) {
            i++;
            j++;
        } else if (a[i] < b[j]) {
            i++;
        } else {
            j++;
        }
    }
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

/* Where one side has a few layers only: true when the other has more than twice as many, and of another kind, and not
 * one shape is on both. */
static bool is_small_unlike(const tally *t) {
    uint64_t more = t->file > t->model ? t->file : t->model, fewer = t->file < t->model ? t->file : t->model;
    if (more < LAYERS_LEAST || fewer == 0 || t->common > 0 || t->fit > 0) return false;
    return 2 * fewer < more && 2 * (uint64_t)t->kind < more && has_other_kind(t);
}

/* True when neither the shapes nor the kinds of the layers agree anywhere near.  Kinds agree by chance where all layers
 * are convolutions; other widths alone do not change how many layers there are. */
static bool is_unlike(const tally *t) {
    uint64_t all = (uint64_t)t->file + t->model, more = t->file > t->model ? t->file : t->model;
    uint64_t apart = 2 * more - all;
    if (t->file < LAYERS_LEAST || t->model < LAYERS_LEAST) return is_small_unlike(t);
    if (6 * (uint64_t)t->common >= all || 2 * (uint64_t)t->fit >= t->model) return false;
    return 4 * (uint64_t)t->kind < 3 * more || (apart >= APART_LEAST && 10 * apart > more);
}

int kw_find_architecture(kw_join *join, uint32_t first, uint32_t related, kw_error *err) {
    const kw_rules *rules = join->rules;
    tally t = {.file = 0};
    if (rules->by_name || rules->skip_mismatch || rules->selected != NULL || rules->mapped != NULL) return 0;
    if (count_causes(join, first) < CAUSES_LEAST) return 0;
    if (count_layers(join, &t, err) < 0) return -1;
    if (!is_unlike(&t)) return 0;
    join->plan->finding_count = first;
    join->related_count = related;
    kw_finding *finding = kw_join_add(join, KW_WRONG_FILE, KW_ERROR, err);
    if (finding == NULL) return -1;
    finding->a = t.file;
    finding->b = t.model;
    return 0;
}
