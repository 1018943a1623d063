/* seed.h -- a number that whoever wrote the file cannot know, so that he cannot
 * choose keys that all fall into one slot of a hash.
 */
#ifndef KW_BASE_SEED_H
#define KW_BASE_SEED_H

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* 64 random bits; the clock and an address where the system has none to give. */
static inline uint64_t kw_seed(void) {
    uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) == 0) return seed;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)(uintptr_t)&seed ^ (uint64_t)now.tv_sec;
}

#endif
