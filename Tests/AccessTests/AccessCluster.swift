// A router with two shards whose users are these, as processes would serve them; and clients of
// theirs.

import Front
import GRPC
import LineProtocol
import Logging
import NIOCore
import NIOPosix
import NodeCore
import Placement
import RingstoreAPI
import RouterNode
import ShardNode
import Synchronization
import Users

struct AccessCluster: Sendable {
  let router: RouterServer
  let shards: [ShardServer]
  let users: UserDirectory
  let audited: AuditedCalls

  /// Users by name: the name is the permission; with `restricted` before it, the user may use only
  /// keys that begin with `mine:`, in databases 0 and 1.
  static let names: [String] = {
    let permissions = ["nothing", "read", "write", "admin"]
    return permissions + permissions.map { "restricted-\($0)" }
  }()

  static func token(_ user: String) -> String { "\(user).rst_secret-of-\(user)" }

  static func entry(
    _ name: String, may: String, keys: String = "all", databases: String = "all", rest: String = ""
  ) -> String {
    """
    user \(name)
      may \(may)
      keys \(keys)
      databases \(databases)
      token sha256:\(TokenDigest(of: token(name)).hexadecimal)
      \(rest)

    """
  }

  static var standardUsers: String {
    let permissions = ["nothing", "read", "write", "admin"]
    return permissions.map { entry($0, may: $0) }.joined()
      + permissions.map {
        entry("restricted-\($0)", may: $0, keys: "prefix mine:", databases: "0-1")
      }.joined()
      + entry("root", may: "read write admin") + entry("the-router", may: "router")
  }

  static func table(_ text: String) throws -> UserTable { try UsersFile.parse(Array(text.utf8)) }

  static func with(
    users text: String = standardUsers, routerToken: String? = token("the-router"),
    threads: Int = 1, notesWrites: Bool = false,
    _ body: (AccessCluster) async throws -> Void
  ) async throws {
    let ledger = AccessLedger(nowNanos: { NIODeadline.now().uptimeNanoseconds })
    let users = UserDirectory(try table(text), ledger)
    let entries = AuditedCalls()
    let audit = AuditLog(notesWrites: notesWrites) { entry in entries.add(entry) }
    var shards: [ShardServer] = []
    for id in ["a", "b"] {
      var configuration = ShardConfiguration(id: id)
      (configuration.port, configuration.linePort, configuration.drainSeconds) = (0, 0, 1)
      (configuration.users, configuration.audit) = (users, audit)
      shards.append(try await ShardServer.start(configuration, version: "1", logger: silent))
    }
    var configuration = RouterConfiguration(
      shards: zip(["a", "b"], shards).map {
        ShardDescription(id: $0, address: "127.0.0.1:\($1.port)", weight: 1)
      })
    (configuration.port, configuration.linePort, configuration.drainSeconds) = (0, 0, 1)
    (configuration.users, configuration.audit) = (users, audit)
    configuration.threads = threads
    // On a busy machine a shard gets no core for seconds, and is not lost for it.
    configuration.linkLimits.silenceNanosMax = 600 * 1_000_000_000
    if let routerToken { configuration.linkToken = { routerToken } }
    let router = try await RouterServer.start(configuration, version: "1", logger: silent)
    let cluster = AccessCluster(router: router, shards: shards, users: users, audited: entries)
    let outcome: Result<Void, any Error>
    do {
      if routerToken == token("the-router") { try await cluster.waitUntilServing() }
      outcome = .success(try await body(cluster))
    } catch {
      outcome = .failure(error)
    }
    await router.drain()
    for shard in shards { await shard.drain() }
    try outcome.get()
  }

  /// Replaces the users, and waits until all loops of all nodes have taken the new ones.
  func replaceUsers(with table: UserTable) async {
    users.replace(with: table)
    for loops in [router.users] + shards.map(\.users) { try? await loops?.applied() }
  }

  /// A router starts even where its shards can't be reached in time, as on a busy machine.
  private func waitUntilServing() async throws {
    let client = Client(port: router.port, as: "root")
    defer { client.close() }
    for key in ["mine:1", "mine:2", "x", "y", "z"] {
      while await client.unary(V1.KeyStore.exists, Requests.key(key)) != nil {
        try await Task.sleep(for: .milliseconds(5))
      }
    }
  }
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

final class AuditedCalls: Sendable {
  private let entries = Mutex<[AuditEntry]>([])

  var all: [AuditEntry] { entries.withLock { $0 } }

  func add(_ entry: AuditEntry) { entries.withLock { $0.append(entry) } }
}

/// A gRPC client that bears a user's token, or none.
struct Client: Sendable {
  private let channel: ClientChannel

  init(port: Int, as user: String?) {
    self.init(port: port, token: user.map { AccessCluster.token($0) })
  }

