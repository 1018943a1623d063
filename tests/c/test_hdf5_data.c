/* The bytes of HDF5 datasets: what libhdf5 writes with each storage, chunk index,
 * filter and type comes back; lies about chunks are refused by name; no changed
 * byte of a small file makes reading crash or take long. */
#include <hdf5.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "read/hdf5_checksum.h"
#include "read/hdf5_filter.h"
#include "read/hdf5_private.h"

#define UNLIMITED H5S_UNLIMITED
enum { ANY_INDEX = -1, LEVEL = 4 };

/* What a sample has besides its shape. */
enum {
    LATEST = 1 << 0,
    DEFLATE = 1 << 1,
    SHUFFLE = 1 << 2,
    FLETCHER = 1 << 3,
    NBIT = 1 << 4,
    SCALE = 1 << 5,
    SZIP = 1 << 6,
    EARLY = 1 << 7,           /* all storage allocated at once */
    EDGE_PLAIN = 1 << 8,      /* chunks over the edge are not filtered */
    SPARSE = 1 << 9,          /* only every third chunk or so is written */
    NOTHING = 1 << 10,        /* nothing is written: the fill value */
    COMPACT = 1 << 11,
    USER_BLOCK = 1 << 12,
    SHRUNK = 1 << 13,         /* written, then made smaller by a third in each dimension that can */
    FLETCHER_FIRST = 1 << 14, /* before deflate */
    DEFLATE_TWICE = 1 << 15,
    SCALE_FLOAT = 1 << 16
};

typedef enum element { F32, F32_BIG, F64, F16, I8, I16, I16_BIG, I32, U64_BIG, I12, BF16, C64, C128_BIG } element;

typedef struct sample {
    const char *name;
    element element;
    unsigned flags;
    int rank;
    hsize_t dims[4], max[4], chunk[4]; /* chunk[0] 0: not chunked; max[0] 0: as dims */
    int index;                         /* kw_chunk_index that must result, or ANY_INDEX */
} sample;

/* A file in memory, and the values that libhdf5 reads from it. */
typedef struct image {
    uint8_t *bytes, *values;
    size_t len, values_len;
} image;

/* An open file of ours. */
typedef struct opened {
    kw_source *source;
    kw_hdf5 *hdf5;
    uint32_t dataset;
} opened;

