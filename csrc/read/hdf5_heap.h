/* hdf5_heap.h -- the three heaps of HDF5: where names, variable-length values
 * and dense links and attributes lie.
 */
#ifndef KW_READ_HDF5_HEAP_H
#define KW_READ_HDF5_HEAP_H

#include "read/hdf5_addresses.h"
#include "read/hdf5_private.h"

/* ---- local heap: the names of a symbol table ---- */

/* Loads the data segment of the heap at `address` into `block`. */
int kw_local_heap_load(kw_hdf5 *hdf5, uint64_t address, kw_block *block, kw_view *out, kw_error *err);

/* The text at `off`, with its length; NULL when it does not end in the heap. */
const char *kw_local_heap_text(kw_view heap, uint64_t off, size_t *len);

/* ---- global heap: variable-length values ---- */

/* An object of a collection: bytes in the arena of the file, with one writable
 * byte after them (which may belong to what follows: nobody reads it again). */
typedef struct kw_span {
    uint8_t *data;
    uint64_t len;
} kw_span;

typedef struct kw_global_heap {
    kw_ledger *ledger; /* where its collections are claimed */
    struct kw_collection *collections; /* also those that are damaged, with their error */
    size_t count, capacity;
    kw_addresses addresses;
} kw_global_heap;

/* The object `index` of the collection at `address`, which is read once. */
int kw_global_heap_find(kw_hdf5 *hdf5, kw_global_heap *heap, uint64_t address, uint32_t index, kw_span *out,
                        kw_error *err);
/* Takes over the collections of `other`, whose bytes are in the arena of `hdf5` already, but for those that `heap` has.
 * 0, or KW_ALIAS, KW_MEMORY. */
int kw_global_heap_join(kw_global_heap *heap, kw_global_heap *other, kw_error *err);
void kw_global_heap_free(kw_global_heap *heap);

/* ---- fractal heap: dense links and attributes, shared messages ---- */

typedef struct kw_fractal_heap kw_fractal_heap;

/* Reads the header and the indirect blocks.  0 with *out owned by the caller. */
int kw_fractal_heap_open(kw_hdf5 *hdf5, uint64_t address, kw_fractal_heap **out, kw_error *err);

/* The object of an ID; *out is valid until the heap is closed. */
int kw_fractal_heap_find(kw_fractal_heap *heap, kw_view id, kw_view *out, kw_error *err);
void kw_fractal_heap_close(kw_fractal_heap *heap); /* NULL is allowed */

#endif
