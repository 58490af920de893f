// The name of a call in spans, and the attributes that follow from it; and the outcome of a call as
// a span has it. Values; any thread.

import Commands
import RingstoreAPI
import Tracing

package struct CallName: Sendable, Hashable {
  /// Service and method: "ringstore.v1.KeyStore/Get"; of parts of fan-outs the link's service.
  package let text: String
  /// The command: "Get"; nil for parts of fan-outs, and for the older services.
  package let command: String?

  package init(_ command: Command) {
    self.init(text: Self.text(command.rpc), command: command.name)
  }

  /// A call of a service that has no commands.
  package init(_ rpc: RPC) {
    self.init(text: Self.text(rpc), command: nil)
  }

  /// - Parameter number: of enum Method, or an `InternalMethod`; any other is its own name.
  package init(method number: UInt32) {
    if let command = CommandID(rawValue: Int(number)).flatMap({ CommandTable.command($0) }) {
      self.init(command)
      return
    }
    let name = InternalMethod(rawValue: number).map { "\($0)" } ?? "\(number)"
    self.init(
      text: "\(LinkV1.Link.name)/\(name.prefix(1).uppercased())\(name.dropFirst())", command: nil)
  }

  private init(text: String, command: String?) {
    self.text = text
    self.command = command
  }

  private static func text(_ rpc: RPC) -> String { String(rpc.path.dropFirst()) }

  /// The attributes of its span.
  ///
  /// - Parameter system: the protocol that the call came over.
  package func attributes(_ kind: SpanKind, system: String = "grpc") -> [SpanAttribute] {
    var attributes = [
      SpanAttribute("rpc.system.name", system), SpanAttribute("rpc.method", text),
    ]
    // A client's span with them would count as the call of a database's client.
    if kind == .server, let command {
      attributes.append(SpanAttribute("db.system.name", "ringstore"))
      attributes.append(SpanAttribute("db.operation.name", command))
    }
    return attributes
  }
}

extension OpenSpan {
  /// Adds the database that a call works on.
  package func describe(database: UInt32) {
    attributes.append(SpanAttribute("db.namespace", String(database)))
  }
}

extension SpanOutcome {
  /// - Parameter error: nil: the call has succeeded.
  package init(of error: CallError?) {
    self.init(error?.code ?? .ok, reason: error?.reason?.rawValue)
  }
}
