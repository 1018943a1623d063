/* test_detect.c -- what a file is, from bytes alone. */
#include <stdlib.h>

#include "check.h"
#include "read/detect.h"

#define HDF5 "\x89HDF\r\n\x1a\n"
#define BYTES(literal) (literal), sizeof(literal) - 1

static kw_arena arena;
static const char *title;

/* The slug of these bytes' content; `title` is set. */
static const char *content_of(const void *bytes, size_t len) {
    kw_source *source;
    kw_content content = KW_CONTENT_UNKNOWN;
    kw_error err = {0};
    title = NULL;
    /* A copy of exactly this length, so that a sanitizer sees every byte read too many. */
    void *copy = malloc(len + (len == 0));
    if (copy == NULL || kw_source_open_memory(memcpy(copy, bytes, len), len, free, copy, &source, &err) < 0) abort();
    if (kw_detect(source, &arena, &content, &title, &err) < 0) content = KW_CONTENT_UNKNOWN;
    kw_source_release(source);
    return kw_content_name(content);
}

static void test_magics(void) {
    CHECK_STR(content_of(BYTES("")), "empty");
    CHECK_STR(content_of(BYTES(HDF5)), "hdf5");
    CHECK_STR(content_of(BYTES("PK\3\4 and more")), "zip");
    CHECK_STR(content_of(BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")), "zip");
    CHECK_STR(content_of(BYTES("\x1f\x8b\x08\0\0\0\0\0\0\3")), "gzip");
    CHECK_STR(content_of(BYTES("\x93NUMPY\1\0v\0{'descr': '<f4'}")), "npy");
    CHECK_STR(content_of(BYTES("GGUF\3\0\0\0")), "gguf");
    CHECK_STR(content_of(BYTES("\x1c\0\0\0TFL3\0\0\0\0")), "tflite");
    CHECK_STR(content_of(BYTES("\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.")), "pickle");
    CHECK_STR(content_of(BYTES("\x80\x02}q\0.")), "pickle");
    CHECK_STR(content_of(BYTES("ccopy_reg\n_reconstructor\n")), "pickle");
    CHECK_STR(content_of(BYTES("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")), "pytorch");
    CHECK_STR(content_of(BYTES("model_checkpoint_path: \"ckpt-1\"\n")), "tf-checkpoint");
    CHECK_STR(content_of(BYTES("\x10\0\0\0\0\0\0\0{\"a\":{}}        ")), "safetensors");
    CHECK_STR(content_of(BYTES("\xff\0\0\0\0\0\0\0{\"a\":{}}        ")), "unknown");
    CHECK_STR(content_of(BYTES("\x08\x07\x12\x07pytorch\x1a\x03"
                               "2.1:\x04\x0a\0\0\0")),
              "onnx");
    CHECK_STR(content_of(BYTES("\x08\x01\x12\x0c\x0a\x05\x2a\x03\0\0\0\0\0\0\0")), "saved-model");
    CHECK_STR(content_of(BYTES("\x7f"
                               "ELF\2\1\1\0\0\0\0\0")),
              "unknown");
    CHECK_STR(content_of(BYTES("P")), "text");
}

/* A file that is not longer than this many bytes of the signature. */
static void test_cut_signature(void) {
    for (size_t len = 1; len < 8; len++) CHECK_STR(content_of(HDF5, len), "hdf5");
    CHECK_STR(content_of(BYTES("\x89PNG")), "text");
    CHECK_STR(content_of(BYTES("HDF\r\n")), "text");
}

static void test_user_block(void) {
    for (size_t at = 512; at <= 4096; at *= 2) {
        char bytes[4096 + 64] = "MATLAB 7.3 MAT-file";
        memcpy(bytes + at, HDF5, 8);
        CHECK_STR(content_of(bytes, sizeof bytes), "hdf5");
        CHECK_STR(content_of(bytes, at + 8), "hdf5");
        CHECK_STR(content_of(bytes, at + 7), "unknown");
    }
    char zip[1024] = "PK\3\4"; /* a stored member that happens to begin at 512 */
    memcpy(zip + 512, HDF5, 8);
    CHECK_STR(content_of(zip, sizeof zip), "zip");
    char other[1024] = "x";
    memcpy(other + 768, HDF5, 8);
    CHECK_STR(content_of(other, sizeof other), "unknown");
}

static void test_tails(void) {
    char bytes[256];
    memset(bytes, 1, sizeof bytes);
    memcpy(bytes + sizeof bytes - 8, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
    CHECK_STR(content_of(bytes, sizeof bytes), "tf-checkpoint");
    CHECK_STR(content_of(bytes + 209, 47), "unknown");
    memset(bytes, 1, sizeof bytes);
    memset(bytes + sizeof bytes - 18, 0, 18);
    memcpy(bytes + sizeof bytes - 22, "PK\5\6", 4);
    CHECK_STR(content_of(bytes, sizeof bytes), "zip");
}

static void test_zeros(void) {
    size_t len = (size_t)1 << 20;
    char *bytes = calloc(len, 1);
    if (!CHECK(bytes != NULL)) return;
    CHECK_STR(content_of(bytes, 1), "zeros");
    CHECK_STR(content_of(bytes, len), "zeros");
    bytes[len - 1] = 1;
    CHECK_STR(content_of(bytes, len), "unknown");
    bytes[len - 1] = 0;
    bytes[1000] = 1;
    CHECK_STR(content_of(bytes, len), "unknown");
    free(bytes);
}

static void test_pointer(void) {
    CHECK_STR(
        content_of(BYTES("version https://git-lfs.github.com/spec/v1\n"
                         "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")),
        "git-lfs-pointer");
    CHECK_STR(title, "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393, size 12345 bytes");
    CHECK_STR(content_of(BYTES("version https://git-lfs.github.com/spec/v1\noid sha25")), "git-lfs-pointer");
    CHECK_STR(title, NULL);
}

static void test_html(void) {
    CHECK_STR(content_of(BYTES("<!DOCTYPE html><html><head><TITLE lang=en>\n  Sign in\t to \n GitHub </title>")),
              "html");
    CHECK_STR(title, "Sign in to GitHub");
    CHECK_STR(content_of(BYTES("\xEF\xBB\xBF\r\n<!-- saved --><?xml version=\"1.0\"?>\n<HTML><body>")), "html");
    CHECK_STR(title, NULL);
    CHECK_STR(content_of(BYTES("<html><title>cut")), "html");
    CHECK_STR(title, "cut");
    CHECK_STR(content_of(BYTES("<html><title")), "html");
    CHECK_STR(title, NULL);
    CHECK_STR(content_of(BYTES("<!-- <html> --")), "text");
    char page[1000] = "<html><title>";
    memset(page + 13, 'a', 900);
    memcpy(page + 13 + 199, "\xE2\x82\xAC", 3);
    CHECK_STR(content_of(page, 950), "html");
    CHECK_EQ(strlen(title), 199);
}

static void test_text(void) {
    CHECK_STR(content_of(BYTES("Entry not found")), "text");
    CHECK_STR(title, "Entry not found");
    CHECK_STR(content_of(BYTES(
                  "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>The key does\nnot exist.</Message>")),
              "text");
    CHECK_STR(title, "The key does not exist.");
    CHECK_STR(content_of(BYTES("<Error><Code>AccessDenied</Code></Error>")), "text");
    CHECK_STR(title, "AccessDenied");
    CHECK_STR(content_of(BYTES(" \n{\"error\": \"not found\"}")), "json");
    CHECK_STR(content_of(BYTES("[1, 2]")), "json");
    CHECK_STR(content_of(BYTES("\xFF\xFEh\0i\0")), "text");
    CHECK_STR(content_of(BYTES("caf\xE9 au lait")), "text");
    CHECK_STR(content_of(BYTES("\xE9\xE8\xFA\xF1")), "unknown");
    CHECK_STR(content_of(BYTES("text\0with nul")), "unknown");
    /* The head ends within a character. */
    size_t len = 70000;
    char *text = malloc(len);
    if (!CHECK(text != NULL)) return;
    memset(text, 'a', len);
    for (size_t i = 1; i + 2 < len; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    CHECK_STR(content_of(text, len), "text");
    free(text);
}

/* Every beginning of these has a content and reads nothing outside. */
static void test_beginnings(void) {
    static const char samples[][64] = {"\x08\x07\x12\x07pytorch\x1a\x03"
                                       "2.1",
                                       "<!DOCTYPE html><title>a</title>", "\x10\0\0\0\0\0\0\0{\"a\":{}}",
                                       "\x80\x04\x95\x10\0\0\0", "<?xml ?><Error><Message>x</Message>"};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        for (size_t len = 0; len <= sizeof samples[i]; len++) CHECK(content_of(samples[i], len) != NULL);
}

static void test_phrases(void) {
    CHECK_STR(kw_content_name(KW_CONTENT_TEXT), "text");
    CHECK_STR(kw_content_phrase(KW_CONTENT_LFS_POINTER), "a Git LFS pointer");
    CHECK_STR(kw_content_name((kw_content)999), "unknown");
}

int main(void) {
    RUN(test_magics);
    RUN(test_cut_signature);
    RUN(test_user_block);
    RUN(test_tails);
    RUN(test_zeros);
    RUN(test_pointer);
    RUN(test_html);
    RUN(test_text);
    RUN(test_beginnings);
    RUN(test_phrases);
    kw_arena_free(&arena);
    return check_result(__FILE__);
}
