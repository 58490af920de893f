// The limits of the line protocol. They follow from the node's limits, so that every request of a
// gRPC client fits into one request of lines. Values; any thread.

import RingstoreAPI

package struct LineLimits: Sendable, Hashable {
  /// Lines of one request, including the command's name: enough for an MSET with the maximum number
  /// of items.
  package var maxLines: Int
  /// Bytes of one line, its end not counted.
  package var maxLineBytes: Int
  /// Bytes of one request, line ends counted.
  package var maxRequestBytes: Int
  /// Bytes of a command written on one line: for people, not for bulk.
  package var maxInlineBytes = 64 << 10
  /// Bytes of the line with the count: `*` and a number.
  package static let maxCountLineBytes = 16
  /// By how much a request of lines may be longer than a message: the name, the count, the line
  /// ends.
  package static let headroomBytes = 1_024

  package init(_ limits: Limits) {
    maxLines = 2 * limits.maxItems + 1
    maxLineBytes = limits.maxMessageBytes
    maxRequestBytes = limits.maxMessageBytes + Self.headroomBytes
  }
}
