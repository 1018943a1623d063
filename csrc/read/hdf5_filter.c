/* hdf5_filter.c -- the filter pipeline, backwards.
 *
 *     written   elements --> shuffle --> deflate --> fletcher32 --> stored chunk
 *     read      elements <-- shuffle <-- deflate <-- fletcher32 <-- stored chunk
 *
 *     shuffle     a0a1a2a3 b0b1b2b3 ... --> a0b0... a1b1... a2b2... a3b3... | what is left
 *     fletcher32  bytes | sum of sums (2) | sum (2), little-endian
 *     LZF         000lllll                    l + 1 bytes follow as they are
 *                 lllooooo oooooooo           l + 2 bytes from o + 1 back   (l < 7)
 *                 111ooooo llllllll oooooooo  l + 9 bytes from o + 1 back
 *
 * HDF5 File Format Specification v3.0, IV.A.2.l (Filter Pipeline).
 */
#include "read/hdf5_filter.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "read/hdf5_foreign.h"
#include "read/inflate.h"
#include "read/libhdf5.h"

enum { FLETCHER_LEN = 4, LZF_EXPANSION_MAX = 88, NAME_SHOWN_MAX = 32 };

/* What a filter had before it when the chunk was written. */
typedef struct step {
    uint64_t len;
    bool exact; /* false: `len` is the most it can have been */
} step;

/* Makes *buffer hold `len` bytes; what was in it is lost.  0, or -1. */
static int reserve(uint8_t **buffer, size_t *capacity, size_t len, kw_error *err) {
    if (len <= *capacity && *buffer != NULL) return 0;
    uint8_t *grown = malloc(len > 0 ? len : 1);
    if (grown == NULL) return kw_fail_memory(err);
    free(*buffer);
    *buffer = grown;
    *capacity = len;
    return 0;
}

int kw_filter_room_reserve(kw_filter_room *room, size_t len, kw_error *err) {
    return reserve(&room->data, &room->data_capacity, len, err);
}

void kw_filter_room_free(kw_filter_room *room) {
    free(room->data);
    free(room->spare);
    *room = KW_FILTER_ROOM_EMPTY;
}

/* Makes what a filter wrote to room->spare, `len` bytes, the chunk. */
static void turn(kw_filter_room *room, size_t len) {
    uint8_t *data = room->spare;
    size_t capacity = room->spare_capacity;
    room->spare = room->data;
    room->spare_capacity = room->data_capacity;
    room->data = data;
    room->data_capacity = capacity;
    room->len = len;
}

/* True for nbit, scale-offset and szip, which libhdf5 decodes. */
static bool is_foreign(uint16_t id) {
    return id == KW_FILTER_SZIP || id == KW_FILTER_NBIT || id == KW_FILTER_SCALE_OFFSET;
}

bool kw_filter_needs_library(const struct kw_layout_info *info) {
    for (unsigned i = 0; i < info->filter_count; i++) {
        if (is_foreign(info->filters[i].id)) return true;
    }
    return false;
}

const kw_filter *kw_filter_find_unknown(const struct kw_layout_info *info) {
    for (unsigned i = 0; i < info->filter_count; i++) {
        uint16_t id = info->filters[i].id;
        bool own = id == KW_FILTER_DEFLATE || id == KW_FILTER_SHUFFLE || id == KW_FILTER_FLETCHER32 ||
                   id == KW_FILTER_LZF;
        if (!own && !is_foreign(id)) return &info->filters[i];
    }
    return NULL;
}

/* The usual name of a registered filter, or NULL. */
static const char *known_name(uint16_t id) {
    static const struct {
        uint16_t id;
        const char *name;
    } names[] = {{KW_FILTER_SZIP, "szip"}, {KW_FILTER_NBIT, "nbit"}, {KW_FILTER_SCALE_OFFSET, "scale-offset"},
                 {307, "bzip2"},           {32000, "lzf"},           {32001, "blosc"},
                 {32004, "lz4"},           {32008, "bitshuffle"},    {32013, "zfp"},
                 {32015, "zstd"},          {32017, "sz"},            {32026, "blosc2"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].id == id) return names[i].name;
    }
    return NULL;
}

int kw_filter_refuse(const kw_filter *filter, uint64_t at, kw_error *err) {
    const char *name = known_name(filter->id);
    if (name == NULL) name = filter->name != NULL && filter->name[0] != '\0' ? filter->name : "unknown";
    return kw_fail(err, KW_UNSUPPORTED, at, "filter %u (%.*s) is not built in; rewrite with h5repack -f NONE",
                   (unsigned)filter->id, (int)NAME_SHOWN_MAX, name);
}

/* Sixteen elements of four bytes at a time where the processor can; returns how
 * many of the `count` elements were done. */
