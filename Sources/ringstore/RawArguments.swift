// The program's arguments as bytes. Keys and values may be any bytes, but Swift's strings repair
// invalid UTF-8; so such an argument is passed through the argument parser as a placeholder and
// converted back into its bytes afterwards.

import Glibc

package struct RawArguments: Sendable {
  /// The arguments as text, the program's name not among them.
  package let texts: [String]
  private let originals: [String: [UInt8]]

  package init(_ arguments: [[UInt8]]) {
    var originals: [String: [UInt8]] = [:]
    texts = arguments.enumerated().map { place, bytes in
      if let text = String(validating: bytes, as: UTF8.self) { return text }
      // A character of a private-use area, so that no ordinary argument looks like it.
      let standIn = "\u{10FFFD}\(place)"
      originals[standIn] = bytes
      return standIn
    }
    self.originals = originals
  }

  package static func ofProcess() -> RawArguments {
    var arguments: [[UInt8]] = []
    for place in 1..<max(Int(CommandLine.argc), 1) {
      guard let text = CommandLine.unsafeArgv[place] else { break }
      arguments.append(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }
    return RawArguments(arguments)
  }

  /// The bytes of an argument from the parser.
  package func bytes(of text: String) -> [UInt8] {
    originals[text] ?? Array(text.utf8)
  }
}
