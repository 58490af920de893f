// From a public call to the operation that carries it out, the same for routers and shards.

import NIOCore
import RingstoreAPI

package enum OperationFactory {
  /// - Parameter describe: what Describe starts from: the cluster, its map and the node asked.
  /// - Throws: the call's error where the request can't be served as it is.
  package static func make(
    _ id: CommandID, message: UnsafeRawBufferPointer, limits: Limits,
    describe: () -> DescribeMerge
  ) throws(CallError) -> any FanoutOperation {
    switch id {
    case .mGet: return try manyKeys(.get, message, limits)
    case .mSet: return try manyKeys(.set, message, limits)
    case .mDelete: return try manyKeys(.delete, message, limits)
    case .keys:
      return EveryShardOperation(try KeysMerge(try decode(KeysView.init, message), limits))
    case .dbSize:
      return EveryShardOperation(try DbSizeMerge(try decode(DbSizeView.init, message), limits))
    case .reset:
      return EveryShardOperation(try ResetMerge(try decode(ResetView.init, message), limits))
    case .describe:
      return EveryShardOperation(describe())
    default:
      throw .internalError("call \(id) is not made of parts")
    }
  }

  private static func manyKeys(
    _ item: CommandID, _ message: UnsafeRawBufferPointer, _ limits: Limits
  ) throws(CallError) -> any FanoutOperation {
    try ManyKeyOperation(itemMethod: UInt32(item.rawValue), message: message, limits: limits)
  }

  private static func decode<View>(
    _ make: (UnsafeRawBufferPointer) throws(WireError) -> View, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> View {
    do throws(WireError) {
      return try make(message)
    } catch {
      throw .undecodable(error)
    }
  }
}
