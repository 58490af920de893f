// CRC32C by the CPU's instruction, or by slicing eight bytes at a time (Kounavis, Berry: "A
// systematic approach to building high performance software-based CRC generators", 2005).

#include "CCRC32C.h"

#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

// Reversed, as the least significant bit goes first.
#define POLYNOMIAL 0x82f63b78u

static uint32_t tables[8][256];

// Before main, so that no thread meets half of them.
__attribute__((constructor)) static void fill_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = crc;
  }
  for (int slice = 1; slice < 8; slice++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
}

// Little-endian, whatever the CPU.
static inline uint64_t load64(const unsigned char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

uint32_t ringstore_crc32c_by_tables(uint32_t crc, const void *start, size_t count) {
  const unsigned char *bytes = start;
  crc = ~crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t word = load64(bytes) ^ crc;
    crc = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
          tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
          tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
          tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
  }
  for (; count > 0; count--) crc = (crc >> 8) ^ tables[0][(crc ^ *bytes++) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(
    uint32_t crc, const unsigned char *bytes, size_t count) {
  uint64_t wide = (uint32_t)~crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    wide = __builtin_ia32_crc32di(wide, load64(bytes));
  }
  uint32_t rest = (uint32_t)wide;
  for (; count > 0; count--) rest = __builtin_ia32_crc32qi(rest, *bytes++);
  return ~rest;
}

#elif defined(__aarch64__)

static int has_instruction(void) {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & (1u << 7)) != 0;  // HWCAP_CRC32
#elif defined(__APPLE__)
  return 1;
#else
  return 0;
#endif
}

__attribute__((target("crc"))) static uint32_t crc_by_instruction(
    uint32_t crc, const unsigned char *bytes, size_t count) {
  crc = ~crc;
  for (; count >= 8; count -= 8, bytes += 8) crc = __builtin_arm_crc32cd(crc, load64(bytes));
  for (; count > 0; count--) crc = __builtin_arm_crc32cb(crc, *bytes++);
  return ~crc;
}

#else

static int has_instruction(void) { return 0; }

static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *bytes, size_t count) {
  return ringstore_crc32c_by_tables(crc, bytes, count);
}

#endif

uint32_t ringstore_crc32c(uint32_t crc, const void *bytes, size_t count) {
  if (has_instruction()) return crc_by_instruction(crc, bytes, count);
  return ringstore_crc32c_by_tables(crc, bytes, count);
}
