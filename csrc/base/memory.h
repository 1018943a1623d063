/* memory.h -- memory for tensors that a backend may adopt, and for arrays that
 * grow with the file.  What is large is asked to be huge pages.  NULL when memory
 * is short.
 */
#ifndef KW_BASE_MEMORY_H
#define KW_BASE_MEMORY_H

#include <stddef.h>

/* `len` bytes aligned to 64, not zeroed. */
void *kw_memory_alloc(size_t len);
/* `len` zeroed bytes, aligned as malloc does it. */
void *kw_memory_zeroed(size_t len);
/* What one of these two gave for `len`. */
void kw_memory_free(void *block, size_t len);

/* The array, of malloc or of this function, with room for `len` bytes; it is as
 * it was on failure.  Free with free(). */
void *kw_array_resize(void *array, size_t old_len, size_t len);

#endif
