// The replies of calls on one key, and how they are decoded. Values; any thread.

package import RingstoreAPI

/// The reply to a `RingstoreCommand`; each command's documentation names its case.
public enum RingstoreReply: Sendable, Hashable {
  /// nil: the key (or, for a pop, the list) doesn't exist. Empty bytes are a value.
  case value(RingstoreValue?)
  case status(RingstoreStatus)
  case list(RingstoreList)
  case type(RingstoreType)
  case integer(Int64)
  case positions(RingstorePositions)
  /// nil: the key doesn't exist.
  case timeToLive(RingstoreTimeToLive?)
  /// nil: the key doesn't exist.
  case inspection(RingstoreInspection?)
}

/// A value as it was read.
public struct RingstoreValue: Sendable, Hashable {
  public let bytes: [UInt8]
  /// The version of the key's last write. It grows with every write, and a key never has one twice.
  public let version: UInt64
  /// The rest of the key's time to live; nil if it doesn't expire.
  public let remaining: Duration?
  /// The key of the list, if a pop has named several.
  public let key: [UInt8]?

  package init(
    _ bytes: [UInt8], version: UInt64 = 0, remaining: Duration? = nil, key: [UInt8]? = nil
  ) {
    self.bytes = bytes
    self.version = version
    self.remaining = remaining
    self.key = key
  }
}

/// The reply of a write or a count.
public struct RingstoreStatus: Sendable, Hashable {
  /// False if a condition was not met; then nothing was changed.
  public let ok: Bool
  /// Keys removed or changed, values now in the list, or 0 and 1 for "exists".
  public let count: Int
  /// The version of the key's data after a write; it grows with every write. The key's current
  /// version if a condition was not met. 0 for reads.
  public let version: UInt64
  /// The previous value, if the call requested it and there was one.
  public let previous: RingstoreValue?
  /// Whether the call requested the previous value.
  package let tellsPrevious: Bool

  package init(
    ok: Bool = true, count: Int, version: UInt64, previous: RingstoreValue? = nil,
    tellsPrevious: Bool = false
  ) {
    self.ok = ok
    self.count = count
    self.version = version
    self.previous = previous
    self.tellsPrevious = tellsPrevious
  }
}

/// When a key expires.
public struct RingstoreTimeToLive: Sendable, Hashable {
  /// nil: the key doesn't expire.
  public var remaining: Duration? { remainingMillis.map { .milliseconds($0) } }
  package let remainingMillis: Int64?
  /// The moment on the shard's wall clock, in milliseconds since 1970; nil: the key doesn't expire.
  public let expiresAtUnixMillis: Int64?
  /// The version of the key's last write; a change of its expiry is one.
  public let version: UInt64
}

/// A range of a list, read from one state of it.
public struct RingstoreList: Sendable, Hashable {
  public let values: [[UInt8]]
  /// Whether the key exists. A list without values doesn't.
  public let found: Bool
  /// The length of the whole list.
  public let length: Int
  /// The index of `values[0]` in the list.
  public let firstIndex: Int

  package init(values: [[UInt8]], found: Bool, length: Int, firstIndex: Int) {
    self.values = values
    self.found = found
    self.length = length
    self.firstIndex = firstIndex
  }
}

/// Where values of a list are.
public struct RingstorePositions: Sendable, Hashable {
  /// In the order of the search.
  public let indices: [Int]
  /// Whether the key exists.
  public let found: Bool

  package init(indices: [Int], found: Bool) {
    self.indices = indices
    self.found = found
  }
}

/// The type of a key's value.
public enum RingstoreType: Sendable, Hashable {
  /// The key doesn't exist.
  case none
  case string
  case list
  /// A type of newer nodes; the number is the one on the wire.
  case other(Int)
}

extension RingstoreReply {
  /// Reads the response message to a call on one key.
  package init(_ rpc: RPC, response: UnsafeRawBufferPointer) throws(WireError) {
    switch rpc.reply {
    case is V1.Value.Type: self.init(try V1.Value(response))
    case is V1.ListPositions.Type:
      self = .positions(RingstorePositions(try V1.ListPositions(response)))
    case is V1.ListValues.Type: self = .list(RingstoreList(try V1.ListValues(response)))
    case is V1.TypeResponse.Type:
      self = .type(RingstoreType(try V1.TypeResponse(response).type))
    case is V1.TtlResponse.Type:
      self = .timeToLive(RingstoreTimeToLive(try V1.TtlResponse(response)))
    case is V1.InspectResponse.Type:
      self = .inspection(RingstoreInspection(try V1.InspectResponse(response)))
    case is V1.IncrByResponse.Type: self = .integer(try V1.IncrByResponse(response).value)
    default: self.init(try V1.Status(response))
    }
  }

  init(_ reply: V1.Value) {
    self = .value(RingstoreValue(reply))
  }

  init(_ reply: V1.Status) {
    self = .status(
      RingstoreStatus(
        ok: reply.ok, count: Int(reply.count), version: reply.version,
        previous: reply.previous.flatMap { RingstoreValue($0) },
        tellsPrevious: reply.previous != nil))
  }
}

extension RingstoreValue {
  /// - Returns: nil if there was none.
  init?(_ reply: V1.Value) {
    guard reply.found else { return nil }
    self.init(
      Array(reply.value), version: reply.version,
      remaining: reply.ttlMillis.map { .milliseconds($0) },
      key: reply.key.isEmpty ? nil : Array(reply.key))
  }
}

extension RingstoreTimeToLive {
  /// - Returns: nil if there was no such key.
  init?(_ reply: V1.TtlResponse) {
    guard reply.found else { return nil }
    remainingMillis = reply.ttlMillis
    expiresAtUnixMillis = reply.expireAtUnixMillis
    version = reply.version
  }
}

extension RingstoreList {
  init(_ reply: V1.ListValues) {
    self.init(
      values: reply.values.map { Array($0) }, found: reply.found, length: Int(reply.length),
      firstIndex: Int(reply.firstIndex))
  }
}

extension RingstorePositions {
  init(_ reply: V1.ListPositions) {
    self.init(indices: reply.indexes.map { Int(clamping: $0) }, found: reply.found)
  }
}

extension RingstoreType {
  /// As the wire has it.
  var valueType: V1.ValueType {
    switch self {
    case .none: .none
    case .string: .string
    case .list: .list
    case .other(let number): V1.ValueType(rawValue: Int32(clamping: number))
    }
  }

  init(_ type: V1.ValueType) {
    switch type {
    case .none: self = .none
    case .string: self = .string
    case .list: self = .list
    default: self = .other(Int(type.rawValue))
    }
  }
}
