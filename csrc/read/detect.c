/* detect.c -- content by first bytes.
 *
 *      0  \x89 H D F \r \n \x1a \n     HDF5; also at 512, 1024, 2048, ... behind a user block
 *      0  P K \3 \4                    zip (PKWARE APPNOTE 4.3.7); behind something else: by its end record
 *      0  <length: 8> {"               safetensors
 *     -8  57 fb 80 8b 24 75 47 db      TensorFlow checkpoint .index (LevelDB table_format.md, footer)
 *      0  \x08 <version> ...           protobuf: SavedModel (meta graph next) or ONNX (graph, operator sets)
 *      0  version https://git-lfs      Git LFS pointer (git-lfs docs/spec.md)
 *
 * HDF5 and zip come first, since a zip may hold an HDF5 file at byte 512 and a
 * user block may hold anything at all.  What is left is told from its text.
 */
#include "read/detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/view.h"
#include "read/json.h"

enum { HEAD_LEN = 1 << 16, TITLE_LEN = 200, BEGINNING_LEN = 120 };

static const uint8_t hdf5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};

const char *kw_content_name(kw_content content) {
    static const char *const names[] = {
#define NAME(name, slug, phrase) slug,
        KW_CONTENTS(NAME)
#undef NAME
    };
    return (size_t)content < sizeof names / sizeof *names ? names[content] : "unknown";
}

const char *kw_content_phrase(kw_content content) {
    static const char *const phrases[] = {
#define PHRASE(name, slug, phrase) phrase,
        KW_CONTENTS(PHRASE)
#undef PHRASE
    };
    return (size_t)content < sizeof phrases / sizeof *phrases ? phrases[content] : "unknown data";
}

/* Finds an HDF5 signature from `at`, 512 or twice that and so on.  0 and *at; KW_NOT_WEIGHTS; or a read error. */
static int find_hdf5(kw_source *source, uint64_t *at, kw_error *err) {
    uint64_t size = kw_source_size(source);
    uint8_t bytes[sizeof hdf5_magic];
    for (; kw_in_range(*at, sizeof bytes, size); *at *= 2) {
        if (kw_source_read(source, *at, bytes, sizeof bytes, err) < 0) return -1;
        if (memcmp(bytes, hdf5_magic, sizeof bytes) == 0) return 0;
        if (*at > UINT64_MAX / 2) break;
    }
    return kw_fail(err, KW_NOT_WEIGHTS, 0, "no HDF5 signature");
}

/* Contents with a magic of their own at a fixed place. */
static kw_content by_magic(kw_view head) {
    static const struct {
        size_t at, len;
        const char *bytes;
        kw_content content;
    } magics[] = {
        {0, 4, "PK\3\4", KW_CONTENT_ZIP},
        {0, 4, "PK\5\6", KW_CONTENT_ZIP},
        {0, 4, "PK\7\10", KW_CONTENT_ZIP},
        {0, 3, "\x1f\x8b\x08", KW_CONTENT_GZIP},
        {0, 6, "\x93NUMPY", KW_CONTENT_NPY},
        {0, 4, "GGUF", KW_CONTENT_GGUF},
        {4, 4, "TFL3", KW_CONTENT_TFLITE},
        {0, 22, "model_checkpoint_path:", KW_CONTENT_TF_CHECKPOINT},
        {0, 23, "version https://git-lfs", KW_CONTENT_LFS_POINTER},
        {0, 22, "version https://hawser", KW_CONTENT_LFS_POINTER},
        /* torch.save before 1.6: the pickle of its magic number comes first. */
        {0, 15, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", KW_CONTENT_PYTORCH},
    };
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (kw_in_range(magics[i].at, magics[i].len, head.len) &&
            memcmp(head.data + magics[i].at, magics[i].bytes, magics[i].len) == 0)
            return magics[i].content;
    return KW_CONTENT_UNKNOWN;
}

static bool is_pickle(kw_view head) {
    static const char *const text_forms[] = {"(dp0\n", "(dp1\n", "(lp0\n", "(lp1\n", "ccopy_reg\n", "cnumpy"};
    for (size_t i = 0; i < sizeof text_forms / sizeof *text_forms; i++)
        if (kw_view_starts(head, text_forms[i], strlen(text_forms[i]))) return true;
    if (head.len < 4 || head.data[0] != 0x80 || head.data[1] < 2 || head.data[1] > 5) return false;
    /* The next opcode: FRAME, or one that begins a value. */
    return head.data[2] != 0 && strchr("\x95}])(cXqKMJNGU\x8a\x8c\x88\x89IF", head.data[2]) != NULL;
}

/* A header of JSON behind its length, which the file is long enough for. */
static bool is_safetensors(kw_view head, uint64_t size) {
    kw_cursor c = kw_cursor_of(head);
    uint64_t len = kw_cursor_u64(&c);
    uint8_t open = kw_cursor_u8(&c), next = kw_cursor_u8(&c);
    if (c.short_ || len < 2 || len > size - 8 || len > 100000000) return false;
    return open == '{' && (next == '"' || next == '}' || next == ' ' || next == '\n');
}

/* The footer of a LevelDB table: two block handles, padding, 8 bytes of magic. */
static int is_table(kw_source *source, bool *answer, kw_error *err) {
    uint8_t bytes[8];
    *answer = false;
    if (kw_source_size(source) < 48) return 0;
    if (kw_source_read(source, kw_source_size(source) - 8, bytes, sizeof bytes, err) < 0) return -1;
    *answer = memcmp(bytes, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8) == 0;
    return 0;
}

/* The end record of an archive without comment, behind something that is not an archive. */
static int is_zip_at_end(kw_source *source, bool *answer, kw_error *err) {
    uint8_t bytes[22];
    uint64_t size = kw_source_size(source);
    *answer = false;
    if (size < sizeof bytes) return 0;
    if (kw_source_read(source, size - sizeof bytes, bytes, sizeof bytes, err) < 0) return -1;
    *answer = memcmp(bytes, "PK\5\6", 4) == 0 && bytes[20] == 0 && bytes[21] == 0;
    return 0;
}

static uint64_t take_varint(kw_cursor *c) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = kw_cursor_u8(c);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) return value;
    }
    c->short_ = true;
    return 0;
}

