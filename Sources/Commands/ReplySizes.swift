// How long replies are, before they are written. Pure functions.

import RingstoreAPI
import Store

enum ReplySizes {
  /// Bytes of a `Value` that was found.
  static func value(
    count: Int, version: UInt64, ttlMillis: Int64? = nil, key: UnsafeRawBufferPointer = noBytes
  ) -> Int {
    typealias Field = V1.Value.Field
    let ttl = ttlMillis.map {
      WireSize.varintField(Field.ttlMillis.number, UInt64(bitPattern: $0))
    }
    return (ttl ?? 0) + WireSize.optionalBytesField(Field.value.number, count: count)
      + WireSize.varintField(Field.found.number, 1)
      + WireSize.optionalVarintField(Field.version.number, version)
      + WireSize.optionalBytesField(Field.key.number, count: key.count)
  }

  /// A `Value` with fewer bytes than this may be written at once, with any version.
  @inline(__always)
  static func certainlySmall(_ keyspace: Keyspace, _ context: ExecutionContext) -> Int {
    min(context.bytesMin, keyspace.limits.maxMessageBytes) &- aroundValueMax
  }

  /// The most bytes of a `Value` besides the value: its tag and length, found, version, the rest of
  /// its time to live, tag and length of a key.
  private static let aroundValueMax = 11 + 2 + 11 + 11 + 11
}

extension CallError {
  /// What the store refuses, in the API's terms.
  ///
  /// - Parameter wanted: the type that the call works on, and the actual type.
  init(_ error: Store.StoreError, wanted: String, holds: String) {
    switch error {
    case .wrongType: self = .wrongType(holds: holds, wanted: wanted)
    case .notAnInteger: self = .notAnInteger
    case .integerOverflow: self = .integerOverflow
    }
  }
}
