// One call on one key, as a value: the client's methods send one at a time, a pipeline sends
// hundreds.

package import NIOCore
package import RingstoreAPI

/// A call on one key that can be sent alone or in a pipeline.
public struct RingstoreCommand: Sendable {
  /// Which call it is.
  package let rpc: RPC
  /// The request without its database, which is the client's or the call's.
  private let request: ByteBuffer

  /// - Parameter request: an encoded request that names no database.
  package init(_ rpc: RPC, request: ByteBuffer) {
    self.rpc = rpc
    self.request = request
  }

  init(_ rpc: RPC, _ write: (inout ByteBuffer) -> Void) {
    var request = ByteBuffer()
    write(&request)
    self.init(rpc, request: request)
  }

  init(_ rpc: RPC, _ key: some RingstoreBytes) {
    self.init(rpc) { request in
      key.ringstoreBytes.withUnsafeBytes { V1.Key(key: $0).write(into: &request) }
    }
  }

  /// Reads the value of a key. Reply: `.value`.
  public static func get(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.get, key) }

  /// Stores a value if a condition is met. Reply: `.status`, whose `ok` says whether it is, and
  /// whose `previous` is the previous value, if requested.
  public static func set(
    _ key: some RingstoreBytes, to value: some RingstoreBytes,
    if condition: RingstoreCondition = .always, expiring expiry: RingstoreExpiry = .never,
    returningPrevious: Bool = false
  ) -> Self {
    Self(V1.KeyStore.set) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          let (condition, version) = condition.ofWire
          V1.KeyValue(
            key: key, value: $0, expiry: expiry.ofSet, condition: condition, ifVersion: version,
            returnPrevious: returningPrevious
          ).write(into: &request)
        }
      }
    }
  }

  /// Removes a key of any type. Reply: `.status`, whose count is 1 or 0.
  public static func delete(_ key: some RingstoreBytes) -> Self { delete(key, nil) }

  /// Removes a key of any type if it has this version. Reply: `.status`, whose count is 1 or 0.
  public static func delete(_ key: some RingstoreBytes, ifVersion version: UInt64) -> Self {
    delete(key, .ifVersion(version))
  }

  /// Removes a key if it holds this string. Reply: `.status`, whose count is 1 or 0.
  public static func delete(
    _ key: some RingstoreBytes, ifValue value: some RingstoreBytes
  ) -> Self {
    value.ringstoreBytes.withUnsafeBytes { delete(key, .ifValue($0)) }
  }

  private static func delete(
    _ key: some RingstoreBytes, _ condition: V1.DeleteRequest.Condition?
  ) -> Self {
    Self(V1.KeyStore.delete) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.DeleteRequest(key: $0, condition: condition).write(into: &request)
      }
    }
  }

  /// Whether a key exists. Reply: `.status`, whose count is 1 or 0.
  public static func exists(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.exists, key) }

  /// The type of a key's value. Reply: `.type`.
  public static func type(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.type, key) }

  /// Marks a key as used now, for idle times and eviction. Reply: `.status`, whose count is 1 or 0.
  public static func touch(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.touch, key) }

  /// Returns a key's memory and type; the key isn't marked as used. Reply: `.inspection`.
  public static func inspect(_ key: some RingstoreBytes) -> Self {
    Self(V1.KeyStore.inspect) { request in
      key.ringstoreBytes.withUnsafeBytes { V1.InspectRequest(key: $0).write(into: &request) }
    }
  }

  /// Stores values under several keys of one slot if none of the keys exists. Reply: `.status`,
  /// whose `ok` says whether that was so.
  ///
  /// - Precondition: there is at least one item.
  public static func mSetIfAbsent(
    _ items: [(key: some RingstoreBytes, value: some RingstoreBytes)]
  ) -> Self {
    precondition(!items.isEmpty, "there is no key to set")
    return Self(V1.KeyStore.mSetIfAbsent) { request in
      for (place, item) in items.enumerated() {
        item.key.ringstoreBytes.withUnsafeBytes { key in
          item.value.ringstoreBytes.withUnsafeBytes { value in
            if place == 0 {
              V1.MSetIfAbsentRequest(key: key, value: value).write(into: &request)
            } else {
              request.append(
                V1.MSetIfAbsentRequest.Field.others, V1.KeyAndValue(key: key, value: value))
            }
          }
        }
      }
    }
  }

  /// Adds to the integer that a key holds; a missing key counts as 0. Reply: `.integer`.
  ///
  /// - Parameter time: after which a key expires that the call makes.
  public static func incrBy(
    _ key: some RingstoreBytes, _ delta: Int64, expiringNewAfter time: Duration? = nil
  ) -> Self {
    Self(V1.KeyStore.incrBy) { request in
      key.ringstoreBytes.withUnsafeBytes {
        // 0 would mean none.
        let millis = time.map { $0.wholeMillis == 0 ? -1 : $0.wholeMillis }
        V1.IncrByRequest(key: $0, delta: delta, ttlMillis: millis ?? 0).write(into: &request)
      }
    }
  }
}

extension RingstoreCommand {
  /// Appends the request message.
  package func writeRequest(database: UInt32, into buffer: inout ByteBuffer) {
    buffer.writeImmutableBuffer(request)
    rpc.keyFields?.write(database: database, into: &buffer)
  }

  /// The request's size in bytes or a little more; it limits batches.
  var sizeEstimate: Int { request.readableBytes + 11 }

  /// How long it may wait for a value.
  var wait: Duration {
    guard let field = (rpc.request as? any KeyedMessage.Type)?.waitField else { return .zero }
    return .milliseconds(request.withUnsafeReadableBytes { field.millis(in: $0) })
  }
}

extension RingstoreCondition {
  fileprivate var ofWire: (V1.SetCondition, version: UInt64) {
    switch self {
    case .always: (.always, 0)
    case .absent: (.ifAbsent, 0)
    case .present: (.ifPresent, 0)
    case .version(let version): (.ifVersion, version)
    }
  }
}
