// From the replies of ringstore.v1 to lines. Pure functions; any thread.

import Commands
import NIOCore
import RingstoreAPI

extension ReplyForm {
  /// Whether a reply may name its key: for a missing key it is `-invalid key`.
  var mayNameKey: Bool {
    switch self {
    case .value, .taken, .removed, .inspection: true
    case .ok, .isDone, .popped, .part, .element, .count, .inserted, .positions, .type, .ttl, .sum,
      .list:
      false
    }
  }

  /// Whether a reply may contain a value that its key no longer has.
  var mayTake: Bool { self == .taken || self == .popped || self == .ok }

  /// Writes the reply of a call on one key.
  ///
  /// - Parameter key: of the call, if the form may name it.
  package func write(
    _ reply: CallReply, of key: UnsafeRawBufferPointer, into out: inout ByteBuffer
  ) {
    do throws(LineError) {
      try writeLines(reply, of: key, into: &out)
    } catch {
      // Nothing has been written by halves.
      out.writeLine(error: error)
    }
  }

  private func writeLines(
    _ reply: CallReply, of key: UnsafeRawBufferPointer, into out: inout ByteBuffer
  ) throws(LineError) {
    switch (self, reply) {
    case (.ok, .status(let reply)):
      if let previous = reply.previous {
        guard previous.found else { throw .noPreviousValue }
        guard LineText.fitsLine(previous.value) else { throw .unframeableTaken(previous.value) }
        out.writeLine(text: previous.value)
      } else {
        guard reply.ok else { throw .conditionNotMet }
        out.writeLine(text: "OK")
      }
    case (.part, .value(let reply)):
      guard LineText.fitsLine(reply.value) else { throw .unframeable }
      out.writeLine(text: reply.value)
    case (.isDone, .status(let reply)): out.writeLine(text: reply.ok ? "1" : "0")
    case (.value, .value(let reply)), (.taken, .value(let reply)):
      guard reply.found else { throw .invalidKey(key) }
      guard LineText.fitsLine(reply.value) else {
        throw self == .taken ? .unframeableTaken(reply.value) : .unframeable
      }
      out.writeLine(text: reply.value)
    case (.taken, .list(let reply)):
      guard reply.found else { throw .invalidKey(key) }
      try out.writeLines(reply.values, orThrow: .unframeableTaken(reply.values))
    case (.popped, .value(let reply)):
      guard reply.found else { throw .notFound }
      guard LineText.fitsLine(reply.value), LineText.fitsLine(reply.key) else {
        throw .unframeableTaken(reply.value)
      }
      out.writeLine(listOf: 2)
      out.writeListLine(reply.key)
      out.writeListLine(reply.value)
    case (.element, .value(let reply)):
      guard reply.found else { throw .notFound }
      guard LineText.fitsLine(reply.value) else { throw .unframeable }
      out.writeLine(text: reply.value)
    case (.removed, .status(let reply)):
      guard reply.count > 0 else { throw .invalidKey(key) }
      out.writeLine(text: "OK")
    case (.count, .status(let reply)): out.writeLine(text: String(reply.count))
    case (.inserted, .status(let reply)):
      out.writeLine(text: String(reply.ok || reply.count == 0 ? reply.count : -1))
    case (.positions(isMany: true), .positions(let reply)):
      out.writeLine(listOf: reply.indexes.count)
      for index in reply.indexes { out.writeString("\(index)\r\n") }
    case (.positions(isMany: false), .positions(let reply)):
      guard let first = reply.indexes.first(where: { _ in true }) else { throw .notFound }
      out.writeLine(text: String(first))
    case (.type, .type(let reply)):
      out.writeLine(text: reply.type.isKnown ? reply.type.description : "unknown")
    case (.ttl(let form), .ttl(let reply)):
      let number = form.number(
        found: reply.found, ttlMillis: reply.ttlMillis, unixMillis: reply.expireAtUnixMillis)
      out.writeLine(text: String(number))
    case (.sum, .sum(let reply)): out.writeLine(text: String(reply.value))
    case (.inspection(let form), .inspection(let reply)):
      guard reply.found else { throw .invalidKey(key) }
      form.write(reply, into: &out)
    case (.list, .list(let reply)):
      try out.writeLines(reply.values, orThrow: .unframeableElement)
    default: throw LineError(.internalError("It is a different kind of reply."))
    }
  }
}

extension InspectForm {
  fileprivate func write(_ reply: V1.InspectResponse, into out: inout ByteBuffer) {
    switch self {
    case .encoding: out.writeLine(text: reply.encoding.description)
    case .idleSeconds: out.writeLine(text: String(reply.idleMillis / 1_000))
    case .bytes: out.writeLine(text: String(reply.bytes))
    case .all:
      let facts = reply.facts
      out.writeLine(listOf: facts.count)
      for (name, fact) in facts { out.writeString("\(name) \(fact)\r\n") }
    }
  }
}

extension V1.InspectResponse {
  /// Names and values, each pair on its own line.
  fileprivate var facts: [(name: String, fact: String)] {
    [
      ("type", type.description), ("encoding", encoding.description), ("bytes", "\(bytes)"),
      ("length", "\(length)"), ("idle_millis", "\(idleMillis)"),
      ("ttl_millis", "\(ttlMillis ?? -1)"), ("version", "\(version)"), ("slot", "\(slot)"),
      ("shard", String(decoding: shard, as: UTF8.self)),
    ]
  }
}

