// Which method ids a node's gRPC dispatch uses, made from the command table.

import GRPC
import RingstoreAPI

package enum MethodRegistry {
  /// The link, served by shards only.
  package static let linkID = 10_000

  /// The method behind a path, or nil where there is none.
  package static func method(path: UnsafeRawBufferPointer, servesLink: Bool) -> ServerMethod? {
    if let command = CommandTable.command(path: path) {
      return ServerMethod(
        id: command.id, kind: command.isStreaming ? .streaming : .unary)
    }
    if let older = OlderMethod.method(path: path) {
      return ServerMethod(id: older.rawValue, kind: .unary)
    }
    if servesLink, path.elementsEqual(LinkProtocol.path.utf8) {
      return ServerMethod(id: linkID, kind: .streaming)
    }
    return nil
  }
}
