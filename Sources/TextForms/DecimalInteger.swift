// The canonical decimal form of an Int64, to and from bytes.
//
// Canonical means: the form that `format` prints. "01", "+1", "-0", " 1" and the empty string are
// not. A store keeps those as byte strings, so that storing a number instead of its digits loses
// nothing, and commands accept none of them as a number: a number has one form. Pure functions; any
// thread.

package enum DecimalInteger {
  /// Longest canonical form: "-9223372036854775808".
  package static let digitsMax = 20

  /// The number whose canonical decimal form is exactly `text`, or nil.
  package static func parse(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard let first = text.first, text.count <= digitsMax else { return nil }
    let zero = UInt8(ascii: "0")
    let isNegative = first == UInt8(ascii: "-")
    var index = isNegative ? 1 : 0
    guard index < text.count else { return nil }
    if text[index] == zero { return text.count == 1 ? 0 : nil }
    var magnitude: UInt64 = 0
    while index < text.count {
      let digit = text[index] &- zero
      guard digit <= 9 else { return nil }
      let (product, productOverflows) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, sumOverflows) = product.addingReportingOverflow(UInt64(digit))
      if productOverflows || sumOverflows { return nil }
      magnitude = sum
      index += 1
    }
    if isNegative {
      guard magnitude <= Int64.min.magnitude else { return nil }
      return 0 &- Int64(bitPattern: magnitude)
    }
    return Int64(exactly: magnitude)
  }

  /// Writes the canonical form to `target`, which has room for `digitsMax` bytes.
  /// - Returns: the number of bytes written.
  package static func format(_ value: Int64, into target: UnsafeMutableRawPointer) -> Int {
    var magnitude = value.magnitude
    var count = value < 0 ? 2 : 1
    var rest = magnitude / 10
    while rest > 0 {
      rest /= 10
      count += 1
    }
    var index = count
    repeat {
      index -= 1
      let digit = UInt8(truncatingIfNeeded: magnitude % 10)
      target.storeBytes(of: UInt8(ascii: "0") + digit, toByteOffset: index, as: UInt8.self)
      magnitude /= 10
    } while magnitude > 0
    if value < 0 { target.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self) }
    return count
  }
}
