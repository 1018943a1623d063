/* hdf5_type.h -- datatype and dataspace messages. */
#ifndef KW_READ_HDF5_TYPE_H
#define KW_READ_HDF5_TYPE_H

#include "read/hdf5_private.h"

/* Classes of datatypes, by the specification's numbers. */
enum {
    KW_CLASS_INTEGER = 0,
    KW_CLASS_FLOAT = 1,
    KW_CLASS_TIME = 2,
    KW_CLASS_STRING = 3,
    KW_CLASS_BITS = 4,
    KW_CLASS_OPAQUE = 5,
    KW_CLASS_COMPOUND = 6,
    KW_CLASS_REFERENCE = 7,
    KW_CLASS_ENUM = 8,
    KW_CLASS_VLEN = 9,
    KW_CLASS_ARRAY = 10,
    KW_CLASS_COMPLEX = 11,
    KW_CLASS_COUNT = 12
};

/* The first 8 bytes of every datatype. */
typedef struct kw_type_head {
    uint8_t version, class_;
    uint32_t bits, len;
} kw_type_head;
kw_type_head kw_type_read_head(kw_cursor *c);

/* A name, padded to 8 bytes before version 3; NULL, and the cursor short, when it does not end. */
const char *kw_type_read_name(kw_cursor *c, unsigned version);

/* Walks the whole of a datatype that is no number.  0, or -1 with KW_CORRUPT. */
int kw_type_check(kw_view message, kw_error *err);

/* What a datatype is to kwload. */
typedef enum kw_type_kind { KW_TYPE_NUMBER, KW_TYPE_TEXT, KW_TYPE_VLEN_TEXT, KW_TYPE_OTHER } kw_type_kind;

/* How a fixed text ends. */
typedef enum kw_padding { KW_PADDING_NUL_ENDS = 0, KW_PADDING_NULS = 1, KW_PADDING_SPACES = 2 } kw_padding;

typedef struct kw_type {
    kw_type_kind kind;
    uint8_t dtype;   /* kw_dtype; NONE unless kind is NUMBER */
    uint8_t padding; /* kw_padding of texts */
    bool big_endian;
    bool opaque;
    uint64_t len;     /* bytes of an element in the file, > 0 */
    const char *text; /* in words, when dtype is NONE */
} kw_type;

/* Reads a datatype message; `text` goes to the arena.  0 or -1 with KW_CORRUPT,
 * KW_UNSUPPORTED, KW_MEMORY. */
int kw_type_read(kw_view message, kw_arena *arena, kw_type *out, kw_error *err);

typedef struct kw_space {
    uint8_t rank;
    bool null;      /* no elements at all */
    uint64_t count; /* elements; UINT64_MAX when they are more than 2^64 - 1 */
    uint64_t shape[KW_RANK_MAX];
    uint64_t max_shape[KW_RANK_MAX];
} kw_space;

/* Reads a dataspace message.  0 or -1 with KW_CORRUPT, KW_UNSUPPORTED. */
int kw_space_read(kw_view message, const kw_hdf5_sizes *sizes, kw_space *out, kw_error *err);

#endif