/* saved_model.pb: saved_model_schema_version = 1, then a MetaGraphDef whose first field is its MetaInfoDef. */
static bool is_saved_model(kw_view head, uint64_t size) {
    kw_cursor c = kw_cursor_of(head);
    if (!kw_view_starts(head, "\x08\x01\x12", 3)) return false;
    kw_cursor_skip(&c, 3);
    uint64_t len = take_varint(&c);
    return kw_cursor_u8(&c) == 0x0A && !c.short_ && len > 2 && len <= size;
}

/* ModelProto: ir_version, texts about the producer, then the graph (field 7) or the operator sets (8). */
static bool is_onnx(kw_view head, uint64_t size) {
    kw_cursor c = kw_cursor_of(head);
    if (kw_cursor_u8(&c) != 0x08) return false;
    uint64_t version = take_varint(&c);
    if (c.short_ || version == 0 || version > 64) return false;
    for (int i = 0; i < 8; i++) {
        uint8_t tag = kw_cursor_u8(&c);
        uint64_t len = take_varint(&c);
        if (c.short_) return false;
        if (tag == (7 << 3 | 2) || tag == (8 << 3 | 2)) return len > 1 && len <= size;
        if (tag == 5 << 3) continue; /* model_version: a number */
        if ((tag != (2 << 3 | 2) && tag != (3 << 3 | 2) && tag != (4 << 3 | 2) && tag != (6 << 3 | 2)) ||
            len > c.view.len)
            return false;
        const uint8_t *text = kw_cursor_take(&c, (size_t)len);
        if (text == NULL || kw_utf8_len(text, (size_t)len) != len) return false;
    }
    return false;
}

