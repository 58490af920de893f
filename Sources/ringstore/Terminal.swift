// What the program says on stdout and stderr. Unbuffered, so that a reader at the other end of a
// pipe sees a line as soon as it is written.

import Glibc

package enum Terminal {
  /// What erases everything behind the cursor, where the terminal can.
  static let clearBelow = hasCursor ? "\u{1b}[J" : ""
  /// Whether the terminal moves its cursor at our word.
  static let hasCursor: Bool = {
    guard let kind = getenv("TERM") else { return false }
    return !["", "dumb"].contains(String(cString: kind))
  }()

  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// The terminal's width in columns; 80 where it doesn't say.
  static func columns(of descriptor: Int32) -> Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Writes to stdout.
  static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

  /// Returns false where nobody reads any more.
  @discardableResult
  static func write(_ bytes: [UInt8]) -> Bool { write(bytes, to: STDOUT_FILENO) }

  /// Writes a line to stderr.
  static func complain(_ text: String) { write(Array("\(text)\n".utf8), to: STDERR_FILENO) }

  package static func writeToStandardError(_ line: String) {
    write(Array(line.utf8), to: STDERR_FILENO)
  }

  /// Writes all bytes, in one call wherever the system takes them at once. A reader that has gone
  /// is not our error: there is nobody left to tell. Returns false then.
  @discardableResult
  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let count = Glibc.write(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }
}
