/* order.c -- weights of one legacy layer that were saved in another order.
 *
 *     file   bn1/gamma bn1/beta bn2/gamma bn2/beta bn1/moving_mean ...     saved trainable
 *     model  bn1/gamma bn1/beta bn1/moving_mean bn1/moving_variance ...    now frozen
 *
 * Keras writes trainable weights first, so freezing a nested model changes the
 * order, and what is then assigned by place may fit in shape.  Two signs: the
 * last components of the names are the same ones in another order; or the layers
 * that own them are dealt out across each other.  A third: a weight bears the name
 * that a person gave to another layer, inside of some model or not.  A fourth: the
 * numbers that Keras gave, which say nothing of what a layer is, but in what order
 * these were made:
 *
 *     file   dense_1/kernel dense/kernel     model  dense_4/kernel dense_5/kernel
 *
 * keras/src/legacy/saving/legacy_h5_format.py: _legacy_weights.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/join.h"

/* One weight: its name's last component and the layer that owns it, as hashes. */
typedef struct weight {
    uint64_t name, owner, given; /* given: the owner's name, or that of what holds it, that a person chose; else 0 */
    uint64_t place;              /* the path up to the given name */
    const char *path;
    uint64_t base;               /* of an owner with a name of Keras's: that without its number; else 0 */
    uint32_t number;
} weight;

typedef struct ranked {
    uint64_t base;
    uint32_t number, place;
} ranked;

/* A name that a person gave to one layer of a table. */
typedef struct leaf {
    uint64_t given, place;
    bool inside; /* of the layer that the list is of */
    bool shared; /* several layers have it */
} leaf;

struct kw_leaves {
    leaf *rows; /* by name */
    uint32_t count;
};

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

/* Names that Keras gives to the parts of its own layers. */
static bool is_part(const char *name) {
    static const char *const parts[] = {"query", "key", "value", "attention_output", "gate", NULL};
    if (strncmp(name, "forward_", 8) == 0 || strncmp(name, "backward_", 9) == 0) return true;
    for (size_t i = 0; parts[i] != NULL; i++) {
        if (strcmp(name, parts[i]) == 0) return true;
    }
    return false;
}

/* What the last component has behind the name of one above it: "fc" of "my_layer_1/my_layer_1_fc", whose layer names
 * those inside it after itself.  The whole of it where it is not made so. */
static const char *find_own_part(const char *path, const char *last) {
    for (const char *at = path; at < last;) {
        size_t len = strcspn(at, "/");
        if (len > 0 && strncmp(last, at, len) == 0 && last[len] == '_' && last[len + 1] != '\0') return last + len + 1;
        at += len + 1;
    }
    return last;
}

/* The hash of the last component of a prefix that a person chose, and of the prefix up to it, in *out; 0. */
static void find_given(kw_text prefix, uint64_t seed, weight *out, kw_arena *arena) {
    char *copy = prefix.len > 0 ? kw_arena_text(arena, prefix.data, prefix.len) : NULL;
    out->given = out->place = 0;
    while (copy != NULL) {
        kw_text last = kw_name_last(copy);
        const char *own = find_own_part(copy, last.data);
        if (!is_part(own) && !kw_name_is_automatic(own, NULL)) {
            out->given = kw_text_hash((kw_text){own, strlen(own)}, seed);
            out->place = kw_text_hash((kw_text){copy, strlen(copy)}, seed);
            return;
        }
        if (last.data == copy) break;
        copy[last.data - copy - 1] = '\0';
    }
}

/* The owner's own name, when Keras made it: its base and its number. */
static void read_number(kw_text prefix, uint64_t seed, weight *out, kw_arena *arena) {
    const char *copy = prefix.len > 0 ? kw_arena_text(arena, prefix.data, prefix.len) : NULL;
    size_t len = 0;
    out->base = out->number = 0;
    if (copy == NULL || !kw_name_is_automatic(kw_name_last(copy).data, NULL)) return;
    const char *last = kw_name_last(copy).data;
    out->number = kw_path_place(last, &len);
    out->base = kw_text_hash((kw_text){last, len}, seed);
}

static void read_weight(const char *path, uint64_t seed, weight *out, kw_arena *arena) {
    kw_text prefix = kw_name_prefix(path);
    out->name = kw_text_hash(find_modern(kw_name_last(path)), seed);
    out->owner = kw_text_hash(prefix, seed);
    out->path = path;
    find_given(prefix, seed, out, arena);
    read_number(prefix, seed, out, arena);
}

