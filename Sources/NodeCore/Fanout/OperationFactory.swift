// From a public call to the operation that carries it out, the same for routers and shards.

import Commands
import LargeMemory
import NIOCore
import RingstoreAPI

package enum OperationFactory {
  /// An operation whose call is a stream (`Command.isStreaming`: Scan, Snapshot, Backup) sends its
  /// messages with `emit` and ends with `finishStream`; the others end with one response.
  ///
  /// - Parameters:
  ///   - block: the block that contains the message, if it may be kept.
  ///   - describe: the start of Describe: the cluster, its map and this node.
  /// - Throws: the call's error if the caller may not make it, or if the request is invalid.
  package static func make(
    _ id: CommandID, message: UnsafeRawBufferPointer, in block: LargeBlock? = nil,
    _ context: CallContext, limits: Limits, describe: () -> DescribeMerge
  ) throws(CallError) -> any FanoutOperation {
    if let command = CommandTable.command(id) { try KeyAccess.check(command, context) }
    switch id {
    case .mGet:
      return try ManyKeyOperation(id, item: .get, message: message, context, limits: limits)
    case .mSet:
      return try ManyKeyOperation(
        id, item: .set, message: message, in: block, context, limits: limits)
    case .mDelete:
      return try ManyKeyOperation(id, item: .delete, message: message, context, limits: limits)
    case .mExists:
      return try ManyKeyOperation(id, item: .exists, message: message, context, limits: limits)
    case .mTouch:
      return try ManyKeyOperation(id, item: .touch, message: message, context, limits: limits)
    case .mLRange:
      return try ManyKeyOperation(id, item: .lRange, message: message, context, limits: limits)
    case .keys:
      let call = try V1.KeysRequest(decoding: message)
      return try KeysOperation(call, context, limits)
    case .scan:
      return try ScanOperation(try V1.ScanRequest(decoding: message), context, limits)
    case .dbSize:
      let call = try V1.DbSizeRequest(decoding: message)
      if KeyAccess.mustCountKeys(allDatabases: call.allDatabases, context) {
        return Broadcast(try CountedDbSizeMerge(call, context, limits))
      }
      return Broadcast(try DbSizeMerge(call, context, limits))
    case .randomKey:
      return Broadcast(
        try RandomKeyMerge(try V1.RandomKeyRequest(decoding: message), context, limits))
    case .reset:
      return Broadcast(
        try ResetMerge(try V1.ResetRequest(decoding: message), context, limits))
    case .describe:
      _ = try V1.DescribeRequest(decoding: message)
      return Broadcast(describe())
    case .stats:
      return Broadcast(StatsMerge(try V1.StatsRequest(decoding: message)))
    case .hotKeys:
      return Broadcast(try HotKeysMerge(try V1.HotKeysRequest(decoding: message), limits))
    case .bigKeys:
      return Broadcast(
        try BigKeysMerge(try V1.BigKeysRequest(decoding: message), context, limits))
    case .backup:
      return try BackupOperation(try V1.BackupRequest(decoding: message))
    case .digest:
      return Broadcast(try DigestMerge(try V1.DigestRequest(decoding: message), limits))
    case .snapshot:
      return try SnapshotOperation(try V1.SnapshotRequest(decoding: message))
    case .shutdown:
      return try ShutdownOperation(try V1.ShutdownRequest(decoding: message))
    case .clients, .killClient, .logLevel, .slowLog, .config:
      return try NodeCallOperation(id, message)
    case .reload, .acceptLoss: throw .routersOnly
    default:
      throw .internalError("call \(id) is not made of parts")
    }
  }
}

extension CallError {
  /// Routers carry the call out themselves.
  fileprivate static var routersOnly: CallError {
    CallError(
      code: .failedPrecondition, message: "Only routers have a list of shards; call one of them.")
  }
}
