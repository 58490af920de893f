// MGet, MSet and MDelete: one part an item, each a plain one-key call.
//
// The items of these requests are the very messages of Get, Set and Delete, and the outcomes the
// very replies, so nothing is decoded or encoded again: an item's bytes become a part's request,
// a part's response becomes an item of the answer. Parts of one shard are sent in request order,
// so items that name the same key take effect in that order.

import NIOCore
import RingstoreAPI

package final class ManyKeyOperation: FanoutOperation {
  /// Parts under way at once; the rest is sent as answers come in.
  package static let partsUnderWayMax = 1_024

  package var handle: UInt64 = 0
  private let itemCommand: Command
  private let request: ByteBuffer
  /// Where each item's message lies in `request`.
  private let items: [Range<Int>]
  private var outcomes: [Outcome]
  /// The responses, one after another; `outcomes` point into it.
  private var responses = ByteBuffer()
  private var nextItem = 0
  private var unanswered: Int

  private enum Outcome {
    case pending
    case response(Range<Int>)
    case error(CallError)
  }

  /// - Parameters:
  ///   - command: MGet, MSet or MDelete.
  ///   - message: its request; the operation keeps a copy.
  package init(
    _ command: Command, itemCommand: Command, message: UnsafeRawBufferPointer, limits: Limits
  ) throws(CallError) {
    self.itemCommand = itemCommand
    request = ByteBuffer(bytes: message)
    var items: [Range<Int>] = []
    var hasUnknownField = false
    do throws(WireError) {
      var reader = WireReader(message)
      while let tag = try reader.nextTag() {
        guard tag.field == 1, tag.wire == .lengthDelimited else {
          hasUnknownField = true
          try reader.skip(tag)
          continue
        }
        let item = try reader.readBytes()
        let start = item.isEmpty ? 0 : message.offset(of: item)
        items.append(start..<start + item.count)
      }
    } catch {
      throw .undecodable(error)
    }
    if hasUnknownField, command.access == .write { throw .unknownField(command.name) }
    guard items.count <= limits.maxItems else {
      throw .tooManyItems(items.count, max: limits.maxItems)
    }
    self.items = items
    unanswered = items.count
    outcomes = Array(repeating: .pending, count: items.count)
  }

  package func start(on port: any PartPort) {
    sendMore(on: port)
    finishIfDone(on: port)
  }

  package func part(
    _ tag: Int, answered response: UnsafeRawBufferPointer, on port: any PartPort
  ) {
    guard responses.readableBytes + response.count <= port.limits.maxMessageBytes else {
      port.finish(self, error: .responseTooLarge(streamingCall: "Pipeline"))
      return
    }
    let start = responses.writerIndex
    responses.writeBytes(response)
    settle(tag, .response(start..<responses.writerIndex), on: port)
  }

  package func part(_ tag: Int, failed error: CallError, on port: any PartPort) {
    settle(tag, .error(error), on: port)
  }

  private func settle(_ tag: Int, _ outcome: Outcome, on port: any PartPort) {
    outcomes[tag] = outcome
    unanswered -= 1
    sendMore(on: port)
    finishIfDone(on: port)
  }

  private func sendMore(on port: any PartPort) {
    while nextItem < items.count,
      nextItem - (items.count - unanswered) < Self.partsUnderWayMax
    {
      let tag = nextItem
      nextItem += 1
      request.withUnsafeReadableBytes { bytes in
        let item = UnsafeRawBufferPointer(rebasing: bytes[items[tag]])
        do throws(CallError) {
          let target = try KeyCheck.check(item, itemCommand, port.limits)
          let part = Part(
            operation: self, tag: tag, method: itemCommand.id, shard: port.owner(of: target.key))
          port.send(part, request: item)
        } catch {
          outcomes[tag] = .error(error)
          unanswered -= 1
        }
      }
    }
  }

  private func finishIfDone(on port: any PartPort) {
    guard unanswered == 0 else { return }
    var answer = ByteBuffer()
    responses.withUnsafeReadableBytes { bytes in
      for outcome in outcomes {
        let item = answer.beginLengthDelimited(1)
        switch outcome {
        case .pending: break
        case .response(let range):
          answer.writeBytesField(1, UnsafeRawBufferPointer(rebasing: bytes[range]))
        case .error(let error):
          answer.writeError(2, error)
        }
        answer.endLengthDelimited(item)
      }
    }
    guard answer.readableBytes <= port.limits.maxMessageBytes else {
      port.finish(self, error: .responseTooLarge(streamingCall: "Pipeline"))
      return
    }
    port.finish(self, response: answer)
  }
}
