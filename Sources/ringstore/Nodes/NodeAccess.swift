// The permissions on the node of this process: the users file and the router's own token, read at
// the start and whenever they change, and their log lines. Any thread.

import Front
import Logging
import NIOCore
import RouterNode
import ShardNode
import SmallFiles
import Synchronization
import Users

package final class NodeAccess: Sendable {
  /// The users; nil: there are none.
  package let users: UserDirectory?
  private let audit: AuditLog
  private let logger: Logger
  private let state: Mutex<State>

  private struct State {
    var usersFile: WatchedFiles?
    var tokenFile: WatchedFiles?
    /// The token with which the node identifies itself to shards.
    var token: String?
  }

  /// - Parameter isOneProcess: whether router and shards are in this process: the router then has a
  ///   token for its own lifetime.
  /// - Throws: `ConfigurationError` if a file can't be used.
  package init(
    _ settings: AccessSettings, _ logs: NodeLogs, isOneProcess: Bool = false
  ) throws(ConfigurationError) {
    logger = logs.logger("ringstore.users")
    audit = AuditLog(
      notesWrites: settings.notesWrites,
      logger: logs.auditLogger(isComplete: settings.usersPath != nil || settings.notesWrites))
    var state = State()
    if let path = settings.usersPath {
      state.usersFile = WatchedFiles([path])
      let table: UserTable
      do throws(NodeFileFailure) {
        table = try Self.table(path)
      } catch {
        throw ConfigurationError("the users file \(path) can't be used: \(error.sentence).")
      }
      let logger = logger
      let ledger = AccessLedger(nowNanos: { NIODeadline.now().uptimeNanoseconds }) {
        refusal, user in
        logger.warning(
          "a caller was refused", metadata: ["reason": "\(refusal.rawValue)", "user": "\(user)"])
      }
      var builtIn: [UserDefinition] = []
      if isOneProcess {
        var random = SystemRandomNumberGenerator()
        let token = Token.make(for: Self.localRouter, using: &random)
        state.token = token
        builtIn = [.router(Self.localRouter, TokenDigest(of: token))].compactMap { $0 }
      }
      users = UserDirectory(table, ledger, builtIn: builtIn)
    } else {
      users = nil
    }
    if let path = settings.shardTokenPath {
      state.tokenFile = WatchedFiles([path])
      do throws(NodeFileFailure) {
        state.token = try Self.token(path)
      } catch {
        throw ConfigurationError("the token file \(path) can't be used: \(error.sentence).")
      }
    }
    self.state = Mutex(state)
  }

  /// The router's user on the shards of the same process.
  private static let localRouter = "ringstore-local-router"

  package func configure(_ shard: inout ShardConfiguration) {
    shard.users = users
    shard.audit = audit
  }

  package func configure(_ router: inout RouterConfiguration) {
    router.users = users
    router.audit = audit
    router.linkToken = { self.state.withLock { $0.token } }
  }

  /// Whether there are files that can change.
  package var hasFiles: Bool {
    state.withLock { $0.usersFile != nil || $0.tokenFile != nil }
  }

  // MARK: - Changes

  /// Reads what has changed, every few seconds, until the task is cancelled.
  func watch() async {
    guard hasFiles else { return }
    await FileWatch.run { look() }
  }

  /// Reads what has changed.
  package func look() { reload(onlyChanged: true) }

  /// Reads all files again. If one can't be used, its previous contents stay in force.
  package func reload() { reload(onlyChanged: false) }

  private func reload(onlyChanged: Bool) {
    state.withLock { state in
      if state.usersFile?.look() == .changed || !onlyChanged, let path = state.usersFile?.paths[0] {
        reloadUsers(path)
      }
      if state.tokenFile?.look() == .changed || !onlyChanged, let path = state.tokenFile?.paths[0] {
        do throws(NodeFileFailure) {
          state.token = try Self.token(path)
          logger.notice("the router's token was read again", metadata: ["file": "\(path)"])
        } catch {
          logger.error(
            "the router's token stays as it is",
            metadata: ["file": "\(path)", "reason": "\(error.sentence)"])
        }
      }
    }
  }

  private func reloadUsers(_ path: String) {
    do throws(NodeFileFailure) {
      let table = try Self.table(path)
      users?.replace(with: table)
      users?.ledger.reloaded(true)
      logger.notice(
        "the users file was read again",
        metadata: ["file": "\(path)", "users": "\(table.users.count)"])
    } catch {
      users?.ledger.reloaded(false)
      logger.error(
        "the users stay as they are",
        metadata: ["file": "\(path)", "reason": "\(error.sentence)"])
    }
  }

  private static func table(_ path: String) throws(NodeFileFailure) -> UserTable {
    let bytes = try bytes(path, UsersFile.fileBytesMax)
    do throws(UsersFileError) {
      return try UsersFile.parse(bytes)
    } catch {
      throw NodeFileFailure(sentence: "\(error)")
    }
  }

  private static func token(_ path: String) throws(NodeFileFailure) -> String {
    guard let token = TokenText.read(try bytes(path, TokenText.fileBytesMax)) else {
      throw NodeFileFailure(sentence: TokenText.rule)
    }
    return token
  }

  private static func bytes(
    _ path: String, _ bytesMax: Int
  ) throws(NodeFileFailure) -> [UInt8] {
    do throws(SmallFile.Failure) {
      return try SmallFile.read(path, bytesMax: bytesMax)
    } catch {
      throw NodeFileFailure(sentence: "it can't be read: \(error.reason)")
    }
  }
}

private struct NodeFileFailure: Error {
  let sentence: String
}

extension UserDefinition {
  fileprivate static func router(_ name: String, _ digest: TokenDigest) -> UserDefinition? {
    guard let rules = try? KeyRules(databases: [], keys: []) else { return nil }
    return UserDefinition(name: name, permissions: .router, rules: rules, tokens: [digest])
  }
}
