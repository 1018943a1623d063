/* crc.h -- CRC-32 of zip (polynomial 0xEDB88320), and how two join. */
#ifndef KW_BASE_CRC_H
#define KW_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t kw_crc32(uint32_t crc, const void *data, size_t len); /* libdeflate's; start with 0 */

/* CRC of A then B, from the CRC of each and the length of B.  So threads can
 * each take a piece of a member. */
uint32_t kw_crc32_join(uint32_t a, uint32_t b, uint64_t b_len);

#endif
