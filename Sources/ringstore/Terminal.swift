// The program's output on stdout and stderr. Unbuffered, so that a reader at the other end of a
// pipe sees a line as soon as it is written.

import Glibc
import Synchronization
import TextForms

package enum Terminal {
  /// Erases everything after the cursor, if the terminal supports it.
  static let clearBelow = hasCursor ? "\u{1b}[J" : ""
  /// Whether the terminal supports cursor movement.
  static let hasCursor: Bool = {
    guard let kind = getenv("TERM") else { return false }
    return !["", "dumb"].contains(String(cString: kind))
  }()

  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// The terminal's width in columns; 80 if it is unknown.
  static func columns(of descriptor: Int32) -> Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// A bar on stderr; nil if that is no terminal.
  static var bar: ProgressBar? {
    guard isTerminal(STDERR_FILENO), hasCursor else { return nil }
    return ProgressBar {
      columns(of: STDERR_FILENO)
    } write: {
      writeToStandardError($0)
    }
  }

  /// Writes to stdout.
  @discardableResult
  static func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// Writes to stdout. Returns false if further output would be lost: the reader has gone, which is
  /// no error, or the system refuses to write, which `takeOutputFailure` then returns.
  @discardableResult
  static func write(_ bytes: [UInt8]) -> Bool {
    switch write(bytes, to: STDOUT_FILENO) {
    case 0: return true
    case EPIPE: return false
    case let failure:
      outputFailure.withLock { $0 = $0 ?? failure }
      return false
    }
  }

  /// Why writing to stdout has failed, as the system's message; returned once. nil: it has not.
  static func takeOutputFailure() -> String? {
    outputFailure.withLock { failure in
      defer { failure = nil }
      return failure.map { String(cString: strerror($0)) }
    }
  }

  private static let outputFailure = Mutex<Int32?>(nil)

  /// Writes text for people to stdout. Control characters in it, which may be a server's, are shown
  /// and not obeyed.
  @discardableResult
  static func show(_ text: String) -> Bool { write(VisibleText.lines(text)) }

  /// Writes text for people to stderr, and a line end.
  static func complain(_ text: String) {
    _ = write(Array("\(VisibleText.lines(text))\n".utf8), to: STDERR_FILENO)
  }

  package static func writeToStandardError(_ line: String) {
    _ = write(Array(line.utf8), to: STDERR_FILENO)
  }

  /// Writes all bytes, in one call if the system accepts them at once. Returns 0, or the number of
  /// the error.
  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let count = Glibc.write(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        // A process that shares the descriptor has made it refuse rather than wait.
        if count < 0, errno == EAGAIN, descriptor == STDOUT_FILENO {
          var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          _ = poll(&ready, 1, -1)
          continue
        }
        guard count > 0 else { return count == 0 ? EIO : errno }
        rest = rest.dropFirst(count)
      }
      return 0
    }
  }
}
