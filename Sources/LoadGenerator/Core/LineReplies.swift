// Parses replies of the line protocol, in pieces of any size. It supports only the replies to a
// load's commands: one line for each. Pure; the bytes come from a peer and may be anything.
//
//   reply = "+" text CR LF / "-" text CR LF

import NIOCore
import RingstoreAPI
import StatusCodes

/// Splits input into lines.
struct LineReplies: ReplyReader {
  /// What a longest line may be longer than a value by.
  static let headroomBytes = 4 << 10

  private let lineBytesMax: Int
  private(set) var buffer = ByteBuffer()
  /// The bytes already searched, which have no line end.
  private var searched = 0

  init(valueBytesMax: Int) { lineBytesMax = valueBytesMax + Self.headroomBytes }

  mutating func append(_ bytes: ByteBuffer) { buffer.appendUnread(bytes) }

  /// Gives the next whole line to `body`, without its end, and with its bytes.
  mutating func next(
    _ body: (UnsafeRawBufferPointer, _ bytes: Int) -> Void
  ) throws(MalformedReply) -> Bool {
    let count: Int? = buffer.withUnsafeReadableBytes { bytes in
      guard let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
      let hasReturn = end > 0 && bytes[end - 1] == UInt8(ascii: "\r")
      body(UnsafeRawBufferPointer(rebasing: bytes[..<(hasReturn ? end - 1 : end)]), end + 1)
      return end + 1
    }
    guard let count else {
      searched = buffer.readableBytes
      if searched > lineBytesMax { throw MalformedReply("a reply is longer than allowed") }
      return false
    }
    buffer.moveReaderIndex(forwardBy: count)
    searched = 0
    return true
  }
}

/// The meaning of a line.
enum LineReply {
  case text(UnsafeRawBufferPointer)
  /// There is no such key.
  case missing
  case failure(CallFailure)

  init(_ line: UnsafeRawBufferPointer) {
    let rest = UnsafeRawBufferPointer(rebasing: line.dropFirst())
    switch line.first {
    case UInt8(ascii: "+"): self = .text(rest)
    case UInt8(ascii: "-"):
      if rest.starts(with: "invalid key ".utf8) {
        self = .missing
      } else {
        self = .failure(Self.failure(String(decoding: rest.prefix(1_024), as: UTF8.self)))
      }
    default: self = .failure(.wrongReply("the line is not a reply of the protocol"))
    }
  }

  /// The first word of an error is its reason, or its code.
  private static func failure(_ text: String) -> CallFailure {
    let words = text.split(separator: " ", maxSplits: 1)
    let name = words.first.map(String.init) ?? ""
    let message = words.count > 1 ? String(words[1]) : text
    if let reason = ErrorReason(rawValue: name) {
      return CallFailure(code: reason.code.name, reason: name, message: message)
    }
    if let code = StatusCode.allCases.first(where: { $0.name == name }) {
      return CallFailure(code: code.name, message: message)
    }
    return CallFailure(code: StatusCode.unknown.name, message: text)
  }
}
