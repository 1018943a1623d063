/* arena.h -- memory that is freed all at once.
 *
 * What a reader keeps (names, rows) lives in the table's arena; what it needs
 * while it walks lives in one of its own.  Nothing is ever allocated by a size
 * that a file merely declares: callers ask for what they have already read.
 */
#ifndef KW_BASE_ARENA_H
#define KW_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct kw_arena {
    struct kw_arena_block *blocks; /* newest first */
    size_t used;                   /* bytes handed out */
} kw_arena;

#define KW_ARENA_EMPTY ((kw_arena){NULL, 0})

/* `len` bytes aligned to 8, zeroed, or NULL when memory is short.  A request of
 * 0 bytes returns a valid pointer. */
void *kw_arena_alloc(kw_arena *arena, size_t len);

/* A NUL-terminated copy of `len` bytes. */
char *kw_arena_text(kw_arena *arena, const void *bytes, size_t len);

/* Takes over all that `other` handed out, which is empty afterwards. */
void kw_arena_join(kw_arena *arena, kw_arena *other);

void kw_arena_free(kw_arena *arena);

/* Grows a heap array: ensures room for one more element at *items (realloc,
 * doubling).  0, or -1 with KW_MEMORY.  Free with free(). */
int kw_grow(void **items, size_t count, size_t *capacity, size_t item_len, kw_error *err);
/* The same for room for `wanted` elements in all, and no more. */
int kw_reserve(void **items, size_t count, size_t wanted, size_t *capacity, size_t item_len, kw_error *err);
#define KW_GROW(items, count, capacity, err) \
    kw_grow((void **)&(items), (count), &(capacity), sizeof *(items), (err))

#endif
