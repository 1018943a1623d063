/* memory.c -- memory for tensors, and for long arrays.
 *
 *     small block   aligned_alloc(64), calloc
 *     large block   |.. given back ..|2 MiB aligned: huge pages|.. given back ..|
 *     long array    posix_memalign(2 MiB): huge pages
 *
 * A page fault a 4 KiB page costs more than copying the page, so what is large
 * asks for pages of 2 MiB (madvise(2), MADV_HUGEPAGE).
 */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE_LEN ((size_t)4 << 20) /* from here on a block is a mapping of its own */
#define LONG_LEN HUGE_PAGE          /* from here on an array is aligned to huge pages */

/* `len` rounded up to a multiple of `unit`; the caller knows that it fits. */
static size_t whole_units(size_t len, size_t unit) { return (len + unit - 1) / unit * unit; }

static size_t whole_pages(size_t len) { return whole_units(len, (size_t)sysconf(_SC_PAGESIZE)); }

/* As good without, only slower. */
static void ask_for_huge_pages(void *start, size_t len) {
#ifdef MADV_HUGEPAGE
    (void)madvise(start, len, MADV_HUGEPAGE);
#else
    (void)start, (void)len;
#endif
}

/* A mapping of `len` bytes, zeros, that starts at a multiple of the huge page, or NULL. */
static void *alloc_large(size_t len) {
    if (len > SIZE_MAX / 2) return NULL;
    size_t kept = whole_pages(len), whole = kept + HUGE_PAGE;
    char *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE, after = whole - kept - before;
    if (before > 0) munmap(start, before);
    if (after > 0) munmap(start + before + kept, after);
    ask_for_huge_pages(start + before, kept);
    return start + before;
}

void *kw_memory_alloc(size_t len) {
    if (len >= LARGE_LEN) return alloc_large(len);
    return aligned_alloc(BLOCK_ALIGN, len == 0 ? BLOCK_ALIGN : whole_units(len, BLOCK_ALIGN));
}

void *kw_memory_zeroed(size_t len) { return len >= LARGE_LEN ? alloc_large(len) : calloc(1, len); }

void kw_memory_free(void *block, size_t len) {
    if (len < LARGE_LEN)
        free(block);
    else if (block != NULL)
        munmap(block, whole_pages(len));
}

/* An array of LONG_LEN and more, or NULL. */
static void *alloc_long(size_t len) {
    void *array = NULL;
    if (len > SIZE_MAX / 2 || posix_memalign(&array, HUGE_PAGE, len) != 0) return NULL;
    ask_for_huge_pages(array, len);
    return array;
}

void *kw_array_resize(void *array, size_t old_len, size_t len) {
    if (len < LONG_LEN) return realloc(array, len);
    void *grown = alloc_long(len);
    if (grown == NULL) return NULL;
    if (old_len > 0) memcpy(grown, array, old_len < len ? old_len : len);
    free(array);
    return grown;
}