static const sample samples[] = {
    {"contiguous", F32, 0, 2, {7, 9}, {0}, {0}, ANY_INDEX},
    {"contiguous big-endian", F32_BIG, 0, 2, {7, 9}, {0}, {0}, ANY_INDEX},
    {"contiguous latest", F64, LATEST, 1, {33}, {0}, {0}, ANY_INDEX},
    {"compact", I32, COMPACT, 2, {3, 5}, {0}, {0}, ANY_INDEX},
    {"compact big-endian", U64_BIG, COMPACT | LATEST, 1, {6}, {0}, {0}, ANY_INDEX},
    {"scalar", F32, 0, 0, {0}, {0}, {0}, ANY_INDEX},
    {"empty", F32, 0, 2, {0, 4}, {0}, {0}, ANY_INDEX},
    {"never written", F32, NOTHING, 2, {5, 6}, {0}, {0}, ANY_INDEX},
    {"never written big-endian", I16_BIG, NOTHING, 1, {9}, {0}, {0}, ANY_INDEX},
    {"never written chunked", I32, NOTHING | LATEST, 2, {5, 6}, {0}, {2, 4}, KW_CHUNK_FIXED_ARRAY},
    {"float16", F16, 0, 1, {10}, {0}, {0}, ANY_INDEX},
    {"opaque of two bytes", BF16, 0, 1, {10}, {0}, {0}, ANY_INDEX},
    {"complex64", C64, 0, 1, {5}, {0}, {0}, ANY_INDEX},
    {"complex128 big-endian", C128_BIG, 0, 1, {5}, {0}, {2}, KW_CHUNK_BTREE1},
    {"user block", F32, USER_BLOCK, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_BTREE1},
    {"B-tree v1", F32, 0, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_BTREE1},
    {"B-tree v1 deflate", F32, DEFLATE, 2, {70, 90}, {0}, {30, 40}, KW_CHUNK_BTREE1},
    {"B-tree v1 all filters", F32, DEFLATE | SHUFFLE | FLETCHER, 3, {7, 9, 5}, {0}, {3, 4, 2}, KW_CHUNK_BTREE1},
    {"B-tree v1 whole rows", I16, SHUFFLE, 3, {70, 9, 5}, {0}, {8, 9, 5}, KW_CHUNK_BTREE1},
    {"B-tree v1 sparse", I16_BIG, SPARSE | DEFLATE, 2, {17, 19}, {0}, {3, 4}, KW_CHUNK_BTREE1},
    {"B-tree v1 of levels", I8, 0, 1, {7000}, {0}, {1}, KW_CHUNK_BTREE1},
    {"B-tree v1 shrunk", F32, SHRUNK | DEFLATE, 2, {20, 30}, {UNLIMITED, UNLIMITED}, {3, 4}, KW_CHUNK_BTREE1},
    {"shuffle of doubles", F64, SHUFFLE, 1, {1000}, {0}, {333}, KW_CHUNK_BTREE1},
    {"fletcher32 of odd bytes", I8, FLETCHER, 1, {1001}, {0}, {1001}, KW_CHUNK_BTREE1},
    {"fletcher32 first", F32, FLETCHER_FIRST | DEFLATE, 1, {1000}, {0}, {300}, KW_CHUNK_BTREE1},
    {"deflate twice", F32, DEFLATE | DEFLATE_TWICE | SHUFFLE, 1, {1000}, {0}, {300}, KW_CHUNK_BTREE1},
    {"single", F32, LATEST, 2, {7, 9}, {0}, {7, 9}, KW_CHUNK_SINGLE},
    {"single deflate", F32, LATEST | DEFLATE | SHUFFLE, 2, {7, 9}, {0}, {7, 9}, KW_CHUNK_SINGLE},
    {"implicit", F32, LATEST | EARLY, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_IMPLICIT},
    {"implicit greater", F32, LATEST | EARLY, 3, {7, 9, 2}, {12, 20, 6}, {3, 4, 2}, KW_CHUNK_IMPLICIT},
    {"fixed array", F32_BIG, LATEST, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array greater", F32, LATEST | DEFLATE, 2, {7, 9}, {20, 31}, {3, 4}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array sparse", F32, LATEST | SPARSE, 2, {17, 19}, {0}, {3, 4}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array paged", I8, LATEST, 1, {5000}, {0}, {1}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array of exact pages", I8, LATEST, 1, {4096}, {0}, {1}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array of one page", I8, LATEST, 1, {1024}, {0}, {1}, KW_CHUNK_FIXED_ARRAY},
    {"fixed array paged sparse", I16, LATEST | SPARSE | SHUFFLE, 2, {100, 300}, {0}, {2, 2}, KW_CHUNK_FIXED_ARRAY},
    {"edge chunks plain", F32, LATEST | EDGE_PLAIN | DEFLATE, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_FIXED_ARRAY},
    {"extensible array", F32, LATEST, 2, {7, 9}, {UNLIMITED, 9}, {3, 4}, KW_CHUNK_EXTENSIBLE_ARRAY},
    {"extensible array turned", F32, LATEST | DEFLATE, 3, {7, 9, 4}, {10, UNLIMITED, 8}, {3, 4, 2},
     KW_CHUNK_EXTENSIBLE_ARRAY},
    {"extensible array of levels", I16, LATEST, 1, {9000}, {UNLIMITED}, {10}, KW_CHUNK_EXTENSIBLE_ARRAY},
    {"extensible array paged", I8, LATEST, 1, {150000}, {UNLIMITED}, {1}, KW_CHUNK_EXTENSIBLE_ARRAY},
    {"extensible array paged sparse", I8, LATEST | SPARSE | FLETCHER, 1, {60000}, {UNLIMITED}, {1},
     KW_CHUNK_EXTENSIBLE_ARRAY},
    {"extensible array shrunk", F32, LATEST | SHRUNK, 1, {900}, {UNLIMITED}, {7}, KW_CHUNK_EXTENSIBLE_ARRAY},
    {"B-tree v2", F32, LATEST, 2, {7, 9}, {UNLIMITED, UNLIMITED}, {3, 4}, KW_CHUNK_BTREE2},
    {"B-tree v2 deflate", F32, LATEST | DEFLATE | SHUFFLE, 2, {70, 90}, {UNLIMITED, UNLIMITED}, {3, 4},
     KW_CHUNK_BTREE2},
    {"B-tree v2 of levels", I8, LATEST | SPARSE, 2, {150, 200}, {UNLIMITED, UNLIMITED}, {1, 1}, KW_CHUNK_BTREE2},
    {"nbit", I16, NBIT, 1, {500}, {0}, {100}, KW_CHUNK_BTREE1},
    {"nbit deflate", F32, NBIT | LATEST | DEFLATE, 2, {7, 9}, {0}, {3, 4}, KW_CHUNK_FIXED_ARRAY},
    {"scale-offset", I32, SCALE | SHUFFLE, 1, {500}, {0}, {100}, KW_CHUNK_BTREE1},
    {"scale-offset of floats", F32, SCALE_FLOAT | FLETCHER, 1, {500}, {0}, {100}, KW_CHUNK_BTREE1},
    {"szip", F32, SZIP, 2, {64, 64}, {0}, {16, 32}, KW_CHUNK_BTREE1},
    {"szip with edges", F32, SZIP | LATEST, 2, {33, 70}, {0}, {16, 32}, KW_CHUNK_FIXED_ARRAY},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

/* A compound of two floating numbers, as h5py stores complex numbers. */
static hid_t complex_type(hid_t part) {
    size_t len = H5Tget_size(part);
    hid_t type = H5Tcreate(H5T_COMPOUND, 2 * len);
    (void)H5Tinsert(type, "r", 0, part);
    (void)H5Tinsert(type, "i", len, part);
    return type;
}

/* IEEE half precision, which libhdf5 1.10 does not name. */
static hid_t half_type(void) {
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    (void)H5Tset_fields(type, 15, 10, 5, 0, 10);
    (void)H5Tset_size(type, 2);
    (void)H5Tset_ebias(type, 15);
    return type;
}

/* The type in the file, to be closed. */
static hid_t file_type(element e) {
    hid_t type;
    switch (e) {
    case F32: return H5Tcopy(H5T_IEEE_F32LE);
    case F32_BIG: return H5Tcopy(H5T_IEEE_F32BE);
    case F64: return H5Tcopy(H5T_IEEE_F64LE);
    case F16: return half_type();
    case I8: return H5Tcopy(H5T_STD_I8LE);
    case I16: return H5Tcopy(H5T_STD_I16LE);
    case I16_BIG: return H5Tcopy(H5T_STD_I16BE);
    case I32: return H5Tcopy(H5T_STD_I32LE);
    case U64_BIG: return H5Tcopy(H5T_STD_U64BE);
    case I12:
        type = H5Tcopy(H5T_STD_I16LE);
        (void)H5Tset_precision(type, 12);
        return type;
    case BF16: return H5Tcreate(H5T_OPAQUE, 2);
    case C64: return complex_type(H5T_IEEE_F32LE);
    case C128_BIG: return complex_type(H5T_IEEE_F64BE);
    }
    return -1;
}

/* The type in memory, to be closed. */
static hid_t memory_type(element e) {
    switch (e) {
    case F32_BIG: return H5Tcopy(H5T_IEEE_F32LE);
    case I16_BIG: return H5Tcopy(H5T_STD_I16LE);
    case U64_BIG: return H5Tcopy(H5T_STD_U64LE);
    case C128_BIG: return complex_type(H5T_IEEE_F64LE);
    case F32: case F64: case F16: case I8: case I16: case I32: case I12: case BF16: case C64:
    default: return file_type(e);
    }
}

static hid_t creation_list(const sample *s) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    static const uint8_t pattern[16] = {0, 0, 0x20, 0x40, 0, 0, 0x20, 0x41};
    hid_t memory = memory_type(s->element);
    if (s->flags & (NOTHING | SPARSE)) (void)H5Pset_fill_value(list, memory, pattern);
    (void)H5Tclose(memory);
    if (s->flags & COMPACT) (void)H5Pset_layout(list, H5D_COMPACT);
    if (s->flags & EARLY) (void)H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    if (s->chunk[0] != 0) (void)H5Pset_chunk(list, s->rank, s->chunk);
    if (s->flags & EDGE_PLAIN) (void)H5Pset_chunk_opts(list, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    if (s->flags & FLETCHER_FIRST) (void)H5Pset_fletcher32(list);
    if (s->flags & NBIT) (void)H5Pset_nbit(list);
    if (s->flags & SHUFFLE) (void)H5Pset_shuffle(list);
    if (s->flags & SCALE) (void)H5Pset_scaleoffset(list, H5Z_SO_INT, H5Z_SO_INT_MINBITS_DEFAULT);
    if (s->flags & SCALE_FLOAT) (void)H5Pset_scaleoffset(list, H5Z_SO_FLOAT_DSCALE, 3);
    if (s->flags & SZIP) (void)H5Pset_szip(list, H5_SZIP_NN_OPTION_MASK, 8);
    if (s->flags & DEFLATE) (void)H5Pset_deflate(list, LEVEL);
    if (s->flags & DEFLATE_TWICE) {
        unsigned level = LEVEL;
        (void)H5Pset_filter(list, H5Z_FILTER_DEFLATE, 0, 1, &level);
    }
    if (s->flags & FLETCHER) (void)H5Pset_fletcher32(list);
    return list;
}

/* Values that differ everywhere, small enough for 12 bits and whole numbers as floats. */
static void make_values(const sample *s, uint8_t *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int v = (int)((i * 37 + i / 11) % 2039) - 900;
        float f = (float)v / 8;
        double d[2] = {v, v / 3.0};
        int16_t h = (int16_t)v;
        int32_t w = v * 1000;
        uint64_t u = (uint64_t)i * UINT64_C(0x123456789abcdef);
        switch (s->element) {
        case F32: case F32_BIG: memcpy(values + 4 * i, &f, 4); break;
        case F64: memcpy(values + 8 * i, d, 8); break;
        case I8: values[i] = (uint8_t)v; break;
        case F16: case BF16: case I16: case I16_BIG: case I12: memcpy(values + 2 * i, &h, 2); break;
        case I32: memcpy(values + 4 * i, &w, 4); break;
        case U64_BIG: memcpy(values + 8 * i, &u, 8); break;
        case C64:
            memcpy(values + 8 * i, &f, 4);
            memcpy(values + 8 * i + 4, &f, 4);
            break;
        case C128_BIG: memcpy(values + 16 * i, d, 16); break;
        }
    }
}

/* A file on disk: the image that libhdf5 1.10 hands out of an open one has a wrong
 * checksum. */
static char path[] = "/tmp/kwload-data-XXXXXX";

static hid_t new_file(unsigned flags) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    if (flags & LATEST) (void)H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    if (flags & USER_BLOCK) (void)H5Pset_userblock(creation, 1024);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    (void)H5Pclose(access);
    (void)H5Pclose(creation);
    return file;
}

