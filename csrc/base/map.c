/* map.c -- a mapping of the whole file, and memory for tensors.
 *
 *     small block   aligned_alloc(64)
 *     large block   |.. given back ..|2 MiB aligned: huge pages|.. given back ..|
 *
 * A page fault a 4 KiB page costs more than copying the page, so large blocks
 * ask for pages of 2 MiB (madvise(2), MADV_HUGEPAGE).
 */
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE_LEN ((size_t)4 << 20) /* from here on a block is a mapping of its own */

int kw_map_open(kw_source *source, kw_map *out, kw_error *err) {
    uint64_t size = kw_source_size(kw_source_whole(source));
    int fd = kw_source_fd(source);
    if (fd < 0) return kw_fail(err, KW_UNSUPPORTED, KW_NOWHERE, "only a file can be mapped");
    if (kw_source_unchanged(source, err)) return -1;
    *out = (kw_map){NULL, 0};
    if (size == 0) return 0; /* mmap refuses it */
    if (size > SIZE_MAX) return kw_fail_memory(err);
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return errno == ENOMEM ? kw_fail_memory(err) : kw_fail_errno(err, KW_IO, errno);
    *out = (kw_map){data, (size_t)size};
    return 0;
}

void kw_map_close(kw_map *map) {
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, map->len);
    *map = (kw_map){NULL, 0};
}

/* `len` rounded up to whole pages of the system. */
static size_t whole_pages(size_t len) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page;
}

/* A mapping of `len` bytes that starts at a multiple of the huge page, or NULL. */
static void *alloc_large(size_t len) {
    if (len > SIZE_MAX / 2) return NULL;
    size_t kept = whole_pages(len), whole = kept + HUGE_PAGE;
    char *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE, after = whole - kept - before;
    if (before > 0) munmap(start, before);
    if (after > 0) munmap(start + before + kept, after);
#ifdef MADV_HUGEPAGE
    (void)madvise(start + before, kept, MADV_HUGEPAGE); /* as good without, only slower */
#endif
    return start + before;
}

void *kw_memory_alloc(size_t len) {
    if (len >= LARGE_LEN) return alloc_large(len);
    return aligned_alloc(BLOCK_ALIGN, len == 0 ? BLOCK_ALIGN : (len + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN);
}

void kw_memory_free(void *block, size_t len) {
    if (len < LARGE_LEN)
        free(block);
    else if (block != NULL)
        munmap(block, whole_pages(len));
}
