// Defects in what a shard does with slot maps.
//
// Owns nothing.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import ShardNode

extension ShardFaultInjector {
  /// The frame, with the shard's own map in place of another of its epoch.
  func withOwnMap(_ frame: ByteBuffer, _ core: ShardCore) -> ByteBuffer {
    guard let map = core.ownership.map else { return frame }
    return frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes),
        let offered = message.hello?.map ?? message.offer?.map, offered.epoch == map.epoch
      else { return frame }
      return SlotMapMessage.encode(map, LineageRecords()).withUnsafeBytes { encoded in
        guard let own = try? V1.SlotMap(encoded) else { return frame }
        message.hello?.map = own
        message.offer?.map = own
        var changed = ByteBuffer()
        message.write(into: &changed)
        return changed
      }
    }
  }

  /// The shard has read a frame, perhaps with a new map.
  func hasRead(_ core: ShardCore) {
    guard context.configuration.sabotage == .servesTooSoon, let map = core.ownership.map else {
      return
    }
    _ = core.keyspace.ownership.comeIntoForce(map)
  }
}
