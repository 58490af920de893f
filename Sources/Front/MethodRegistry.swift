// Which method ids a node's gRPC dispatch uses, made from the command table.

import Commands
import GRPC
import LegacyServices
import NodeCore
import RingstoreAPI
import StandardServices

package enum MethodRegistry {
  /// The link, served by shards only.
  package static let linkID = CallNumbers.link

  /// The calls that a node serves even on connections past the limit.
  private static let administration = Set(
    [
      CommandID.describe, .stats, .hotKeys, .bigKeys, .shutdown, .reload, .snapshot, .digest,
      .backup, .acceptLoss, .clients, .killClient, .logLevel, .slowLog, .config,
    ].map(\.rawValue))

  /// The method behind a path, or nil if there is none.
  package static func method(path: UnsafeRawBufferPointer, servesLink: Bool) -> ServerMethod? {
    if let command = CommandTable.command(path: path) {
      return ServerMethod(
        id: command.id.rawValue, kind: command.isStreaming ? .streaming : .unary,
        isReserved: administration.contains(command.id.rawValue))
    }
    if let legacy = LegacyMethod.method(path: path) {
      return ServerMethod(id: legacy.rawValue, kind: .unary)
    }
    if let standard = StandardMethod.method(path: path) { return standard }
    if servesLink, path.elementsEqual(LinkProtocol.path.utf8) {
      return ServerMethod(id: linkID, kind: .streaming, isReserved: true)
    }
    return nil
  }
}
