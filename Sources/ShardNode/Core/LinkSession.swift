// One router loop's connection, as the shard sees it.
//
//   awaitingHello --Hello accepted--> open --newer connection's Hello--> superseded
//        |                              |
//        +--refused / no Hello--> ended +--malformed frame--> ended
//
// Pure: frames in, frames out. Every call that an open session receives is answered, in the order
// received; a superseded session executes nothing more.

import GRPC
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

package struct LinkSession {
  package enum Phase: Equatable {
    case awaitingHello
    case open(router: String, generation: UInt64)
    case ended
  }

  /// What becomes of the stream after a frame.
  package enum AfterFrame: Equatable {
    case goOn
    /// Ends the stream with this status; what was emitted goes out before it.
    case end(StatusCode, String)
  }

  /// What a Hello led to, for the log.
  package enum Greeting: Sendable, Equatable {
    case accepted(router: String, newMap: Bool)
    case refused(router: String, reason: String)
  }

  package private(set) var phase = Phase.awaitingHello
  /// What the latest frame's Hello led to; taken by the driver.
  package var greeting: Greeting?

  package init() {}

  /// Takes one RouterFrame, which is valid during the call only.
  ///
  /// - Parameter emit: sends one encoded ShardFrame.
  package mutating func receive(
    _ frame: UnsafeRawBufferPointer, _ core: ShardCore, emit: (ByteBuffer) -> Void
  ) -> AfterFrame {
    do throws(WireError) {
      var output = ByteBuffer()
      let cancelled = try Self.cancels(of: frame)
      var reader = RouterFrameReader(frame)
      while let field = try reader.next() {
        switch field {
        case .hello(let bytes):
          let after = greet(bytes, core, &output)
          guard after == .goOn else {
            emit(output)
            return after
          }
        case .call(let call):
          guard isOpen(core) else { return refuseCalls() }
          answer(call, core, isCancelled: cancelled.contains(call.id), into: &output)
          if output.readableBytes >= LinkProtocol.frameBytes {
            emit(output)
            output.clear()
          }
        case .cancel, .credit:
          // Cancels were looked up before; credits are for streamed replies, of which there are none.
          continue
        }
      }
      if output.readableBytes > 0 { emit(output) }
      return .goOn
    } catch {
      phase = .ended
      return .end(.internal, "undecodable frame: \(error)")
    }
  }

  /// The frame that tells a router that the shard is leaving; nil where there is nobody to tell.
  package func drainingFrame() -> ByteBuffer? {
    guard case .open = phase else { return nil }
    var frame = ByteBuffer()
    frame.writeDraining()
    return frame
  }

  /// The calls that the frame itself takes back: their callers went away before it was sent.
  private static func cancels(of frame: UnsafeRawBufferPointer) throws(WireError) -> Set<UInt64> {
    var ids: Set<UInt64> = []
    var reader = WireReader(frame)
    while let tag = try reader.nextTag() {
      if tag == .varint(3) {
        ids.insert(try reader.readVarint())
      } else {
        try reader.skip(tag)
      }
    }
    return ids
  }

  private func isOpen(_ core: ShardCore) -> Bool {
    guard case .open(let router, let generation) = phase else { return false }
    return core.generations.isNewest(router, generation)
  }

  private mutating func refuseCalls() -> AfterFrame {
    defer { phase = .ended }
    if case .open = phase {
      return .end(.aborted, "a newer connection of this router has taken over")
    }
    return .end(.failedPrecondition, "the first frame must carry Hello")
  }

  private func answer(
    _ call: CallView, _ core: ShardCore, isCancelled: Bool, into output: inout ByteBuffer
  ) {
    guard !isCancelled else {
      output.writeReply(.link, id: call.id, error: .cancelled)
      return
    }
    core.answer(call, into: &output, as: .link)
  }

  private mutating func greet(
    _ bytes: UnsafeRawBufferPointer, _ core: ShardCore, _ output: inout ByteBuffer
  ) -> AfterFrame {
    guard phase == .awaitingHello else {
      phase = .ended
      return .end(.invalidArgument, "Hello belongs into the first frame only")
    }
    guard let hello = try? Ringstore_Internal_V1_Hello(serializedBytes: Array(bytes)),
      let map = try? SlotMapMessage.decode(hello.map)
    else {
      phase = .ended
      return .end(.invalidArgument, "Hello is malformed, or its slot map doesn't hold together")
    }
    var (reply, isNewMap) = core.greet(hello, map)
    reply.shard = core.id
    reply.incarnation = core.incarnation
    reply.mapEpoch = core.ownership.map?.epoch ?? 0
    if reply.accepted {
      phase = .open(router: hello.router, generation: hello.generation)
      greeting = .accepted(router: hello.router, newMap: isNewMap)
    } else {
      phase = .ended
      greeting = .refused(router: hello.router, reason: reply.refusal)
    }
    var frame = Ringstore_Internal_V1_ShardFrame()
    frame.hello = reply
    // Serialising our own message fails only where a required field is missing; proto3 has none.
    if let encoded: [UInt8] = try? frame.serializedBytes() { output.writeBytes(encoded) }
    return reply.accepted ? .goOn : .end(.failedPrecondition, reply.refusal)
  }
}
