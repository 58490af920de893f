// Replies as the line protocol writes them, straight into the buffer they are sent from. Grammar:
//
//   reply = "+" text eol         OK, a value, a number
//         / "-" text eol         what is wrong
//         / "*" N eol N*( text eol )
//   eol   = CR LF                text = *any-but-CR-LF
//
// The writer of a text has made sure that it fits a line (`LineText.fitsLine`); only messages of
// errors are made to fit. The buffer's thread.

import NIOCore
import RingstoreAPI

extension ByteBuffer {
  package mutating func writeLine(text: UnsafeRawBufferPointer) {
    assert(LineText.fitsLine(text), "a text with a line break can't be framed")
    writeInteger(UInt8(ascii: "+"))
    writeListLine(text)
  }

  package mutating func writeLine(text: String) {
    writeString("+\(text)\r\n")
  }

  /// Opens a list; exactly `count` lines follow.
  package mutating func writeLine(listOf count: Int) {
    writeString("*\(count)\r\n")
  }

  /// One line of a list.
  package mutating func writeListLine(_ text: UnsafeRawBufferPointer) {
    writeBytes(text)
    writeStaticString("\r\n")
  }

  package mutating func writeLine(error: LineError) {
    writeInteger(UInt8(ascii: "-"))
    writeBytes(error.text)
    writeStaticString("\r\n")
  }
}

/// The text after `-`: bytes, because it may contain keys, and never a line break.
package struct LineError: Error, Sendable, Hashable {
  package let text: [UInt8]

  /// Line breaks become `\n` and `\r`, two characters each.
  init(_ text: some Sequence<UInt8>) {
    self.text = text.flatMap { byte -> [UInt8] in
      switch byte {
      case LineText.lineFeed: Array("\\n".utf8)
      case LineText.carriageReturn: Array("\\r".utf8)
      default: [byte]
      }
    }
  }

  init(_ text: String) {
    self.init(text.utf8)
  }

  /// An error of a call: its reason, or its code if it has none, and its message.
  package init(_ error: CallError) {
    let name = error.reason?.rawValue ?? error.code.name
    self.init(error.message.isEmpty ? name : "\(name) \(error.message)")
  }

  static func invalidKey(_ key: UnsafeRawBufferPointer) -> LineError {
    LineError(Array("invalid key ".utf8) + key)
  }

  /// An unknown command. Of a long name, the beginning is shown.
  static func unknownCommand(_ name: UnsafeRawBufferPointer) -> LineError {
    let shown = name.prefix(shownNameBytesMax)
    let more = shown.count < name.count ? "..." : ""
    return LineError(Array("unknown command ".utf8) + shown + Array(more.utf8))
  }

  private static let shownNameBytesMax = 128

  /// An invalid argument; of a long one, the beginning is shown.
  static func badArgument(
    _ rule: String, _ argument: UnsafeRawBufferPointer
  ) -> LineError {
    let shown = argument.prefix(shownNameBytesMax)
    let more = shown.count < argument.count ? "..." : ""
    return LineError(Array("\(rule), not '".utf8) + shown + Array("\(more)'".utf8))
  }

  /// A database whose number is too large for the type.
  static func noSuchDatabase(
    _ number: UnsafeRawBufferPointer, _ limits: Limits
  ) -> LineError {
    let shown = String(decoding: number.prefix(shownNameBytesMax), as: UTF8.self)
    let more = number.count > shownNameBytesMax ? "..." : ""
    return LineError(CallError.noSuchDatabase(shown + more, databases: limits.databases))
  }

  static let conditionNotMet = LineError("condition not met")

  static let noPreviousValue = LineError("no value before")

  static let unframeable = LineError(
    "the value has a line break, which a line can't carry; gRPC can")

  static let unframeableKey = LineError(
    "a key has a line break, which a line can't carry; use SCAN to skip it, or gRPC")

  static let unframeableElement = LineError(
    "a value of the list has a line break, which a line can't carry; gRPC can")

  /// A value that is already removed from the store is still shown, in the form of an inline
  /// command's word.
  static func unframeableTaken(_ value: UnsafeRawBufferPointer) -> LineError {
    LineError(
      Array("the removed value has a line break, which a line can't carry; quoted it is ".utf8)
        + LineEscapes.quoted(value))
  }

  /// The same for several, in order, with a blank between them.
  static func unframeableTaken(_ values: RepeatedBytes) -> LineError {
    LineError(
      Array("a removed value has a line break, which a line can't carry; quoted they are".utf8)
        + values.flatMap { [UInt8(ascii: " ")] + LineEscapes.quoted($0) })
  }

  /// The requested element isn't in the list, or there is no list.
  static let notFound = LineError("not found")

  /// Without the cursor a walk would end at the key.
  static func unframeablePage(next cursor: [UInt8]) -> LineError {
    LineError(
      Array("a key has a line break, which a line can't carry; the next cursor is ".utf8)
        + cursor)
  }
}
