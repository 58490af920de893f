// A call of Linux that Swift's module of the C library leaves out.

#ifndef CWRITEBACK_H
#define CWRITEBACK_H

#include <stdint.h>

#if defined(__linux__)
// Declared in fcntl.h, for programs that ask for the extensions of GNU.
extern int sync_file_range(int descriptor, int64_t offset, int64_t count, unsigned int flags);
#endif

// Begins to write a part of a file to the disk, and doesn't wait for it. Does nothing elsewhere.
static inline void CWriteback_begin(int descriptor, int64_t offset, int64_t count) {
#if defined(__linux__)
  const unsigned int write = 2;  // SYNC_FILE_RANGE_WRITE
  (void)sync_file_range(descriptor, offset, count, write);
#else
  (void)descriptor, (void)offset, (void)count;
#endif
}

#endif
