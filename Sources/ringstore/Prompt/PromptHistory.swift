// The lines of earlier sessions: a file of the user, one line each, the newest last. Every line is
// appended when it is entered, so that parallel sessions don't lose each other's lines. Used on the
// prompt's thread. Errors of reading and writing are ignored: a prompt works without a history.

import Glibc

package struct PromptHistory {
  /// Names the file; empty or "off": there is none.
  package static let variable = "RINGSTORE_HISTORY"
  /// Lines that a session loads. A file with twice as many is cut.
  package static let linesMax = 1_000
  /// Longer lines, such as pasted values, are not kept.
  package static let lineBytesMax = 4_096
  /// Bytes that are read from the end of a file of any size. A larger file is cut as well.
  private static let readBytesMax = 2 * linesMax * 1_024

  private let path: String?

  /// - Parameters:
  ///   - variable: the value of RINGSTORE_HISTORY; nil: it isn't set.
  ///   - home: the user's home directory.
  package init(variable: String?, home: String?) {
    switch variable {
    case .some(""), .some("off"): path = nil
    case .some(let path): self.path = path
    case nil: path = home.map { $0 + "/.ringstore_history" }
    }
  }

  /// That of the user who runs this process.
  static func ofUser() -> PromptHistory {
    let home = getenv("HOME") ?? getpwuid(getuid())?.pointee.pw_dir
    return PromptHistory(
      variable: getenv(variable).map { String(cString: $0) },
      home: home.map { String(cString: $0) })
  }

  /// The newest lines, the oldest of them first.
  package func load() -> [String] {
    guard let path, let (bytes, isWhole) = Self.end(of: path) else { return [] }
    let lines = bytes.split(separator: 0x0a).filter { $0.count <= Self.lineBytesMax }
    let kept = Array(lines.suffix(Self.linesMax))
    if !isWhole || lines.count > 2 * Self.linesMax { Self.replace(path, kept) }
    return kept.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether a line is kept. A user can begin a line with a blank to keep it out.
  package static func keeps(_ line: String) -> Bool {
    !line.isEmpty && !line.hasPrefix(" ") && line.utf8.count <= lineBytesMax
      && !line.utf8.contains { $0 == 0x0a || $0 == 0 }
  }

  package func append(_ line: String) {
    guard let path, Self.keeps(line) else { return }
    let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { return }
    defer { close(file) }
    // In one call, so that lines of two sessions don't mix.
    Self.write(Array("\(line)\n".utf8), to: file)
  }

  /// A temporary file replaces the old one, so that no reader sees a partial file.
  private static func replace(_ path: String, _ lines: [ArraySlice<UInt8>]) {
    let next = "\(path).\(getpid())"
    let file = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { return }
    let isWritten = write(Array((lines.joined(separator: [0x0a])) + [0x0a]), to: file)
    close(file)
    guard isWritten, rename(next, path) == 0 else {
      unlink(next)
      return
    }
  }

  @discardableResult
  private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
    Glibc.write(file, bytes, bytes.count) == bytes.count
  }

  private static func end(of path: String) -> (bytes: ArraySlice<UInt8>, isWhole: Bool)? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    guard size >= 0, lseek(file, max(size - readBytesMax, 0), SEEK_SET) >= 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: min(size, readBytesMax))
    let count = read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    // If the beginning was skipped, the first line may be incomplete.
    let whole = bytes[..<count]
    return size <= readBytesMax ? (whole, true) : (whole.drop { $0 != 0x0a }, false)
  }
}
