// An error for counters only: the line protocol has its own text for it.

import RingstoreAPI

extension CallError {
  /// Words of the line protocol that are no command, or break its rules.
  package static let unreadableWords = CallError(
    code: .invalidArgument, message: "the words are no command")
}
