/* json.c -- RFC 8259 as a pull tokenizer.
 *
 *     { "weight_map" : { "/vars" : [ "a_00000.weights.h5" ] } }
 *     ^ ^              ^ ^         ^ ^                    ^ ^ ^
 *     OBJECT  KEY   OBJECT  KEY  ARRAY TEXT      ARRAY_END OBJECT_END (twice)
 *
 * What may come next is one of five states; what is open is a stack of bytes.
 */
#include "read/json.h"

enum {
    EXPECT_VALUE,
    EXPECT_FIRST_KEY,  /* or '}' */
    EXPECT_FIRST_ITEM, /* or ']' */
    EXPECT_MORE,       /* ',' or the end of what is open */
    EXPECT_END
};

/* Length of the well-formed sequence at `p`, 0 when there is none. */
static size_t sequence_len(const uint8_t *p, size_t left) {
    uint8_t lead = p[0];
    if (lead < 0x80) return 1;
    size_t len = lead >= 0xC2 && lead < 0xE0   ? 2
                 : lead >= 0xE0 && lead < 0xF0 ? 3
                 : lead >= 0xF0 && lead < 0xF5 ? 4
                                               : 0;
    if (len == 0 || len > left) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if ((lead == 0xE0 && p[1] < 0xA0) || (lead == 0xED && p[1] > 0x9F)) return 0;
    if ((lead == 0xF0 && p[1] < 0x90) || (lead == 0xF4 && p[1] > 0x8F)) return 0;
    return len;
}

size_t kw_utf8_len(const uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < len) {
        size_t one = sequence_len(bytes + at, len - at);
        if (one == 0) break;
        at += one;
    }
    return at;
}

kw_json kw_json_of(kw_view view) {
    kw_json json = {.cursor = kw_cursor_of(view), .expect = EXPECT_VALUE};
    if (kw_view_starts(view, "\xEF\xBB\xBF", 3)) kw_cursor_skip(&json.cursor, 3);
    return json;
}

/* The next byte without taking it, -1 at the end. */
static int peek(const kw_cursor *c) { return kw_cursor_left(c) > 0 ? c->view.data[c->pos] : -1; }

static void skip_space(kw_cursor *c) {
    for (int b = peek(c); b == ' ' || b == '\t' || b == '\n' || b == '\r'; b = peek(c)) kw_cursor_skip(c, 1);
}

static int fail(const kw_json *json, const char *what, kw_error *err) {
    return kw_fail(err, KW_CORRUPT, kw_cursor_at(&json->cursor), "JSON: %s", what);
}

/* Takes a text, its first quote still ahead; json->raw is what is between the quotes.  0 or -1. */
static int take_text(kw_json *json, kw_error *err) {
    kw_cursor *c = &json->cursor;
    kw_cursor_skip(c, 1);
    size_t from = c->pos;
    for (;;) {
        int b = peek(c);
        if (b < 0) return fail(json, "a text is cut short", err);
        if (b == '"') break;
        if (b < 0x20) return fail(json, "a control character in a text", err);
        if (b == '\\') {
            kw_cursor_skip(c, 1);
            int escape = peek(c);
            if (escape <= 0 || strchr("\"\\/bfnrtu", escape) == NULL) return fail(json, "an unknown escape", err);
            kw_cursor_skip(c, 1);
            for (int i = 0; escape == 'u' && i < 4; i++) {
                int digit = peek(c);
                if (digit <= 0 || strchr("0123456789abcdefABCDEF", digit) == NULL)
                    return fail(json, "\\u without four hexadecimal digits", err);
                kw_cursor_skip(c, 1);
            }
            continue;
        }
        size_t len = sequence_len(c->view.data + c->pos, kw_cursor_left(c));
        if (len == 0) return fail(json, "not UTF-8", err);
        kw_cursor_skip(c, len);
    }
    json->raw = (kw_view){.data = c->view.data + from, .len = c->pos - from, .off = c->view.off + from};
    kw_cursor_skip(c, 1);
    return 0;
}

static size_t take_digits(kw_cursor *c) {
    size_t count = 0;
    for (int b = peek(c); b >= '0' && b <= '9'; b = peek(c), count++) kw_cursor_skip(c, 1);
    return count;
}

/* Takes `word` if it is next. */
static bool take_word(kw_cursor *c, const char *word) {
    size_t len = strlen(word);
    if (kw_cursor_left(c) < len || memcmp(c->view.data + c->pos, word, len) != 0) return false;
    kw_cursor_skip(c, len);
    return true;
}

/* Takes a number as Python writes it; json->raw is its text.  KW_JSON_NUMBER or -1. */
static int take_number(kw_json *json, kw_error *err) {
    kw_cursor *c = &json->cursor;
    size_t from = c->pos;
    bool minus = take_word(c, "-");
    if (!take_word(c, "Infinity") && (minus || !take_word(c, "NaN"))) {
        int first = peek(c);
        size_t digits = take_digits(c);
        if (digits == 0) return fail(json, "a value is expected", err);
        if (first == '0' && digits > 1) return fail(json, "a number with a leading zero", err);
        if (take_word(c, ".") && take_digits(c) == 0) return fail(json, "a number without digits after its point", err);
        if (take_word(c, "e") || take_word(c, "E")) {
            if (!take_word(c, "+")) (void)take_word(c, "-");
            if (take_digits(c) == 0) return fail(json, "a number without digits in its exponent", err);
        }
    }
    json->raw = (kw_view){.data = c->view.data + from, .len = c->pos - from, .off = c->view.off + from};
    return KW_JSON_NUMBER;
}

