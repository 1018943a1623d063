/* fuzz_detect.c -- what first bytes are taken for. */
#include "read/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    kw_source *source = NULL;
    kw_arena arena = KW_ARENA_EMPTY;
    kw_error err = {0};
    kw_content content;
    const char *title;
    if (kw_source_open_memory(data, len, NULL, NULL, &source, &err) < 0) return 0;
    (void)kw_detect(source, &arena, &content, &title, &err);
    kw_arena_free(&arena);
    kw_source_release(source);
    return 0;
}
