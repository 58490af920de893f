// The position of items and outcomes in the messages of calls on many keys. An item's request and
// reply are those of a call on one key, so they are forwarded unchanged. A value; any thread.

import Commands
import NIOCore
import RingstoreAPI

struct ManyKeyForm {
  private let call: CommandID
  /// Fields of the reply's item.
  private let outcome: BytesField
  private let error: BytesField
  /// The reply's items.
  private let items: BytesField

  /// - Parameter call: a call on many keys.
  init(_ call: CommandID) {
    self.call = call
    switch call {
    case .mGet:
      typealias Item = V1.MGetResponse.Item.Field
      (items, outcome, error) = (V1.MGetResponse.Field.items, Item.value, Item.error)
    case .mLRange:
      typealias Item = V1.MLRangeResponse.Item.Field
      (items, outcome, error) = (V1.MLRangeResponse.Field.items, Item.list, Item.error)
    case .mDelete:
      typealias Item = V1.StatusItem.Field
      (items, outcome, error) = (V1.MDeleteResponse.Field.items, Item.status, Item.error)
    case .mExists, .mTouch:
      typealias Item = V1.StatusItem.Field
      (items, outcome, error) = (V1.ManyStatusesResponse.Field.items, Item.status, Item.error)
    default:
      assert(call == .mSet, "not a call on many keys")
      typealias Item = V1.StatusItem.Field
      (items, outcome, error) = (V1.MSetResponse.Field.items, Item.status, Item.error)
    }
  }

  /// The items of a request, not looked into.
  func items(
    of message: UnsafeRawBufferPointer
  ) throws(WireError) -> (items: RepeatedBytes, hasUnknownField: Bool) {
    switch call {
    case .mGet:
      let request = try V1.MGetRequest(message, checkingElements: false)
      return (request.keys.encoded, request.hasUnknownField)
    case .mLRange:
      let request = try V1.MLRangeRequest(message, checkingElements: false)
      return (request.ranges.encoded, request.hasUnknownField)
    case .mDelete:
      let request = try V1.MDeleteRequest(message, checkingElements: false)
      return (request.keys.encoded, request.hasUnknownField)
    case .mExists, .mTouch:
      let request = try V1.ManyKeysRequest(message, checkingElements: false)
      return (request.keys.encoded, request.hasUnknownField)
    default:
      let request = try V1.MSetRequest(message, checkingElements: false)
      return (request.items.encoded, request.hasUnknownField)
    }
  }

  /// Appends an item of the reply around a shard's outcome.
  func write(outcome response: UnsafeRawBufferPointer, into reply: inout ByteBuffer) {
    reply.writeHead(
      of: items, count: WireSize.bytesField(outcome.number, count: response.count))
    reply.append(outcome, response)
  }

  /// Appends an item of the reply that failed.
  func write(error failure: CallError, into reply: inout ByteBuffer) {
    let item = reply.beginLengthDelimited(items, sizeHint: 64)
    reply.append(error, failure)
    reply.endLengthDelimited(item)
  }
}
