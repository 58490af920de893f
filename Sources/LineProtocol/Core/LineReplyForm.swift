// From the reply messages of ringstore.v1 to lines. Pure functions; any thread.

import NIOCore
import RingstoreAPI

/// How the reply of a call is shown.
package enum LineReplyForm: Sendable, Hashable {
  /// `+OK`, whatever the reply holds: Set, Reset, Shutdown.
  case ok
  /// Value, a missing one `-invalid key`: Get.
  case value
  /// The same for a value that the call has taken away: LPop, RPop.
  case taken
  /// Status, `+OK` or `-invalid key`: Delete.
  case removed
  /// Status, its count: Exists, LLen, LPush, RPush.
  case count
  /// TypeResponse in a word.
  case type
  /// IncrByResponse.
  case sum
  /// DbSizeResponse.
  case number
  /// ListValues.
  case list
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
    case .ok: out.writeLine(text: "OK")
    case .value, .taken:
      let view = try ValueReplyView(response)
      guard view.found else { throw LineError.invalidKey(try KeyView(request).key) }
      guard LineText.fitsLine(view.value) else {
        throw self == .taken ? LineError.unframeableTaken(view.value) : LineError.unframeable
      }
      out.writeLine(text: view.value)
    case .removed:
      guard try StatusReplyView(response).count > 0 else {
        throw LineError.invalidKey(try KeyView(request).key)
      }
      out.writeLine(text: "OK")
    case .count: out.writeLine(text: String(try StatusReplyView(response).count))
    case .type: out.writeLine(text: Self.name(ofType: try NumberReplyView(response).number))
    case .sum: out.writeLine(text: String(try IncrByReplyView(response).value))
    case .number: out.writeLine(text: String(try NumberReplyView(response).number))
    case .list:
      let view = try ListValuesReplyView(response)
      try Self.write(view.values, view.count, orThrow: .unframeableElement, into: &out)
    case .keys:
      let view = try KeysReplyView(response)
      try Self.write(view.keys, view.count, orThrow: .unframeableKey, into: &out)
    case .page:
      let view = try KeysReplyView(response)
      try LineCursor.write(page: view, keys: Array(view.keys), into: &out)
    case .values: try Self.writeValues(response, of: request, into: &out)
    case .outcomes: try Self.writeOutcomes(response, of: request, into: &out)
    }
  }

  private static func name(ofType number: Int64) -> String {
    switch Int32(exactly: number).flatMap(ValueType.init(rawValue:)) {
    case .some(.none): "none"
    case .string: "string"
    case .list: "list"
    case nil: "unknown"
    }
  }

  private static func write(
    _ items: RepeatedBytes, _ count: Int, orThrow error: LineError, into out: inout ByteBuffer
  ) throws {
    guard items.allSatisfy(LineText.fitsLine) else { throw error }
    out.writeLine(listOf: count)
    for item in items { out.writeListLine(item) }
  }

  private static func writeValues(
    _ response: UnsafeRawBufferPointer, of request: UnsafeRawBufferPointer,
    into out: inout ByteBuffer
  ) throws {
    let (items, keys) = (try ItemsReplyView(response), try MGetView(request))
    guard items.count == keys.count else { throw Self.otherItems }
    out.writeLine(listOf: items.count)
    for (key, encoded) in zip(keys.items, items.encodedItems) {
      switch try ItemReplyView(encoded).outcome {
      case .done(let message):
        let view = try ValueReplyView(message)
        if !view.found {
          out.writeLine(error: .invalidKey(key.key))
        } else if LineText.fitsLine(view.value) {
          out.writeLine(text: view.value)
        } else {
          out.writeLine(error: .unframeable)
        }
      case .failed(let error): out.writeLine(error: LineError(try CallError(item: error)))
      case .unset: out.writeLine(error: LineError(.internalError("The item has no outcome.")))
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
    let items = try ItemsReplyView(response)
    guard items.count == (try MSetView(request).count) else { throw Self.otherItems }
    var lines = ByteBuffer()
    var areAllDone = true
    for encoded in items.encodedItems {
      switch try ItemReplyView(encoded).outcome {
      case .done: lines.writeLine(text: "OK")
      case .failed(let error):
        areAllDone = false
        lines.writeLine(error: LineError(try CallError(item: error)))
      case .unset:
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
