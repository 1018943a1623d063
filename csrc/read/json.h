/* json.h -- JSON, one token at a time, without recursion.
 *
 * For shard maps, the few keys of metadata.json and the names of layers in
 * config.json, which else is kept as text.
 *
 *     kw_json json = kw_json_of(view);
 *     while ((token = kw_json_next(&json, err)) > KW_JSON_END) ...
 *
 * Accepts what Python's json.loads accepts (so NaN, Infinity and repeated keys
 * too), except nesting deeper than KW_JSON_DEPTH and text that is not UTF-8.  A
 * byte order mark is skipped.
 */
#ifndef KW_READ_JSON_H
#define KW_READ_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "base/view.h"

#define KW_JSON_DEPTH 256

typedef enum kw_json_token {
    KW_JSON_END = 0, /* after the one value, nothing but white space */
    KW_JSON_OBJECT,
    KW_JSON_OBJECT_END,
    KW_JSON_ARRAY,
    KW_JSON_ARRAY_END,
    KW_JSON_KEY,
    KW_JSON_TEXT,
    KW_JSON_NUMBER, /* `raw` is the number as it stands */
    KW_JSON_TRUE,
    KW_JSON_FALSE,
    KW_JSON_NULL
} kw_json_token;

typedef struct kw_json {
    kw_cursor cursor;
    kw_view raw; /* of the last key, text (between its quotes) or number */
    int expect;  /* json.c's */
    unsigned depth;
    uint8_t stack[KW_JSON_DEPTH]; /* KW_JSON_OBJECT or KW_JSON_ARRAY */
} kw_json;

/* Borrows the bytes of `view`. */
kw_json kw_json_of(kw_view view);

/* The next token, or -1: KW_CORRUPT at the byte that does not fit. */
int kw_json_next(kw_json *json, kw_error *err);

/* After KW_JSON_KEY: passes over its value.  0 or -1. */
int kw_json_skip(kw_json *json, kw_error *err);

/* The last key or text with its escapes resolved, NUL-terminated; *len (may be
 * NULL) tells its length, for a text may hold NUL.  A lone surrogate becomes
 * U+FFFD.  NULL when memory is short. */
char *kw_json_text(const kw_json *json, kw_arena *arena, size_t *len);

/* True when the last key or text is exactly `text` (which is ASCII). */
bool kw_json_is(const kw_json *json, const char *text);

/* How many of the bytes are well-formed UTF-8 (RFC 3629, section 4). */
size_t kw_utf8_len(const uint8_t *bytes, size_t len);

#endif