/* Goes into an object or array.  The token or -1. */
static int open_one(kw_json *json, kw_json_token token, kw_error *err) {
    if (json->depth == KW_JSON_DEPTH) return fail(json, "nested too deeply", err);
    kw_cursor_skip(&json->cursor, 1);
    json->stack[json->depth++] = (uint8_t)token;
    json->expect = token == KW_JSON_OBJECT ? EXPECT_FIRST_KEY : EXPECT_FIRST_ITEM;
    return (int)token;
}

/* Leaves what is open.  The token. */
static int close_one(kw_json *json) {
    kw_cursor_skip(&json->cursor, 1);
    int closed = json->stack[--json->depth] == KW_JSON_OBJECT ? KW_JSON_OBJECT_END : KW_JSON_ARRAY_END;
    json->expect = json->depth > 0 ? EXPECT_MORE : EXPECT_END;
    return closed;
}

static int take_value(kw_json *json, kw_error *err) {
    kw_cursor *c = &json->cursor;
    int b = peek(c);
    if (b == '{') return open_one(json, KW_JSON_OBJECT, err);
    if (b == '[') return open_one(json, KW_JSON_ARRAY, err);
    json->expect = json->depth > 0 ? EXPECT_MORE : EXPECT_END;
    if (b == '"') return take_text(json, err) < 0 ? -1 : KW_JSON_TEXT;
    if (take_word(c, "true")) return KW_JSON_TRUE;
    if (take_word(c, "false")) return KW_JSON_FALSE;
    if (take_word(c, "null")) return KW_JSON_NULL;
    return take_number(json, err);
}

static int take_key(kw_json *json, kw_error *err) {
    if (peek(&json->cursor) != '"') return fail(json, "a key is expected", err);
    if (take_text(json, err) < 0) return -1;
    skip_space(&json->cursor);
    if (!take_word(&json->cursor, ":")) return fail(json, "':' is expected", err);
    json->expect = EXPECT_VALUE;
    return KW_JSON_KEY;
}

int kw_json_next(kw_json *json, kw_error *err) {
    kw_cursor *c = &json->cursor;
    skip_space(c);
    if (json->expect == EXPECT_END) return peek(c) < 0 ? KW_JSON_END : fail(json, "something after the value", err);
    bool in_object = json->depth > 0 && json->stack[json->depth - 1] == KW_JSON_OBJECT;
    if (json->expect != EXPECT_VALUE) {
        if (peek(c) == (in_object ? '}' : ']')) return close_one(json);
        if (json->expect == EXPECT_MORE) {
            if (!take_word(c, ",")) return fail(json, "',' is expected", err);
            skip_space(c);
        }
        if (in_object) return take_key(json, err);
    }
    return take_value(json, err);
}

int kw_json_skip(kw_json *json, kw_error *err) {
    unsigned depth = json->depth;
    do {
        if (kw_json_next(json, err) < 0) return -1;
    } while (json->depth > depth);
    return 0;
}

static unsigned hex4(const uint8_t *p) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned digit = p[i] <= '9' ? p[i] - (unsigned)'0' : (p[i] | 0x20u) - (unsigned)'a' + 10;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(char *out, unsigned code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80u | (code & 0x3Fu));
    out[0] = (char)(lead[len] | code);
    return len;
}

/* The code point of the \u escape whose digits are at `p`; *used tells how many bytes it takes. */
static unsigned escaped_code(const uint8_t *p, size_t left, size_t *used) {
    unsigned code = hex4(p);
    *used = 4;
    if (code < 0xD800 || code > 0xDFFF) return code;
    if (code < 0xDC00 && left >= 10 && p[4] == '\\' && p[5] == 'u') {
        unsigned low = hex4(p + 6);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 10;
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

/* The next character of a text: writes 1 to 4 bytes to `out`, *used bytes of `p` are taken.  How many were written. */
static size_t next_character(const uint8_t *p, size_t left, char *out, size_t *used) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    *used = 1;
    out[0] = (char)p[0];
    if (p[0] != '\\') return 1;
    if (p[1] == 'u') {
        unsigned code = escaped_code(p + 2, left - 2, used);
        *used += 2;
        return put_utf8(out, code);
    }
    const char *simple = strchr(from, p[1]);
    out[0] = simple != NULL ? to[simple - from] : (char)p[1];
    *used = 2;
    return 1;
}

char *kw_json_text(const kw_json *json, kw_arena *arena, size_t *len) {
    size_t count = 0, used;
    /* No escape makes its text longer: the six bytes of \uXXXX become three at most, a pair's twelve four. */
    char *out = kw_arena_alloc(arena, json->raw.len + 1);
    if (out == NULL) return NULL;
    for (size_t at = 0; at < json->raw.len; at += used)
        count += next_character(json->raw.data + at, json->raw.len - at, out + count, &used);
    out[count] = '\0';
    if (len != NULL) *len = count;
    return out;
}

bool kw_json_is(const kw_json *json, const char *text) {
    size_t used;
    char c[4];
    for (size_t at = 0; at < json->raw.len; at += used, text++) {
        size_t len = next_character(json->raw.data + at, json->raw.len - at, c, &used);
        if (len != 1 || c[0] != *text || *text == '\0') return false;
    }
    return *text == '\0';
}
