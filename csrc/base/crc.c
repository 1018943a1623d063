/* crc.c -- CRC-32 of zip, and the CRC of two stretches from the CRC of each.
 *
 *     A ----------- | B ---------      crc(AB) = crc(A) * x^(8 |B|) + crc(B)
 *
 * Polynomials over GF(2) modulo 0xEDB88320, the coefficient of x^0 in the
 * highest bit (APPNOTE.TXT 4.4.7; ISO 3309).
 */
#include "base/crc.h"

#include <libdeflate.h>

#define POLYNOMIAL 0xEDB88320u

uint32_t kw_crc32(uint32_t crc, const void *data, size_t len) {
    return len == 0 ? crc : libdeflate_crc32(crc, data, len);
}

/* a * b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (; a != 0; a <<= 1) {
        if (a & 0x80000000u) product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

uint32_t kw_crc32_join(uint32_t a, uint32_t b, uint64_t b_len) {
    uint32_t power = 0x00800000u; /* x^8, then its squares */
    for (uint64_t left = b_len; left != 0; left >>= 1) {
        if (left & 1) a = multiply(a, power);
        power = multiply(power, power);
    }
    return a ^ b;
}
