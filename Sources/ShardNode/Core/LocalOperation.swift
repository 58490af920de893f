// One fan-out that runs on the shard itself: its parts, and its turns.
//
//   parts --one slice, or some one-key calls--> outcomes
//     |
//     +--a large response--> gathered piece by piece --> outcome
//
// Belongs to LocalParts.

import LargeMemory
import NIOCore
import NodeCore
import RingstoreAPI

final class LocalOperation: TurnTaker {
  /// One-key parts executed in a turn, and the bytes of responses with which it ends.
  static let partsPerTurn = 256
  static let bytesPerTurn = 256 << 10
  /// How many parts are executed between two looks at the clock.
  private static let partsPerLook = 16

  var isQueued = false
  /// What the port's `answerMemory` counts for it.
  var heldBytes = 0
  /// Nil once it has ended.
  private(set) var caller: (any FanoutCaller)?
  private(set) var operation: (any FanoutOperation)?
  private unowned let port: LocalParts
  private unowned let core: ShardCore
  private var parts = CircularBuffer<(part: Part, request: OwnedBytes)>()
  private var gathering: PartGathering?

  init(
    _ operation: any FanoutOperation, for caller: any FanoutCaller, port: LocalParts,
    core: ShardCore
  ) {
    self.operation = operation
    self.caller = caller
    self.port = port
    self.core = core
  }

  func append(_ part: Part, _ request: OwnedBytes) {
    parts.append((part, request))
    core.turns.enqueue(self)
  }

  func end() {
    caller = nil
    operation = nil
    parts.removeAll()
    gathering?.release()
    gathering = nil
  }

  func takeTurn() -> Turn {
    guard caller != nil else { return .unused }
    if let gathering {
      gatherMore(gathering)
    } else if parts.isEmpty {
      return .unused
    } else {
      runParts()
    }
    return caller != nil && (gathering != nil || !parts.isEmpty) ? .more : .used
  }

  private func runParts() {
    let endNanos = core.clock() &+ ShardCore.sliceNanosMax
    var response = ByteBuffer()
    var bytes = 0
    for count in 1...Self.partsPerTurn {
      guard let (part, request) = parts.popFirst() else { return }
      response.clear()
      do throws(CallError) {
        let source = try request.withBytes { message throws(CallError) in
          try core.execute(
            part.method, message, in: request.block, into: &response,
            largerThan: core.limits.bulkBytesMin)
        }
        if let source {
          gathering = PartGathering(part, source, core)
          return
        }
        bytes += response.readableBytes
        response.withUnsafeReadableBytes {
          part.operation.part(part.tag, answered: $0, on: port)
        }
        port.account(part.operation)
      } catch {
        core.counters.failed()
        part.operation.part(part.tag, failed: error, on: port)
      }
      // A slice of an every-shard call has a turn for itself.
      if part.method >= InternalMethod.firstNumber || bytes >= Self.bytesPerTurn { return }
      if count % Self.partsPerLook == 0, core.clock() >= endNanos { return }
    }
  }

  private func gatherMore(_ gathering: PartGathering) {
    guard let outcome = gathering.gatherMore() else { return }
    self.gathering = nil
    let part = gathering.part
    switch outcome {
    case .success(let response):
      response.withUnsafeReadableBytes {
        part.operation.part(part.tag, answered: $0, on: port)
      }
      port.account(part.operation)
    case .failure(let error):
      part.operation.part(part.tag, failed: error, on: port)
    }
  }
}

/// A part's response that is large: gathered in memory, for the operation wants it whole.
final class PartGathering: PinnedView {
  let part: Part
  private let core: ShardCore
  private var source: (any ReplySource)?
  private var response = ByteBuffer()
  private let expiry: CallError

  init(_ part: Part, _ source: any ReplySource, _ core: ShardCore) {
    self.part = part
    self.core = core
    self.source = source
    expiry = source.expiry
    core.pinned(self)
  }

  var isPinned: Bool { source != nil }

  func expire() {
    release()
  }

  func release() {
    guard source != nil else { return }
    source = nil
    core.unpinned()
  }

  /// Does one turn's work. Returns the outcome once there is one.
  func gatherMore() -> Result<ByteBuffer, CallError>? {
    guard let source else { return .failure(expiry) }
    guard let byteCount = source.byteCount else {
      _ = source.measure()
      return nil
    }
    do throws(CallError) {
      guard byteCount <= core.limits.maxMessageBytes else {
        throw .responseTooLarge(streamingCall: "LRangeStream")
      }
      let piece = try source.plan(upTo: core.limits.pieceBytesMax)
      source.write(into: &response)
      guard piece.isLast else { return nil }
      release()
      return .success(response)
    } catch {
      release()
      return .failure(error)
    }
  }
}
