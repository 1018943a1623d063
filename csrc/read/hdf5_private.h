/* hdf5_private.h -- what the hdf5_*.c files share after opening: the file's
 * sizes, the tree's index of children, and how a block of metadata is loaded.
 *
 * kw_dataset.info is NULL for contiguous and compact datasets (their bytes lie
 * at `off`); it is set for chunked, never allocated and virtual ones.
 */
#ifndef KW_READ_HDF5_PRIVATE_H
#define KW_READ_HDF5_PRIVATE_H

#include "base/ledger.h"
#include "base/view.h"
#include "read/hdf5.h"
#include "read/hdf5_layout.h"

/* Memory that is used again for one block after another. */
typedef struct kw_block {
    uint8_t *data;
    size_t capacity;
} kw_block;
#define KW_BLOCK_EMPTY ((kw_block){NULL, 0})

/* The children of a node: a run of kw_hdf5_private.children, in name order. */
typedef struct kw_family {
    uint32_t first, count;
    uint32_t same; /* an alias: the node that was seen first; else KW_NONE */
} kw_family;

struct kw_hdf5_private {
    kw_hdf5_sizes sizes;
    kw_ledger ledger; /* metadata claimed while opening */
    kw_family *families; /* one a node */
    uint32_t *children;
    size_t node_capacity, family_count, family_capacity, children_count, children_capacity;
    size_t attr_capacity, dataset_capacity;
    kw_block spare;          /* memory that the next B-tree walk takes */
    uint64_t spent;          /* bytes kept of what was read: see kw_hdf5_spend */
    bool noted;              /* damage was met: see kw_hdf5_note */
    uint32_t status_flags;   /* superblock: 1 open for writing, 4 open for SWMR writing */
};

/* Claims [off, off + len) in `ledger` (NULL: not claimed) and reads it into
 * `block`; *out is valid until the block is loaded again or freed.  `off` is
 * absolute in the source, as kw_cursor_address gives it.  Nothing is allocated
 * unless the extent lies in the source.  KW_TRUNCATED, KW_CORRUPT (no address,
 * or a block that another structure holds: KW_ALIAS), KW_MEMORY, KW1xx. */
int kw_block_load(kw_hdf5 *hdf5, kw_ledger *ledger, kw_block *block, uint64_t off, uint64_t len, kw_view *out,
                  kw_error *err);
void kw_block_free(kw_block *block);

/* The same when the length is in the block itself: first a look at its head,
 * nothing claimed, with as much of what follows as is likely to be needed ... */
int kw_block_peek(kw_hdf5 *hdf5, kw_block *block, uint64_t off, uint64_t head_len, kw_view *out, kw_error *err);
/* ... then all of it, without reading again when the look took it in already. */
int kw_block_extend(kw_hdf5 *hdf5, kw_ledger *ledger, kw_block *block, uint64_t len, kw_view *view, kw_error *err);

/* An address field: absolute in the source, KW_NOWHERE when undefined (all bits
 * set).  One that wraps with the base lies past the end of every source. */
uint64_t kw_cursor_address(kw_cursor *c, const kw_hdf5_sizes *sizes);

/* A field of "size of lengths" bytes. */
static inline uint64_t kw_cursor_length(kw_cursor *c, const kw_hdf5_sizes *sizes) {
    return kw_cursor_uint(c, sizes->length_len);
}

/* Bytes that hold numbers up to `limit`: log2(limit) / 8 + 1 (section III.A.2). */
unsigned kw_width_of(uint64_t limit);

/* Counts memory that will be kept because of the file's metadata.  Entries may
 * name the same bytes many times over: beyond eight times the source's size and
 * a fixed allowance that is KW_BOMB. */
int kw_hdf5_spend(kw_hdf5 *hdf5, uint64_t len, kw_error *err);

/* True for errors that end everything (no memory, reading failed, the file
 * changed), false for damage, which stays where it is. */
bool kw_error_is_fatal(const kw_error *err);

/* Keeps the first fault: the detail is copied to the arena.  0 or KW_MEMORY;
 * a fatal `cause` is handed on as *err. */
int kw_hdf5_note(kw_hdf5 *hdf5, kw_fault *fault, const kw_error *cause, kw_error *err);

#endif
