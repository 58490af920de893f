// A call about another node: the router forwards it to that shard unchanged.

import Commands
import NIOCore
import RingstoreAPI

/// The node that a call is about.
package enum CallTarget {
  /// The `node` of a request, the same field of all of them.
  ///
  /// - Returns: nil if the call is about no particular node.
  package static func node(
    of command: CommandID, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> String? {
    let name: UnsafeRawBufferPointer
    switch command {
    case .clients: name = try V1.ClientsRequest(decoding: message).node
    case .killClient: name = try V1.KillClientRequest(decoding: message).node
    case .logLevel: name = try V1.LogLevelRequest(decoding: message).node
    case .slowLog: name = try V1.SlowLogRequest(decoding: message).node
    case .config: name = try V1.ConfigRequest(decoding: message).node
    default: return nil
    }
    return String(decoding: name, as: UTF8.self)
  }
}

package final class NodeCallOperation: FanoutOperation {
  /// Gets the response before the caller does; valid during the call only.
  package var onReply: ((UnsafeRawBufferPointer) -> Void)?
  private let node: String
  private let request: ByteBuffer

  init(_ command: CommandID, _ message: UnsafeRawBufferPointer) throws(CallError) {
    node = try CallTarget.node(of: command, message) ?? ""
    var request = ByteBuffer()
    LinkV1.NodePartRequest(
      method: UInt32(truncatingIfNeeded: command.rawValue), request: message
    ).write(into: &request)
    self.request = request
  }

  package func start(on cluster: any FanoutCluster) -> [FanoutAction] {
    guard cluster.servesCluster, let shard = cluster.shardIDs.firstIndex(of: node) else {
      return [.end(.failed(.noSuchNode(node)))]
    }
    return [.send(SubRequest(.nodePart, shard: shard, request: request))]
  }

  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) -> [FanoutAction] {
    do throws(CallError) {
      let reply = try LinkV1.NodePartReply(decoding: response)
      onReply?(reply.response)
      return [.end(.response(ByteBuffer(bytes: reply.response)))]
    } catch {
      return [.end(.failed(error))]
    }
  }

  package func failed(_ tag: Int, _ error: CallError) -> [FanoutAction] { [.end(.failed(error))] }
}

extension CallError {
  static func noSuchNode(_ node: String) -> CallError {
    // Of a request, so it may be long.
    let name = String(String.UnicodeScalarView(node.unicodeScalars.prefix(64)))
    return CallError(
      code: .notFound,
      message: "This node doesn't know the node '\(name)'. Routers know themselves and "
        + "their shards, shards only themselves.")
  }
}
