// A shard that serves in the test's process, and its dashboard's data as a page asks for it.

import Admin
import Commands
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NodeCore
import RingstoreAPI
import ShardNode
import Testing
import Users

@testable import Dashboard

/// Base64url of a text, as the page writes keys.
func b64(_ text: String) -> String { Base64URL.encode(Array(text.utf8)) }

struct DataPage {
  /// `root` may do everything, `tenant` uses only its own keys, `operator` may only administer.
  static let users = [
    ("root", "read write admin", "all", "all"), ("tenant", "read", "prefix mine:", "0"),
    ("operator", "admin", "all", "all"),
  ].map { name, may, keys, databases in
    """
    user \(name)
      may \(may)
      keys \(keys)
      databases \(databases)
      token sha256:\(TokenDigest(of: token(name)).hexadecimal)

    """
  }.joined()

  private static func token(_ user: String) -> String { "\(user).rst_secret-of-\(user)" }

  private let shard: ShardServer
  private let routes: [String: AdminRoute]
  private let users: UserDirectory?

  /// Runs `body` with a shard of its own.
  static func with(
    users text: String? = nil, _ body: (DataPage) async throws -> Void
  ) async throws {
    var silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    silent.logLevel = .critical
    var configuration = ShardConfiguration(id: "alone")
    (configuration.port, configuration.drainSeconds) = (0, 1)
    let ledger = AccessLedger(nowNanos: { NIODeadline.now().uptimeNanoseconds })
    configuration.users = try text.map { UserDirectory(try table($0), ledger) }
    let shard = try await ShardServer.start(configuration, version: "1", logger: silent)
    let outcome: Result<Void, any Error>
    do {
      let dashboard = try #require(
        Dashboard([shard.probe], shard.calls, EventRing(), version: "1"))
      let routes = Dictionary(uniqueKeysWithValues: dashboard.routes.map { ($0.path, $0) })
      outcome = .success(
        try await body(DataPage(shard: shard, routes: routes, users: configuration.users)))
    } catch {
      outcome = .failure(error)
    }
    await shard.drain()
    try outcome.get()
  }

  private static func table(_ text: String) throws -> UserTable {
    try UsersFile.parse(Array(text.utf8))
  }

  // MARK: - Asking

  /// The reply to a user; nil: the node has none.
  func ask(
    _ path: String, _ query: String = "", as user: String? = nil
  ) async throws -> AdminResponse {
    try await ask(path, query, caller: try user.map(known), user: user)
  }

  func ask(
    _ path: String, _ query: String = "", caller: KnownCredential?, user: String? = nil
  ) async throws -> AdminResponse {
    let route = try #require(routes[path])
    return await route.respond(
      AdminRequest(
        path: path, query: query, user: user, caller: caller, host: "localhost",
        fetchSite: "same-origin"))
  }

  /// Asks, and expects this status.
  func expect(
    _ status: HTTPResponseStatus, _ path: String, _ query: String = "", as user: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let response = try await ask(path, query, as: user)
    #expect(response.status == status, "\(path)", sourceLocation: sourceLocation)
  }

  /// The same where it must be a success.
  func json(
    _ path: String, _ query: String = "", as user: String? = nil
  ) async throws -> [String: Any] {
    let response = try await ask(path, query, as: user)
    #expect(response.status == .ok, "\(String(decoding: response.body, as: UTF8.self))")
    return try Self.decode(response)
  }

  static func decode(_ response: AdminResponse) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any])
  }

  /// A user's credential, as the admin port has found it good.
  func known(_ user: String) throws -> KnownCredential {
    let users = try #require(self.users)
    let identity = CallerIdentity(Authorizer(users.table, users.ledger))
    return try Array(Self.token(user).utf8).withUnsafeBytes { token in
      try identity.principal(ofToken: token).known
    }
  }

  /// Takes other users, and waits until the shard has.
  func replaceUsers(with text: String) async throws {
    users?.replace(with: try Self.table(text))
    try await shard.users?.applied()
  }

  // MARK: - Writing

  func set(_ key: String, _ value: String, as user: String? = nil) async throws {
    try await write(as: user) { calls, context, done in
      var (key, value) = (key, value)
      key.withUTF8 { key in
        value.withUTF8 { value in
          _ = calls.dispatcher.call(
            Command.set.call(
              V1.KeyValue(
                key: UnsafeRawBufferPointer(key), value: UnsafeRawBufferPointer(value))),
            context, for: nil, reply: done)
        }
      }
    }
  }

  func push(_ key: String, _ values: [String]) async throws {
    for value in values {
      try await write(as: nil) { calls, context, done in
        var (key, value) = (key, value)
        key.withUTF8 { key in
          value.withUTF8 { value in
            let slice = UnsafeRawBufferPointer(value)
            withUnsafePointer(to: slice) { slice in
              _ = calls.dispatcher.call(
                Command.rPush.call(
                  V1.ListInsert(
                    key: UnsafeRawBufferPointer(key),
                    values: RepeatedBytes(UnsafeBufferPointer(start: slice, count: 1)))),
                context, for: nil, reply: done)
            }
          }
        }
      }
    }
  }

  private func write(
    as user: String?,
    _ begin: @escaping @Sendable (LocalCalls, CallContext, @escaping LocalReply) -> Void
  ) async throws {
    let caller = try user.map(known)
    let _: Bool = try await shard.calls.perform(as: caller) { calls, tell in
      begin(calls, calls.pageContext()) { tell($0.map { _ in true }) }
    }
  }
}
