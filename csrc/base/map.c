/* map.c -- a mapping of the whole file. */
#include "base/map.h"

#include <errno.h>
#include <sys/mman.h>

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
