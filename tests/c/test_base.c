/* The small parts of csrc/base: errors, arena, element types, CRC, index, blocks. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/crc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/work.h"
#include "check.h"

static void test_error_keeps_code_place_and_detail(void) {
    kw_error err = {0};
    CHECK_EQ(kw_fail(&err, KW_CORRUPT, 0x2a8, "heap of %.*s", 3, "abcdef"), -1);
    CHECK_EQ(err.code, 204);
    CHECK_EQ(err.at, 0x2a8);
    CHECK_EQ(err.sys, 0);
    CHECK_STR(err.detail, "heap of abc");
    CHECK_EQ(kw_fail(&err, KW_CORRUPT, 1, "in %s", err.detail), -1);
    CHECK_STR(err.detail, "in heap of abc");
    CHECK_EQ(kw_fail_errno(&err, KW_DENIED, 13), -1);
    CHECK_EQ(err.sys, 13);
    CHECK(err.at == KW_NOWHERE);
    CHECK_EQ(kw_fail_memory(&err), -1);
    CHECK_EQ(err.code, KW_MEMORY);
}

static void test_error_cuts_between_characters(void) {
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t len = 1; len <= 4; len++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[900] = "";
            memset(text, 'x', (size_t)shift);
            for (int i = 0; i < 200; i++) strcat(text, characters[len - 1]);
            kw_error err = {0};
            kw_fail(&err, KW_CORRUPT, 0, "%s", text);
            size_t kept = strlen(err.detail);
            CHECK_EQ((kept - (size_t)shift) % len, 0);
            CHECK(kept < KW_DETAIL_LEN && kept + len >= KW_DETAIL_LEN);
            CHECK_MEM(err.detail, text, kept);
        }
    }
}

static void test_arena_gives_zeroed_aligned_memory(void) {
    kw_arena arena = KW_ARENA_EMPTY;
    unsigned char *previous = NULL;
    for (size_t i = 0; i < 5000; i++) {
        size_t len = i * 7919 % 700 + (i % 500 == 0 ? 3000000 : 0);
        unsigned char *p = kw_arena_alloc(&arena, len);
        if (!CHECK(p != NULL)) break;
        bool zeroed = true;
        for (size_t k = 0; k < len; k++) zeroed = zeroed && p[k] == 0;
        CHECK(zeroed && (uintptr_t)p % 8 == 0 && p != previous);
        memset(p, 0xff, len);
        previous = p;
    }
    CHECK(arena.used > 5000 * 300);
    CHECK(kw_arena_alloc(&arena, SIZE_MAX) == NULL);
    CHECK(kw_arena_alloc(&arena, SIZE_MAX - 16) == NULL);
    CHECK(kw_arena_text(&arena, "", SIZE_MAX) == NULL);
    CHECK_STR(kw_arena_text(&arena, "dense\0kernel", 5), "dense");
    CHECK_STR(kw_arena_text(&arena, NULL, 0), "");
    kw_arena_free(&arena);
    CHECK(arena.blocks == NULL && arena.used == 0);
}

/* What was handed out stays where it is, whichever of the two had something. */
static void test_arenas_join(void) {
    for (int way = 0; way < 16; way++) {
        kw_arena arena = KW_ARENA_EMPTY, other = KW_ARENA_EMPTY;
        char *texts[3] = {"", "", ""};
        if (way & 1) texts[0] = kw_arena_text(&arena, "dense", 5);
        if (way & 8) CHECK(kw_arena_alloc(&arena, 100000) != NULL); /* a block behind the first, or the first */
        if (way & 2) texts[1] = kw_arena_text(&other, "kernel", 6);
        if (way & 4) CHECK(kw_arena_alloc(&other, 100000) != NULL);
        if (way & 4) texts[2] = kw_arena_text(&other, "bias", 4);
        size_t used = arena.used + other.used;
        kw_arena_join(&arena, &other);
        CHECK_EQ(arena.used, used);
        CHECK(other.blocks == NULL && other.used == 0);
        char *more = kw_arena_text(&arena, "more", 4);
        CHECK_STR(texts[0], way & 1 ? "dense" : "");
        CHECK_STR(texts[1], way & 2 ? "kernel" : "");
        CHECK_STR(texts[2], way & 4 ? "bias" : "");
        CHECK_STR(more, "more");
        if ((way & 1) != 0 && (way & 8) == 0) CHECK_EQ(more - texts[0], 8); /* the rest of its own first block is used as before */
        kw_arena_free(&arena);
        kw_arena_free(&other);
    }
}

