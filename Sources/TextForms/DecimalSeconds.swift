// Seconds with decimals as text: "2", "0.5", ".25". Pure function; any thread.

package enum DecimalSeconds {
  /// Digits on either side of the point.
  private static let digitsMax = 12

  /// The milliseconds, rounded up so that no time becomes none; nil for anything but digits with
  /// one point at most.
  package static func millis(_ text: UnsafeRawBufferPointer) -> UInt64? {
    let parts = text.split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.contains(where: { !$0.isEmpty }) else { return nil }
    var numbers: [UInt64] = []
    for part in parts {
      let digits = UnsafeRawBufferPointer(rebasing: part)
      guard let number = digits.isEmpty ? 0 : DecimalDigits.parse(digits, digitsMax: digitsMax)
      else { return nil }
      numbers.append(number)
    }
    guard parts.count == 2 else { return numbers[0] * 1_000 }
    var unit: UInt64 = 1
    for _ in 0..<parts[1].count { unit *= 10 }
    return numbers[0] * 1_000 + (numbers[1] * 1_000 + unit - 1) / unit
  }
}
