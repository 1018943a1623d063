/* hdf5_btree.h -- walking the two B-trees of HDF5, iteratively, each node
 * claimed once.
 *
 * A damaged node ends its branch only: the walk goes on with the others, and
 * the first error is returned at the end.  An error of the callback, and one
 * that is fatal (kw_error_is_fatal), ends the walk at once.
 */
#ifndef KW_READ_HDF5_BTREE_H
#define KW_READ_HDF5_BTREE_H

#include "read/hdf5_private.h"

/* One child of a leaf of a version 1 B-tree, in order: the key before it, the
 * key after it, and the child's address (absolute). */
typedef int (*kw_btree1_fn)(void *context, kw_view key, kw_view next_key, uint64_t child, kw_error *err);

/* `type`: 0 group nodes, 1 raw data chunks.  `key_len`: bytes of one key. */
int kw_btree1_walk(kw_hdf5 *hdf5, kw_ledger *ledger, uint64_t address, uint8_t type, size_t key_len, kw_btree1_fn fn,
                   void *context, kw_error *err);

/* One record of a version 2 B-tree.  Records come node by node (a node's own
 * before those of its children), not in key order. */
typedef int (*kw_btree2_fn)(void *context, kw_view record, kw_error *err);

/* `type` is the record type that the tree must have; record_len (may be 0: any)
 * the least length of a record. */
int kw_btree2_walk(kw_hdf5 *hdf5, kw_ledger *ledger, uint64_t address, uint8_t type, size_t record_len,
                   kw_btree2_fn fn, void *context, kw_error *err);

#endif
