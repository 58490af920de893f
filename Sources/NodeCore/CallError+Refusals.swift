// An error for counters only: what the text protocol answers in words of its own.

import RingstoreAPI

extension CallError {
  /// Words of the line protocol that are no command, or break its rules.
  package static let unreadableWords = CallError(
    code: .invalidArgument, message: "the words are no command")
}