/* The name of a slot's weight: the file's as it is, the model's with the layer's path. */
static const char *name_of(const kw_table *table, const kw_slot *slot, bool is_model) {
    return is_model ? table->tensors[slot->tensor].path : slot->name;
}

static int compare_leaves(const void *a, const void *b) {
    const leaf *x = a, *y = b;
    if (x->given != y->given) return x->given < y->given ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The given names of a table's layers, each once.  NULL: no memory. */
static kw_leaves *list_leaves(kw_join *join, const kw_table *table, bool is_model) {
    kw_arena scratch = KW_ARENA_EMPTY;
    kw_leaves *out = kw_arena_alloc(&join->work, sizeof *out);
    leaf *rows = kw_arena_alloc(&join->work, table->slot_count * sizeof *rows);
    uint32_t count = 0, kept = 0;
    if (out == NULL || rows == NULL) return NULL;
    for (uint32_t g = 0; g < table->group_count; g++) {
        const kw_group *group = &table->groups[g];
        bool given = is_model ? kw_model_name_given(join, g) : kw_file_name_given(join, g);
        uint64_t own = group->name != NULL ? kw_text_hash((kw_text){group->name, strlen(group->name)}, join->seed) : 0;
        for (uint32_t i = 0; kw_group_is_layer(group) && i < group->count; i++) {
            weight w;
            read_weight(name_of(table, &table->slots[group->first + i], is_model), join->seed, &w, &scratch);
            bool bare = w.given == 0 && given && strchr(w.path, '/') == NULL; /* Keras before 3.3 saved no paths */
            if (bare) w = (weight){.given = own};
            if (w.given != 0) rows[count++] = (leaf){w.given, w.place + g, w.given != own, false};
        }
    }
    kw_arena_free(&scratch);
    if (count > 0) qsort(rows, count, sizeof *rows, compare_leaves);
    for (uint32_t i = 0; i < count; i++) {
        bool known = kept > 0 && rows[kept - 1].given == rows[i].given;
        if (known) rows[kept - 1].shared = rows[kept - 1].shared || rows[kept - 1].place != rows[i].place;
        if (!known) rows[kept++] = rows[i];
    }
    *out = (kw_leaves){rows, kept};
    return out;
}

/* The one layer of that name; NULL when there is none, or several. */
static const leaf *find_leaf(const kw_leaves *leaves, uint64_t given) {
    uint32_t low = 0, high = leaves->count;
    while (given != 0 && low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (leaves->rows[middle].given == given) return leaves->rows[middle].shared ? NULL : &leaves->rows[middle];
        if (leaves->rows[middle].given < given) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* True when a component of the path before its last is that name. */
static bool lies_in(const char *path, uint64_t given, uint64_t seed) {
    for (const char *at = path, *slash; (slash = strchr(at, '/')) != NULL; at = slash + 1) {
        if (kw_text_hash((kw_text){at, (size_t)(slash - at)}, seed) == given) return true;
    }
    return false;
}

/* The first weight that bears the name of a layer elsewhere, where one of the two
 * is inside a model (of layers beside each other evidence.c tells); KW_NONE. */
static uint32_t find_elsewhere(const kw_join *join, const weight *from, const weight *to, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const kw_leaves *saved = join->file_leaves, *wanted = join->model_leaves;
        const leaf *have = find_leaf(saved, from[i].given), *his = find_leaf(wanted, from[i].given);
        const leaf *mine = find_leaf(saved, to[i].given), *want = find_leaf(wanted, to[i].given);
        if (from[i].given == to[i].given) continue;
        if (have == NULL || lies_in(to[i].path, from[i].given, join->seed)) his = NULL;
        if (want == NULL || lies_in(from[i].path, to[i].given, join->seed)) mine = NULL;
        bool inside = (have != NULL && have->inside) || (want != NULL && want->inside);
        if (mine == NULL && his == NULL) continue;
        if (inside || (mine != NULL && mine->inside) || (his != NULL && his->inside)) return i;
    }
    return KW_NONE;
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

/* The first weight whose layer's given name is that of another layer of the model; KW_NONE.  A name above the model's,
 * where the file knows nothing of that one, is only shorter: "inner/kernel" of a layer "d" that `build` of tf_keras has
 * built outside of its own name. */
static uint32_t find_crossed_name(const weight *from, const weight *to, uint32_t count, uint64_t seed,
                                  uint64_t *scratch) {
    uint64_t *wanted = scratch, *saved = scratch + count;
    for (uint32_t i = 0; i < count; i++) {
        wanted[i] = to[i].given;
        saved[i] = from[i].given;
    }
    qsort(wanted, count, sizeof *wanted, compare_numbers);
    qsort(saved, count, sizeof *saved, compare_numbers);
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].given == 0 || to[i].given == 0 || from[i].given == to[i].given) continue;
        if (bsearch(&from[i].given, wanted, count, sizeof *wanted, compare_numbers) == NULL) continue;
        bool known = bsearch(&to[i].given, saved, count, sizeof *saved, compare_numbers) != NULL;
        if (known || !lies_in(to[i].path, from[i].given, seed)) return i;
    }
    return KW_NONE;
}

