// MGet, MSet, MDelete, MExists, MTouch and MLRange: one part an item, each a plain one-key call.
//
// The items of these requests are the messages of Get, Set, Delete and so on, and the outcomes are
// their replies, so nothing is decoded or encoded again: an item's bytes become a part's request, a
// part's response becomes an item of the reply. Parts of one shard are sent in request order, so
// items on the same key take effect in that order.

import Commands
import LargeMemory
import NIOCore
import RingstoreAPI

package final class ManyKeyOperation: FanoutOperation {
  /// Parts in progress at once; the rest is sent as replies arrive.
  package static let partsInProgressMax = 1_024

  private let call: CommandID
  private let context: CallContext
  private let itemMethod: UInt32
  private let form: ManyKeyForm
  private let request: OwnedBytes
  /// The position of each item's message in `request`.
  private let items: [Range<Int>]
  private var outcomes: [Outcome]
  /// The responses, one after another; `outcomes` point into it.
  private var responses = ByteBuffer()
  private var nextItem = 0
  private var unfinished: Int
  private let limits: Limits

  private enum Outcome {
    case pending
    case response(Range<Int>)
    case error(CallError)
  }

  /// - Parameters:
  ///   - call: a call on many keys.
  ///   - item: the call of one item: Get for an MGet, and so on.
  ///   - message: the request; the operation keeps a copy unless it can keep `block`.
  ///   - block: the block that contains the message, if it may be kept.
  package init(
    _ call: CommandID, item: CommandID, message: UnsafeRawBufferPointer,
    in block: LargeBlock? = nil, _ context: CallContext, limits: Limits
  ) throws(CallError) {
    self.call = call
    self.context = context
    self.limits = limits
    itemMethod = UInt32(item.rawValue)
    request = OwnedBytes(message, in: block) ?? OwnedBytes(copying: message)
    form = ManyKeyForm(call)
    let encoded: (items: RepeatedBytes, hasUnknownField: Bool)
    do throws(WireError) {
      encoded = try form.items(of: message)
    } catch {
      throw .undecodable(error)
    }
    if encoded.hasUnknownField, CommandTable.isWrite(method: itemMethod) { throw .unknownField }
    guard encoded.items.count <= limits.maxItems else {
      throw .tooManyItems(encoded.items.count, max: limits.maxItems)
    }
    items = encoded.items.map { Self.range(of: $0, in: message) }
    unfinished = items.count
    outcomes = Array(repeating: .pending, count: items.count)
  }

  private static func range(
    of item: UnsafeRawBufferPointer, in message: UnsafeRawBufferPointer
  ) -> Range<Int> {
    guard let first = message.baseAddress, let start = item.baseAddress else { return 0..<0 }
    let offset = first.distance(to: start)
    return offset..<offset + item.count
  }

  package var heldBytes: Int {
    // The replies of writes are small, and a begun call must not be ended for its memory.
    let isWrite = CommandTable.isWrite(method: itemMethod)
    return request.count + (isWrite ? 0 : responses.readableBytes)
  }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] { resume() }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    guard responses.readableBytes + response.count <= limits.maxMessageBytes else {
      return [tooLarge]
    }
    let start = responses.writerIndex
    responses.writeBytes(response)
    return end(tag, .response(start..<responses.writerIndex))
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] {
    end(tag, .error(error))
  }

  private func end(_ tag: Int, _ outcome: Outcome) -> [FanoutAction] {
    outcomes[tag] = outcome
    unfinished -= 1
    return resume()
  }

  /// Sends as many items as may be in progress, and ends when all have their replies.
  private func resume() -> [FanoutAction] {
    guard let keyFields = CommandTable.keyFields(ofMethod: itemMethod) else { return [] }
    var actions: [FanoutAction] = []
    while nextItem < items.count,
      nextItem - (items.count - unfinished) < Self.partsInProgressMax
    {
      let tag = nextItem
      nextItem += 1
      let item = request[items[tag]]
      do throws(CallError) {
        try item.withBytes { bytes throws(CallError) in
          _ = try KeyAccess.read(bytes, keyFields, context, KeyLimits(limits))
        }
        let lane: LinkLane = item.count > limits.bulkBytesMin ? .bulk : .calls
        actions.append(
          .send(
            SubRequest(tag: tag, method: itemMethod, shard: nil, lane: lane, request: item)))
      } catch {
        outcomes[tag] = .error(error)
        unfinished -= 1
      }
    }
    if unfinished == 0 { actions.append(reply()) }
    return actions
  }

  private func reply() -> FanoutAction {
    var reply = ByteBuffer()
    responses.withUnsafeReadableBytes { bytes in
      for outcome in outcomes {
        switch outcome {
        case .pending: break
        case .response(let range):
          form.write(outcome: UnsafeRawBufferPointer(rebasing: bytes[range]), into: &reply)
        case .error(let error): form.write(error: error, into: &reply)
        }
      }
    }
    return reply.readableBytes <= limits.maxMessageBytes ? .end(.response(reply)) : tooLarge
  }

  /// The rest of the items is not sent, and replies in progress are dropped.
  private var tooLarge: FanoutAction { .end(.failed(.responseTooLarge(of: call))) }
}
