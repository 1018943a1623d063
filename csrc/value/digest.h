/* digest.h -- checksums of bytes: XXH3-128 of libxxhash, 16 bytes as its
 * canonical form has them (the bytes that `xxhsum -H2` prints in hex).
 *
 * The values of a tensor are taken as they lie in memory on a little-endian
 * machine, in C order.
 */
#ifndef KW_VALUE_DIGEST_H
#define KW_VALUE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"

enum { KW_DIGEST_LEN = 16 };

typedef struct kw_stretch {
    uint64_t off;
    uint64_t len;
    uint8_t *out; /* KW_DIGEST_LEN bytes */
} kw_stretch;

void kw_digest_bytes(const void *data, size_t len, uint8_t out[KW_DIGEST_LEN]);

/* The checksum of each stretch of the source, one stretch after another on up to
 * `threads` threads; a bounded part is in memory at a time.  0, or -1 with the
 * error of the first that could not be read: KW_TRUNCATED past the end. */
int kw_digest(kw_source *source, const kw_stretch *stretches, size_t count, int threads, kw_error *err);

#endif
