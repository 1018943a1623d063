/* error.h -- an error is a code, the byte it was found at, and a detail.
 *
 * Functions that can fail take `kw_error *err` last and return 0 on success,
 * -1 on failure with *err set by one expression:
 *
 *     return kw_fail(err, KW_CORRUPT, at, "local heap signature");
 *
 * The offset is not optional: pass KW_NOWHERE only where no byte is to blame.
 * `err` is never NULL.  A row fault (kw_fault) is the same value kept on a
 * tensor instead of stopping the container.
 */
#ifndef KW_BASE_ERROR_H
#define KW_BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "base/codes.h"

#define KW_NOWHERE UINT64_MAX
#define KW_DETAIL_LEN 160

typedef struct kw_error {
    int code;                   /* enum kw_code; KW_OK when nothing happened */
    int sys;                    /* errno for KW1xx, else 0 */
    uint64_t at;                /* byte in the source, or KW_NOWHERE */
    char detail[KW_DETAIL_LEN]; /* short, lower case, no file name; UTF-8 as far
                                   as the file's bytes are; may be cut */
} kw_error;

/* Sets *err and returns -1.  The format is printf's; bytes taken from a file go
 * in through "%.*s" with a length, never as the format. */
__attribute__((format(printf, 4, 5))) int kw_fail(kw_error *err, int code, uint64_t at, const char *format, ...);

/* kw_fail(err, KW_MEMORY, KW_NOWHERE, ...) for a failed allocation. */
int kw_fail_memory(kw_error *err);

/* kw_fail with errno kept in err->sys and strerror's text in the detail. */
int kw_fail_errno(kw_error *err, int code, int sys);

#endif
