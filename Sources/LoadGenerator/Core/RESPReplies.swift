// Parses replies of Redis' protocol (RESP2), in pieces of any size. A value of its connection. Pure;
// the bytes come from a peer and may be anything: whatever is no reply is an error with a sentence,
// and nothing behind it is read.
//
//   reply = "+" text CRLF / "-" text CRLF / ":" number CRLF / bulk / array
//   bulk  = "$" number CRLF *OCTET CRLF / "$-1" CRLF        so many bytes; nil
//   array = "*" number CRLF *reply / "*-1" CRLF             so many replies; nil
//
// A text has no CR and no LF. A number is in its canonical form.
// https://redis.io/docs/latest/develop/reference/protocol-spec

import NIOCore
import TextForms

/// One whole reply. Its bytes are valid while it is handed out.
enum RESPReply {
  case simple(UnsafeRawBufferPointer)
  case error(UnsafeRawBufferPointer)
  case integer(Int64)
  case bulk(UnsafeRawBufferPointer)
  /// A bulk string or an array that doesn't exist.
  case null
  /// No call of a load has such a reply, so its elements are only checked.
  case array(count: Int)

  /// For a sentence about a reply that isn't as expected.
  var name: String {
    switch self {
    case .simple(let text):
      "the simple string '\(String(decoding: text.prefix(Self.shownBytesMax), as: UTF8.self))'"
    case .error: "an error"
    case .integer(let number): "the integer \(number)"
    case .bulk(let bytes): "a bulk string of \(bytes.count) bytes"
    case .null: "nil"
    case .array(let count): "an array of \(count) elements"
    }
  }

  private static let shownBytesMax = 40
}

/// Splits input into replies.
struct RESPReplies: ReplyReader {
  /// The longest line, with its type and without its end. Redis' own errors are a tenth of that.
  static let lineBytesMax = 4 << 10
  /// What a longest bulk string may be longer than a value by: a value of another program under the
  /// key is a failed call, not the end of the connection.
  static let headroomBytes = 4 << 10
  /// Elements of one reply, those of arrays within arrays included.
  static let elementsMax = 1_024
  /// Arrays within each other.
  static let depthMax = 8

  private let bulkBytesMax: Int
  private(set) var buffer = ByteBuffer()
  /// Bytes of the unfinished line that were already searched for its end.
  private var searched = 0
  /// Bytes of the unfinished array that were already read.
  private var arrayBytes = 0
  private var arrayCount = 0
  private var elements = 0
  /// How many elements are missing from each unfinished array, the outermost first.
  private var missing: [Int] = []

  init(valueBytesMax: Int) { bulkBytesMax = valueBytesMax + Self.headroomBytes }

  mutating func append(_ bytes: ByteBuffer) {
    buffer.appendUnread(bytes)
  }

  mutating func next(
    _ body: (RESPReply, _ bytes: Int) -> Void
  ) throws(MalformedReply) -> Bool {
    while let part = try nextPart() {
      if case .array(let count) = part.kind, count > 0 {
        try begin(count)
      } else if missing.isEmpty {
        buffer.withUnsafeReadableBytes { body(part.reply(in: $0), part.bytes) }
        skip(part)
        return true
      } else {
        finishElement()
      }
      arrayBytes += part.bytes
      skip(part)
      if missing.isEmpty {
        let (count, bytes) = (arrayCount, arrayBytes)
        (arrayCount, arrayBytes, elements) = (0, 0, 0)
        body(.array(count: count), bytes)
        return true
      }
    }
    return false
  }

  // MARK: - Arrays

  /// An array with elements begins.
  private mutating func begin(_ count: Int) throws(MalformedReply) {
    guard count <= Self.elementsMax - elements else {
      throw MalformedReply("a reply has more than \(Self.elementsMax) elements")
    }
    guard missing.count < Self.depthMax else {
      throw MalformedReply("a reply has more than \(Self.depthMax) arrays within each other")
    }
    if missing.isEmpty { arrayCount = count }
    elements += count
    missing.append(count)
  }

  /// An element was read. If it was the last of its array, that one is an element too.
  private mutating func finishElement() {
    while let left = missing.popLast() {
      guard left == 1 else { return missing.append(left - 1) }
    }
  }

  // MARK: - Parts

  /// What has no parts itself: a reply, or the head of an array.
  private struct Part {
    enum Kind {
      case simple, error, integer(Int64), bulk, null, array(Int)
    }

