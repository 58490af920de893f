// The bounds of the line protocol. They follow from the node's limits, so that whatever a gRPC
// client may ask for in one message fits into one request of lines. Values; any thread.

import RingstoreAPI

package struct LineLimits: Sendable, Hashable {
  /// Lines of one request, the command's name among them: an MSET of as many items as may be.
  package var maxLines: Int
  /// Bytes of one line, its end not counted.
  package var maxLineBytes: Int
  /// Bytes of one request, line ends counted.
  package var maxRequestBytes: Int
  /// Bytes of a command written on one line: for people, not for bulk.
  package var maxInlineBytes = 64 << 10
  /// Bytes of the line that says how many follow: `*` and a number.
  package static let maxCountLineBytes = 16
  /// What a request of lines may be longer than a message by: the name, the count, the line ends.
  package static let headroomBytes = 1_024

  package init(_ limits: Limits) {
    maxLines = 2 * limits.maxItems + 1
    maxLineBytes = limits.maxMessageBytes
    maxRequestBytes = limits.maxMessageBytes + Self.headroomBytes
  }
}
