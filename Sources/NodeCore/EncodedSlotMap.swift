// The slot map as the last Describe wrote it, kept for the next one: a map may have thousands of
// ranges, and dashboards poll. Belongs to a node's event loop.

import NIOCore
import Placement
import RingstoreAPI

package final class EncodedSlotMap {
  private var kept: (map: SlotMap, lineages: LineageRecords, field: ByteBuffer)?

  package init() {}

  /// Appends the map as Describe's field.
  ///
  /// Maps that are the same have the same owner table in memory, as a rule, so it is not compared
  /// slot by slot.
  package func write(
    _ map: SlotMap, _ lineages: LineageRecords, into buffer: inout ByteBuffer
  ) {
    if let kept, kept.map == map, kept.lineages == lineages {
      buffer.writeImmutableBuffer(kept.field)
      return
    }
    var field = ByteBuffer()
    SlotMapMessage.write(map, lineages, as: V1.DescribeResponse.Field.map, into: &field)
    buffer.writeImmutableBuffer(field)
    kept = (map, lineages, field)
  }
}
