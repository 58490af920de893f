// One call on one key, as a value: what the client's methods send one by one and a pipeline sends
// by the hundred.

package import NIOCore
package import RingstoreAPI

/// A call on one key that can be sent alone or in a pipeline.
public struct RingstoreCommand: Sendable {
  /// Which call of the command table it is.
  package let id: CommandID
  let key: [UInt8]
  let arguments: Arguments

  enum Arguments: Sendable {
    case none
    case value([UInt8])
    case values([[UInt8]])
    case range(start: Int64, stop: Int64)
    case delta(Int64)
  }

  private init(_ id: CommandID, _ key: some RingstoreBytes, _ arguments: Arguments = .none) {
    self.id = id
    self.key = key.ringstoreBytes
    self.arguments = arguments
  }

  /// Reads the value of a key. Reply: `.value`.
  public static func get(_ key: some RingstoreBytes) -> Self { Self(.get, key) }

  /// Stores a value, whatever the key held before. Reply: `.status`.
  public static func set(_ key: some RingstoreBytes, to value: some RingstoreBytes) -> Self {
    Self(.set, key, .value(value.ringstoreBytes))
  }

  /// Removes a key of any type. Reply: `.status`, whose count is 1 or 0.
  public static func delete(_ key: some RingstoreBytes) -> Self { Self(.delete, key) }

  /// Asks whether a key holds anything. Reply: `.status`, whose count is 1 or 0.
  public static func exists(_ key: some RingstoreBytes) -> Self { Self(.exists, key) }

  /// Asks what a key holds. Reply: `.type`.
  public static func type(_ key: some RingstoreBytes) -> Self { Self(.type, key) }

  /// Adds to the integer that a key holds; a missing key counts as 0. Reply: `.integer`.
  public static func incrBy(_ key: some RingstoreBytes, _ delta: Int64) -> Self {
    Self(.incrBy, key, .delta(delta))
  }

  /// Puts values in front of a list one after another. Reply: `.status`, whose count is the
  /// list's length.
  public static func lPush(_ key: some RingstoreBytes, _ values: [some RingstoreBytes]) -> Self {
    Self(.lPush, key, .values(values.map(\.ringstoreBytes)))
  }

  /// Puts values at the end of a list. Reply: `.status`, whose count is the list's length.
  public static func rPush(_ key: some RingstoreBytes, _ values: [some RingstoreBytes]) -> Self {
    Self(.rPush, key, .values(values.map(\.ringstoreBytes)))
  }

  /// Takes the first value of a list away. Reply: `.value`.
  public static func lPop(_ key: some RingstoreBytes) -> Self { Self(.lPop, key) }

  /// Takes the last value of a list away. Reply: `.value`.
  public static func rPop(_ key: some RingstoreBytes) -> Self { Self(.rPop, key) }

  /// Counts the values of a list. Reply: `.status`, whose count is the length.
  public static func lLen(_ key: some RingstoreBytes) -> Self { Self(.lLen, key) }

  /// Reads a range of a list; both ends count, negative ones from the end. Reply: `.list`.
  public static func lRange(_ key: some RingstoreBytes, _ start: Int64, _ stop: Int64) -> Self {
    Self(.lRange, key, .range(start: start, stop: stop))
  }
}

extension RingstoreCommand {
  /// Appends the request message.
  package func writeRequest(database: UInt32, into buffer: inout ByteBuffer) {
    key.withUnsafeBytes { key in
      switch arguments {
      case .none:
        V1.Key(key: key, database: database).write(into: &buffer)
      case .value(let value):
        value.withUnsafeBytes {
          V1.KeyValue(key: key, value: $0, database: database).write(into: &buffer)
        }
      case .values(let values):
        V1.ListInsert(key: key, database: database).write(into: &buffer)
        for value in values {
          value.withUnsafeBytes { buffer.append(V1.ListInsert.Field.values, $0) }
        }
      case .range(let start, let stop):
        V1.ListRange(key: key, start: start, stop: stop, database: database).write(into: &buffer)
      case .delta(let delta):
        V1.IncrByRequest(key: key, delta: delta, database: database).write(into: &buffer)
      }
    }
  }

  /// The request's size in bytes or a little more: what batches are cut by.
  var sizeEstimate: Int {
    let fixed = key.count + 48
    switch arguments {
    case .none, .range, .delta: return fixed
    case .value(let value): return fixed + value.count
    case .values(let values): return values.reduce(fixed) { $0 + $1.count + 6 }
    }
  }
}
