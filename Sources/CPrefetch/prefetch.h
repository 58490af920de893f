// The processor's hint that memory will be read soon, which Swift has no word for.

#ifndef CPREFETCH_H
#define CPREFETCH_H

// Any address will do: nothing is read that could fail.
static inline void CPrefetch_read(const void *address) { __builtin_prefetch(address); }

#endif
