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
  package init(_ id: CommandID, response: UnsafeRawBufferPointer) throws(WireError) {
    switch id {
    case .get, .lPop, .rPop:
      let view = try ValueReplyView(response)
      self = .value(view.found ? Array(view.value) : nil)
    case .lRange:
      self = .list(RingstoreList(try ListValuesReplyView(response)))
    case .type:
      self = .type(RingstoreType(number: try NumberReplyView(response).number))
    case .incrBy:
      self = .integer(try IncrByReplyView(response).value)
    default:
      let view = try StatusReplyView(response)
      self = .status(RingstoreStatus(count: Int(view.count), version: view.version))
    }
  }
}

extension RingstoreList {
  init(_ view: ListValuesReplyView) {
    self.init(
      values: view.values.map { Array($0) }, found: view.found, length: Int(view.length),
      firstIndex: Int(view.firstIndex))
  }
}

extension RingstoreType {
  /// As the wire has it.
  var number: Int {
    switch self {
    case .none: Int(ValueType.none.rawValue)
    case .string: Int(ValueType.string.rawValue)
    case .list: Int(ValueType.list.rawValue)
    case .other(let number): number
    }
  }

  init(number: Int64) {
    switch Int32(exactly: number).flatMap(ValueType.init(rawValue:)) {
    case .some(.none): self = .none
    case .string: self = .string
    case .list: self = .list
    case nil: self = .other(Int(number))
    }
  }
}