static size_t unshuffle4_wide(const uint8_t *from, uint8_t *to, size_t count) {
    size_t i = 0;
#ifdef __SSE2__
    for (; i + 16 <= count; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + count + i));
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(from + 2 * count + i));
        __m128i d = _mm_loadu_si128((const __m128i *)(const void *)(from + 3 * count + i));
        __m128i ab = _mm_unpacklo_epi8(a, b), cd = _mm_unpacklo_epi8(c, d);
        __m128i *out = (__m128i *)(void *)(to + 4 * i);
        _mm_storeu_si128(out, _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(ab, cd));
        ab = _mm_unpackhi_epi8(a, b), cd = _mm_unpackhi_epi8(c, d);
        _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(ab, cd));
    }
#else
    (void)from, (void)to, (void)count;
#endif
    return i;
}

/* Puts the bytes of each element of `size` bytes together again. */
static void unshuffle(const uint8_t *from, uint8_t *to, size_t len, size_t size) {
    size_t count = len / size, done = size == 4 ? unshuffle4_wide(from, to, count) : 0;
    for (size_t byte = 0; byte < size; byte++) {
        const uint8_t *lane = from + byte * count;
        for (size_t i = done; i < count; i++) to[i * size + byte] = lane[i];
    }
    memcpy(to + count * size, from + count * size, len - count * size);
}

static int undo_shuffle(const kw_filter *filter, uint64_t at, kw_filter_room *room, kw_error *err) {
    uint32_t size = filter->value_count > 0 ? filter->values[0] : 0;
    if (size == 0) return kw_fail(err, KW_CORRUPT, at, "shuffle filter without the size of an element");
    if (size == 1 || room->len / size <= 1) return 0;
    if (reserve(&room->spare, &room->spare_capacity, room->len, err) != 0) return -1;
    unshuffle(room->data, room->spare, room->len, size);
    turn(room, room->len);
    return 0;
}

