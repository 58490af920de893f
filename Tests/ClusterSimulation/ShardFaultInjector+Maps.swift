// Defects in what a shard does with slot maps: frames from routers are changed on their way in.
//
// Owns nothing.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension ShardFaultInjector {
  /// The frame; a map that it offers to be adopted is said to be in force at once.
  func withMapInForce(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var offer = (try? LinkV1.RouterFrame(bytes))?.offer, offer.step == .adopt else {
        return frame
      }
      offer.step = .inForce
      var changed = frame
      changed.append(LinkV1.RouterFrame.Field.offer, offer)
      return changed
    }
  }

  /// The frame, whose Hello brings the map that the shard has already.
  func withOwnMap(_ frame: ByteBuffer, _ own: SlotMap?) -> ByteBuffer {
    guard let own else { return frame }
    return frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes), var hello = message.hello else {
        return frame
      }
      var changed = ByteBuffer()
      SlotMapMessage.encode(own, LineageRecords()).withUnsafeBytes { map in
        hello.map = try? V1.SlotMap(map)
        message.hello = hello
        message.write(into: &changed)
      }
      return changed
    }
  }

  /// The frame, whose calls are all said to be the first ones on their slots since the shard has
  /// returned any.
  func withoutBars(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard let message = try? LinkV1.RouterFrame(bytes) else { return frame }
      var changed = ByteBuffer()
      for call in message.calls {
        changed.append(LinkV1.RouterFrame.Field.placedAnew, call.id)
      }
      changed.writeImmutableBuffer(frame)
      return changed
    }
  }
}
