/* test_zip.c -- archives made here byte by byte: sound ones, each lie a directory can tell, each length of one. */
#include <stdlib.h>
#include <time.h>

#include "base/crc.h"
#include "check.h"
#include "read/zip.h"

/* How a member is written. */
enum { DESCRIPTOR = 1, NO_SIGNATURE = 2, PLACEHOLDER = 4, ZIP64 = 8 };

/* Bytes that grow. */
typedef struct bytes {
    uint8_t data[1 << 17];
    size_t len;
} bytes;

static bytes archive, directory;
static uint16_t directory_count;

static void put(bytes *b, uint64_t value, unsigned width) {
    for (unsigned i = 0; i < width; i++) b->data[b->len++] = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
}

static void put_bytes(bytes *b, const void *data, size_t len) {
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void begin(void) { archive.len = directory.len = directory_count = 0; }

/* Version, flags, method, time, CRC, sizes, lengths: what local header and entry share. */
static void put_common(bytes *b, unsigned flags, unsigned method, uint32_t crc, uint64_t packed, uint64_t len,
                       size_t name_len, unsigned extra_len) {
    put(b, 20, 2);
    put(b, flags, 2);
    put(b, method, 2);
    put(b, 0, 4);
    put(b, crc, 4);
    put(b, packed, 4);
    put(b, len, 4);
    put(b, name_len, 2);
    put(b, extra_len, 2);
}

/* A member whose packed bytes are given; `how` as above. */
static void add_packed(const char *name, const void *packed, size_t packed_len, size_t len, uint32_t crc,
                       unsigned method, int how) {
    unsigned flags = how & DESCRIPTOR ? 8 : 0;
    bool later = (how & (DESCRIPTOR | PLACEHOLDER)) != 0;
    size_t at = archive.len, name_len = strlen(name);
    put(&archive, 0x04034b50, 4);
    put_common(&archive, flags, method, later ? 0 : crc,
               how & ZIP64 ? UINT32_MAX
               : later     ? 0
                           : packed_len,
               how & ZIP64 ? UINT32_MAX
               : later     ? 0
                           : len,
               name_len, how & ZIP64 ? 20 : 0);
    put_bytes(&archive, name, name_len);
    if (how & ZIP64) {
        put(&archive, 1, 2);
        put(&archive, 16, 2);
        put(&archive, later ? 0 : len, 8);
        put(&archive, later ? 0 : packed_len, 8);
    }
    put_bytes(&archive, packed, packed_len);
    if (how & DESCRIPTOR) {
        if (!(how & NO_SIGNATURE)) put(&archive, 0x08074b50, 4);
        put(&archive, crc, 4);
        put(&archive, packed_len, 4);
        put(&archive, len, 4);
    }
    put(&directory, 0x02014b50, 4);
    put(&directory, 3 << 8 | 20, 2);
    put_common(&directory, flags, method, crc, packed_len, len, name_len, 0);
    put(&directory, 0, 2 + 2 + 2 + 4);
    put(&directory, at, 4);
    put_bytes(&directory, name, name_len);
    directory_count++;
}

static void add(const char *name, const void *data, size_t len, int how) {
    add_packed(name, data, len, len, kw_crc32(0, data, len), 0, how);
}

static void put_end(uint64_t count, uint64_t len, uint64_t at, unsigned comment_len) {
    put(&archive, 0x06054b50, 4);
    put(&archive, 0, 4);
    put(&archive, count, 2);
    put(&archive, count, 2);
    put(&archive, len, 4);
    put(&archive, at, 4);
    put(&archive, comment_len, 2);
}

static void finish(void) {
    size_t at = archive.len;
    put_bytes(&archive, directory.data, directory.len);
    put_end(directory_count, directory.len, at, 0);
}

/* An archive opened from `len` bytes, with what it says. */
typedef struct opened {
    kw_source *source;
    kw_file file;
    kw_build build;
    kw_zip *zip;
    int result;
    kw_error err;
} opened;

static opened *open_bytes(const void *data, size_t len) {
    opened *o = calloc(1, sizeof *o);
    void *copy = malloc(len + (len == 0));
    if (o == NULL || copy == NULL) abort();
    o->build = (kw_build){.file = &o->file, .inflate_left = 1 << 20, .audit = true};
    if (kw_source_open_memory(memcpy(copy, data, len), len, free, copy, &o->source, &o->err) < 0) abort();
    o->result = kw_zip_open(o->source, &o->build, &o->zip, &o->err);
    return o;
}

static opened *open_archive(void) { return open_bytes(archive.data, archive.len); }

static void close_archive(opened *o) {
    kw_zip_free(o->zip);
    kw_source_release(o->source);
    kw_table_free(&o->file.table);
    free(o->file.faults);
    free(o->file.metas);
    free(o->file.parts);
    free(o);
}

/* The first fault with this code, or NULL. */
static const kw_container_fault *fault_of(const opened *o, int code) {
    for (uint32_t i = 0; i < o->file.fault_count; i++)
        if (o->file.faults[i].fault.code == code) return &o->file.faults[i];
    return NULL;
}

/* The one fault is that nobody has these bytes. */
static void check_unclaimed(const opened *o, uint64_t at, uint64_t len) {
    CHECK_EQ(o->file.fault_count, 1);
    const kw_container_fault *fault = fault_of(o, KW_UNCLAIMED);
    if (!CHECK(fault != NULL)) return;
    CHECK_EQ(fault->fault.at, at);
    CHECK_EQ(fault->a, len);
    CHECK_EQ(fault->b, len);
}

/* True when the member is there with exactly these bytes, at most `len` of them. */
static bool holds(const opened *o, const char *name, const void *data, size_t len) {
    const kw_zip_member *member = o->zip != NULL ? kw_zip_find(o->zip, name) : NULL;
    kw_source *source = NULL;
    bool inflated, sound;
    uint64_t left = 1 << 20;
    kw_error err = {0};
    uint8_t got[4096];
    if (member == NULL || kw_zip_open_member(o->zip, member, &left, &source, &inflated, &sound, &err) < 0) return false;
    bool same = sound && kw_source_size(source) == len && len <= sizeof got &&
                kw_source_read(source, 0, got, len, &err) == 0 && memcmp(got, data, len) == 0;
    kw_source_release(source);
    return same;
}

static void begin_keras(int how) {
    begin();
    add("metadata.json", "{}", 2, how);
    add("config.json", "{\"a\": 1}", 8, how);
    add("model.weights.h5", "0123456789", 10, how);
}

static bool is_whole(const opened *o) {
    return holds(o, "metadata.json", "{}", 2) && holds(o, "config.json", "{\"a\": 1}", 8) &&
           holds(o, "model.weights.h5", "0123456789", 10);
}

static void test_sound(void) {
    static const int hows[] = {0, ZIP64, DESCRIPTOR, DESCRIPTOR | NO_SIGNATURE};
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        begin_keras(hows[i]);
        finish();
        opened *o = open_archive();
        CHECK_EQ(o->result, 0);
        CHECK_EQ(o->file.fault_count, 0);
        CHECK_EQ(o->zip->count, 3);
        CHECK(is_whole(o));
        CHECK(kw_zip_find(o->zip, "other") == NULL);
        close_archive(o);
    }
}

