// What spans say of calls: what one of a batch or a link is called whose number is known, and how it
// has ended. Values; any thread.

import Commands
import RingstoreAPI
import Tracing

package struct CallName: Sendable, Hashable, CustomStringConvertible {
  /// With its package; of parts of fan-outs the link's.
  package let service: String
  package let method: String

  /// - Parameter number: of enum Method, or an `InternalMethod`; others have the number for a name.
  package init(method number: UInt32) {
    let command = CommandID(rawValue: Int(number)).flatMap { CommandTable.command($0) }
    if let rpc = command?.rpc {
      service = rpc.service
      method = rpc.name
    } else {
      service = LinkV1.Link.name
      let name = InternalMethod(rawValue: number).map { "\($0)" } ?? "\(number)"
      method = name.prefix(1).uppercased() + name.dropFirst()
    }
  }

  /// "ringstore.v1.KeyStore/Get".
  package var description: String { "\(service)/\(method)" }
}

extension SpanOutcome {
  /// - Parameter error: nil: it has ended well.
  package init(of error: CallError?) {
    self.init(error?.code ?? .ok, reason: error?.reason?.rawValue)
  }
}