static int compare_ranked(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->base != y->base) return x->base < y->base ? -1 : 1;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The first weight whose layer comes in another order of the numbers of its class than the model's; KW_NONE.  Only
 * asked when k-th and k-th are of the same class and the same kind. */
static uint32_t find_moved_rank(const weight *from, const weight *to, uint32_t count, ranked *a, ranked *b) {
    uint32_t kept = 0, at = KW_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].name != to[i].name || from[i].base != to[i].base) return KW_NONE;
        if (from[i].base == 0) continue;
        a[kept] = (ranked){from[i].base, from[i].number, i};
        b[kept++] = (ranked){to[i].base, to[i].number, i};
    }
    if (kept == 0) return KW_NONE;
    qsort(a, kept, sizeof *a, compare_ranked);
    qsort(b, kept, sizeof *b, compare_ranked);
    for (uint32_t k = 0; k < kept; k++) {
        if (a[k].place != b[k].place && a[k].place < at) at = a[k].place;
    }
    return at;
}

/* "depthwise_kernel" and "kernel" are one: tf_keras and Keras 3 call it so. */
static bool ends_alike(kw_text a, kw_text b) {
    size_t len = a.len < b.len ? a.len : b.len;
    return len > 0 && memcmp(a.data + a.len - len, b.data + b.len - len, len) == 0;
}

bool kw_order_names_another(const kw_join *join, uint32_t file_tensor, uint32_t model_tensor) {
    kw_text from = find_modern(kw_name_last(join->file->tensors[file_tensor].path));
    return join->legacy && !ends_alike(from, kw_name_last(join->model->tensors[model_tensor].path));
}

int kw_order_differs(kw_join *join, uint32_t file_group, uint32_t model_group, uint32_t *at, kw_error *err) {
    const kw_group *from = &join->file->groups[file_group], *to = &join->model->groups[model_group];
    uint32_t count = to->count;
    if (count == 0 || from->count != count) return 0;
    if (join->file_leaves == NULL) join->file_leaves = list_leaves(join, join->file, false);
    if (join->model_leaves == NULL) join->model_leaves = list_leaves(join, join->model, true);
    if (join->file_leaves == NULL || join->model_leaves == NULL) return kw_fail_memory(err);
    kw_arena arena = KW_ARENA_EMPTY;
    weight *weights = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *weights);
    owner *owners = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *owners);
    uint64_t *scratch = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *scratch);
    ranked *ranks = kw_arena_alloc(&arena, 2 * (size_t)count * sizeof *ranks);
    bool full = weights == NULL || owners == NULL || scratch == NULL || ranks == NULL;
    int result = full ? kw_fail_memory(err) : 0;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        read_weight(join->file->slots[from->first + i].name, join->seed, &weights[i], &arena);
        const char *path = join->model->tensors[kw_join_variable(join, model_group, i)].path;
        read_weight(path, join->seed, &weights[count + i], &arena);
    }
    if (result == 0) {
        const weight *have = weights, *want = weights + count;
        *at = find_moved_name(have, want, count, scratch);
        if (*at == KW_NONE) *at = find_moved_owner(have, want, count, owners, owners + count, scratch);
        uint32_t crossed = find_crossed_name(have, want, count, join->seed, scratch);
        if (crossed < *at) *at = crossed; /* KW_NONE is the largest */
        if (*at == KW_NONE) *at = find_moved_rank(have, want, count, ranks, ranks + count);
        if (*at == KW_NONE) *at = find_elsewhere(join, have, want, count);
        result = *at != KW_NONE;
    }
    kw_arena_free(&arena);
    return result;
}