static void test_empty(void) {
    begin();
    finish();
    opened *o = open_archive();
    CHECK_EQ(o->result, 0);
    CHECK_EQ(o->file.fault_count, 0);
    CHECK_EQ(o->zip->count, 0);
    close_archive(o);
}

static void test_comment(void) {
    begin_keras(0);
    size_t at = archive.len;
    put_bytes(&archive, directory.data, directory.len);
    put_end(directory_count, directory.len, at, 60000);
    memset(archive.data + archive.len, 'c', 60000);
    archive.len += 60000;
    opened *o = open_archive();
    CHECK_EQ(o->file.fault_count, 0);
    CHECK(is_whole(o));
    close_archive(o);
    put_bytes(&archive, "junk", 4);
    o = open_archive();
    check_unclaimed(o, archive.len - 4, 4);
    CHECK(is_whole(o));
    close_archive(o);
    archive.len -= 5;
    o = open_archive();
    CHECK_EQ(o->file.fault_count, 1);
    if (CHECK(fault_of(o, KW_CORRUPT) != NULL)) CHECK_EQ(fault_of(o, KW_CORRUPT)->fault.at, archive.len);
    CHECK(is_whole(o));
    close_archive(o);
}

/* Which end record counts when there are several beginnings of one. */
static void test_which_end(void) {
    begin_keras(0);
    finish();
    size_t end = archive.len - 22;
    archive.data[end + 20] = 4;
    put_bytes(&archive, "PK\5\6", 4);
    opened *o = open_archive();
    CHECK(fault_of(o, KW_TRUNCATED) != NULL);
    CHECK(is_whole(o));
    close_archive(o);
    /* In front of 65,536 bytes of a comment it is still looked at, though a comment cannot be so long. */
    archive.len -= 4;
    memset(archive.data + archive.len, 'c', 65537);
    archive.data[end + 20] = archive.data[end + 21] = 255;
    archive.len += 65536;
    o = open_archive();
    check_unclaimed(o, archive.len - 1, 1);
    close_archive(o);
    archive.len++;
    o = open_archive();
    CHECK(fault_of(o, KW_TRUNCATED) != NULL);
    close_archive(o);
    /* A record without a comment at the very end is taken, whatever its fields spell. */
    begin_keras(0);
    finish();
    memcpy(archive.data + archive.len - 14, "PK\5\6", 4);
    o = open_archive();
    CHECK(fault_of(o, KW_MEMBER) != NULL);
    CHECK(fault_of(o, KW_TRUNCATED) == NULL);
    close_archive(o);
}

