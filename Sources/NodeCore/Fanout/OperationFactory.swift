// From a public call to the operation that carries it out, the same for routers and shards.

import LargeMemory
import NIOCore
import RingstoreAPI

package enum OperationFactory {
  /// An operation whose call is a stream (`Command.isStreaming`: Scan) sends its messages with
  /// `emit` and ends with `finishStream`; the others end with one response.
  ///
  /// - Parameters:
  ///   - block: what the message lies in, where it may be kept.
  ///   - describe: what Describe starts from: the cluster, its map and the node asked.
  /// - Throws: the call's error where the request can't be served as it is.
  package static func make(
    _ id: CommandID, message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    _ context: CallContext, limits: Limits, describe: () -> DescribeMerge
  ) throws(CallError) -> any FanoutOperation {
    switch id {
    case .mGet:
      return try ManyKeyOperation(id, item: .get, message: message, context, limits: limits)
    case .mSet:
      return try ManyKeyOperation(
        id, item: .set, message: message, in: block, context, limits: limits)
    case .mDelete:
      return try ManyKeyOperation(id, item: .delete, message: message, context, limits: limits)
    case .mLRange:
      return try ManyKeyOperation(id, item: .lRange, message: message, context, limits: limits)
    case .keys:
      let view = try decode(KeysView.init, message)
      if view.limit > 0 { return try KeysPageOperation(view, context, limits) }
      return EveryShardOperation(try KeysMerge(view, context, limits))
    case .scan:
      return try ScanOperation(try decode(ScanView.init, message), context, limits)
    case .dbSize:
      return EveryShardOperation(
        try DbSizeMerge(try decode(DbSizeView.init, message), context, limits))
    case .reset:
      return EveryShardOperation(
        try ResetMerge(try decode(ResetView.init, message), context, limits))
    case .describe:
      try checkFields(message)
      return EveryShardOperation(describe())
    case .stats:
      try checkFields(message)
      return EveryShardOperation(StatsMerge())
    case .shutdown:
      return try ShutdownOperation(try decode(ShutdownView.init, message))
    default:
      throw .internalError("call \(id) is not made of parts")
    }
  }

  /// A request none of whose fields says anything has to be a message all the same.
  ///
  /// - Throws: INTERNAL where it is none.
  package static func checkFields(_ message: UnsafeRawBufferPointer) throws(CallError) {
    do throws(WireError) {
      var reader = WireReader(message)
      while let tag = try reader.nextTag() { try reader.skip(tag) }
    } catch {
      throw .undecodable(error)
    }
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
