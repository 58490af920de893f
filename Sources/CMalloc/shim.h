// What Swift's module of the C library leaves out of malloc's header.

#ifndef CMALLOC_SHIM_H
#define CMALLOC_SHIM_H

#include <stdlib.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Has malloc give back every page that holds no block; does nothing with a malloc that isn't glibc's.
static inline void CMalloc_trim(void) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

#endif
