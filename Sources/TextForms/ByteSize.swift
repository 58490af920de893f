// Sizes of memory as people write them: 67108864 or 64MiB. Pure functions, any thread.

package enum ByteSize {
  private static let units: [(name: String, bits: Int)] = [
    ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10),
  ]

  /// The number of bytes in a text: a whole number, alone or followed by KiB, MiB, GiB or TiB.
  ///
  /// - Returns: nil for anything else, and for more than an Int holds.
  package static func parse(_ text: String) -> Int? {
    let unit = units.first { text.hasSuffix($0.name) }
    let digits = Array(text.dropLast(unit?.name.count ?? 0).utf8)
    guard let number = digits.withUnsafeBytes(DecimalInteger.parse), number >= 0 else { return nil }
    let (bytes, overflows) = Int(number).multipliedReportingOverflow(by: 1 << (unit?.bits ?? 0))
    return overflows ? nil : bytes
  }

  /// The size in the largest unit that it is a whole number of: 65536 is 64 KiB.
  package static func text(_ bytes: Int) -> String {
    for unit in units where bytes > 0 && bytes & (1 << unit.bits - 1) == 0 {
      return "\(bytes >> unit.bits) \(unit.name)"
    }
    return "\(bytes)"
  }
}
