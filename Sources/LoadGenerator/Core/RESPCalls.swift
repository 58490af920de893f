// Calls as commands of Redis' protocol, and whether their replies are as expected. Owned by one
// event loop's part of the load, on its thread.
//
//   command = "*" count CRLF 1*("$" length CRLF *OCTET CRLF)

import NIOCore
import RingstoreAPI
import StatusCodes
import TextForms

enum RESPCommand {
  /// A command that is no call.
  static func bytes(_ words: [String]) -> [UInt8] {
    let parts = words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }
    return Array("*\(words.count)\r\n\(parts.joined())".utf8)
  }

  static func name(_ kind: CallKind) -> String {
    switch kind {
    case .get: "GET"
    case .set: "SET"
    case .incr: "INCR"
    case .lpush: "LPUSH"
    case .lpop: "LPOP"
    case .delete: "DEL"
    }
  }

  static func hasValue(_ kind: CallKind) -> Bool { kind == .set || kind == .lpush }

  /// What is the same in all commands of a kind: everything before the key's bytes.
  static func head(_ kind: CallKind) -> [UInt8] {
    let name = name(kind)
    let words = hasValue(kind) ? 3 : 2
    return Array("*\(words)\r\n$\(name.utf8.count)\r\n\(name)\r\n$\(KeyBytes.count)\r\n".utf8)
  }

  /// Of all kinds, by their numbers.
  static let heads: [[UInt8]] = CallKind.allCases.map(head)
}

extension LoadRequests {
  /// Appends a command. Returns its bytes.
  func writeCommand(_ call: PlannedCall, into buffer: inout ByteBuffer) -> Int {
    bytes.select(call.space, call.key)
    let start = buffer.writerIndex
    buffer.writeBytes(RESPCommand.heads[Int(call.kind.rawValue)])
    buffer.writeBytes(bytes.key)
    if RESPCommand.hasValue(call.kind) {
      buffer.writeStaticString("\r\n$")
      buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: DecimalInteger.digitsMax) { room in
        room.baseAddress.map { DecimalInteger.format(Int64(bytes.value.count), into: $0) } ?? 0
      }
      buffer.writeStaticString("\r\n")
      buffer.writeBytes(bytes.value)
    }
    buffer.writeStaticString("\r\n")
    return buffer.writerIndex - start
  }

  /// The result of a call, from its reply.
  func outcome(of call: PlannedCall, reply: RESPReply) -> CallOutcome {
    switch (reply, call.kind) {
    case (.error(let text), _): .failed(CallFailure(errorReply: text))
    case (.bulk(let value), .get), (.bulk(let value), .lpop): outcome(value, call)
    case (.null, .get), (.null, .lpop): missing(call)
    case (.simple(let text), .set) where text.elementsEqual("OK".utf8): .done(found: true)
    case (.integer, .incr): .done(found: true)
    case (.integer(let count), .lpush): length(Int(clamping: count))
    case (.integer(let count), .delete) where (0...1).contains(count): .done(found: count > 0)
    default: .failed(.wrongReply("the reply to \(RESPCommand.name(call.kind)) is \(reply.name)"))
    }
  }
}

extension CallFailure {
  /// The codes of errors that every Redis has, so that results of all protocols read alike. Others
  /// are UNKNOWN, as gRPC calls errors that another system describes in its own words.
  private static let codes: [String: StatusCode] = [
    "WRONGTYPE": .failedPrecondition, "READONLY": .failedPrecondition,
    "MOVED": .failedPrecondition, "ASK": .failedPrecondition,
    "NOAUTH": .unauthenticated, "WRONGPASS": .unauthenticated, "NOPERM": .permissionDenied,
    "OOM": .resourceExhausted,
    "LOADING": .unavailable, "BUSY": .unavailable, "MISCONF": .unavailable,
    "CLUSTERDOWN": .unavailable, "MASTERDOWN": .unavailable, "TRYAGAIN": .unavailable,
  ]

  private static let reasonBytesMax = 64
  private static let messageBytesMax = 1_024

  /// Of an error reply. By convention its first word, in capital letters, is the reason.
  init(errorReply text: UnsafeRawBufferPointer) {
    let shown = String(decoding: text.prefix(Self.messageBytesMax), as: UTF8.self)
    let words = shown.split(separator: " ", maxSplits: 1)
    guard let word = words.first?.utf8, word.count <= Self.reasonBytesMax, shown.first != " ",
      word.allSatisfy({ Self.isOfReasons($0) })
    else {
      self.init(code: StatusCode.unknown.name, message: shown)
      return
    }
    let reason = String(words[0])
    let code = ErrorReason(rawValue: reason)?.code ?? Self.codes[reason] ?? .unknown
    self.init(code: code.name, reason: reason, message: words.count > 1 ? String(words[1]) : shown)
  }

  private static func isOfReasons(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