/* HDF5's Fletcher-32: over big-endian 16-bit words, an odd byte padded. */
static uint32_t fletcher32(const uint8_t *p, size_t len) {
    /* As many words as the sums of sums can take before they must be folded. */
    enum { RUN = 360 };
    uint32_t sum = 0, sums = 0;
    size_t words = len / 2;
    while (words > 0) {
        size_t run = words < RUN ? words : RUN;
        words -= run;
        for (; run > 0; run--, p += 2) {
            sum += (uint32_t)p[0] << 8 | p[1];
            sums += sum;
        }
        sum = (sum & 0xffff) + (sum >> 16);
        sums = (sums & 0xffff) + (sums >> 16);
    }
    if (len % 2 != 0) {
        sum += (uint32_t)p[0] << 8;
        sums += sum;
        sum = (sum & 0xffff) + (sum >> 16);
        sums = (sums & 0xffff) + (sums >> 16);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sums = (sums & 0xffff) + (sums >> 16);
    return sums << 16 | sum;
}

static int undo_fletcher32(uint64_t at, kw_filter_room *room, kw_error *err) {
    if (room->len < FLETCHER_LEN) return kw_fail(err, KW_CORRUPT, at, "chunk is too short for its checksum");
    size_t len = room->len - FLETCHER_LEN;
    kw_cursor c = kw_cursor_of((kw_view){room->data + len, FLETCHER_LEN, at + len});
    uint32_t stored = kw_cursor_u32(&c), found = fletcher32(room->data, len);
    /* HDF5 before 1.6.3 stored the bytes of each half the other way round. */
    uint32_t old = (found & 0x00ff00ffu) << 8 | (found >> 8 & 0x00ff00ffu);
    room->len = len;
    if (stored == found || stored == old) return 0;
    return kw_fail(err, KW_CHECKSUM, at, "fletcher32 of the chunk is %08x, its bytes give %08x", stored, found);
}

/* Copies `len` bytes from `back` bytes before; they may run into themselves. */
static void copy_back(uint8_t *to, size_t back, size_t len) {
    const uint8_t *from = to - back;
    if (back >= len) {
        memcpy(to, from, len);
        return;
    }
    for (size_t i = 0; i < len; i++) to[i] = from[i];
}

/* One LZF token, `control` its first byte: writes to out[*pos].  False when the
 * input is short, the reference goes before the start, or the output is full. */
static bool lzf_token(kw_cursor *c, uint8_t control, uint8_t *out, size_t *pos, size_t out_len) {
    size_t len, back;
    if (control < 32) {
        len = (size_t)control + 1;
        const uint8_t *literal = kw_cursor_take(c, len);
        if (literal == NULL || len > out_len - *pos) return false;
        memcpy(out + *pos, literal, len);
    } else {
        len = (size_t)(control >> 5) + 2;
        if (control >> 5 == 7) len += kw_cursor_u8(c);
        back = ((size_t)(control & 31) << 8) + kw_cursor_u8(c) + 1;
        if (c->short_ || back > *pos || len > out_len - *pos) return false;
        copy_back(out + *pos, back, len);
    }
    *pos += len;
    return true;
}

/* Decodes LZF into at most `out_len` bytes; *got of them.  0, or -1. */
static int unlzf(kw_view in, uint8_t *out, size_t out_len, size_t *got, kw_error *err) {
    kw_cursor c = kw_cursor_of(in);
    size_t pos = 0;
    while (kw_cursor_left(&c) > 0) {
        uint8_t control = kw_cursor_u8(&c);
        if (!lzf_token(&c, control, out, &pos, out_len)) {
            return kw_fail(err, KW_CORRUPT, in.off, "LZF data is damaged, or gives more than %zu bytes", out_len);
        }
    }
    *got = pos;
    return 0;
}

/* Undoes deflate or LZF: `before` bounds what comes out. */
static int undo_compression(uint16_t id, step before, uint64_t at, kw_filter_room *room, kw_error *err) {
    kw_view in = {room->data, room->len, at};
    uint64_t limit = before.len;
    bool deflate = id == KW_FILTER_DEFLATE;
    size_t got = 0;
    bool possible = deflate ? kw_inflate_possible(room->len, limit) : limit / LZF_EXPANSION_MAX <= room->len;
    if (!possible && !before.exact) {
        /* More than this cannot come out, so no more memory is taken. */
        limit = (uint64_t)room->len * (deflate ? 1032 : LZF_EXPANSION_MAX) + LZF_EXPANSION_MAX;
    } else if (!possible) {
        return kw_fail(err, KW_CORRUPT, at, "%zu compressed bytes cannot give a chunk of %llu", room->len,
                       (unsigned long long)limit);
    }
    if (reserve(&room->spare, &room->spare_capacity, (size_t)limit, err) != 0) return -1;
    if (deflate) {
        if (kw_inflate_zlib(in, room->spare, (size_t)limit, &got, err) != 0) return -1;
    } else if (unlzf(in, room->spare, (size_t)limit, &got, err) != 0) {
        return -1;
    }
    if (before.exact && got != limit) {
        return kw_fail(err, KW_CORRUPT, at, "chunk gives %zu bytes, %llu declared", got, (unsigned long long)limit);
    }
    turn(room, got);
    return 0;
}

/* Undoes what libhdf5 decodes: how much comes out must be known, which it is not behind a compressor. */
static int undo_foreign(const struct kw_layout_info *info, const kw_filter *filter, step before, uint64_t at,
                        kw_filter_room *room, kw_error *err) {
    kw_view in = {room->data, room->len, at};
    if (kw_foreign_is_idle(filter)) return 0;
    if (!before.exact || before.len > SIZE_MAX || !kw_libhdf5_has_filter(filter->id)) {
        return kw_filter_refuse(filter, at, err);
    }
    kw_foreign_verdict verdict = kw_foreign_check(filter, info->element_len, in, before.len);
    if (verdict == KW_FOREIGN_OTHER) return kw_filter_refuse(filter, at, err);
    if (verdict == KW_FOREIGN_DAMAGED) {
        return kw_fail(err, KW_CORRUPT, at, "%s: parameters and stored bytes do not fit the chunk", known_name(filter->id));
    }
    if (reserve(&room->spare, &room->spare_capacity, (size_t)before.len, err) != 0) return -1;
    if (kw_libhdf5_decode(filter, in, room->spare, (size_t)before.len, err) != 0) return -1;
    turn(room, (size_t)before.len);
    return 0;
}

/* What each filter had before it, as far as the chunk's size tells. */
static void plan_steps(const struct kw_layout_info *info, uint32_t mask, uint64_t chunk_len, step *steps) {
    step now = {chunk_len, true};
    for (unsigned i = 0; i < info->filter_count; i++) {
        steps[i] = now;
        if (mask >> i & 1) continue;
        uint16_t id = info->filters[i].id;
        if (id == KW_FILTER_FLETCHER32) now.len += FLETCHER_LEN;
        if (id == KW_FILTER_FLETCHER32 || id == KW_FILTER_SHUFFLE) continue;
        /* No compressor makes its input longer than this. */
        now = (step){now.len + now.len / 64 + 256, false};
    }
}

int kw_filter_undo(const struct kw_layout_info *info, uint32_t mask, uint64_t chunk_len, uint64_t at,
                   kw_filter_room *room, kw_error *err) {
    step steps[KW_FILTERS_MAX];
    plan_steps(info, mask, chunk_len, steps);
    for (unsigned i = info->filter_count; i > 0; i--) {
        const kw_filter *filter = &info->filters[i - 1];
        int result;
        if (mask >> (i - 1) & 1) continue;
        switch (filter->id) {
        case KW_FILTER_SHUFFLE:
            result = undo_shuffle(filter, at, room, err);
            break;
        case KW_FILTER_FLETCHER32:
            result = undo_fletcher32(at, room, err);
            break;
        case KW_FILTER_DEFLATE:
        case KW_FILTER_LZF:
            result = undo_compression(filter->id, steps[i - 1], at, room, err);
            break;
        case KW_FILTER_SZIP:
        case KW_FILTER_NBIT:
        case KW_FILTER_SCALE_OFFSET:
            result = undo_foreign(info, filter, steps[i - 1], at, room, err);
            break;
        default:
            result = kw_filter_refuse(filter, at, err);
        }
        if (result != 0) return -1;
    }
    if (room->len != chunk_len) {
        return kw_fail(err, KW_CORRUPT, at, "chunk gives %zu bytes, %llu declared", room->len,
                       (unsigned long long)chunk_len);
    }
    return 0;
}
