// The lengths of values and their contents. The length follows from the key, so that a reader of a
// value knows the expected length. Values; any thread.

import TextForms

package struct ValueSizes: Sendable, Hashable {
  package let bytesMin: Int
  package let bytesMax: Int

  /// A message of 64 MiB is the longest that is in use anywhere.
  package static let bytesLimit = 64 << 20

  package init(bytesMin: Int, bytesMax: Int) {
    self.bytesMin = bytesMin
    self.bytesMax = bytesMax
  }

  /// `64`, `16-1024`, `1KiB-64KiB`.
  package init(_ text: String) throws(LoadUsage) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    let sizes = ends.compactMap(ByteSize.parse)
    guard (1...2).contains(ends.count), sizes.count == ends.count, let first = sizes.first,
      let last = sizes.last, first <= last, last <= Self.bytesLimit
    else {
      throw LoadUsage(
        "--value-bytes is a size or MIN-MAX, as in 64 or 16-1KiB, up to 64MiB, not '\(text)'.")
    }
    bytesMin = first
    bytesMax = last
  }

  package var text: String { bytesMin == bytesMax ? "\(bytesMin)" : "\(bytesMin)-\(bytesMax)" }

  /// The length of a key's values. All lengths between the limits are equally frequent.
  package func bytes(ofKey key: Int) -> Int {
    let lengths = UInt64(bytesMax - bytesMin) + 1
    if lengths == 1 { return bytesMin }
    return bytesMin
      + Int(
        Self.mixed(UInt64(truncatingIfNeeded: key)).multipliedFullWidth(
          by: lengths
        ).high)
  }

  /// The finaliser of SplitMix64 after one step.
  private static func mixed(_ number: UInt64) -> UInt64 {
    var mixed = number &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
