/* Checksums: those that xxhsum prints, from a file as from memory, and an error past the end. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "value/digest.h"

enum { LEN = (1 << 20) + 77 };

static void hex(const uint8_t sum[KW_DIGEST_LEN], char out[2 * KW_DIGEST_LEN + 1]) {
    for (size_t i = 0; i < KW_DIGEST_LEN; i++) (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)sum[i]);
}

/* From `xxhsum -H2`. */
static void test_known(void) {
    uint8_t sum[KW_DIGEST_LEN];
    char text[2 * KW_DIGEST_LEN + 1];
    kw_digest_bytes("", 0, sum);
    hex(sum, text);
    CHECK_STR(text, "99aa06d3014798d86001c324468d497f");
    kw_digest_bytes("abc", 3, sum);
    hex(sum, text);
    CHECK_STR(text, "06b05ab6733a618578af5f94892f3950");
}

static void test_file_and_memory_agree(void) {
    static uint8_t content[LEN];
    for (size_t i = 0; i < LEN; i++) content[i] = (uint8_t)(i * 2654435761u >> 13);
    char path[] = "/tmp/kwload-digest-XXXXXX";
    int fd = mkstemp(path);
    CHECK_EQ(write(fd, content, LEN), LEN);
    (void)close(fd);
    kw_error err = {0};
    kw_source *file = NULL, *memory = NULL;
    uint8_t a[3][KW_DIGEST_LEN], b[3][KW_DIGEST_LEN];
    CHECK_EQ(kw_source_open_path(path, &file, &err), 0);
    CHECK_EQ(kw_source_open_memory(content, LEN, NULL, NULL, &memory, &err), 0);
    for (int threads = 1; threads < 4; threads++) {
        const kw_stretch of_file[] = {{0, LEN, a[0]}, {13, 300000, a[1]}, {LEN, 0, a[2]}};
        const kw_stretch of_memory[] = {{0, LEN, b[0]}, {13, 300000, b[1]}, {LEN, 0, b[2]}};
        CHECK_EQ(kw_digest(file, of_file, 3, threads, &err), 0);
        CHECK_EQ(kw_digest(memory, of_memory, 3, threads, &err), 0);
        CHECK(memcmp(a, b, sizeof a) == 0);
    }
    uint8_t whole[KW_DIGEST_LEN];
    kw_digest_bytes(content, LEN, whole);
    CHECK(memcmp(whole, a[0], sizeof whole) == 0);
    const kw_stretch past[] = {{0, 1, a[0]}, {LEN - 1, 2, a[1]}};
    CHECK_EQ(kw_digest(file, past, 2, 2, &err), -1);
    CHECK_EQ(err.code, KW_TRUNCATED);
    CHECK_EQ(err.at, LEN);
    kw_source_release(file);
    kw_source_release(memory);
    (void)unlink(path);
}

int main(void) {
    RUN(test_known);
    RUN(test_file_and_memory_agree);
    return check_result(__FILE__);
}