static void test_prefix(void) {
    static uint8_t data[1 << 17];
    begin_keras(0);
    finish();
    memcpy(data, "#!/bin/sh\n", 10);
    memcpy(data + 10, archive.data, archive.len);
    opened *o = open_bytes(data, archive.len + 10);
    check_unclaimed(o, 0, 10);
    CHECK(is_whole(o));
    close_archive(o);
}

/* Bytes between members, as many as tools that align values leave, and more. */
static void test_gaps(void) {
    static const struct {
        size_t len;
        int how;
        bool found;
    } cases[] = {{4095, 0, false}, {4096, 0, true}, {5000, DESCRIPTOR, true}, {5000, DESCRIPTOR | NO_SIGNATURE, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        add("a", "first", 5, cases[i].how);
        size_t at = archive.len;
        archive.len += cases[i].len;
        memset(archive.data + at, 'x', cases[i].len);
        add("b", "second", 6, cases[i].how);
        finish();
        opened *o = open_archive();
        if (cases[i].found) check_unclaimed(o, at, cases[i].len);
        CHECK_EQ(o->file.fault_count, cases[i].found);
        close_archive(o);
    }
}

static void test_zip64_end(void) {
    begin_keras(0);
    size_t at = archive.len, end64;
    put_bytes(&archive, directory.data, directory.len);
    end64 = archive.len;
    put(&archive, 0x06064b50, 4);
    put(&archive, 44, 8);
    put(&archive, 45 | 45 << 16, 4);
    put(&archive, 0, 8);
    put(&archive, directory_count, 8);
    put(&archive, directory_count, 8);
    put(&archive, directory.len, 8);
    put(&archive, at, 8);
    put(&archive, 0x07064b50, 4);
    put(&archive, 0, 4);
    put(&archive, end64, 8);
    put(&archive, 1, 4);
    put_end(UINT16_MAX, UINT32_MAX, UINT32_MAX, 0);
    opened *o = open_archive();
    CHECK_EQ(o->file.fault_count, 0);
    CHECK(is_whole(o));
    close_archive(o);
}

static void test_deflated(void) {
    static const uint8_t stored[] = {1, 3, 0, 0xFC, 0xFF, 'a', 'b', 'c'}; /* one stored block of deflate */
    begin();
    add_packed("a", stored, sizeof stored, 3, kw_crc32(0, "abc", 3), 8, 0);
    add_packed("bad-crc", stored, sizeof stored, 3, 1, 8, 0);
    add_packed("short", stored, sizeof stored, 2, 1, 8, 0);
    add_packed("long", stored, sizeof stored, 4, 1, 8, 0);
    add_packed("damaged", "\xff\xff", 2, 4, 1, 8, 0);
    add_packed("bomb", stored, sizeof stored, 1000000000, 1, 8, 0);
    add_packed("limit", directory.data, 5000, (1 << 20) + 1, 1, 8, 0);
    finish();
    opened *o = open_archive();
    static const struct {
        const char *name;
        int code;
    } cases[] = {
        {"short", KW_CORRUPT}, {"long", KW_CORRUPT}, {"damaged", KW_CORRUPT}, {"bomb", KW_BOMB}, {"limit", KW_BOMB}};
    CHECK_EQ(o->file.fault_count, 0);
    CHECK(holds(o, "a", "abc", 3));
    CHECK(!holds(o, "bad-crc", "abc", 3));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kw_source *source;
        bool inflated, sound;
        uint64_t left = 1 << 20;
        kw_error err = {0};
        CHECK_EQ(
            kw_zip_open_member(o->zip, kw_zip_find(o->zip, cases[i].name), &left, &source, &inflated, &sound, &err),
            -1);
        CHECK_EQ(err.code, cases[i].code);
        CHECK_EQ(left, 1 << 20);
    }
    close_archive(o);
}

