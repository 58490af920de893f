// Replies about one key or a few, numbers, and the details of errors.

import GRPC
import NIOCore
import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  private static let value: [MessageSoup.Field] =
    [.bytes(1), .varint(2), .varint(3), .varint(4)]
  private static let status: [MessageSoup.Field] =
    [.varint(1), .varint(2), .varint(3), .message(4, value)]
  private static let list: [MessageSoup.Field] =
    [.bytes(1), .bytes(1), .varint(2), .varint(3), .varint(4)]

  package static let replies = oneKeyReplies + numberReplies + itemReplies + errors

  private static let oneKeyReplies: [TwoReaders] = [
    TwoReaders(
      name: "Value", schema: value, ours: { facts(try ValueReplyView($0)) },
      theirs: { (message: Ringstore_V1_Value) in facts(message) },
      rewritten: { message in
        let view = try ValueReplyView(message)
        if view.found { return written { $0.writeValue(view.value, version: view.version) } }
        return view.value.isEmpty && view.version == 0 ? written { $0.writeMissingValue() } : nil
      }),
    TwoReaders(
      name: "Status", schema: status, ours: { facts(try readStatus($0)) },
      theirs: { (message: Ringstore_V1_Status) in facts(message) },
      rewritten: { message in
        let view = try StatusReplyView(message)
        return written { $0.writeStatus(ok: view.ok, count: view.count, version: view.version) }
      }),
    TwoReaders(
      name: "ListValues", schema: list, ours: { facts(try ListValuesReplyView($0)) },
      theirs: { (message: Ringstore_V1_ListValues) in facts(message) },
      rewritten: { message in
        let view = try ListValuesReplyView(message)
        return written { buffer in
          view.values.forEach { buffer.writeListValue($0) }
          buffer.writeListValuesEnd(
            found: view.found, length: view.length, firstIndex: view.firstIndex)
        }
      }),
    TwoReaders(
      name: "IncrByResponse", schema: [.varint(1), .varint(2)],
      ours: {
        let view = try IncrByReplyView($0)
        return ["\(view.value)", "\(view.version)"]
      },
      theirs: { (message: Ringstore_V1_IncrByResponse) in
        ["\(message.value)", "\(message.version)"]
      },
      rewritten: { message in
        let view = try IncrByReplyView(message)
        return written { $0.writeIncrByResponse(value: view.value, version: view.version) }
      }),
  ]

  private static let numberReplies: [TwoReaders] = [
    TwoReaders(
      name: "TypeResponse", schema: [.varint(1)],
      // Ours hands out the whole number, of which an enum's is the lower half.
      ours: { ["\(Int32(truncatingIfNeeded: try NumberReplyView($0).number))"] },
      theirs: { (message: Ringstore_V1_TypeResponse) in ["\(message.type.rawValue)"] },
      rewritten: { message in
        let number = try NumberReplyView(message).number
        return Int32(exactly: number).flatMap(ValueType.init(rawValue:)).map { type in
          written { $0.writeTypeResponse(type) }
        }
      }),
    TwoReaders(
      name: "DbSizeResponse", schema: [.varint(1), .message(2, error)],
      ours: {
        ["\(try NumberReplyView($0).number)"]
          + (try errors(Array(RepeatedBytes($0, field: 2))))
      },
      theirs: { (message: Ringstore_V1_DbSizeResponse) in
        ["\(message.keys)"] + errors(message.unreachable)
      },
      rewritten: { message in
        let keys = try NumberReplyView(message).number
        let unreachable = try RepeatedBytes(message, field: 2).map { try CallError(item: $0) }
        return written { $0.writeDbSizeResponse(keys: keys, unreachable: unreachable) }
      }),
    TwoReaders(
      name: "ResetResponse", schema: [.varint(1)],
      ours: { ["\(try NumberReplyView($0).number)"] },
      theirs: { (message: Ringstore_V1_ResetResponse) in ["\(message.keysRemoved)"] },
      rewritten: { message in
        let number = try NumberReplyView(message).number
        return written { $0.writeResetResponse(keysRemoved: number) }
      }),
  ]

  // MARK: - Items

  private static let itemReplies: [TwoReaders] = [
    TwoReaders(
      name: "MGetResponse",
      schema: [.message(1, [.message(1, value)]), .message(1, [.message(2, error)])],
      ours: { try items($0) { facts(try ValueReplyView($0)) } },
      theirs: { (message: Ringstore_V1_MGetResponse) in
        message.items.flatMap { item in
          switch item.outcome {
          case .value(let value): facts(value)
          case .error(let error): errors([error])
          case nil: ["unset"]
          }
        }
      }, rewritten: copiedItems),
    TwoReaders(
      name: "MSetResponse",
      schema: [.message(1, [.message(1, status)]), .message(1, [.message(2, error)])],
      ours: { try items($0) { facts(try readStatus($0)) } },
      theirs: { (message: Ringstore_V1_MSetResponse) in message.items.flatMap(facts) },
      rewritten: copiedItems),
    TwoReaders(
      name: "MDeleteResponse",
      schema: [.message(1, [.message(1, status)]), .message(1, [.message(2, error)])],
      ours: { try items($0) { facts(try readStatus($0)) } },
      theirs: { (message: Ringstore_V1_MDeleteResponse) in message.items.flatMap(facts) },
      rewritten: copiedItems),
    TwoReaders(
      name: "MLRangeResponse",
      schema: [.message(1, [.message(1, list)]), .message(1, [.message(2, error)])],
      ours: { try items($0) { facts(try ListValuesReplyView($0)) } },
      theirs: { (message: Ringstore_V1_MLRangeResponse) in
        message.items.flatMap { item in
          switch item.outcome {
          case .list(let list): facts(list)
          case .error(let error): errors([error])
          case nil: ["unset"]
          }
        }
      }, rewritten: copiedItems),
  ]

  private static func items(
    _ message: UnsafeRawBufferPointer, _ done: (UnsafeRawBufferPointer) throws -> [String]
  ) throws -> [String] {
    try ItemsReplyView(message).encodedItems.flatMap { item in
      // As protobuf has it, an outcome that comes twice is merged, and ours takes the last: only
      // our own nodes write items, and no outcome twice.
      let outcomes = Array(RepeatedBytes(item, field: 1)) + Array(RepeatedBytes(item, field: 2))
      guard outcomes.count < 2 else { throw Incomparable() }
      switch try ItemReplyView(item).outcome {
      case .done(let outcome): return try done(outcome)
      case .failed(let error): return try errors([error])
      case .unset: return ["unset"]
      }
    }
  }

  @Sendable private static func copiedItems(
    _ message: UnsafeRawBufferPointer
  ) throws -> [UInt8]? {
    let view = try ItemsReplyView(message)
    return try written { buffer in
      for item in view.encodedItems {
        switch try ItemReplyView(item).outcome {
        case .done(let outcome):
          let mark = buffer.beginItem(sizeHint: outcome.count % 3 * 100)
          buffer.writeBytes(outcome)
          buffer.endItem(mark)
        case .failed(let error): buffer.writeItem(error: try CallError(item: error))
        case .unset: buffer.writeEncodedItem(item)
        }
      }
    }
  }

  // MARK: - The details of errors

  private static let errors: [TwoReaders] = [
    TwoReaders(
      name: "Error", schema: error, ours: { try errors([$0]) },
      theirs: { (message: Ringstore_V1_Error) in errors([message]) },
      rewritten: { message in
        let error = try CallError(item: message)
        let item = written { $0.writeItem(error: error) }
        return try item.withUnsafeBytes { bytes in
          guard let field = RepeatedBytes(bytes, field: 1).first(where: { _ in true }),
            case .failed(let encoded) = try ItemReplyView(field).outcome
          else { throw WireError.truncated }
          return Array(encoded)
        }
      }),
    TwoReaders(
      name: "google.rpc.Status",
      schema: [.varint(1), .text(2), .message(3, [.text(1), .bytes(2)])],
      ours: { message in
        _ = try ErrorDetails(status: message)
        return details(CallError(code: .unknown, message: "", details: message))
      },
      theirs: { (message: Google_Rpc_Status) in details(try readDetails(message)) },
      rewritten: { CallError(code: .unknown, message: "", details: $0).details() }),
  ]

  private static func details(_ error: CallError) -> [String] {
    [error.reason?.rawValue ?? "", error.shard ?? "-", "\(error.retryDelayMillis ?? -1)"]
  }

  private static func readDetails(_ status: Google_Rpc_Status) throws -> CallError {
    var error = CallError(code: .unknown, message: "")
    for detail in status.details {
      if detail.typeURL.hasSuffix("/google.rpc.ErrorInfo") {
        let value = Array(detail.value)
        try value.withUnsafeBytes { try checkMap($0, field: 3, value: .bytes(2)) }
        let info = try Google_Rpc_ErrorInfo(serializedBytes: value)
        guard info.domain == "ringstore" else { continue }
        error.reason = ErrorReason(rawValue: info.reason)
        error.shard = info.metadata["shard"]
      } else if detail.typeURL.hasSuffix("/google.rpc.RetryInfo") {
        let info = try Google_Rpc_RetryInfo(serializedBytes: Array(detail.value))
        let (seconds, nanos) = (info.retryDelay.seconds, info.retryDelay.nanos)
        guard info.hasRetryDelay, (0...315_576_000_000).contains(seconds), nanos >= 0 else {
          continue
        }
        error.retryDelayMillis = Int(seconds) * 1_000 + Int(nanos) / 1_000_000
      }
    }
    return error
  }

  // MARK: - Facts

  private static func facts(_ view: ValueReplyView) -> [String] {
    [hex(view.value), "\(view.found)", "\(view.version)"]
  }

  private static func facts(_ message: Ringstore_V1_Value) -> [String] {
    [hex(message.value), "\(message.found)", "\(message.version)"]
  }

  /// Reads what the hot path leaves alone as well, so that both readers see the whole message.
  private static func readStatus(_ message: UnsafeRawBufferPointer) throws -> StatusReplyView {
    let view = try StatusReplyView(message)
    for previous in RepeatedBytes(message, field: 4) { _ = try ValueReplyView(previous) }
    return view
  }

  private static func facts(_ view: StatusReplyView) -> [String] {
    ["\(view.ok)", "\(view.count)", "\(view.version)"]
  }

  private static func facts(_ message: Ringstore_V1_Status) -> [String] {
    ["\(message.ok)", "\(message.count)", "\(message.version)"]
  }

  @Sendable private static func facts(_ item: Ringstore_V1_StatusItem) -> [String] {
    switch item.outcome {
    case .status(let status): facts(status)
    case .error(let error): errors([error])
    case nil: ["unset"]
    }
  }

  private static func facts(_ view: ListValuesReplyView) -> [String] {
    view.values.map { hex($0) }
      + ["\(view.count)", "\(view.found)", "\(view.length)", "\(view.firstIndex)"]
  }

  private static func facts(_ message: Ringstore_V1_ListValues) -> [String] {
    message.values.map { hex($0) }
      + [
        "\(message.values.count)", "\(message.found)", "\(message.length)",
        "\(message.firstIndex)",
      ]
  }
}
