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
  /// What it was to do, and what came of it, for calls whose name doesn't say that.
  package let details: AuditDetails
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
      for (name, value) in entry.details.fields { metadata[name] = "\(value)" }
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
  ///
  /// - Returns: gets the reply, if that is part of the record.
  @discardableResult
  func follow(
    _ call: ServerCall, _ command: Command, _ message: UnsafeRawBufferPointer?,
    key: [UInt8]? = nil, of principal: Principal?
  ) -> AuditedReply {
    let peer = call.connection?.remoteAddress ?? ""
    let user = principal?.name ?? ""
    let write = write
    let reply = AuditedReply(command, AuditDetails(command, message))
    call.whenEnded { status in
      write(
        AuditEntry(
          user: user, call: command.name, key: key, peer: peer, details: reply.details,
          outcome: status.code))
    }
    return reply
  }

  /// Records a local call when it ends.
  @discardableResult
  func follow(
    _ call: LocalCall, _ message: UnsafeRawBufferPointer? = nil, key: [UInt8]? = nil,
    of principal: Principal?
  ) -> AuditedReply {
    let peer = call.caller?.peer ?? ""
    let user = principal?.name ?? ""
    let write = write
    let name = call.command.name
    let reply = AuditedReply(call.command, AuditDetails(call.command, message))
    call.whenEnded { error in
      write(
        AuditEntry(
          user: user, call: name, key: key, peer: peer, details: reply.details,
          outcome: error?.code ?? .ok))
    }
    return reply
  }

  /// Notes a write of a Pipeline as it is let in.
  func note(_ command: Command, key: [UInt8]?, peer: String, of principal: Principal?) {
    write(
      AuditEntry(
        user: principal?.name ?? "", call: command.name, key: key, peer: peer,
        details: AuditDetails(), outcome: nil))
  }

  /// The key of an encoded request, up to the recorded length.
  static func key(_ command: Command, _ request: UnsafeRawBufferPointer) -> [UInt8]? {
    guard let key = try? command.rpc.keyFields?.find(in: request).key else { return nil }
    return shown(key)
  }

  static func shown(_ key: UnsafeRawBufferPointer) -> [UInt8] { Array(key.prefix(keyBytesMax)) }
}

/// The fields of a record that only calls of some kinds have.
package struct AuditDetails: Sendable, Hashable {
  package private(set) var fields: [String: String] = [:]
  /// Of a text from a request, which may be long.
  private static let lettersMax = 64

  package init() {}

  /// - Parameter message: the request; nil: it isn't encoded.
  init(_ command: Command, _ message: UnsafeRawBufferPointer?) {
    guard let message else { return }
    if let node = try? CallTarget.node(of: command.id, message), !node.isEmpty {
      add("node", node)
    }
    switch command.id {
    case .killClient:
      if let request = try? V1.KillClientRequest(decoding: message) { add("id", "\(request.id)") }
    case .logLevel:
      // Without one the call only shows it.
      guard let request = try? V1.LogLevelRequest(decoding: message), !request.level.isEmpty else {
        return
      }
      add("level", String(decoding: request.level, as: UTF8.self))
    case .slowLog:
      if let request = try? V1.SlowLogRequest(decoding: message), request.reset {
        add("reset", "true")
      }
    default: break
    }
  }

  mutating func add(_ name: String, _ value: String) {
    fields[name] = String(
      String.UnicodeScalarView(value.unicodeScalars.prefix(Self.lettersMax)))
  }
}

/// Takes the reply of a recorded call, if it says what was done. Belongs to the call's loop.
final class AuditedReply {
  private let command: Command
  fileprivate private(set) var details: AuditDetails

  fileprivate init(_ command: Command, _ details: AuditDetails) {
    self.command = command
    self.details = details
  }

  var isWanted: Bool { command.id == .killClient }

  func received(_ response: UnsafeRawBufferPointer) {
    guard isWanted, let reply = try? V1.KillClientResponse(decoding: response) else { return }
    details.add("found", "\(reply.found)")
  }
}
