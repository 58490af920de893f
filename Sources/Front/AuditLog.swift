// The audit log: a record of calls of administration, and on request of writes. Values; any thread.

import Commands
import GRPC
import Logging
import NodeCore
import RingstoreAPI
import Users

/// One call that was made.
package struct AuditEntry: Sendable {
  /// The user; empty if the node has no users, or the caller was refused.
  package let user: String
  /// The call as the contract has it.
  package let call: String
  /// The key of a write, the beginning of a long one; nil: it has none, or several.
  package let key: [UInt8]?
  /// The caller's address.
  package let peer: String
  /// The code that it ended with; nil for a call of a Pipeline, which has not ended yet.
  package let outcome: StatusCode?
}

package struct AuditLog: Sendable {
  /// Only the beginning of a longer key is recorded.
  package static let keyBytesMax = 128

  /// Whether writes are recorded too.
  package let notesWrites: Bool
  private let write: @Sendable (AuditEntry) -> Void

  /// Logs an event for each call.
  package init(notesWrites: Bool, logger: Logger) {
    self.init(notesWrites: notesWrites) { entry in
      var metadata: Logger.Metadata = [
        "user": "\(entry.user)", "call": "\(entry.call)", "peer": "\(entry.peer)",
        "outcome": "\(entry.outcome?.name ?? "PIPELINED")",
      ]
      if let key = entry.key { metadata["key"] = "\(String(decoding: key, as: UTF8.self))" }
      logger.notice("call", metadata: metadata)
    }
  }

  package init(notesWrites: Bool, write: @escaping @Sendable (AuditEntry) -> Void) {
    self.notesWrites = notesWrites
    self.write = write
  }

  /// Whether a call is recorded.
  func notes(_ command: Command) -> Bool {
    command.access == .admin || notesWrites && command.access == .write
  }

  /// Records a client's call when it ends.
  func follow(
    _ call: ServerCall, _ command: Command, key: [UInt8]? = nil, of principal: Principal?
  ) {
    let peer = call.connection?.remoteAddress ?? ""
    let user = principal?.name ?? ""
    let write = write
    call.whenEnded { status in
      write(
        AuditEntry(user: user, call: command.name, key: key, peer: peer, outcome: status.code))
    }
  }

  /// Records a local call when it ends.
  func follow(_ call: LocalCall, key: [UInt8]? = nil, of principal: Principal?) {
    let peer = call.caller?.peer ?? ""
    let user = principal?.name ?? ""
    let write = write
    let name = call.command.name
    call.whenEnded { error in
      write(
        AuditEntry(user: user, call: name, key: key, peer: peer, outcome: error?.code ?? .ok))
    }
  }

  /// Notes a write of a Pipeline as it is let in.
  func note(_ command: Command, key: [UInt8]?, peer: String, of principal: Principal?) {
    write(
      AuditEntry(
        user: principal?.name ?? "", call: command.name, key: key, peer: peer, outcome: nil))
  }

  /// The key of an encoded request, up to the recorded length.
  static func key(_ command: Command, _ request: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let key = try? command.rpc.keyFields?.find(in: request).key else { return nil }
    return shown(key)
  }

  static func shown(_ key: UnsafeRawBufferPointer) -> [UInt8] { Array(key.prefix(keyBytesMax)) }
}
