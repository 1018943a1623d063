/* arena.c -- blocks of growing size, handed out from the front, freed together.
 *
 *     arena.blocks -> | next | len | used | ####### free | -> | ... | -> NULL
 */
#include "base/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_LEN = 4096, LAST_LEN = 8 << 20, ALIGN = 8 };

struct kw_arena_block {
    struct kw_arena_block *next;
    size_t len, used;
    _Alignas(ALIGN) unsigned char data[];
};

/* A new block of `len` bytes, or NULL. */
static struct kw_arena_block *make_block(size_t len) {
    if (len > SIZE_MAX - sizeof(struct kw_arena_block)) return NULL;
    struct kw_arena_block *block = kw_array_resize(NULL, 0, sizeof *block + len);
    if (block != NULL) *block = (struct kw_arena_block){.len = len};
    return block;
}

/* A block with room for `len` bytes, linked into the arena, or NULL. */
static struct kw_arena_block *find_room(kw_arena *arena, size_t len) {
    struct kw_arena_block *head = arena->blocks;
    if (head != NULL && len <= head->len - head->used) return head;
    size_t next_len = head == NULL ? FIRST_LEN : head->len < LAST_LEN ? head->len * 2 : LAST_LEN;
    bool big = len > next_len / 2;
    struct kw_arena_block *block = make_block(big ? len : next_len);
    if (block == NULL) return NULL;
    if (big && head != NULL) { /* behind the head, whose rest stays in use */
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->blocks = block;
    }
    return block;
}

void *kw_arena_alloc(kw_arena *arena, size_t len) {
    if (len > SIZE_MAX - ALIGN) return NULL;
    size_t padded = len == 0 ? ALIGN : (len + ALIGN - 1) / ALIGN * ALIGN;
    struct kw_arena_block *block = find_room(arena, padded);
    if (block == NULL) return NULL;
    void *result = block->data + block->used;
    block->used += padded;
    arena->used += padded;
    return memset(result, 0, padded); /* of memory that was used before, which costs less than new pages */
}

char *kw_arena_text(kw_arena *arena, const void *bytes, size_t len) {
    char *text = len < SIZE_MAX ? kw_arena_alloc(arena, len + 1) : NULL;
    if (text != NULL && len > 0) memcpy(text, bytes, len);
    return text;
}

void kw_arena_join(kw_arena *arena, kw_arena *other) {
    struct kw_arena_block **end = &arena->blocks; /* behind the head, whose rest stays in use */
    if (*end != NULL) end = &(*end)->next;
    struct kw_arena_block *behind = *end;
    *end = other->blocks;
    while (*end != NULL) end = &(*end)->next;
    *end = behind;
    arena->used += other->used;
    *other = KW_ARENA_EMPTY;
}

void kw_arena_free(kw_arena *arena) {
    for (struct kw_arena_block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    *arena = KW_ARENA_EMPTY;
}

int kw_reserve(void **items, size_t count, size_t wanted, size_t *capacity, size_t item_len, kw_error *err) {
    if (wanted <= *capacity) return 0;
    if (wanted > SIZE_MAX / item_len) return kw_fail_memory(err);
    void *old; /* copied, not dereferenced: *items has the caller's pointer type */
    memcpy(&old, items, sizeof old);
    void *grown = kw_array_resize(old, count * item_len, wanted * item_len);
    if (grown == NULL) return kw_fail_memory(err);
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    return 0;
}

int kw_grow(void **items, size_t count, size_t *capacity, size_t item_len, kw_error *err) {
    if (count < *capacity) return 0;
    size_t wanted = *capacity < 8 ? 16 : *capacity > SIZE_MAX / 2 ? SIZE_MAX : *capacity * 2;
    return kw_reserve(items, count, wanted, capacity, item_len, err);
}
