/* fuzz_open.c -- any bytes as a weight file: opened with an audit, listed, read and verified, from memory. */
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (!hostile_run(data, len)) __builtin_trap();
    return 0;
}
