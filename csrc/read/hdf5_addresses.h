/* hdf5_addresses.h -- a hash from the address of something in the file to its
 * index in an array: objects met already, heap collections, shared datatypes.
 */
#ifndef KW_READ_HDF5_ADDRESSES_H
#define KW_READ_HDF5_ADDRESSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct kw_addresses {
    struct kw_addresses_entry *entries;
    size_t capacity, count; /* capacity: a power of two */
    uint64_t seed;
} kw_addresses;

/* The value of an address, or KW_NONE. */
uint32_t kw_addresses_find(const kw_addresses *map, uint64_t address);

/* Adds an address that is not there yet, with a value below KW_NONE.  0 or KW_MEMORY. */
int kw_addresses_add(kw_addresses *map, uint64_t address, uint32_t value, kw_error *err);

void kw_addresses_free(kw_addresses *map);

#endif
