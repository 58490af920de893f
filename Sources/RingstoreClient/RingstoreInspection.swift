// The facts about a key. A value; any thread.

internal import RingstoreAPI

public struct RingstoreInspection: Sendable, Hashable {
  /// The memory layout of a value.
  public enum Encoding: Sendable, Hashable {
    /// A string that is an integer.
    case integer
    /// A string in one block with its key.
    case inline
    /// A string in its own block.
    case block
    /// A list.
    case chunks
    /// A kind of newer nodes; the number is the one on the wire.
    case other(Int)
  }

  public let type: RingstoreType
  public let encoding: Encoding
  /// Bytes of memory for the key and its value. An estimate for a list of more than 16 MiB.
  public let bytes: Int
  /// Bytes of a string, values of a list.
  public let length: Int
  /// For how long no call has used the key; in steps of 16 milliseconds.
  public let idle: Duration
  /// nil: the key doesn't expire.
  public let remaining: Duration?
  /// The version of the key's last write.
  public let version: UInt64
  public let slot: Int
  /// The id of the shard that holds the key.
  public let shard: String
}

extension RingstoreInspection {
  /// - Returns: nil if there was no such key.
  init?(_ reply: V1.InspectResponse) {
    guard reply.found else { return nil }
    type = RingstoreType(reply.type)
    encoding = Encoding(reply.encoding)
    bytes = Int(reply.bytes)
    length = Int(reply.length)
    idle = .milliseconds(reply.idleMillis)
    remaining = reply.ttlMillis.map { .milliseconds($0) }
    version = reply.version
    slot = Int(reply.slot)
    shard = String(decoding: reply.shard, as: UTF8.self)
  }
}

extension RingstoreInspection.Encoding {
  init(_ encoding: V1.ValueEncoding) {
    switch encoding {
    case .integer: self = .integer
    case .inline: self = .inline
    case .block: self = .block
    case .chunks: self = .chunks
    default: self = .other(Int(encoding.rawValue))
    }
  }
}

extension RingstoreClient {
  /// Returns a key's memory and type, without marking it as used; nil if it doesn't exist.
  public func inspect(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreInspection? {
    guard case .inspection(let inspection) = try await run(.inspect(key), options: options) else {
      throw .unexpectedReply
    }
    return inspection
  }

  /// Has a key count as used now, for idle times and eviction. Returns whether it exists.
  @discardableResult
  public func touch(
    _ key: some RingstoreBytes, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> Bool {
    try await run(.touch(key), options: options).status().count > 0
  }
}
