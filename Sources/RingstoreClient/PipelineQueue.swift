// The commands of a pipeline that were pulled and whose outcomes its reader has not taken: those
// that wait to be sent, those without a reply, and the replies that wait for earlier ones. A
// value; PipelineFlow keeps it behind its lock.

package import GRPC
package import NIOCore
package import RingstoreAPI

/// The bounds of a pipeline.
package struct PipelineLimits: Sendable {
  /// Nodes read no more of a stream that has this many calls in progress.
  package static let commandsMax = 10_000
  /// A batch larger than this gets no more commands; it is well below every node's limit.
  package static let batchBytesMax = 1 << 20
  /// No more commands are pulled while the replies that can't be handed back yet, because an
  /// earlier one is missing, have this many bytes.
  package static let heldBytesMax = 8 << 20
  /// Replies that are read before the reader requests them.
  package static let readAheadBytes = 256 << 10
  /// What a call in a batch has besides its request.
  package static let callOverheadBytes = 32

  package var pendingMax = RingstoreClient.pendingMaxDefault
  package var batchCountMax = commandsMax
  /// The longest request that is sent.
  package var requestBytesMax: Int
  /// Each call's deadline; 0: none.
  package var timeoutMillis: UInt32 = 0

  /// - Parameter requestBytesMax: the longest message that nodes accept.
  package init(requestBytesMax: Int) {
    self.requestBytesMax = requestBytesMax - Self.callOverheadBytes
  }
}

package struct PipelineQueue {
  package typealias Outcome = Result<RingstoreReply, RingstoreError>

  private struct Slot {
    let rpc: RPC
    var outcome: Outcome?
    var bytes = 0
  }

  private let limits: PipelineLimits
  private var slots = CircularBuffer<Slot>()
  /// A call's id is its command's place in the pipeline, counted from 1; this is the first slot's.
  private var firstID: UInt64 = 1
  /// Commands up to this one were taken to be sent.
  private var takenID: UInt64 = 0
  private var batch = ByteBuffer()
  private var batchCount = 0
  /// Bytes of the replies in `slots`.
  private var heldBytes = 0
  /// How the stream has ended; further commands fail with this.
  private var end: RPCStatus?

  package init(_ limits: PipelineLimits) {
    self.limits = limits
  }

  package var isEmpty: Bool { slots.isEmpty }
  package var hasEnded: Bool { end != nil }
  package var hasBatch: Bool { batchCount > 0 }
  package var hasOutcome: Bool { slots.first?.outcome != nil }

  /// Whether one more command is welcome.
  package var hasRoom: Bool {
    slots.count < limits.pendingMax && heldBytes < PipelineLimits.heldBytesMax
      && batchCount < limits.batchCountMax && batch.readableBytes < PipelineLimits.batchBytesMax
  }

  /// Whether replies are to be read: if the reader waits for one, and a few in advance.
  package var wantsReplies: Bool { !hasOutcome || heldBytes < PipelineLimits.readAheadBytes }

  /// The oldest command without a reply. O(commands).
  package var oldestPending: UInt64? {
    guard let index = slots.firstIndex(where: { $0.outcome == nil }) else { return nil }
    let id = firstID + UInt64(slots.distance(from: slots.startIndex, to: index))
    return id <= takenID ? id : nil
  }

  /// Takes a command with its encoded request.
  package mutating func add(_ rpc: RPC, request: ByteBuffer) {
    let id = firstID + UInt64(slots.count)
    var slot = Slot(rpc: rpc)
    if let end {
      slot.outcome = Self.withoutReply(rpc, end, wasExecutable: false)
    } else if request.readableBytes > limits.requestBytesMax {
      // If it were sent, it would end the stream and with it the others.
      slot.outcome = .failure(
        .requestTooLong(request.readableBytes, max: limits.requestBytesMax))
    } else {
      request.withUnsafeReadableBytes {
        batch.writeCall(
          .pipeline, id: id, method: UInt32(bitPattern: rpc.method?.rawValue ?? 0), request: $0,
          timeMillis: UInt64(limits.timeoutMillis))
      }
      batchCount += 1
    }
    slots.append(slot)
  }

  /// The CallBatch of all commands that wait to be sent; nil if there are none.
  package mutating func takeBatch() -> ByteBuffer? {
    guard hasBatch else { return nil }
    // Counted first: a batch that fails while it is handed over may still have been sent.
    takenID = firstID + UInt64(slots.count) - 1
    batchCount = 0
    defer { batch = ByteBuffer() }
    return batch
  }

  /// Takes the replies of a ReplyBatch. Returns false if it can't be decoded or replies to a
  /// command that isn't pending.
  package mutating func take(_ message: UnsafeRawBufferPointer) -> Bool {
    do throws(WireError) {
      for reply in try V1.ReplyBatch(message).replies {
        guard reply.id >= firstID, reply.id <= takenID else { return false }
        let index = slots.index(slots.startIndex, offsetBy: Int(reply.id - firstID))
        guard slots[index].outcome == nil else { return false }
        slots[index].outcome = Self.outcome(of: reply, to: slots[index].rpc)
        slots[index].bytes = reply.response.count
        heldBytes += reply.response.count
      }
      return true
    } catch {
      return false
    }
  }

  /// The stream has ended: every command without a reply fails.
  ///
  /// - Parameter mayHaveRun: whether a node may have received those that were taken to be sent.
  package mutating func finish(_ status: RPCStatus, mayHaveRun: Bool) {
    guard end == nil else { return }
    end = status
    batch = ByteBuffer()
    batchCount = 0
    for (place, index) in slots.indices.enumerated() where slots[index].outcome == nil {
      slots[index].outcome = Self.withoutReply(
        slots[index].rpc, status,
        wasExecutable: mayHaveRun && firstID + UInt64(place) <= takenID)
    }
  }

  /// The outcome of the oldest command, once; nil if it has none yet.
  package mutating func popOutcome() -> Outcome? {
    guard let slot = slots.first, let outcome = slot.outcome else { return nil }
    heldBytes -= slot.bytes
    firstID += 1
    slots.removeFirst()
    return outcome
  }

  private static func outcome(of reply: V1.Reply, to rpc: RPC) -> Outcome {
    if let error = reply.error { return .failure(RingstoreError(error, of: rpc)) }
    do throws(WireError) {
      return .success(try RingstoreReply(rpc, response: reply.response))
    } catch {
      return .failure(.undecodable(rpc))
    }
  }

  private static func withoutReply(
    _ rpc: RPC, _ status: RPCStatus, wasExecutable: Bool
  ) -> Outcome {
    var error = CallError(code: status.code, message: status.message, details: status.details)
    error.doNotRetry = true
    return .failure(RingstoreError(error, of: rpc, wasExecutable: wasExecutable))
  }
}
