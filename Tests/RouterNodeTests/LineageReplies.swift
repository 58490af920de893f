// What shards say of lineages, for tests.

import Foundation
import NIOCore
import NodeCore
import Placement
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf

extension Ringstore_Internal_V1_HelloReply {
  mutating func tell(_ lineage: DataLineage?) {
    var buffer = ByteBuffer()
    lineage?.write(as: LinkV1.HelloReply.Field.lineage, into: &buffer)
    try? merge(serializedBytes: Array(buffer.readableBytesView))
  }

  mutating func tell(_ records: LineageRecords) {
    var buffer = ByteBuffer()
    records.write(as: LinkV1.HelloReply.Field.lineages, into: &buffer)
    try? merge(serializedBytes: Array(buffer.readableBytesView))
  }
}

extension Ringstore_Internal_V1_MapReply {
  mutating func tell(_ records: LineageRecords) {
    var buffer = ByteBuffer()
    records.write(as: LinkV1.MapReply.Field.lineages, into: &buffer)
    try? merge(serializedBytes: Array(buffer.readableBytesView))
  }
}