static void test_grow_keeps_items(void) {
    kw_error err = {0};
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (uint32_t count = 0; count < 1000; count++) {
        if (!CHECK_EQ(KW_GROW(items, count, capacity, &err), 0)) break;
        items[count] = count;
    }
    for (uint32_t i = 0; i < 1000; i++) CHECK_EQ(items[i], i);
    CHECK_EQ(kw_reserve((void **)&items, 1000, capacity, &capacity, sizeof *items, &err), 0);
    CHECK_EQ(kw_reserve((void **)&items, 1000, 700001, &capacity, sizeof *items, &err), 0); /* a long array */
    CHECK_EQ(capacity, 700001);
    for (uint32_t i = 0; i < 1000; i++) CHECK_EQ(items[i], i);
    items[700000] = 1;
    CHECK_EQ(kw_reserve((void **)&items, 1000, SIZE_MAX / 4 + 2, &capacity, sizeof *items, &err), -1);
    CHECK_EQ(err.code, KW_MEMORY);
    CHECK_EQ(kw_reserve((void **)&items, 1000, SIZE_MAX / 4, &capacity, sizeof *items, &err), -1);
    CHECK_EQ(capacity, 700001);
    size_t huge = SIZE_MAX / 4;
    CHECK_EQ(kw_grow((void **)&items, huge, &huge, sizeof *items, &err), -1);
    CHECK_EQ(err.code, KW_MEMORY);
    free(items);
}

static void test_dtype_names(void) {
    CHECK_EQ(kw_dtype_find("float32"), KW_DTYPE_FLOAT32);
    CHECK_EQ(kw_dtype_find("float8_e4m3fn"), KW_DTYPE_FLOAT8_E4M3FN);
    CHECK_EQ(kw_dtype_find("?"), KW_DTYPE_NONE);
    CHECK_EQ(kw_dtype_find(""), KW_DTYPE_NONE);
    CHECK_STR(kw_dtype_name(KW_DTYPE_NONE), "?");
    CHECK_STR(kw_dtype_name(KW_DTYPE_COUNT), "?");
    CHECK_EQ(kw_dtype_len(KW_DTYPE_NONE), 0);
    CHECK_EQ(kw_dtype_len(KW_DTYPE_COMPLEX128), 16);
    for (int i = 1; i < KW_DTYPE_COUNT; i++) CHECK_EQ(kw_dtype_find(kw_dtype_name((kw_dtype)i)), i);
}

static void check_cast(const char *from, const char *to, kw_cast expected) {
    kw_cast got = kw_dtype_cast(kw_dtype_find(from), kw_dtype_find(to));
    if (!CHECK_EQ(got, expected)) fprintf(stderr, "    %s -> %s\n", from, to);
}

