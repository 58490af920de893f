// What calls on one key answer with, and how the replies are read. Values; any thread.

package import RingstoreAPI

/// The answer to a `RingstoreCommand`; each command's documentation says which case it gets.
public enum RingstoreReply: Sendable, Hashable {
  /// nil: the key (or, for a pop, the list) doesn't exist. Empty bytes are a value.
  case value([UInt8]?)
  case status(RingstoreStatus)
  case list(RingstoreList)
  case type(RingstoreType)
  case integer(Int64)
}

/// What a write or a count answers.
public struct RingstoreStatus: Sendable, Hashable {
  /// Keys removed, values now in the list, or 0 and 1 for "exists".
  public let count: Int
  /// The version of the key's data after a write; it grows with every write. 0 for reads.
  public let version: UInt64

  package init(count: Int, version: UInt64) {
    self.count = count
    self.version = version
  }
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

/// What a key holds.
public enum RingstoreType: Sendable, Hashable {
  /// The key doesn't exist.
  case none
  case string
  case list
  /// A type that a newer node knows; the number is the one on the wire.
  case other(Int)
}

extension RingstoreReply {
  /// Reads the response message to a call on one key.
  package init(_ rpc: RPC, response: UnsafeRawBufferPointer) throws(WireError) {
    switch rpc.reply {
    case is V1.Value.Type: self.init(try V1.Value(response))
    case is V1.ListValues.Type: self = .list(RingstoreList(try V1.ListValues(response)))
    case is V1.TypeResponse.Type:
      self = .type(RingstoreType(try V1.TypeResponse(response).type))
    case is V1.IncrByResponse.Type: self = .integer(try V1.IncrByResponse(response).value)
    default: self.init(try V1.Status(response))
    }
  }

  init(_ reply: V1.Value) {
    self = .value(reply.found ? Array(reply.value) : nil)
  }

  init(_ reply: V1.Status) {
    self = .status(RingstoreStatus(count: Int(reply.count), version: reply.version))
  }
}

extension RingstoreList {
  init(_ reply: V1.ListValues) {
    self.init(
      values: reply.values.map { Array($0) }, found: reply.found, length: Int(reply.length),
      firstIndex: Int(reply.firstIndex))
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
