// What is on record of shards' data as it travels: Placement's values to and from their messages.
// Pure.

import NIOCore
import Placement
import RingstoreAPI

extension DataLineage {
  /// - Parameter bytes: empty: none.
  /// - Throws: if there are not `byteCount` bytes.
  package static func read(
    _ bytes: UnsafeRawBufferPointer, of shard: String
  ) throws(PlacementError) -> DataLineage? {
    if bytes.isEmpty { return nil }
    guard bytes.count == byteCount else { throw .badLineage(id: shard) }
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    return DataLineage(high: word(0), low: word(8))
  }

  /// Appends it as a field of a message.
  package func write(as field: BytesField, into buffer: inout ByteBuffer) {
    withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { buffer.write(field, $0) }
  }
}

extension LineageRecord {
  /// - Parameter message: nil: nothing is on record.
  init(_ message: V1.Lineage?, of shard: String) throws(PlacementError) {
    self.init()
    guard let message else { return }
    acceptedLosses = message.acceptedLosses
    if message.disputed {
      data = .disputed
    } else if let lineage = try DataLineage.read(message.id, of: shard) {
      data = .known(lineage)
    }
  }

  /// Appends it as a field of a message, unless it is empty.
  func write(as field: BytesField, into buffer: inout ByteBuffer) {
    guard self != LineageRecord() else { return }
    let record = buffer.beginLengthDelimited(field)
    if case .known(let lineage) = data { lineage.write(as: V1.Lineage.Field.id, into: &buffer) }
    buffer.write(V1.Lineage.Field.acceptedLosses, acceptedLosses)
    buffer.write(V1.Lineage.Field.disputed, data == .disputed)
    buffer.endLengthDelimited(record)
  }
}

extension LineageRecords {
  /// Reads a list with the ids of shards. At most as many as a map can have shards are read.
  package init(_ list: RepeatedMessages<LinkV1.ShardLineage>) throws(PlacementError) {
    self.init()
    for entry in list.prefix(SlotMap.shardCountMax) {
      let shard = String(decoding: entry.shard, as: UTF8.self)
      self[shard] = self[shard].merged(with: try LineageRecord(entry.lineage, of: shard))
    }
  }

  /// Appends them to a list that names each shard.
  package func write(as list: BytesField, into buffer: inout ByteBuffer) {
    for (shard, record) in sorted {
      let entry = buffer.beginLengthDelimited(list)
      buffer.write(LinkV1.ShardLineage.Field.shard, shard)
      record.write(as: LinkV1.ShardLineage.Field.lineage, into: &buffer)
      buffer.endLengthDelimited(entry)
    }
  }
}