static bool all_zero(const uint8_t *bytes, size_t len) {
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Looks at the head and, in a larger file, at 64 blocks spread to its end: an unfinished download is tens of gigabytes.
 */
static int is_zeros(kw_source *source, kw_view head, bool *answer, kw_error *err) {
    uint64_t size = kw_source_size(source), left = size - head.len;
    *answer = all_zero(head.data, head.len);
    for (unsigned i = 1; *answer && left > 0 && i <= 64; i++) {
        uint8_t block[4096];
        size_t len = left < sizeof block ? (size_t)left : sizeof block;
        uint64_t at = head.len + (left - len) / 64 * i;
        if (i == 64) at = size - len;
        if (kw_source_read(source, at, block, len, err) < 0) return -1;
        *answer = all_zero(block, len);
    }
    return 0;
}

static bool is_space(uint8_t b) { return b == ' ' || (b >= '\t' && b <= '\r'); }

/* The view without its first `len` bytes. */
static kw_view after(kw_view v, size_t len) { return (kw_view){v.data + len, v.len - len, v.off + len}; }

static bool starts_nocase(kw_view v, const char *text) {
    return v.len >= strlen(text) && strncasecmp((const char *)v.data, text, strlen(text)) == 0;
}

/* The position of `text` in the view, ASCII letters of either case alike; its length when absent. */
static size_t find_nocase(kw_view v, const char *text) {
    size_t at = 0;
    while (at < v.len && !starts_nocase(after(v, at), text)) at++;
    return at;
}

/* Without byte order mark and white space at the front. */
static kw_view trimmed(kw_view v) {
    if (kw_view_starts(v, "\xEF\xBB\xBF", 3)) v = after(v, 3);
    while (v.len > 0 && is_space(v.data[0])) v = after(v, 1);
    return v;
}

static bool is_html(kw_view v) {
    static const char *const openings[] = {"<!doctype html", "<html", "<head", "<title", "<body", "<script", "<meta"};
    v = trimmed(v);
    /* Comments and the XML declaration of XHTML may come first. */
    for (;;) {
        const char *end = starts_nocase(v, "<!--") ? "-->" : starts_nocase(v, "<?xml") ? "?>" : NULL;
        if (end == NULL) break;
        size_t at = find_nocase(v, end);
        if (at == v.len) return false;
        v = trimmed(after(v, at + strlen(end)));
    }
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (starts_nocase(v, openings[i])) return true;
    return false;
}

/* Up to `limit` bytes of text, runs of white space as one blank, cut between characters.  NULL: memory. */
static const char *collapsed(kw_arena *arena, kw_view v, size_t limit) {
    char *out = kw_arena_alloc(arena, limit + 1);
    size_t len = 0;
    if (out == NULL) return NULL;
    for (v = trimmed(v); v.len > 0 && len < limit; v = after(v, 1)) {
        if (!is_space(v.data[0]))
            out[len++] = (char)v.data[0];
        else if (out[len - 1] != ' ')
            out[len++] = ' ';
    }
    while (v.len > 0 && len > 0 && ((uint8_t)out[len - 1] & 0xC0) == 0x80) len--;
    if (v.len > 0 && len > 0 && (uint8_t)out[len - 1] >= 0xC0) len--;
    while (len > 0 && out[len - 1] == ' ') len--;
    out[len] = '\0';
    return out;
}

/* What stands in the first <name ...> ... </; empty when there is none. */
static kw_view element(kw_view head, const char *opening) {
    size_t at = find_nocase(head, opening);
    kw_view v = after(head, at);
    if (v.len == 0) return v;
    size_t close = find_nocase(v, ">");
    if (close == v.len) return after(v, v.len);
    v = after(v, close + 1);
    v.len = find_nocase(v, "</");
    return v;
}

/* "oid sha256:4d7a..., size 12345 bytes" of a pointer's lines; NULL when they are not there or memory is short. */
static const char *pointer_title(kw_arena *arena, kw_view head) {
    size_t oid_at = find_nocase(head, "\noid "), size_at = find_nocase(head, "\nsize ");
    if (oid_at == head.len || size_at == head.len) return NULL;
    kw_view oid = after(head, oid_at + 5), size = after(head, size_at + 6);
    oid.len = find_nocase(oid, "\n");
    size.len = find_nocase(size, "\n");
    const char *oid_text = collapsed(arena, oid, TITLE_LEN), *size_text = collapsed(arena, size, 20);
    size_t room = TITLE_LEN + 64;
    char *title = kw_arena_alloc(arena, room);
    if (oid_text == NULL || size_text == NULL || title == NULL) return NULL;
    (void)snprintf(title, room, "oid %s, size %s bytes", oid_text, size_text);
    return title;
}

/* The error that an object store answers in XML, else the beginning of the text. */
static const char *text_title(kw_arena *arena, kw_view head) {
    kw_view v = trimmed(head);
    kw_view message = starts_nocase(v, "<") ? element(v, "<message>") : (kw_view){.data = v.data};
    if (message.len == 0 && starts_nocase(v, "<")) message = element(v, "<code>");
    return collapsed(arena, message.len > 0 ? message : v, BEGINNING_LEN);
}

/* No control characters, and UTF-8 or (an older encoding) not many bytes above ASCII. */
static bool is_text(kw_view head, bool whole) {
    size_t high = 0, valid = kw_utf8_len(head.data, head.len);
    if (kw_view_starts(head, "\xFF\xFE", 2) || kw_view_starts(head, "\xFE\xFF", 2)) return head.len % 2 == 0;
    for (size_t i = 0; i < head.len; i++) {
        uint8_t b = head.data[i];
        if ((b < 0x20 && !is_space(b) && b != 0x1B) || b == 0x7F) return false;
        high += b >= 0x80;
    }
    return valid == head.len || (!whole && head.len - valid < 4) || high <= head.len / 4;
}

/* Told from text: a page, JSON, or plain.  KW_CONTENT_UNKNOWN for binary data. */
static kw_content by_text(kw_view head, bool whole) {
    if (is_html(head)) return KW_CONTENT_HTML;
    if (!is_text(head, whole)) return KW_CONTENT_UNKNOWN;
    kw_view v = trimmed(head);
    return v.len > 0 && (v.data[0] == '{' || v.data[0] == '[') ? KW_CONTENT_JSON : KW_CONTENT_TEXT;
}

/* Told from structure beyond a magic at the front.  0 and *content, or -1. */
static int by_structure(kw_source *source, kw_view head, kw_content *content, kw_error *err) {
    uint64_t size = kw_source_size(source), at = 512;
    bool answer;
    if (find_hdf5(source, &at, err) == 0) return *content = KW_CONTENT_HDF5, 0;
    if (err->code != KW_NOT_WEIGHTS) return -1;
    if (is_table(source, &answer, err) < 0) return -1;
    if (answer) return *content = KW_CONTENT_TF_CHECKPOINT, 0;
    if (is_pickle(head)) return *content = KW_CONTENT_PICKLE, 0;
    if (is_safetensors(head, size)) return *content = KW_CONTENT_SAFETENSORS, 0;
    if (is_zip_at_end(source, &answer, err) < 0) return -1;
    if (answer) return *content = KW_CONTENT_ZIP, 0;
    if (is_saved_model(head, size)) return *content = KW_CONTENT_SAVED_MODEL, 0;
    if (is_onnx(head, size)) return *content = KW_CONTENT_ONNX, 0;
    if (is_zeros(source, head, &answer, err) < 0) return -1;
    if (answer) return *content = KW_CONTENT_ZEROS, 0;
    *content = by_text(head, head.len == size);
    return 0;
}

/* The title for this content; NULL where there is nothing to say. */
static const char *title_of(kw_content content, kw_arena *arena, kw_view head) {
    kw_view title;
    switch (content) {
    case KW_CONTENT_LFS_POINTER: return pointer_title(arena, head);
    case KW_CONTENT_JSON:
    case KW_CONTENT_TEXT: return head.data[0] >= 0xFE ? NULL : text_title(arena, head);
    case KW_CONTENT_HTML:
        title = element(head, "<title");
        return title.len > 0 ? collapsed(arena, title, TITLE_LEN) : NULL;
    default: return NULL;
    }
}

int kw_detect(kw_source *source, kw_arena *arena, kw_content *content, const char **title, kw_error *err) {
    uint8_t first[sizeof hdf5_magic] = {0}, *bytes = NULL;
    uint64_t size = kw_source_size(source);
    int result = -1;
    *content = KW_CONTENT_EMPTY;
    *title = NULL;
    if (size == 0) return 0;
    /* The two usual cases cost one small read. */
    if (kw_source_read(source, 0, first, size < sizeof first ? (size_t)size : sizeof first, err) < 0) return -1;
    /* So are fewer bytes than the signature has: a file that was cut, or is being written. */
    size_t signature_len = size < sizeof first ? (size_t)size : sizeof first;
    if (memcmp(first, hdf5_magic, signature_len) == 0) return *content = KW_CONTENT_HDF5, 0;
    if (memcmp(first, "PK\3\4", 4) == 0) return *content = KW_CONTENT_ZIP, 0;

    size_t len = size < HEAD_LEN ? (size_t)size : HEAD_LEN;
    bytes = malloc(len);
    if (bytes == NULL) return kw_fail_memory(err);
    if (kw_source_read(source, 0, bytes, len, err) < 0) goto done;
    kw_view head = {.data = bytes, .len = len, .off = 0};
    *content = by_magic(head);
    if (*content == KW_CONTENT_UNKNOWN && by_structure(source, head, content, err) < 0) goto done;
    *title = title_of(*content, arena, head);
    result = 0;
done:
    free(bytes);
    return result;
}
