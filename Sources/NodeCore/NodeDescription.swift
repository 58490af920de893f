// A node's line about itself in Describe: message Node, with its own memory. A value; any thread.

import NIOCore
import Placement
import RingstoreAPI

package struct NodeDescription: Sendable {
  /// What a router is called, in Describe and in calls about it.
  package static let routerID = ShardDescription.routerName
  /// Unknown buckets of another node are ignored.
  package static let durationsMax = 128

  package var id = ""
  package var role = V1.Node.Role.unspecified
  package var address = ""
  package var state = V1.Node.State.unspecified
  package var version = ""
  package var uptimeMillis: Int64 = 0
  package var keys: Int64 = 0
  package var memoryBytes: Int64 = 0
  /// Progress while loading, or why it is unreachable or not serving.
  package var detail = ""
  package var incarnation: UInt64 = 0
  /// 0: there is none.
  package var memoryLimitBytes: Int64 = 0
  package var errors: UInt64 = 0
  /// The histogram of durations, by bucket; empty ones at the end are left out.
  package var durations: [UInt64] = []

  package init(id: String, role: V1.Node.Role) {
    self.id = id
    self.role = role
  }

  package init(_ message: V1.Node) {
    id = String(decoding: message.id, as: UTF8.self)
    role = message.role
    address = String(decoding: message.address, as: UTF8.self)
    state = message.state
    version = String(decoding: message.version, as: UTF8.self)
    uptimeMillis = message.uptimeMillis
    keys = message.keys
    memoryBytes = message.memoryBytes
    detail = String(decoding: message.detail, as: UTF8.self)
    incarnation = message.incarnation
    memoryLimitBytes = message.memoryLimitBytes
    errors = message.errors
    durations = message.durations.prefix(Self.durationsMax).map { $0 }
  }

  /// Appends the whole message.
  package func write(into buffer: inout ByteBuffer) {
    typealias Field = V1.Node.Field
    buffer.write(Field.id, id)
    buffer.write(Field.role, role)
    buffer.write(Field.address, address)
    buffer.write(Field.state, state)
    buffer.write(Field.version, version)
    buffer.write(Field.uptimeMillis, uptimeMillis)
    buffer.write(Field.keys, keys)
    buffer.write(Field.memoryBytes, memoryBytes)
    buffer.write(Field.detail, detail)
    buffer.write(Field.incarnation, incarnation)
    buffer.write(Field.memoryLimitBytes, memoryLimitBytes)
    buffer.write(Field.errors, errors)
    let used = durations.lastIndex { $0 > 0 }.map { durations.index(after: $0) } ?? 0
    for count in durations.prefix(used) { buffer.append(Field.durations, count) }
  }
}