/* Closes the file and takes its bytes. */
static void take_image(hid_t file, image *out) {
    CHECK(H5Fclose(file) >= 0);
    FILE *stream = fopen(path, "rb");
    if (!CHECK(stream != NULL)) return;
    (void)fseek(stream, 0, SEEK_END);
    out->len = (size_t)ftell(stream);
    out->bytes = malloc(out->len);
    rewind(stream);
    CHECK_EQ(fread(out->bytes, 1, out->len, stream), out->len);
    (void)fclose(stream);
}

/* Selects about a third of the dataset, here and there. */
static hid_t written_space(const sample *s, hid_t space) {
    hid_t selected = H5Scopy(space);
    if (!(s->flags & SPARSE)) return selected;
    hsize_t start[4] = {0}, stride[4], count[4], block[4];
    for (int d = 0; d < s->rank; d++) {
        stride[d] = 3 * s->chunk[d];
        block[d] = d == 0 ? s->chunk[d] : 1;
        count[d] = (s->dims[d] - block[d]) / stride[d] + 1;
    }
    /* A stretch without any chunk, so that whole pages and blocks are absent. */
    start[0] = s->dims[0] / 3 / s->chunk[0] * s->chunk[0];
    count[0] = (s->dims[0] - start[0] - block[0]) / stride[0] + 1;
    (void)H5Sselect_hyperslab(selected, H5S_SELECT_SET, start, stride, count, block);
    return selected;
}

