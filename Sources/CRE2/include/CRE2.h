// A C face for the part of RE2 that Ringstore needs: compile a pattern, ask whether a key matches.
//
// Why RE2: it never backtracks. The time of a match is bounded by the product of the pattern's and
// the key's lengths and its memory by max_mem, so a client's pattern can't block an event
// loop for long. Everything is bytes (RE2's Latin-1 mode): keys need not be UTF-8.
//
// Threads: a compiled pattern is immutable for its users and may be matched on several threads at
// once (RE2 locks its own cache). No C++ exception leaves these functions.

#ifndef CRE2_H
#define CRE2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cre2_pattern cre2_pattern;

/// Compiles `length` bytes in RE2's syntax. `.` doesn't match a newline, groups don't capture, and
/// nothing is written to the process's log.
///
/// max_mem: RE2's memory budget in bytes for the program and the automata made from it while
/// matching. A pattern whose program needs more is refused.
/// max_program: the most instructions of the compiled program, the factor that bounds the steps
/// which one byte of a key can cost. RE2's own bound follows from max_mem and is far too generous:
/// counted repetitions make forty thousand instructions of one short line.
/// error, error_capacity: receives a NUL-terminated reason where the pattern is refused, cut to
/// fit; it may quote bytes of the pattern. May be NULL with capacity 0.
///
/// Returns NULL where the pattern is refused; otherwise the caller frees it with cre2_free.
cre2_pattern *cre2_compile(const void *bytes, size_t length, int64_t max_mem, int max_program,
                           char *error, size_t error_capacity);

/// The number of instructions in the compiled program.
int cre2_program_size(const cre2_pattern *pattern);

typedef enum {
  CRE2_NO_MATCH = 0,
  CRE2_MATCH = 1,
  /// Only with fast_only: the automaton outgrew the budget. Nothing is known.
  CRE2_TOO_SLOW = 2,
} cre2_outcome;

/// Whether a match starts at the first of `length` bytes; it need not reach the last.
///
/// RE2 runs a deterministic automaton, which takes a nanosecond or two for each byte. Where that
/// outgrows the budget, RE2 continues with its slower, still linear engine, which takes up to one
/// step for each instruction and byte; with `fast_only` it stops there instead.
cre2_outcome cre2_matches_at_start(const cre2_pattern *pattern, const void *bytes, size_t length,
                                   bool fast_only);

/// Frees a compiled pattern. NULL is allowed.
void cre2_free(cre2_pattern *pattern);

#ifdef __cplusplus
}
#endif

#endif
