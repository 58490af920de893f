// A .proto file for reflection: its definitions, its imports, and its descriptor. deploy/generate
// writes the list of them (Generated/Descriptors.swift). Immutable; any thread.

package struct ProtoFile: Sendable {
  /// The name under which other files import it.
  package let name: String
  package let imports: [String]
  /// The full names of the messages that its extensions extend, with their numbers.
  package let extensions: [(type: String, number: Int32)]
  private let messageLines: String
  private let otherLines: String
  private let encodedLines: String

  init(
    name: String, imports: [String], extensions: [(type: String, number: Int32)],
    messageLines: String, otherLines: String, encodedLines: String
  ) {
    self.name = name
    self.imports = imports
    self.extensions = extensions
    self.messageLines = messageLines
    self.otherLines = otherLines
    self.encodedLines = encodedLines
  }

  /// The full names of its messages. O(their number).
  package var messages: [Substring] { Self.words(messageLines) }

  /// The full names of all that it defines: messages, fields, enums, services, calls. O(their
  /// number).
  package var symbols: [Substring] { messages + Self.words(otherLines) }

  private static func words(_ lines: String) -> [Substring] {
    lines.split { $0 == " " || $0 == "\n" }
  }

  /// Its FileDescriptorProto, encoded, in Base64. O(length).
  package var base64: [UInt8] {
    encodedLines.utf8.filter { $0 != UInt8(ascii: "\n") }
  }
}
