/* test_json.c -- the pull tokenizer: what it accepts, where it stops, how texts are decoded. */
#include "check.h"
#include "read/json.h"

static kw_json json_of(const char *text) {
    return kw_json_of((kw_view){.data = (const uint8_t *)text, .len = strlen(text), .off = 0});
}

/* All tokens as letters, '!' for an error. */
static const char *tokens(const char *text, uint64_t *at) {
    static char out[4096];
    size_t count = 0;
    kw_error err = {0};
    kw_json json = json_of(text);
    for (;;) {
        int token = kw_json_next(&json, &err);
        if (token == KW_JSON_END) break;
        out[count++] = token < 0 ? '!' : ".{}[]ksntf0"[token];
        if (token < 0 || count == sizeof out - 1) break;
    }
    out[count] = '\0';
    if (at != NULL) *at = err.at;
    return out;
}

static void test_tokens(void) {
    CHECK_STR(tokens("{}", NULL), "{}");
    CHECK_STR(tokens(" [ ] ", NULL), "[]");
    CHECK_STR(tokens("[1, -2.5e+3, NaN, Infinity, -Infinity, 0]", NULL), "[nnnnnn]");
    CHECK_STR(tokens("{\"a\": [true, false, null], \"b\": {\"c\": \"d\"}}", NULL), "{k[tf0]k{ks}}");
    CHECK_STR(tokens("\xEF\xBB\xBF{\"a\":1}", NULL), "{kn}");
    CHECK_STR(tokens("\"x\"", NULL), "s");
}

static void test_errors(void) {
    static const struct {
        const char *text, *tokens;
        uint64_t at;
    } cases[] = {
        {"", "!", 0},
        {"{", "{!", 1},
        {"{\"a\"}", "{!", 4},
        {"{\"a\":}", "{k!", 5},
        {"{\"a\":1,}", "{kn!", 7},
        {"[1,]", "[n!", 3},
        {"[1 2]", "[n!", 3},
        {"{} x", "{}!", 3},
        {"01", "!", 2},
        {"1.", "!", 2},
        {"1e", "!", 2},
        {"-", "!", 1},
        {"-NaN", "!", 1},
        {"tru", "!", 0},
        {"\"a", "!", 2},
        {"\"\\x\"", "!", 2},
        {"\"\\u12g4\"", "!", 5},
        {"\"a\nb\"", "!", 2},
        {"\"\xff\"", "!", 1},
        {"\"\xed\xa0\x80\"", "!", 1},
        {"]", "!", 0},
        {"{]", "{!", 1},
        {"[}", "[!", 1},
        {"{1:2}", "{!", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t at;
        CHECK_STR(tokens(cases[i].text, &at), cases[i].tokens);
        CHECK_EQ(at, cases[i].at);
    }
}

static void test_depth(void) {
    char text[2 * KW_JSON_DEPTH + 4] = {0};
    memset(text, '[', KW_JSON_DEPTH);
    memset(text + KW_JSON_DEPTH, ']', KW_JSON_DEPTH);
    CHECK_EQ(strlen(tokens(text, NULL)), 2 * KW_JSON_DEPTH);
    CHECK(strchr(tokens(text, NULL), '!') == NULL);
    memset(text, '[', KW_JSON_DEPTH + 1);
    uint64_t at;
    CHECK(strchr(tokens(text, &at), '!') != NULL);
    CHECK_EQ(at, KW_JSON_DEPTH);
}

static void test_text(void) {
    static const struct {
        const char *json, *text;
        size_t len;
    } cases[] = {
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC", 6},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4},
        {"\"\\ud83dx\"", "\xEF\xBF\xBDx", 4},
        {"\"\\ude00\"", "\xEF\xBF\xBD", 3},
        {"\"\\ud83d\\u0041\"",
         "\xEF\xBF\xBD"
         "A",
         4},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\"", "", 0},
    };
    kw_arena arena = KW_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kw_error err = {0};
        kw_json json = json_of(cases[i].json);
        size_t len;
        if (!CHECK_EQ(kw_json_next(&json, &err), KW_JSON_TEXT)) continue;
        const char *text = kw_json_text(&json, &arena, &len);
        if (CHECK_EQ(len, cases[i].len)) CHECK_MEM(text, cases[i].text, len + 1);
    }
    kw_arena_free(&arena);
}

static void test_is(void) {
    kw_error err = {0};
    kw_json json = json_of("[\"weight_map\", \"weight\\u005fmap\", \"weight_ma\", \"weight_maps\", \"\"]");
    const bool expected[] = {true, true, false, false, false};
    CHECK_EQ(kw_json_next(&json, &err), KW_JSON_ARRAY);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ(kw_json_next(&json, &err), KW_JSON_TEXT);
        CHECK_EQ(kw_json_is(&json, "weight_map"), expected[i]);
    }
}

static void test_skip(void) {
    kw_error err = {0};
    kw_json json = json_of("{\"a\": {\"x\": [1, {\"y\": 2}]}, \"b\": 3, \"c\": \"d\"}");
    CHECK_EQ(kw_json_next(&json, &err), KW_JSON_OBJECT);
    for (const char *key = "abc"; *key != '\0'; key++) {
        CHECK_EQ(kw_json_next(&json, &err), KW_JSON_KEY);
        CHECK_EQ(json.raw.data[0], *key);
        CHECK_EQ(kw_json_skip(&json, &err), 0);
    }
    CHECK_EQ(kw_json_next(&json, &err), KW_JSON_OBJECT_END);
    CHECK_EQ(kw_json_next(&json, &err), KW_JSON_END);
}

static void test_utf8(void) {
    CHECK_EQ(kw_utf8_len((const uint8_t *)"a\xC3\xA9\xF4\x8F\xBF\xBF", 7), 7);
    CHECK_EQ(kw_utf8_len((const uint8_t *)"a\xC0\xAF", 3), 1);
    CHECK_EQ(kw_utf8_len((const uint8_t *)"\xE0\x80\xAF", 3), 0);
    CHECK_EQ(kw_utf8_len((const uint8_t *)"\xF4\x90\x80\x80", 4), 0);
    CHECK_EQ(kw_utf8_len((const uint8_t *)"ab\xE2\x82", 4), 2);
}

int main(void) {
    RUN(test_tokens);
    RUN(test_errors);
    RUN(test_depth);
    RUN(test_text);
    RUN(test_is);
    RUN(test_skip);
    RUN(test_utf8);
    return check_result(__FILE__);
}