extension ByteBuffer {
  fileprivate mutating func writeLines(
    _ items: RepeatedBytes, orThrow error: @autoclosure () -> LineError
  ) throws(LineError) {
    guard items.allSatisfy(LineText.fitsLine) else { throw error() }
    writeLine(listOf: items.count)
    for item in items { writeListLine(item) }
  }
}

/// How the reply of a call that is made of parts is shown.
package enum LineReplyForm: Sendable, Hashable {
  /// `+OK`, for any reply.
  case ok
  /// DbSizeResponse.
  case number
  /// KeysResponse without a limit.
  case keys
  /// KeysResponse with one: first the cursor, then the keys.
  case page
  /// MGetResponse; each line is a reply in itself.
  case values
  /// MSetResponse: `+OK`, or if anything failed a reply for each item.
  case outcomes
  /// Of calls on many keys whose items have a count: the sum, or if anything failed a reply for
  /// each.
  case count(CommandID)
  /// RandomKeyResponse.
  case randomKey

  /// Writes the reply.
  ///
  /// - Parameter request: the call's own request: some replies name its keys.
  package func write(_ response: ByteBuffer, of request: ByteBuffer, into out: inout ByteBuffer) {
    let start = out.writerIndex
    do {
      try request.withUnsafeReadableBytes { request in
        try response.withUnsafeReadableBytes { response in
          try write(response, of: request, into: &out)
        }
      }
    } catch {
      // A line error, or bytes that are no message: neither has been written by halves.
      out.moveWriterIndex(to: start)
      out.writeLine(
        error: error as? LineError ?? LineError(.internalError("The reply can't be decoded.")))
    }
  }

  private func write(
    _ response: UnsafeRawBufferPointer, of request: UnsafeRawBufferPointer,
    into out: inout ByteBuffer
  ) throws {
    switch self {
    case .ok: out.writeLine(text: "OK")
    case .number: out.writeLine(text: String(try V1.DbSizeResponse(response).keys))
    case .keys:
      try out.writeLines(try V1.KeysResponse(response).keys, orThrow: .unframeableKey)
    case .page:
      let page = try V1.KeysResponse(response)
      try LineCursor.write(page: page, keys: Array(page.keys), into: &out)
    case .values: try Self.writeValues(response, of: request, into: &out)
    case .outcomes: try Self.writeOutcomes(response, of: request, into: &out)
    case .count(let call): try Self.writeCount(response, of: call, into: &out)
    case .randomKey:
      let reply = try V1.RandomKeyResponse(response)
      guard reply.found else { throw LineError.notFound }
      guard LineText.fitsLine(reply.key) else { throw LineError.unframeableKey }
      out.writeLine(text: reply.key)
    }
  }

  private static func writeValues(
    _ response: UnsafeRawBufferPointer, of request: UnsafeRawBufferPointer,
    into out: inout ByteBuffer
  ) throws {
    let (items, keys) = (try V1.MGetResponse(response).items, try V1.MGetRequest(request).keys)
    guard items.count == keys.count else { throw Self.otherItems }
    out.writeLine(listOf: items.count)
    for (key, item) in zip(keys, items) {
      switch item.outcome {
      case .value(let reply):
        if !reply.found {
          out.writeLine(error: .invalidKey(key.key))
        } else if LineText.fitsLine(reply.value) {
          out.writeLine(text: reply.value)
        } else {
          out.writeLine(error: .unframeable)
        }
      case .error(let error): out.writeLine(error: LineError(CallError(error)))
      case nil: out.writeLine(error: LineError(.internalError("The item has no outcome.")))
      }
    }
  }

  /// A client that expects one line for each key must get them, or one error.
  private static let otherItems = LineError(
    .internalError("The reply has another number of items than the request."))

  private static func writeCount(
    _ response: UnsafeRawBufferPointer, of call: CommandID, into out: inout ByteBuffer
  ) throws {
    guard let command = CommandTable.command(call) else { return }
    let items = try ManyKeyWords.statuses(response, of: command)
    var lines = ByteBuffer()
    var sum: Int64? = 0
    for item in items {
      switch item.outcome {
      case .status(let status):
        lines.writeLine(text: String(status.count))
        sum = sum.map { $0 &+ status.count }
      case .error(let error):
        lines.writeLine(error: LineError(CallError(error)))
        sum = nil
      case nil:
        lines.writeLine(error: LineError(.internalError("The item has no outcome.")))
        sum = nil
      }
    }
    if let sum { return out.writeLine(text: String(sum)) }
    out.writeLine(listOf: items.count)
    out.writeBuffer(&lines)
  }

  private static func writeOutcomes(
    _ response: UnsafeRawBufferPointer, of request: UnsafeRawBufferPointer,
    into out: inout ByteBuffer
  ) throws {
    let items = try V1.MSetResponse(response).items
    guard items.count == (try V1.MSetRequest(request).items.count) else { throw Self.otherItems }
    var lines = ByteBuffer()
    var areAllDone = true
    for item in items {
      switch item.outcome {
      case .status: lines.writeLine(text: "OK")
      case .error(let error):
        areAllDone = false
        lines.writeLine(error: LineError(CallError(error)))
      case nil:
        areAllDone = false
        lines.writeLine(error: LineError(.internalError("The item has no outcome.")))
      }
    }
    if areAllDone {
      out.writeLine(text: "OK")
    } else {
      out.writeLine(listOf: items.count)
      out.writeBuffer(&lines)
    }
  }
}