  init(port: Int, token: String?) {
    var configuration = ClientChannelConfiguration()
    configuration.connection.token = token
    configuration.connection.connectTimeout = .minutes(10)
    channel = ClientChannel(
      host: "127.0.0.1", port: port, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
      configuration: configuration)
  }

  func close() { channel.close() }

  /// The error of a call; nil: it succeeded.
  func unary(_ rpc: RPC, _ request: ByteBuffer) async -> CallError? {
    await call(rpc, request).error
  }

  func call(
    _ rpc: RPC, _ request: ByteBuffer, metadata: Metadata = Metadata()
  ) async -> (response: ByteBuffer, error: CallError?) {
    do throws(RPCStatus) {
      return (
        try await channel.unary(path: rpc.path, metadata: metadata, timeout: .seconds(60)) {
          $0.writeImmutableBuffer(request)
        }, nil
      )
    } catch {
      return (ByteBuffer(), CallError(error))
    }
  }

  /// The messages of a call with one request and a stream of replies, and its error.
  func stream(
    _ rpc: RPC, _ request: ByteBuffer, max: Int = .max
  ) async -> (messages: [ByteBuffer], error: CallError?) {
    let stream = channel.stream(path: rpc.path, timeout: .seconds(60))
    defer { stream.cancel() }
    var messages: [ByteBuffer] = []
    do throws(RPCStatus) {
      try await stream.send { $0.writeImmutableBuffer(request) }
      stream.halfClose()
      var iterator = stream.messages.makeAsyncIterator()
      while messages.count < max, let message = try await iterator.next() {
        messages.append(message)
      }
      return (messages, nil)
    } catch {
      return (messages, CallError(error))
    }
  }

  /// The error of any call with an empty request, if it comes before the first reply.
  func first(path: String) async -> CallError? {
    let stream = channel.stream(path: path, timeout: .seconds(60))
    defer { stream.cancel() }
    do throws(RPCStatus) {
      try await stream.send { _ in }
      stream.halfClose()
      var iterator = stream.messages.makeAsyncIterator()
      _ = try await iterator.next()
      return nil
    } catch {
      return CallError(error)
    }
  }

  /// The error of a call whose message is in gzip.
  func compressed(_ rpc: RPC, _ request: ByteBuffer) async -> CallError? {
    await compressed(path: rpc.path) { $0.writeImmutableBuffer(request) }
  }

  /// The error of a call whose message is short in gzip, and above every limit when it is inflated.
  func bomb(path: String) async -> CallError? {
    let count = LinkProtocol.messageBytesMax(Limits()) + 1
    return await compressed(path: path) { $0.writeRepeatingByte(0, count: count) }
  }

  private func compressed(
    path: String, _ write: (inout ByteBuffer) -> Void
  ) async -> CallError? {
    let stream = channel.stream(path: path, timeout: .seconds(60), encoding: .gzip)
    defer { stream.cancel() }
    do throws(RPCStatus) {
      try await stream.send(write)
      stream.halfClose()
      var iterator = stream.messages.makeAsyncIterator()
      while try await iterator.next() != nil {}
      return nil
    } catch {
      return CallError(error)
    }
  }

  func open(_ rpc: RPC) -> ClientStream {
    channel.stream(path: rpc.path, timeout: .seconds(60))
  }

  /// The errors of calls that travel in one batch, by their place; or of the Pipeline as a whole.
  func pipeline(
    _ calls: [(method: UInt32, request: ByteBuffer)]
  ) async -> Result<[CallError?], CallError> {
    var batch = ByteBuffer()
    for (place, call) in calls.enumerated() {
      call.request.withUnsafeReadableBytes {
        batch.writeCall(.pipeline, id: UInt64(place) + 1, method: call.method, request: $0)
      }
    }
    let (messages, error) = await stream(V1.KeyStore.pipeline, batch)
    if let error { return .failure(error) }
    var errors = [CallError?](repeating: .internalError("no reply"), count: calls.count)
    for message in messages {
      message.withUnsafeReadableBytes { bytes in
        guard let batch = try? V1.ReplyBatch(bytes) else { return }
        for reply in batch.replies {
          errors[Int(reply.id) - 1] =
            reply.code == 0
            ? nil
            : CallError(
              code: StatusCode(rawValue: reply.code) ?? .unknown,
              message: String(decoding: reply.message, as: UTF8.self), details: reply.details)
        }
      }
    }
    return .success(errors)
  }
}

extension CallError {
  init(_ status: RPCStatus) {
    self.init(code: status.code, message: status.message, details: status.details)
  }

  /// Whether it says that the caller is not let in or not let do this.
  var isRefusal: Bool {
    [.unauthenticated, .permissionDenied, .rateLimited, .tooManyConnections].contains(reason)
  }
}
