// CRC32C (Castagnoli, the polynomial of RFC 3720 appendix B.4), which finds every burst of errors
// up to 32 bits. With the CPU's instruction for it where there is one, else by tables.
//
// Pure functions, any thread.

#ifndef CCRC32C_H
#define CCRC32C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The checksum of what `crc` is the checksum of (0: of nothing) with `count` bytes behind it.
uint32_t ringstore_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same, never with the instruction: what CPUs without it use. For tests.
uint32_t ringstore_crc32c_by_tables(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