static void test_dtype_casts(void) {
    static const struct {
        const char *from, *to;
        kw_cast cast;
    } cases[] = {
        {"float32", "float32", KW_CAST_SAME},        {"float32", "float64", KW_CAST_EXACT},
        {"float64", "float32", KW_CAST_ROUNDS},      {"float32", "float16", KW_CAST_OVERFLOWS},
        {"float32", "bfloat16", KW_CAST_ROUNDS},     {"float16", "bfloat16", KW_CAST_ROUNDS},
        {"bfloat16", "float16", KW_CAST_OVERFLOWS},  {"float16", "float32", KW_CAST_EXACT},
        {"bfloat16", "float32", KW_CAST_EXACT},      {"int8", "float16", KW_CAST_EXACT},
        {"int16", "float16", KW_CAST_ROUNDS},        {"uint16", "float16", KW_CAST_OVERFLOWS},
        {"int16", "float32", KW_CAST_EXACT},         {"int32", "float32", KW_CAST_ROUNDS},
        {"int32", "float64", KW_CAST_EXACT},         {"int64", "float32", KW_CAST_ROUNDS},
        {"int64", "float64", KW_CAST_ROUNDS},        {"int32", "float16", KW_CAST_OVERFLOWS},
        {"int8", "int16", KW_CAST_EXACT},            {"int16", "int8", KW_CAST_OVERFLOWS},
        {"uint8", "int8", KW_CAST_OVERFLOWS},        {"uint8", "int16", KW_CAST_EXACT},
        {"int8", "uint64", KW_CAST_OVERFLOWS},       {"float32", "int64", KW_CAST_OVERFLOWS},
        {"bool", "float8_e5m2", KW_CAST_EXACT},      {"bool", "int8", KW_CAST_EXACT},
        {"int8", "bool", KW_CAST_OVERFLOWS},         {"complex64", "float64", KW_CAST_OVERFLOWS},
        {"complex64", "complex128", KW_CAST_EXACT},  {"complex128", "complex64", KW_CAST_ROUNDS},
        {"float32", "complex64", KW_CAST_EXACT},     {"float64", "complex64", KW_CAST_ROUNDS},
        {"int32", "complex64", KW_CAST_ROUNDS},      {"float8_e4m3fn", "float16", KW_CAST_EXACT},
        {"float8_e5m2", "float16", KW_CAST_EXACT},   {"float8_e4m3fn", "float8_e5m2", KW_CAST_ROUNDS},
        {"float8_e4m3fn", "bfloat16", KW_CAST_EXACT}, {"float8_e5m2", "float8_e4m3fn", KW_CAST_OVERFLOWS},
        {"float16", "float8_e5m2", KW_CAST_ROUNDS},  {"float16", "float8_e4m3fn", KW_CAST_OVERFLOWS},
        {"uint8", "float8_e4m3fn", KW_CAST_ROUNDS},  {"?", "float32", KW_CAST_OVERFLOWS},
        {"float32", "?", KW_CAST_OVERFLOWS},         {"?", "?", KW_CAST_OVERFLOWS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_cast(cases[i].from, cases[i].to, cases[i].cast);
}

static void test_crc_joins_at_every_place(void) {
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i + 31);
    CHECK_EQ(kw_crc32(0, "123456789", 9), 0xCBF43926);
    CHECK_EQ(kw_crc32(0, NULL, 0), 0);
    uint32_t whole = kw_crc32(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t a = kw_crc32(0, bytes, cut), b = kw_crc32(0, bytes + cut, sizeof bytes - cut);
        CHECK_EQ(kw_crc32_join(a, b, sizeof bytes - cut), whole);
    }
}

/* 2^40 zeros after "a", joined at once and as 1, 2, 4, ... and one more. */
static void test_crc_joins_long_pieces(void) {
    uint32_t zeros = kw_crc32(0, "", 1), joined = kw_crc32(0, "a", 1), direct = joined;
    uint64_t len = 1;
    for (int i = 0; i < 40; i++) {
        joined = kw_crc32_join(joined, zeros, len);
        zeros = kw_crc32_join(zeros, zeros, len);
        len *= 2;
    }
    joined = kw_crc32_join(joined, kw_crc32(0, "", 1), 1);
    CHECK_EQ(kw_crc32_join(direct, zeros, len), joined);
}

static void test_index_keeps_the_first(void) {
    enum { COUNT = 20000 };
    kw_error err = {0};
    kw_index index = KW_INDEX_EMPTY;
    char(*keys)[16] = calloc(COUNT, sizeof *keys);
    uint32_t existing = 0;
    if (!CHECK(keys != NULL)) return;
    CHECK(kw_index_find(&index, "absent") == KW_NONE);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "layer_%u", (unsigned)i);
        CHECK_EQ(kw_index_add(&index, keys[i], i, &existing, &err), 0);
        CHECK_EQ(existing, KW_NONE);
    }
    for (uint32_t i = 0; i < COUNT; i++) CHECK_EQ(kw_index_find(&index, keys[i]), i);
    CHECK_EQ(kw_index_add(&index, "layer_77", 5, &existing, &err), 0);
    CHECK_EQ(existing, 77);
    CHECK_EQ(kw_index_add(&index, "layer_77", 5, NULL, &err), 0);
    CHECK_EQ(kw_index_find(&index, "layer_77"), 77);
    CHECK_EQ(kw_index_add(&index, "", 9, NULL, &err), 0);
    CHECK_EQ(kw_index_find(&index, ""), 9);
    CHECK_EQ(kw_index_find(&index, "layer_"), KW_NONE);
    CHECK_EQ(index.count, COUNT + 1);
    kw_index_free(&index);
    CHECK_EQ(kw_index_find(&index, "layer_77"), KW_NONE);
    free(keys);
}

