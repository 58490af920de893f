// The C++ side of CRE2.h: turns exceptions and C++ strings into what C can carry.

#include "CRE2.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

struct cre2_pattern {
  RE2 expression;
  cre2_pattern(const re2::StringPiece &text, const RE2::Options &options)
      : expression(text, options) {}
};

static re2::StringPiece piece(const void *bytes, size_t length) {
  // RE2 treats a null pointer like any other start, but memcpy and friends beneath it may not.
  return length == 0 ? re2::StringPiece("", 0)
                     : re2::StringPiece(static_cast<const char *>(bytes), length);
}

// Thrown where RE2 would continue with its slower engine and the caller doesn't want that.
struct automaton_gave_up {};

// Whether this thread matches with the automaton alone.
static thread_local bool automaton_only = false;

// RE2 calls this once its automaton has given up, with nothing locked, and would continue with the
// slower engine when it returns.
static void on_search_failure(const re2::hooks::DFASearchFailure &) {
  if (automaton_only) throw automaton_gave_up();
}

static void report(const std::string &reason, char *error, size_t capacity) {
  if (error == nullptr || capacity == 0) return;
  const size_t count = std::min(reason.size(), capacity - 1);
  std::memcpy(error, reason.data(), count);
  error[count] = 0;
}

extern "C" cre2_pattern *cre2_compile(const void *bytes, size_t length, int64_t max_mem,
                                      int max_program, char *error,
                                      size_t error_capacity) {
  static const bool hooked = [] {
    re2::hooks::SetDFASearchFailureHook(&on_search_failure);
    return true;
  }();
  (void)hooked;
  try {
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_max_mem(max_mem);
    options.set_never_nl(false);
    options.set_never_capture(true);
    options.set_log_errors(false);
    auto pattern = std::make_unique<cre2_pattern>(piece(bytes, length), options);
    if (!pattern->expression.ok()) {
      report(pattern->expression.error(), error, error_capacity);
    } else if (pattern->expression.ProgramSize() > max_program) {
      report("pattern too large - program too long", error, error_capacity);
    } else {
      return pattern.release();
    }
  } catch (...) {
    report("out of memory", error, error_capacity);
  }
  return nullptr;
}

extern "C" int cre2_program_size(const cre2_pattern *pattern) {
  return pattern->expression.ProgramSize();
}

extern "C" cre2_outcome cre2_matches_at_start(const cre2_pattern *pattern, const void *bytes,
                                              size_t length, bool fast_only) {
  cre2_outcome outcome = CRE2_NO_MATCH;
  automaton_only = fast_only;
  try {
    if (pattern->expression.Match(piece(bytes, length), 0, length, RE2::ANCHOR_START, nullptr, 0)) {
      outcome = CRE2_MATCH;
    }
  } catch (const automaton_gave_up &) {
    outcome = CRE2_TOO_SLOW;
  } catch (...) {
    outcome = CRE2_NO_MATCH;
  }
  automaton_only = false;
  return outcome;
}

extern "C" void cre2_free(cre2_pattern *pattern) { delete pattern; }
