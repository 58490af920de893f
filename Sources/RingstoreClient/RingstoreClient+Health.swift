// The status of a node from grpc.health.v1. Every client may request it, even if nodes have users.

package import GRPC
internal import NIOCore
internal import RingstoreAPI

extension RingstoreClient {
  /// Which of the names that a node lists serve: the empty one is the node as a whole, and shards
  /// are called `shard/ID`.
  package func health(timeout: Duration) async throws(RPCStatus) -> [String: Bool] {
    let reply = try await channel.unary(
      path: GRPCHealth.Health.list, timeout: TimeAmount(timeout), retrySafe: true
    ) { _ in }
    do throws(WireError) {
      return try reply.withBytes { bytes throws(WireError) in try Self.statuses(bytes) }
    } catch {
      throw RPCStatus(.internal, "its health can't be decoded")
    }
  }

  private static func statuses(
    _ reply: UnsafeRawBufferPointer
  ) throws(WireError) -> [String: Bool] {
    typealias Entry = GRPCHealth.HealthListResponse.StatusesEntry.Field
    var statuses: [String: Bool] = [:]
    var list = WireReader(reply)
    while let tag = try list.nextTag() {
      guard tag == .bytes(GRPCHealth.HealthListResponse.Field.statuses.number) else {
        try list.skip(tag)
        continue
      }
      var entry = WireReader(try list.readBytes())
      var name = ""
      var isServing = false
      while let tag = try entry.nextTag() {
        switch tag {
        case .bytes(Entry.key.number): name = String(decoding: try entry.readBytes(), as: UTF8.self)
        case .bytes(Entry.value.number): isServing = try self.isServing(try entry.readBytes())
        default: try entry.skip(tag)
        }
      }
      statuses[name] = isServing
    }
    return statuses
  }

  private static func isServing(_ response: UnsafeRawBufferPointer) throws(WireError) -> Bool {
    typealias Response = GRPCHealth.HealthCheckResponse
    var reader = WireReader(response)
    var status = Response.ServingStatus.unknown
    while let tag = try reader.nextTag() {
      if tag == .varint(Response.Field.status.number) {
        status = Response.ServingStatus(rawValue: Int32(truncatingIfNeeded: try reader.readInt64()))
      } else {
        try reader.skip(tag)
      }
    }
    return status == .serving
  }
}
