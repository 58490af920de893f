// Which method ids a node's gRPC dispatch uses, made from the command table.

import GRPC
import RingstoreAPI

package enum MethodRegistry {
  /// The link, served by shards only.
  package static let linkID = 10_000
  /// Calls of the contract that are not served yet; the place in the list is added.
  package static let unservedID = 20_000

  /// The method behind a path, or nil where there is none.
  package static func method(path: UnsafeRawBufferPointer, servesLink: Bool) -> ServerMethod? {
    if let command = CommandTable.command(path: path) {
      return ServerMethod(
        id: command.id, kind: command.isStreaming ? .streaming : .unary)
    }
    if servesLink, path.elementsEqual(LinkProtocol.path.utf8) {
      return ServerMethod(id: linkID, kind: .streaming)
    }
    if let place = CommandTable.notServedYet.firstIndex(where: {
      path.elementsEqual($0.path.utf8)
    }) {
      return ServerMethod(id: unservedID + place, kind: .streaming)
    }
    return nil
  }

  /// What a call with an unserved method's id is answered with; nil for any other id.
  package static func unservedError(_ methodID: Int) -> CallError? {
    let place = methodID - unservedID
    guard CommandTable.notServedYet.indices.contains(place) else { return nil }
    return CommandTable.notServedYet[place].error
  }
}
