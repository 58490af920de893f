// A node's slow calls and its settings.

internal import NIOCore
internal import RingstoreAPI

/// A call that took long or was large, or all calls of one tick of a shard's event loop.
public struct RingstoreSlowCall: Sendable, Hashable {
  /// The part of a key that a node keeps.
  public enum Key: Sendable, Hashable {
    /// The beginning of its SHA-256, in hexadecimal digits.
    case digest(String)
    /// The key, or its beginning.
    case bytes([UInt8])
  }

  /// Whether it is about all calls of a tick; `command` is then the command of most of them.
  public let isTick: Bool
  /// In lower case; empty where it isn't known.
  public let command: String
  /// When it ended, in milliseconds since 1970.
  public let unixMillis: Int64
  /// Nil: it was not measured.
  public let duration: Duration?
  public let hasFailed: Bool
  /// Of a tick: how many calls it had.
  public let calls: Int
  public let requestBytes: Int
  public let replyBytes: Int
  /// The shard to which a router sent the call; empty for none.
  public let shard: String
  public let slot: Int?
  public let database: Int?
  public let key: Key?
}

/// The slow and the large calls that a node has kept.
public struct RingstoreSlowLog: Sendable, Hashable {
  /// The slowest first.
  public let slowest: [RingstoreSlowCall]
  /// The largest first.
  public let largest: [RingstoreSlowCall]
  /// From what duration on calls are kept, in milliseconds; nil: none are for that.
  public let slowMillis: Int64?
  /// From what size of request or reply on; nil: none are for that.
  public let largeBytes: Int64?
}

/// A setting of a node's process.
public struct RingstoreSetting: Sendable, Hashable {
  public enum Value: Sendable, Hashable {
    case number(Int64)
    case flag(Bool)
    case text(String)
    case list([String])
  }

  /// As in a configuration file.
  public let name: String
  /// Nil: the setting has neither a value nor a default.
  public let value: Value?
  /// `default`, `file`, `environment` or `flag`.
  public let source: String
  /// The flag, the variable, or the name and its file; empty for a default.
  public let origin: String
}

/// The settings that a node's process was started with. Secrets are left out.
public struct RingstoreSettings: Sendable, Hashable {
  /// `shard`, `router` or `local`.
  public let kind: String
  public let settings: [RingstoreSetting]
}

extension RingstoreClient {
  /// The latest slow and large calls of a node.
  ///
  /// - Parameters:
  ///   - node: its id; empty: the node that gets the call.
  ///   - count: how many of each kind at most.
  ///   - isReset: whether the node clears its list afterwards.
  /// - Throws: NOT_FOUND if the node doesn't know that id.
  public func slowLog(
    ofNode node: String = "", count: Int = 10, isReset: Bool = false,
    options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreSlowLog {
    var request = ByteBuffer()
    var node = node
    // Whatever the node sends.
    let most = count > 0 ? count : .max
    node.withUTF8 {
      V1.SlowLogRequest(
        node: UnsafeRawBufferPointer($0), count: UInt32(clamping: count), reset: isReset
      ).write(into: &request)
    }
    return try await call(V1.Cluster.slowLog, request, options) { response throws(WireError) in
      let reply = try V1.SlowLogResponse(response)
      return RingstoreSlowLog(
        slowest: reply.slowest.prefix(most).map { RingstoreSlowCall($0) },
        largest: reply.largest.prefix(most).map { RingstoreSlowCall($0) },
        slowMillis: reply.slowMillis == 0 ? nil : reply.slowMillis,
        largeBytes: reply.largeBytes == 0 ? nil : reply.largeBytes)
    }
  }

  /// A node's settings and the source of each.
  ///
  /// - Parameter node: its id; empty: the node that gets the call.
  /// - Throws: NOT_FOUND if the node doesn't know that id.
  public func settings(
    ofNode node: String = "", options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreSettings {
    var request = ByteBuffer()
    var node = node
    node.withUTF8 { V1.ConfigRequest(node: UnsafeRawBufferPointer($0)).write(into: &request) }
    return try await call(V1.Cluster.config, request, options) { response throws(WireError) in
      let reply = try V1.ConfigResponse(response)
      return RingstoreSettings(
        kind: String(decoding: reply.kind, as: UTF8.self),
        settings: reply.settings.map { RingstoreSetting($0) })
    }
  }
}

extension RingstoreSlowCall {
  init(_ message: V1.SlowCall) {
    isTick = message.kind.elementsEqual("tick".utf8)
    command = String(decoding: message.command, as: UTF8.self)
    unixMillis = message.unixMillis
    duration = message.durationMicros == 0 ? nil : .microseconds(message.durationMicros)
    hasFailed = message.failed
    calls = Int(message.calls)
    requestBytes = Int(message.requestBytes)
    replyBytes = Int(message.replyBytes)
    shard = String(decoding: message.shard, as: UTF8.self)
    slot = message.slot.map { Int($0) }
    database = message.database.map { Int($0) }
    key =
      switch message.keyKept {
      case .keyDigest(let digest): .digest(String(decoding: digest, as: UTF8.self))
      case .keyStart(let key): .bytes(Array(key))
      case nil: nil
      }
  }
}

extension RingstoreSetting {
  init(_ message: V1.Setting) {
    name = String(decoding: message.name, as: UTF8.self)
    value =
      switch message.value {
      case .number(let number): .number(number)
      case .flag(let flag): .flag(flag)
      case .text(let text): .text(String(decoding: text, as: UTF8.self))
      case .list(let list): .list(list.items.map { String(decoding: $0, as: UTF8.self) })
      case nil: nil
      }
    source = String(decoding: message.source, as: UTF8.self)
    origin = String(decoding: message.from, as: UTF8.self)
  }
}
