/* random.h -- numbers that are the same in every run: a linear congruential generator. */
#ifndef KW_TESTS_RANDOM_H
#define KW_TESTS_RANDOM_H

#include <stdint.h>

static inline uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

#endif