    var kind: Kind
    /// Where its text or its value begins, and its bytes.
    var start: Int
    var count: Int
    /// All its bytes.
    var bytes: Int

    func reply(in bytes: UnsafeRawBufferPointer) -> RESPReply {
      let content = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
      return switch kind {
      case .simple: .simple(content)
      case .error: .error(content)
      case .integer(let number): .integer(number)
      case .bulk: .bulk(content)
      case .null: .null
      case .array(let count): .array(count: count)
      }
    }
  }

  private mutating func skip(_ part: Part) {
    buffer.moveReaderIndex(forwardBy: part.bytes)
    searched = 0
  }

  /// nil: it hasn't arrived completely.
  private mutating func nextPart() throws(MalformedReply) -> Part? {
    let (searched, bulkBytesMax) = (searched, bulkBytesMax)
    let result: Result<(Part?, Int), MalformedReply> = buffer.withUnsafeReadableBytes { bytes in
      var place = searched
      do throws(MalformedReply) {
        return .success((try Self.part(bytes, &place, bulkBytesMax), place))
      } catch {
        return .failure(error)
      }
    }
    let (part, place) = try result.get()
    self.searched = place
    return part
  }

  private static func part(
    _ bytes: UnsafeRawBufferPointer, _ searched: inout Int, _ bulkBytesMax: Int
  ) throws(MalformedReply) -> Part? {
    guard let type = bytes.first else { return nil }
    guard "+-:$*".utf8.contains(type) else {
      throw MalformedReply("a reply begins with \(name(of: type)), which is no type of RESP2")
    }
    guard let end = try lineEnd(bytes, &searched) else { return nil }
    let line = Part(kind: .simple, start: 1, count: end - 1, bytes: end + 2)
    func kind(_ kind: Part.Kind) -> Part { Part(kind: kind, start: 1, count: 0, bytes: end + 2) }
    if type == UInt8(ascii: "+") { return line }
    if type == UInt8(ascii: "-") {
      return Part(kind: .error, start: line.start, count: line.count, bytes: line.bytes)
    }
    guard let number = DecimalInteger.parse(UnsafeRawBufferPointer(rebasing: bytes[1..<end])) else {
      throw MalformedReply("a reply has no number behind '\(Character(UnicodeScalar(type)))'")
    }
    if type == UInt8(ascii: ":") { return kind(.integer(number)) }
    if number == -1 { return kind(.null) }
    guard number >= 0 else { throw MalformedReply("a reply has the length \(number)") }
    if type == UInt8(ascii: "*") {
      return kind(.array(Int(clamping: number)))
    }
    guard number <= bulkBytesMax else {
      throw MalformedReply(
        "a reply has \(number) bytes, and none may have more than \(bulkBytesMax)")
    }
    return try bulk(bytes, start: end + 2, count: Int(number))
  }

  private static func bulk(
    _ bytes: UnsafeRawBufferPointer, start: Int, count: Int
  ) throws(MalformedReply) -> Part? {
    let end = start + count
    guard bytes.count >= end + 2 else { return nil }
    guard bytes[end] == carriageReturn, bytes[end + 1] == lineFeed else {
      throw MalformedReply("a bulk string has no line end behind its \(count) bytes")
    }
    return Part(kind: .bulk, start: start, count: count, bytes: end + 2)
  }

  // MARK: - Lines

  private static let carriageReturn = UInt8(ascii: "\r")
  private static let lineFeed = UInt8(ascii: "\n")

  /// The length of the first line, without its end. nil: the end hasn't arrived.
  private static func lineEnd(
    _ bytes: UnsafeRawBufferPointer, _ searched: inout Int
  ) throws(MalformedReply) -> Int? {
    var place = max(searched, 1)
    while place < bytes.count {
      switch bytes[place] {
      case carriageReturn:
        guard place + 1 < bytes.count else {
          searched = place
          return nil
        }
        guard bytes[place + 1] == lineFeed else {
          throw MalformedReply("a reply has a carriage return inside a line")
        }
        return place
      case lineFeed: throw MalformedReply("a reply has a line feed without a carriage return")
      default: place += 1
      }
      guard place <= lineBytesMax else {
        throw MalformedReply("a line of a reply is longer than \(lineBytesMax) bytes")
      }
    }
    searched = place
    return nil
  }

  private static func name(of byte: UInt8) -> String {
    (0x21...0x7e).contains(byte)
      ? "'\(Character(UnicodeScalar(byte)))'" : "byte 0x\(Hexadecimal.text([byte]))"
  }
}
