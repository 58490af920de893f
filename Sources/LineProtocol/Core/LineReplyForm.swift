// From the reply messages of ringstore.v1 to lines. Pure functions; any thread.

import Commands
import NIOCore
import RingstoreAPI

/// How the reply of a call is shown.
package enum LineReplyForm: Sendable, Hashable {
  /// As the command's definition says; what there isn't is `-invalid key`.
  case plain(ReplyForm)
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
    case .plain(let form): try Self.write(form, response, of: request, into: &out)
    case .number: out.writeLine(text: String(try V1.DbSizeResponse(response).keys))
    case .keys:
      try Self.write(try V1.KeysResponse(response).keys, orThrow: .unframeableKey, into: &out)
    case .page:
      let page = try V1.KeysResponse(response)
      try LineCursor.write(page: page, keys: Array(page.keys), into: &out)
    case .values: try Self.writeValues(response, of: request, into: &out)
    case .outcomes: try Self.writeOutcomes(response, of: request, into: &out)
    }
  }

  private static func write(
    _ form: ReplyForm, _ response: UnsafeRawBufferPointer, of request: UnsafeRawBufferPointer,
    into out: inout ByteBuffer
  ) throws {
    switch form {
    case .ok: out.writeLine(text: "OK")
    case .value, .taken:
      let reply = try V1.Value(response)
      guard reply.found else { throw LineError.invalidKey(try V1.Key(request).key) }
      guard LineText.fitsLine(reply.value) else {
        throw form == .taken ? LineError.unframeableTaken(reply.value) : LineError.unframeable
      }
      out.writeLine(text: reply.value)
    case .removed:
      guard try V1.Status(response).count > 0 else {
        throw LineError.invalidKey(try V1.Key(request).key)
      }
      out.writeLine(text: "OK")
    case .count: out.writeLine(text: String(try V1.Status(response).count))
    case .type:
      let type = try V1.TypeResponse(response).type
      out.writeLine(text: type.isKnown ? type.description : "unknown")
    case .sum: out.writeLine(text: String(try V1.IncrByResponse(response).value))
    case .list:
      try write(try V1.ListValues(response).values, orThrow: .unframeableElement, into: &out)
    }
  }

  private static func write(
    _ items: RepeatedBytes, orThrow error: LineError, into out: inout ByteBuffer
  ) throws {
    guard items.allSatisfy(LineText.fitsLine) else { throw error }
    out.writeLine(listOf: items.count)
    for item in items { out.writeListLine(item) }
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

  /// A client that waits for as many lines as it named keys must get them, or one error.
  private static let otherItems = LineError(
    .internalError("The reply has another number of items than the request."))

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
