/* order.c -- weights of one legacy layer that were saved in another order.
 *
 *     file   bn1/gamma bn1/beta bn2/gamma bn2/beta bn1/moving_mean ...     saved trainable
 *     model  bn1/gamma bn1/beta bn1/moving_mean bn1/moving_variance ...    now frozen
 *
 * Keras writes trainable weights first, so freezing a nested model changes the
 * order, and what is then assigned by place may fit in shape.  Two signs: the
 * last components of the names are the same ones in another order; or the layers
 * that own them are dealt out across each other.
 *
 * keras/src/legacy/saving/legacy_h5_format.py: _legacy_weights.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

/* One weight: its name's last component and the layer that owns it, as hashes. */
typedef struct weight {
    uint64_t name, owner, given; /* given: the owner's own name when a person chose it, else 0 */
} weight;

typedef struct owner {
    uint64_t owner, profile; /* the sum of its weights' names */
    uint32_t first;          /* the partner's owner index, once known */
} owner;

/* Names of Keras 1 that mean the same: dense_1_W, lstm_1_U, running_mean. */
static kw_text find_modern(kw_text name) {
    static const struct {
        const char *old, *now;
    } names[] = {{"_W", "kernel"},
                 {"_b", "bias"},
                 {"_U", "recurrent_kernel"},
                 {"_gamma", "gamma"},
                 {"_beta", "beta"},
                 {"_running_mean", "moving_mean"},
                 {"_running_std", "moving_variance"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i].old);
        if (name.len <= len || memcmp(name.data + name.len - len, names[i].old, len) != 0) continue;
        return (kw_text){names[i].now, strlen(names[i].now)};
    }
    return name;
}

static void read_weight(const char *path, uint64_t seed, weight *out, kw_arena *arena) {
    kw_text prefix = kw_name_prefix(path);
    out->name = kw_text_hash(find_modern(kw_name_last(path)), seed);
    out->owner = kw_text_hash(prefix, seed);
    out->given = 0;
    char *copy = prefix.len > 0 ? kw_arena_text(arena, prefix.data, prefix.len) : NULL;
    if (copy == NULL) return;
    kw_text last = kw_name_last(copy);
    if (!kw_name_is_automatic(last.data, NULL)) out->given = kw_text_hash(last, seed);
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* True when both lists hold the same numbers; sorts them. */
static bool holds_same(uint64_t *a, uint64_t *b, uint32_t count) {
    qsort(a, count, sizeof *a, compare_numbers);
    qsort(b, count, sizeof *b, compare_numbers);
    return memcmp(a, b, count * sizeof *a) == 0;
}

/* The first place where the names differ although they are the same ones; KW_NONE. */
static uint32_t find_moved_name(const weight *from, const weight *to, uint32_t count, uint64_t *scratch) {
    uint32_t at = 0;
    while (at < count && from[at].name == to[at].name) at++;
    if (at == count) return KW_NONE;
    for (uint32_t i = 0; i < count; i++) {
        scratch[i] = from[i].name;
        scratch[count + i] = to[i].name;
    }
    return holds_same(scratch, scratch + count, count) ? at : KW_NONE;
}

static int compare_owners(const void *a, const void *b) {
    const owner *x = a, *y = b;
    return (x->owner > y->owner) - (x->owner < y->owner);
}

/* The owners of a list of weights, sorted, each with the sum of its weights' names; their number. */
static uint32_t list_owners(const weight *weights, uint32_t count, owner *out) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) out[i] = (owner){weights[i].owner, weights[i].name, KW_NONE};
    qsort(out, count, sizeof *out, compare_owners);
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && out[kept - 1].owner == out[i].owner) {
            out[kept - 1].profile += out[i].profile;
        } else {
            out[kept++] = out[i];
        }
    }
    return kept;
}

static uint32_t find_owner(const owner *owners, uint32_t count, uint64_t hash) {
    owner key = {.owner = hash};
    const owner *found = bsearch(&key, owners, count, sizeof *owners, compare_owners);
    return found == NULL ? KW_NONE : (uint32_t)(found - owners);
}

/* The first weight that goes to another layer than the weights beside it in the
 * file; KW_NONE.  Only asked when both sides have the same kinds of layers. */
static uint32_t find_moved_owner(const weight *from, const weight *to, uint32_t count, owner *a, owner *b,
                                 uint64_t *scratch) {
    uint32_t a_count = list_owners(from, count, a), b_count = list_owners(to, count, b);
    if (a_count != b_count || a_count < 2) return KW_NONE;
    for (uint32_t i = 0; i < a_count; i++) {
        scratch[i] = a[i].profile;
        scratch[count + i] = b[i].profile;
    }
    if (!holds_same(scratch, scratch + count, a_count)) return KW_NONE;
    for (uint32_t i = 0; i < count; i++) {
        owner *sender = &a[find_owner(a, a_count, from[i].owner)];
        uint32_t partner = find_owner(b, b_count, to[i].owner);
        if (sender->first == KW_NONE) sender->first = partner;
        if (sender->first != partner) return i;
    }
    return KW_NONE;
}

/* The first weight whose layer's given name is that of another layer of the model; KW_NONE. */
static uint32_t find_crossed_name(const weight *from, const weight *to, uint32_t count, uint64_t *scratch) {
    for (uint32_t i = 0; i < count; i++) scratch[i] = to[i].given;
    qsort(scratch, count, sizeof *scratch, compare_numbers);
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].given == 0 || to[i].given == 0 || from[i].given == to[i].given) continue;
        if (bsearch(&from[i].given, scratch, count, sizeof *scratch, compare_numbers) != NULL) return i;
    }
    return KW_NONE;
}

int kw_order_differs(kw_join *join, uint32_t file_group, uint32_t model_group, uint32_t *at, kw_error *err) {
    const kw_group *from = &join->file->groups[file_group], *to = &join->model->groups[model_group];
    uint32_t count = to->count;
    if (count < 2 || from->count != count) return 0;
    kw_arena arena = KW_ARENA_EMPTY;
    weight *weights = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *weights);
    owner *owners = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *owners);
    uint64_t *scratch = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *scratch);
    int result = weights == NULL || owners == NULL || scratch == NULL ? kw_fail_memory(err) : 0;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        read_weight(join->file->slots[from->first + i].name, join->seed, &weights[i], &arena);
        const char *path = join->model->tensors[kw_join_variable(join, model_group, i)].path;
        read_weight(path, join->seed, &weights[count + i], &arena);
    }
    if (result == 0) {
        const weight *have = weights, *want = weights + count;
        *at = find_moved_name(have, want, count, scratch);
        if (*at == KW_NONE) *at = find_moved_owner(have, want, count, owners, owners + count, scratch);
        uint32_t crossed = find_crossed_name(have, want, count, scratch);
        if (crossed < *at) *at = crossed; /* KW_NONE is the largest */
        result = *at != KW_NONE;
    }
    kw_arena_free(&arena);
    return result;
}