static void make_image(const sample *s, image *out) {
    hid_t file = new_file(s->flags), type = file_type(s->element), memory = memory_type(s->element);
    const hsize_t *max = s->max[0] != 0 ? s->max : NULL;
    hid_t space = s->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(s->rank, s->dims, max);
    hid_t list = creation_list(s);
    hid_t dataset = H5Dcreate2(file, "data", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    size_t count = (size_t)H5Sget_simple_extent_npoints(space), len = H5Tget_size(memory);
    uint8_t *values = calloc(count + 1, len);
    make_values(s, values, count);
    CHECK(dataset >= 0);
    if (!(s->flags & NOTHING)) {
        hid_t selected = written_space(s, space);
        CHECK(H5Dwrite(dataset, memory, selected, selected, H5P_DEFAULT, values) >= 0);
        (void)H5Sclose(selected);
    }
    if (s->flags & SHRUNK) {
        hsize_t dims[4];
        count = 1;
        for (int d = 0; d < s->rank; d++) count *= (size_t)(dims[d] = s->dims[d] * 2 / 3);
        CHECK(H5Dset_extent(dataset, dims) >= 0);
    }
    out->values_len = count * len;
    memset(values, 0x77, out->values_len);
    CHECK(H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    out->values = values;
    (void)H5Dclose(dataset), (void)H5Pclose(list), (void)H5Sclose(space), (void)H5Tclose(type), (void)H5Tclose(memory);
    take_image(file, out);
}

static void free_image(image *i) {
    free(i->bytes);
    free(i->values);
}

/* Opens the bytes with our reader and finds "data"; false when that fails. */
static bool open_bytes(const uint8_t *bytes, size_t len, opened *o, kw_error *err) {
    *o = (opened){NULL, NULL, KW_NONE};
    if (kw_source_open_memory(bytes, len, NULL, NULL, &o->source, err) != 0) return false;
    if (kw_hdf5_open(o->source, &o->hdf5, err) != 0) return false;
    uint32_t node = o->hdf5->node_count > 0 ? kw_hdf5_find(o->hdf5, 0, "data") : KW_NONE;
    if (node != KW_NONE) o->dataset = o->hdf5->nodes[node].dataset;
    return o->dataset != KW_NONE;
}

static void close_bytes(opened *o) {
    if (o->hdf5 != NULL) kw_hdf5_free(o->hdf5);
    kw_source_release(o->source);
}

/* Compares what our reader gives with the values expected. */
static void check_image(const char *name, const image *i, int index) {
    opened o;
    kw_error err = {0};
    uint8_t *out = malloc(i->values_len + 16);
    memset(out, 0xC3, i->values_len + 16);
    bool right = CHECK(open_bytes(i->bytes, i->len, &o, &err));
    if (right) {
        const kw_dataset *d = &o.hdf5->datasets[o.dataset];
        right = CHECK_EQ(d->nbytes, i->values_len);
        if (index != ANY_INDEX) right = CHECK(d->info != NULL) && CHECK_EQ(d->info->index, index) && right;
        right = right && CHECK_EQ(kw_hdf5_read(o.hdf5, o.dataset, out, &err), 0);
        right = right && CHECK_MEM(out, i->values, i->values_len);
        for (size_t k = 0; k < 16; k++) right = right && CHECK_EQ(out[i->values_len + k], 0xC3);
    }
    if (!right) fprintf(stderr, "    sample \"%s\": code %d: %s\n", name, err.code, err.detail);
    close_bytes(&o);
    free(out);
}

static void test_samples(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        image made = {0};
        make_image(&samples[i], &made);
        check_image(samples[i].name, &made, samples[i].index);
        free_image(&made);
    }
}

static double seconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Opens and reads a damaged file: any result will do, as long as an error has a
 * code, nothing is written behind the end and it does not take long. */
static bool survives(const uint8_t *bytes, size_t len) {
    opened o;
    kw_error err = {0};
    double start = seconds();
    bool fine = true;
    if (open_bytes(bytes, len, &o, &err)) {
        const kw_dataset *d = &o.hdf5->datasets[o.dataset];
        if (d->nbytes < 1 << 20) {
            uint8_t *out = malloc((size_t)d->nbytes + 1);
            out[d->nbytes] = 0xC3;
            fine = (kw_hdf5_read(o.hdf5, o.dataset, out, &err) == 0 || err.code != KW_OK) && out[d->nbytes] == 0xC3;
            free(out);
        }
    }
    close_bytes(&o);
    return fine && seconds() - start < 2;
}

/* Bytes of each sample, changed; and the file cut there.  All of them would take
 * minutes, so a stride goes over them that leaves no kind of structure out. */
static void test_damage(void) {
    enum { PLACES = 400 };
    static const uint8_t flips[] = {0x01, 0x80, 0xFF, 0x10};
    for (size_t i = 0; i < SAMPLES; i++) {
        image made = {0};
        make_image(&samples[i], &made);
        bool fine = true;
        size_t step = made.len / PLACES + 1;
        for (size_t at = i % step; at < made.len; at += step) {
            made.bytes[at] ^= flips[at / step % 4];
            fine = fine && survives(made.bytes, made.len);
            made.bytes[at] ^= flips[at / step % 4];
            if (at / step % 8 == 0) fine = fine && survives(made.bytes, at);
        }
        if (!CHECK(fine)) fprintf(stderr, "    sample \"%s\"\n", samples[i].name);
        free_image(&made);
    }
}

/* --- what is wrong around a chunk is no matter of its decoder --- */

/* A file whose group's heap has a free list that goes round in a circle: libhdf5, given the file, walks it for ever. */
static void test_circle_beside_chunks(void) {
    enum { SEGMENT_LEN_AT = 8, FREE_LIST_AT = 16, SEGMENT_AT = 24, HANGS_AFTER_S = 20 };
    static const sample decoded[] = {{"nbit", I16, NBIT, 1, {500}, {0}, {100}, KW_CHUNK_BTREE1},
                                     {"scale-offset", I32, SCALE, 1, {500}, {0}, {100}, KW_CHUNK_BTREE1},
                                     {"szip", F32, SZIP, 2, {64, 64}, {0}, {16, 32}, KW_CHUNK_BTREE1}};
    for (size_t i = 0; i < sizeof decoded / sizeof *decoded; i++) {
        image made = {0};
        uint64_t len, segment, block;
        make_image(&decoded[i], &made);
        size_t heap = 0;
        while (heap + 32 < made.len && memcmp(made.bytes + heap, "HEAP\0\0\0\0", 8) != 0) heap++;
        memcpy(&len, made.bytes + heap + SEGMENT_LEN_AT, 8);
        memcpy(&segment, made.bytes + heap + SEGMENT_AT, 8);
        if (!CHECK(segment + len <= made.len && len >= 32)) return;
        block = len - 16; /* next free block: itself; bytes: 16 */
        memcpy(made.bytes + heap + FREE_LIST_AT, &block, 8);
        memcpy(made.bytes + segment + block, (const uint64_t[]){block, 16}, 16);
        (void)alarm(HANGS_AFTER_S);
        check_image(decoded[i].name, &made, KW_CHUNK_BTREE1);
        (void)alarm(0);
        free_image(&made);
    }
}

/* --- single lies, in the B-tree of four chunks of 16 bytes each --- */

enum { TREE_HEAD = 24, KEY_LEN = 8 + 2 * 8, ENTRY_LEN = KEY_LEN + 8 };

/* Where the chunk B-tree lies in the file. */
static size_t find_tree(const image *i) {
    for (size_t at = 0; at + 8 < i->len; at++) {
        if (memcmp(i->bytes + at, "TREE\1\0", 6) == 0) return at;
    }
    return 0;
}

/* What reading gives when the bytes at `at` of the tree are replaced. */
static int code_with(const char *name, size_t at, const void *lie, size_t len, unsigned flags) {
    const sample s = {name, I32, flags, 1, {16}, {0}, {4}, KW_CHUNK_BTREE1};
    image made = {0};
    opened o;
    kw_error err = {0};
    uint8_t out[64];
    make_image(&s, &made);
    size_t tree = find_tree(&made);
    CHECK(tree != 0);
    memcpy(made.bytes + tree + at, lie, len);
    if (CHECK(open_bytes(made.bytes, made.len, &o, &err))) CHECK_EQ(kw_hdf5_read(o.hdf5, o.dataset, out, &err), -1);
    close_bytes(&o);
    free_image(&made);
    return err.code;
}

static void test_lies_of_a_tree(void) {
    const uint64_t zero = 0, beside = 5, far = UINT64_C(1) << 40, outside = 1024;
    const uint32_t size = 12, nothing = 0;
    uint8_t level = 1;
    size_t second = TREE_HEAD + ENTRY_LEN, child = second + KEY_LEN;
    CHECK_EQ(code_with("there twice", second + 8, &zero, 8, 0), KW_CORRUPT);
    CHECK_EQ(code_with("beside the grid", second + 8, &beside, 8, 0), KW_CORRUPT);
    CHECK_EQ(code_with("outside", second + 8, &outside, 8, 0), KW_CORRUPT);
    CHECK_EQ(code_with("element dimension", second + 16, &beside, 8, 0), KW_CORRUPT);
    CHECK_EQ(code_with("past the end", child, &far, 8, 0), KW_CORRUPT);
    CHECK_EQ(code_with("other size", second, &size, 4, 0), KW_CORRUPT);
    CHECK_EQ(code_with("no size", second, &nothing, 4, DEFLATE), KW_CORRUPT);
    CHECK_EQ(code_with("level", 5, &level, 1, 0), KW_CORRUPT);
}

/* Two chunks at one place would make the work greater than the file. */
static void test_overlap(void) {
    const sample s = {"overlap", I32, 0, 1, {16}, {0}, {4}, KW_CHUNK_BTREE1};
    image made = {0};
    opened o;
    kw_error err = {0};
    uint8_t out[64];
    make_image(&s, &made);
    uint8_t *first = made.bytes + find_tree(&made) + TREE_HEAD + KEY_LEN;
    memcpy(first + ENTRY_LEN, first, 8);
    if (CHECK(open_bytes(made.bytes, made.len, &o, &err))) CHECK_EQ(kw_hdf5_read(o.hdf5, o.dataset, out, &err), -1);
    CHECK_EQ(err.code, KW_OVERLAP);
    close_bytes(&o);
    free_image(&made);
}

/* --- chunks whose stored bytes are given --- */

/* A dataset of one chunk, or several, of 64 bytes, with one filter; each chunk
 * is stored as `bytes`. */
static void make_raw(H5Z_filter_t id, const hsize_t *dims, const hsize_t *chunk, unsigned mask, const void *bytes,
                     size_t len, image *out) {
    static const hsize_t max[2] = {UNLIMITED, UNLIMITED};
    hid_t file = new_file(0), space = H5Screate_simple(2, dims, max), list = H5Pcreate(H5P_DATASET_CREATE);
    const unsigned value = 4;
    (void)H5Pset_chunk(list, 2, chunk);
    (void)H5Pset_filter(list, id, H5Z_FLAG_OPTIONAL, 1, &value);
    hid_t dataset = H5Dcreate2(file, "data", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    CHECK(dataset >= 0);
    for (hsize_t row = 0; row < dims[0]; row += chunk[0]) {
        const hsize_t at[2] = {row, 0};
        CHECK(H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, at, len, bytes) >= 0);
    }
    (void)H5Dclose(dataset), (void)H5Pclose(list), (void)H5Sclose(space);
    take_image(file, out);
}

/* The code with which reading the one chunk ends, KW_OK when `out` was read. */
static int read_raw(H5Z_filter_t id, unsigned mask, const void *bytes, size_t len, uint8_t *out, kw_error *err) {
    static const hsize_t dims[2] = {1, 64};
    image made = {0};
    opened o;
    *err = (kw_error){0};
    make_raw(id, dims, dims, mask, bytes, len, &made);
    bool open = CHECK(open_bytes(made.bytes, made.len, &o, err));
    if (open && kw_hdf5_read(o.hdf5, o.dataset, out, err) == 0) err->code = KW_OK;
    close_bytes(&o);
    free_image(&made);
    return err->code;
}

static void test_lzf(void) {
    /* "abcd", then 9 from 4 back, 40 from 1 back (7 + 31 + 2), 11 from 53 back. */
    static const uint8_t packed[] = {3, 'a', 'b', 'c', 'd', 7 << 5, 0, 3, 7 << 5, 31, 0, 7 << 5, 2, 52};
    static const uint8_t bad[][4] = {{32, 0, 0, 0}, {3, 'a', 'b', 'c'}, {0, 'a', 7 << 5, 200}, {0, 'a', 32, 1}};
    uint8_t expected[64], out[64];
    kw_error err;
    for (size_t i = 0; i < 64; i++) {
        expected[i] = i < 13 ? (uint8_t)("abcd"[i % 4]) : i < 53 ? 'a' : expected[i - 53];
    }
    CHECK_EQ(read_raw(KW_FILTER_LZF, 0, packed, sizeof packed, out, &err), KW_OK);
    CHECK_MEM(out, expected, 64);
    CHECK_EQ(read_raw(KW_FILTER_LZF, 0, packed, sizeof packed - 3, out, &err), KW_CORRUPT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(read_raw(KW_FILTER_LZF, 0, bad[i], 4, out, &err), KW_CORRUPT);
    }
}

/* A filter that was left out for a chunk, then one that nobody here knows. */
static void test_mask_and_unknown(void) {
    uint8_t bytes[64], out[64];
    kw_error err;
    for (size_t i = 0; i < 64; i++) bytes[i] = (uint8_t)(i * 3);
    CHECK_EQ(read_raw(H5Z_FILTER_DEFLATE, 1, bytes, 64, out, &err), KW_OK);
    CHECK_MEM(out, bytes, 64);
    CHECK_EQ(read_raw(32015, 0, bytes, 64, out, &err), KW_UNSUPPORTED);
    CHECK_STR(err.detail, "filter 32015 (zstd) is not built in; rewrite with h5repack -f NONE");
    CHECK_EQ(read_raw(H5Z_FILTER_DEFLATE, 1, bytes, 63, out, &err), KW_CORRUPT);
    CHECK_EQ(read_raw(H5Z_FILTER_FLETCHER32, 0, bytes, 64, out, &err), KW_CHECKSUM);
}

/* A filter that is not built in is known when the file is opened; nothing stored, nothing to refuse. */
static void test_unknown_filter(void) {
    static const hsize_t dims[2] = {1, 64}, none[2] = {0, 64};
    uint8_t bytes[64] = {0};
    kw_error err = {0};
    for (int stored = 0; stored < 2; stored++) {
        image made = {0};
        opened o;
        make_raw(32015, stored ? dims : none, dims, 0, bytes, 64, &made);
        if (CHECK(open_bytes(made.bytes, made.len, &o, &err))) {
            const kw_dataset *d = &o.hdf5->datasets[o.dataset];
            CHECK_EQ(d->fault.code, stored ? KW_UNSUPPORTED : KW_OK);
            CHECK_EQ(d->dtype, KW_DTYPE_UINT8);
            CHECK_STR(d->filter_text, "zstd");
            if (stored)
                CHECK_STR(d->fault.detail, "filter 32015 (zstd) is not built in; rewrite with h5repack -f NONE");
        }
        close_bytes(&o);
        free_image(&made);
    }
}

/* What only libhdf5 decodes is read also beside a filter that nobody here knows. */
static void test_unknown_beside_foreign(void) {
    static const hsize_t dims[1] = {64};
    int16_t values[64], got[64];
    const unsigned value = 4;
    image made = {0};
    opened o;
    kw_error err = {0};
    for (int16_t i = 0; i < 64; i++) values[i] = i;
    hid_t file = new_file(0), space = H5Screate_simple(1, dims, NULL);
    hid_t nbit = H5Pcreate(H5P_DATASET_CREATE), unknown = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_chunk(nbit, 1, dims), (void)H5Pset_nbit(nbit);
    (void)H5Pset_chunk(unknown, 1, dims), (void)H5Pset_filter(unknown, 32015, H5Z_FLAG_OPTIONAL, 1, &value);
    hid_t other = H5Dcreate2(file, "other", H5T_STD_U8LE, space, H5P_DEFAULT, unknown, H5P_DEFAULT);
    CHECK(H5Dwrite_chunk(other, H5P_DEFAULT, 0, (const hsize_t[]){0}, 64, values) >= 0);
    hid_t dataset = H5Dcreate2(file, "data", H5T_STD_I16LE, space, H5P_DEFAULT, nbit, H5P_DEFAULT);
    CHECK(H5Dwrite(dataset, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    (void)H5Dclose(other), (void)H5Dclose(dataset), (void)H5Pclose(nbit), (void)H5Pclose(unknown);
    (void)H5Sclose(space);
    take_image(file, &made);
    if (CHECK(open_bytes(made.bytes, made.len, &o, &err))) {
        CHECK_EQ(kw_hdf5_read(o.hdf5, o.dataset, got, &err), 0);
        CHECK_MEM(got, values, sizeof values);
    }
    close_bytes(&o);
    free_image(&made);
}

/* A chunk that inflates to more, or less, than it declares. */
static void test_inflated_size(void) {
    uint8_t bytes[200] = {1, 2, 3}, packed[300], out[64];
    kw_error err;
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(6);
    size_t len = libdeflate_zlib_compress(deflater, bytes, 65, packed, sizeof packed);
    CHECK_EQ(read_raw(H5Z_FILTER_DEFLATE, 0, packed, len, out, &err), KW_CORRUPT);
    len = libdeflate_zlib_compress(deflater, bytes, 63, packed, sizeof packed);
    CHECK_EQ(read_raw(H5Z_FILTER_DEFLATE, 0, packed, len, out, &err), KW_CORRUPT);
    len = libdeflate_zlib_compress(deflater, bytes, 64, packed, sizeof packed);
    CHECK_EQ(read_raw(H5Z_FILTER_DEFLATE, 0, packed, len, out, &err), KW_OK);
    CHECK_MEM(out, bytes, 64);
    libdeflate_free_compressor(deflater);
}

/* Bytes of 5 in chunks that declare 64 MiB each. */
static void test_bomb(void) {
    static const hsize_t dims[2] = {5, 1}, chunk[2] = {1, 1 << 26};
    image made = {0};
    opened o;
    kw_error err = {0};
    uint8_t out[5];
    make_raw(H5Z_FILTER_DEFLATE, dims, chunk, 0, "12345678", 8, &made);
    if (CHECK(open_bytes(made.bytes, made.len, &o, &err))) CHECK_EQ(kw_hdf5_read(o.hdf5, o.dataset, out, &err), -1);
    CHECK_EQ(err.code, KW_BOMB);
    close_bytes(&o);
    free_image(&made);
}

/* A byte a chunk, from a file: no system call for each. */
static void test_tiny_chunks(void) {
    static const hsize_t count = 2000000, one = 1;
    static uint8_t values[2000000], got[2000000];
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), list = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    (void)H5Pset_chunk(list, 1, &one);
    (void)H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    (void)H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access), space = H5Screate_simple(1, &count, NULL);
    hid_t dataset = H5Dcreate2(file, "data", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    (void)H5Dclose(dataset), (void)H5Sclose(space), (void)H5Pclose(list), (void)H5Fclose(file), (void)H5Pclose(access);
    opened o = {NULL, NULL, 0};
    kw_error err = {0};
    if (!CHECK(kw_source_open_path(path, &o.source, &err) == 0 && kw_hdf5_open(o.source, &o.hdf5, &err) == 0)) return;
    /* libhdf5 would take a call for each to write them: they are put where the index says. */
    uint64_t at = o.hdf5->datasets[0].info->index_at;
    for (size_t i = 0; i < count; i++) values[i] = (uint8_t)(i * i >> 8);
    FILE *raw = fopen(path, "r+b");
    CHECK(raw != NULL && fseek(raw, (long)at, SEEK_SET) == 0 && fwrite(values, 1, count, raw) == count);
    (void)fclose(raw);
    close_bytes(&o);
    if (!CHECK(kw_source_open_path(path, &o.source, &err) == 0 && kw_hdf5_open(o.source, &o.hdf5, &err) == 0)) return;
    clock_t start = clock();
    CHECK_EQ(kw_hdf5_read(o.hdf5, 0, got, &err), 0);
    CHECK(clock() - start < CLOCKS_PER_SEC);
    CHECK_MEM(got, values, count);
    close_bytes(&o);
}

static void test_checksum(void) {
    static const char text[] = "Four score and seven years ago";
    uint8_t block[34];
    kw_error err;
    /* Jenkins's own examples. */
    CHECK_EQ(kw_hdf5_checksum(text, 0), 0xdeadbeef);
    CHECK_EQ(kw_hdf5_checksum(text, 30), 0x17770551);
    memcpy(block, text, 30);
    memcpy(block + 30, "\x51\x05\x77\x17", 4);
    CHECK_EQ(kw_hdf5_checksum_verify((kw_view){block, 34, 7}, "text", &err), 0);
    block[3] ^= 1;
    CHECK_EQ(kw_hdf5_checksum_verify((kw_view){block, 34, 7}, "text", &err), -1);
    CHECK_EQ(err.code, KW_CHECKSUM);
    CHECK_EQ(err.at, 37);
    CHECK_EQ(kw_hdf5_checksum_verify((kw_view){block, 3, 7}, "text", &err), -1);
    CHECK_EQ(err.code, KW_CORRUPT);
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    (void)close(fd);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    RUN(test_checksum);
    RUN(test_samples);
    RUN(test_circle_beside_chunks);
    RUN(test_lies_of_a_tree);
    RUN(test_overlap);
    RUN(test_lzf);
    RUN(test_mask_and_unknown);
    RUN(test_unknown_filter);
    RUN(test_unknown_beside_foreign);
    RUN(test_inflated_size);
    RUN(test_bomb);
    RUN(test_tiny_chunks);
    RUN(test_damage);
    (void)unlink(path);
    return check_result(__FILE__);
}
