// Inputs that deploy/fuzz has kept: of all that it came to, few and short ones that reach nearly all
// the code that was reached. They lie in Tests/Fuzzing/Corpora, a file for each reader, an input a
// line in hexadecimal digits. Any thread.

import Foundation
import TextForms

package enum KeptInputs {
  package struct Unreadable: Error { let line: Int }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Corpora")

  /// Those of a reader; none if there is no file.
  package static func of(_ reader: FuzzReader) throws -> [[UInt8]] {
    let path = folder.appending(path: "\(reader.name).txt").path
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    let lines = try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n"))
    return try lines.enumerated().map { number, digits in
      guard let input = Hexadecimal.bytes(digits) else { throw Unreadable(line: number + 1) }
      return input
    }
  }
}
