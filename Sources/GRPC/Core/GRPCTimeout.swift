// The `grpc-timeout` field: at most eight digits and one unit of H M S m u n (PROTOCOL-HTTP2).
// Pure functions, any thread.

import TextForms

/// Reads and writes `grpc-timeout` values. All durations are nanoseconds.
package enum GRPCTimeout {
  /// Parses a field value. Durations past UInt64 saturate. Returns nil if it is malformed.
  package static func parse(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
    guard let unit = bytes.last, let nanos = nanosPerUnit(unit) else { return nil }
    let digits = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 1)])
    guard let count = DecimalDigits.parse(digits, digitsMax: 8) else { return nil }
    let (product, overflow) = count.multipliedReportingOverflow(by: nanos)
    return overflow ? .max : product
  }

  /// Parses a field value; see the pointer version.
  package static func parse(_ bytes: [UInt8]) -> UInt64? {
    bytes.withUnsafeBytes { parse($0) }
  }

  /// The field value for a duration: the finest unit that fits eight digits, rounded up, so that a
  /// short deadline never becomes zero. Zero itself becomes "1n".
  package static func format(nanos: UInt64) -> [UInt8] {
    let wanted = max(nanos, 1)
    for unit in units {
      let (quotient, remainder) = wanted.quotientAndRemainder(dividingBy: unit.nanos)
      let count = remainder == 0 ? quotient : quotient + 1
      if count <= 99_999_999 { return Array("\(count)".utf8) + [unit.letter] }
    }
    return Array("99999999H".utf8)
  }

  private static let units: [(letter: UInt8, nanos: UInt64)] = [
    (UInt8(ascii: "n"), 1),
    (UInt8(ascii: "u"), 1_000),
    (UInt8(ascii: "m"), 1_000_000),
    (UInt8(ascii: "S"), 1_000_000_000),
    (UInt8(ascii: "M"), 60_000_000_000),
    (UInt8(ascii: "H"), 3_600_000_000_000),
  ]

  private static func nanosPerUnit(_ letter: UInt8) -> UInt64? {
    switch letter {
    case UInt8(ascii: "n"): 1
    case UInt8(ascii: "u"): 1_000
    case UInt8(ascii: "m"): 1_000_000
    case UInt8(ascii: "S"): 1_000_000_000
    case UInt8(ascii: "M"): 60_000_000_000
    case UInt8(ascii: "H"): 3_600_000_000_000
    default: nil
    }
  }
}