/* More than 256 MiB may be a hundred times what is stored, not more; nothing is inflated to find out. */
static void test_ratio(void) {
    const uint64_t large = UINT64_C(256) << 20;
    static const uint8_t nothing[1] = {0};
    const struct {
        uint64_t packed_len, len;
        int code;
    } cases[] = {{large / 100, large + 1, KW_BOMB},
                 {(large + 200) / 100, (large + 200) / 100 * 100 + 1, KW_BOMB},
                 {(large + 200) / 100, (large + 200) / 100 * 100, KW_CORRUPT},
                 {large / 1000, large, KW_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* Written as a hole between its header and the directory, in memory of its own. */
        begin();
        add_packed("a", nothing, 0, cases[i].len, 1, 8, 0);
        size_t head = archive.len, len = head + cases[i].packed_len;
        uint8_t *data = calloc(len + 4096, 1);
        if (data == NULL) abort();
        for (unsigned k = 0; k < 4; k++)
            archive.data[18 + k] = directory.data[20 + k] = (uint8_t)(cases[i].packed_len >> (8 * k));
        memcpy(data, archive.data, head);
        archive.len = 0;
        put_bytes(&archive, directory.data, directory.len);
        put_end(1, directory.len, len, 0);
        data[head] = 7; /* a block of a kind that there is not */
        memcpy(data + len, archive.data, archive.len);
        opened *o = open_bytes(data, len + archive.len);
        free(data);
        kw_source *source;
        bool inflated, sound;
        uint64_t left = UINT64_MAX;
        kw_error err = {0};
        CHECK_EQ(o->file.fault_count, 0);
        if (CHECK_EQ(o->zip->count, 1))
            CHECK_EQ(kw_zip_open_member(o->zip, o->zip->members, &left, &source, &inflated, &sound, &err), -1);
        CHECK_EQ(err.code, cases[i].code);
        close_archive(o);
    }
}

static void test_unsupported(void) {
    begin();
    add_packed("bzip2", "x", 1, 1, 1, 12, 0);
    add_packed("strange", "x", 1, 1, 1, 77, 0);
    add("secret", "x", 1, 0);
    archive.data[archive.len - 1 - 6 - 30 + 6] |= 1; /* flags of the local header of `secret` */
    directory.data[directory.len - 6 - 46 + 8] |= 1;
    finish();
    opened *o = open_archive();
    static const char *const names[] = {"bzip2", "strange", "secret"};
    static const char *const details[] = {"compressed with bzip2", "compression method 77", "encrypted"};
    CHECK_EQ(o->file.fault_count, 0);
    for (size_t i = 0; i < 3; i++) {
        kw_source *source;
        bool inflated, sound;
        uint64_t left = 100;
        kw_error err = {0};
        CHECK_EQ(kw_zip_open_member(o->zip, kw_zip_find(o->zip, names[i]), &left, &source, &inflated, &sound, &err),
                 -1);
        CHECK_EQ(err.code, KW_UNSUPPORTED);
        CHECK_STR(err.detail, details[i]);
    }
    close_archive(o);
}

static void test_names(void) {
    static const struct {
        const char *name, *detail;
    } cases[] = {
        {"../up", "a name that leaves its folder"},
        {"a/../../up", "a name that leaves its folder"},
        {"..", "a name that leaves its folder"},
        {"/etc/passwd", "an absolute name"},
        {"C:x", "an absolute name"},
        {"a\\b", "a name with a backslash"},
        {"", "a member without a name"},
        {"a..b/..c/d..", NULL},
        {"assets/", NULL},
        {"a//b", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        add(cases[i].name, "x", 1, 0);
        finish();
        opened *o = open_archive();
        const kw_container_fault *fault = fault_of(o, KW_MEMBER);
        CHECK_STR(fault != NULL ? fault->fault.detail : NULL, cases[i].detail);
        if (fault != NULL) CHECK_STR(fault->path, cases[i].name);
        close_archive(o);
    }
    begin();
    add("aXb", "x", 1, 0);
    archive.data[31] = directory.data[47] = '\0';
    finish();
    opened *o = open_archive();
    if (CHECK_EQ(o->file.fault_count, 1)) CHECK_STR(o->file.faults[0].fault.detail, "a name with a NUL in it");
    CHECK(kw_zip_find(o->zip, "a") != NULL);
    close_archive(o);
}

/* A Unicode Path field in the directory's entry of the only member. */
static void test_unicode_path(void) {
    static const struct {
        const char *path;
        unsigned version, crc_error;
        bool renamed;
    } cases[] = {{"model.weights.h5", 1, 0, true}, {"fooo", 1, 0, true}, {"fo", 1, 0, true}, {"foo", 1, 0, false},
                 {"", 1, 0, false},                {"other", 2, 0, false}, {"other", 1, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].path);
        begin();
        add("foo", "x", 1, 0);
        directory.data[30] = (uint8_t)(4 + 4 + 5 + len);
        put(&directory, 9, 2);
        put(&directory, 0, 2);
        put(&directory, 0x7075, 2);
        put(&directory, 5 + len, 2);
        put(&directory, cases[i].version, 1);
        put(&directory, kw_crc32(0, "foo", 3) + cases[i].crc_error, 4);
        put_bytes(&directory, cases[i].path, len);
        finish();
        opened *o = open_archive();
        CHECK_EQ(fault_of(o, KW_MEMBER) != NULL, cases[i].renamed);
        CHECK_EQ(o->file.fault_count, cases[i].renamed);
        close_archive(o);
    }
}

/* One byte of the local header or the entry of the only member is another. */
static void test_mismatch(void) {
    static const struct {
        size_t local, entry;
        const char *detail;
    } cases[] = {
        {0, 0, "no local header where one should be"},
        {6, 0, "other flags in the local header"},
        {8, 0, "another compression method in the local header"},
        {14, 0, "another CRC-32 in the local header"},
        {18, 0, "other sizes in the local header"},
        {22, 0, "other sizes in the local header"},
        {30, 0, "another name in the local header"},
        {26, 0, "another name in the local header"},
        {0, 46, "another name in the local header"},
        {0, 24, "stored, yet its two sizes differ"},
        {0, 41, "symbolic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        add("member", "data", 4, 0);
        if (cases[i].entry == 0)
            archive.data[cases[i].local] ^= 1;
        else if (cases[i].entry == 41)
            directory.data[41] = 0xA0;
        else
            directory.data[cases[i].entry] ^= 1;
        finish();
        opened *o = open_archive();
        const kw_container_fault *fault = fault_of(o, KW_MEMBER);
        CHECK_EQ(o->result, 0);
        if (CHECK(fault != NULL)) CHECK(strstr(fault->fault.detail, cases[i].detail) != NULL);
        close_archive(o);
    }
}

/* Sizes that stand in the local header though a descriptor follows, as Info-ZIP writes them. */
static void test_sizes_before_a_descriptor(void) {
    for (uint8_t len = 4; len < 6; len++) {
        begin();
        add("member", "data", 4, DESCRIPTOR);
        archive.data[18] = archive.data[22] = len;
        finish();
        opened *o = open_archive();
        CHECK_EQ(o->file.fault_count, len != 4);
        close_archive(o);
        o = open_bytes(archive.data, archive.len - 30); /* the directory is lost */
        CHECK(holds(o, "member", "data", 4));
        CHECK(kw_zip_find(o->zip, "member")->has_crc);
        close_archive(o);
    }
}

static void test_repeats(void) {
    begin();
    add("config.json", "first", 5, 0);
    add("config.json", "second", 6, 0);
    finish();
    opened *o = open_archive();
    if (CHECK_EQ(o->file.fault_count, 1)) CHECK_STR(o->file.faults[0].path, "config.json");
    CHECK(fault_of(o, KW_MEMBER) != NULL);
    CHECK(holds(o, "config.json", "second", 6));
    close_archive(o);
}

static void test_overlap(void) {
    /* The second member's local header lies in the first one's data. */
    begin();
    add("b", "0123", 4, 0);
    uint8_t inner[64];
    size_t inner_len = archive.len;
    memcpy(inner, archive.data, inner_len);
    begin();
    add("a", inner, inner_len, 0);
    size_t at = archive.len - inner_len;
    size_t kept = archive.len;
    add("b", "0123", 4, 0);
    archive.len = kept;
    directory.data[directory.len - 1 - 4] = (uint8_t)at;
    directory.data[directory.len - 1 - 3] = 0;
    finish();
    opened *o = open_archive();
    if (CHECK(fault_of(o, KW_OVERLAP) != NULL)) CHECK_STR(fault_of(o, KW_OVERLAP)->path, "b");
    close_archive(o);
}

/* Every length of an archive: what is whole is found, what is missing is said. */
static void test_truncated(void) {
    static const int hows[] = {0, ZIP64, DESCRIPTOR, DESCRIPTOR | NO_SIGNATURE};
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        begin_keras(hows[i]);
        size_t members = archive.len;
        finish();
        size_t tail = hows[i] & DESCRIPTOR ? hows[i] & NO_SIGNATURE ? 12 : 16 : 0, data_end = members - tail;
        for (size_t len = 4; len < archive.len; len++) {
            opened *o = open_bytes(archive.data, len);
            const kw_container_fault *fault = fault_of(o, KW_TRUNCATED);
            CHECK_EQ(o->result, 0);
            if (!CHECK(fault != NULL)) {
                close_archive(o);
                continue;
            }
            CHECK_EQ(fault->a, len);
            if (!(hows[i] & DESCRIPTOR)) {
                CHECK(fault->b > len);
                if (len >= data_end) CHECK_EQ(fault->b, archive.len);
            }
            if (len >= members) CHECK(is_whole(o) || (hows[i] & NO_SIGNATURE));
            if (len >= data_end - 10 && len <= data_end)
                CHECK(holds(o, "model.weights.h5", "0123456789", 10 - (data_end - len)));
            close_archive(o);
        }
    }
}

/* What Keras leaves behind when it dies while it writes the weights. */
static void test_interrupted(void) {
    for (size_t len = 0; len <= 10; len += 5) {
        begin();
        add("metadata.json", "{}", 2, 0);
        add("model.weights.h5", "0123456789", len, PLACEHOLDER | ZIP64);
        opened *o = open_archive();
        const kw_container_fault *fault = fault_of(o, KW_INTERRUPTED);
        if (CHECK(fault != NULL)) CHECK_STR(fault->path, "model.weights.h5");
        CHECK(fault_of(o, KW_TRUNCATED) == NULL);
        CHECK(holds(o, "model.weights.h5", "0123456789", len));
        close_archive(o);
    }
}

/* A member of unknown length is found again behind more than one window of bytes. */
static void test_scan(void) {
    static uint8_t data[100000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7);
    memcpy(data + 1000, "PK\3\4", 4);
    memcpy(data + 65530, "PK\7\10abcdefgh", 12);
    memcpy(data + 65472, "PK\1\2PKPK", 8);
    for (size_t len = 65400; len < 65560; len++) {
        begin();
        add("big", data, len, DESCRIPTOR);
        add("small", "x", 1, 0);
        opened *o = open_archive();
        const kw_zip_member *member = kw_zip_find(o->zip, "big");
        if (CHECK(member != NULL)) CHECK_EQ(member->len, len);
        if (member != NULL) CHECK_EQ(member->crc, kw_crc32(0, data, len));
        CHECK(holds(o, "small", "x", 1));
        close_archive(o);
    }
}

/* A local header that has its sizes in 64 bits elsewhere, and nothing there: what comes before it is all there is. */
static void test_walk_without_sizes(void) {
    begin();
    add("config.json", "{}", 2, 0);
    size_t at = archive.len;
    add("model.weights.h5", "0123456789", 10, ZIP64);
    archive.data[at + 30 + strlen("model.weights.h5")] ^= 2; /* another kind of extra field */
    opened *o = open_archive();
    const kw_container_fault *fault = fault_of(o, KW_CORRUPT);
    if (CHECK(fault != NULL)) CHECK_EQ(fault->fault.at, at);
    if (fault != NULL) CHECK_STR(fault->fault.detail, "64-bit sizes are missing in a local header");
    CHECK(holds(o, "config.json", "{}", 2));
    CHECK(kw_zip_find(o->zip, "model.weights.h5") == NULL);
    close_archive(o);
}

/* A damaged directory: the local headers tell what is there. */
static void test_damaged_directory(void) {
    begin_keras(0);
    size_t at = archive.len;
    finish();
    archive.data[at] ^= 1;
    opened *o = open_archive();
    CHECK(fault_of(o, KW_CORRUPT) != NULL);
    CHECK(fault_of(o, KW_TRUNCATED) == NULL);
    CHECK(is_whole(o));
    close_archive(o);
}

/* Every byte, with several values, and every 8 bytes with numbers that wrap: no crash, no long run, nothing read
 * outside. */
static void test_mutations(void) {
    static const uint64_t numbers[] = {0, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63, 0x80000000};
    clock_t start = clock();
    int runs = 0;
    for (int how = 0; how <= ZIP64; how += ZIP64) {
        begin_keras(how);
        finish();
        for (size_t at = 0; at < archive.len; at++) {
            uint8_t kept[8];
            size_t width = archive.len - at < 8 ? archive.len - at : 8;
            memcpy(kept, archive.data + at, 8);
            for (unsigned k = 0; k < 9; k++, runs++) {
                static const uint8_t flips[] = {1, 0x80, 0xFF, 2};
                if (k < 4)
                    archive.data[at] ^= flips[k];
                else
                    memcpy(archive.data + at, &numbers[k - 4], width);
                opened *o = open_archive();
                CHECK_EQ(o->result, 0);
                for (uint32_t i = 0; o->zip != NULL && i < o->zip->count; i++)
                    (void)holds(o, o->zip->members[i].name, "", 0);
                close_archive(o);
                memcpy(archive.data + at, kept, width);
            }
        }
    }
    CHECK(runs > 5000);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 20);
}

int main(void) {
    RUN(test_sound);
    RUN(test_empty);
    RUN(test_comment);
    RUN(test_which_end);
    RUN(test_prefix);
    RUN(test_gaps);
    RUN(test_zip64_end);
    RUN(test_deflated);
    RUN(test_ratio);
    RUN(test_unsupported);
    RUN(test_names);
    RUN(test_unicode_path);
    RUN(test_mismatch);
    RUN(test_sizes_before_a_descriptor);
    RUN(test_repeats);
    RUN(test_overlap);
    RUN(test_truncated);
    RUN(test_interrupted);
    RUN(test_scan);
    RUN(test_walk_without_sizes);
    RUN(test_damaged_directory);
    RUN(test_mutations);
    return check_result(__FILE__);
}