static void test_table_names_and_end(void) {
    CHECK_STR(kw_layout_name(KW_LAYOUT_V3_TF212), "tf-2.12");
    CHECK_STR(kw_layout_name((kw_layout)99), "unknown");
    CHECK_STR(kw_storage_name(KW_STORAGE_FILL), "fill");
    CHECK_STR(kw_storage_name((kw_storage)99), "none");
    kw_table table = {0};
    kw_table_free(&table);
    CHECK(kw_arena_alloc(&table.arena, 100) != NULL);
    table.tensor_count = 3;
    kw_table_free(&table);
    CHECK(table.arena.blocks == NULL && table.tensor_count == 0);
}

static void test_blocks_of_every_size(void) {
    static const size_t lens[] = {0, 1, 63, 64, 65, 4095, 100000, (4u << 20) - 1, 4u << 20, (4u << 20) + 1, 9000001};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        unsigned char *block = kw_memory_alloc(lens[i]);
        if (!CHECK(block != NULL)) continue;
        CHECK_EQ((uintptr_t)block % 64, 0);
        memset(block, 0x5a, lens[i]);
        kw_memory_free(block, lens[i]);
    }
    CHECK(kw_memory_alloc(SIZE_MAX) == NULL);
    CHECK(kw_memory_alloc(SIZE_MAX / 4) == NULL);
    kw_memory_free(NULL, 0);
    kw_memory_free(NULL, 9000001);
}

/* What the steps below do, and what was done. */
typedef struct steps {
    size_t fails_from; /* SIZE_MAX: none */
    uint8_t done[1000];
} steps;

static int take_step(void *context, size_t index, void *own, kw_error *err) {
    steps *s = context;
    if (own != NULL) *(void **)own = own;
    if (index >= s->fails_from) return kw_fail(err, KW_CORRUPT, index, "step");
    s->done[index]++;
    return 0;
}

static atomic_int foreign_count; /* memory that is another thread's */

static void end_steps(void *own) { foreign_count += *(void **)own != NULL && *(void **)own != own; }

static void test_work_is_done_once_and_fails_with_the_first(void) {
    for (int threads = 0; threads <= 8; threads++) {
        steps s = {.fails_from = SIZE_MAX};
        kw_error err = {0};
        kw_work work = {.count = 1000, .step = take_step, .end = end_steps, .context = &s, .own_len = sizeof(void *)};
        CHECK_EQ(kw_work_run(&work, threads, &err), 0);
        for (size_t i = 0; i < 1000; i++) CHECK_EQ(s.done[i], 1);
        s = (steps){.fails_from = 400};
        CHECK_EQ(kw_work_run(&work, threads, &err), -1);
        CHECK_EQ(err.at, 400);
        for (size_t i = 0; i < 400; i++) CHECK_EQ(s.done[i], 1);
        work.count = work.own_len = 0;
        CHECK_EQ(kw_work_run(&work, threads, &err), 0);
    }
    CHECK_EQ(foreign_count, 0);
    CHECK(kw_work_cores() >= 1);
}

int main(void) {
    RUN(test_work_is_done_once_and_fails_with_the_first);
    RUN(test_error_keeps_code_place_and_detail);
    RUN(test_error_cuts_between_characters);
    RUN(test_arena_gives_zeroed_aligned_memory);
    RUN(test_arenas_join);
    RUN(test_grow_keeps_items);
    RUN(test_dtype_names);
    RUN(test_dtype_casts);
    RUN(test_crc_joins_at_every_place);
    RUN(test_crc_joins_long_pieces);
    RUN(test_index_keeps_the_first);
    RUN(test_table_names_and_end);
    RUN(test_blocks_of_every_size);
    return check_result(__FILE__);
}
