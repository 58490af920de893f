// Redis's glob patterns (stringmatchlen in its util.c), byte by byte and case-sensitive:
//
//   *        any bytes, also none          [abc]   one of these
//   ?        any one byte                  [^abc]  any one but these
//   \x       x itself                      [a-z]   one of the range; its ends in either order
//
// Corners as in Redis: a class that isn't closed ends with the pattern; `[]` matches nothing and
// `[^]` any byte; inside a class `\x` is x; a range's end is taken literally, so `[a-]` is the
// range from `]` to `a`, not closed; a `\` at the very end is itself. One difference: bytes above
// 0x7f count as 128...255 in ranges, where Redis on most machines has them below zero.
//
// Owns the compiled steps and classes. A value; any thread.

struct Glob: Sendable {
  /// 0...255: this byte; then `anyByte`, `anyBytes`; from `firstClass` on: a class's number.
  private typealias Step = UInt16
  private static let anyByte: Step = 256
  private static let anyBytes: Step = 257
  private static let firstClass: Step = 258

  private var steps: [Step] = []
  private var classes: [ByteSet] = []

  /// Every sequence of bytes is a valid glob. Linear in its length.
  init(_ pattern: [UInt8]) {
    var rest = pattern[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "*"):
        if steps.last != Self.anyBytes { steps.append(Self.anyBytes) }
      case UInt8(ascii: "?"):
        steps.append(Self.anyByte)
      case UInt8(ascii: "["):
        steps.append(Self.firstClass + Step(classes.count))
        classes.append(Self.popClass(&rest))
      case UInt8(ascii: "\\"):
        steps.append(Step(rest.popFirst() ?? byte))
      default:
        steps.append(Step(byte))
      }
    }
  }

  /// True for `*`, `**` and so on.
  var matchesEverything: Bool { steps == [Self.anyBytes] }

  /// How many steps the pattern has: a factor of the worst cost of a match.
  var stepCount: Int { steps.count }

  /// Whether the whole of `key` matches; nil if the match takes more than `stepsMax` steps.
  ///
  /// When a step fails, only the last `*` is tried again, one byte longer: an earlier one could
  /// only give the later one less to choose from. Hence at most key x pattern steps, never an
  /// exponential number.
  func matches(_ key: UnsafeRawBufferPointer, stepsMax: Int) -> Bool? {
    steps.withUnsafeBufferPointer { steps in
      // A step that advances is paid for by the key's length; only going back costs more.
      var stepsLeft = stepsMax - key.count
      var position = 0
      var step = 0
      var retry: (position: Int, step: Int)?
      while position < key.count {
        if step < steps.count, steps[step] == Self.anyBytes {
          step += 1
          if step == steps.count { return true }
          retry = (position, step)
        } else if step < steps.count, accepts(steps[step], key[position]) {
          step += 1
          position += 1
        } else if let last = retry {
          stepsLeft -= position - last.position
          if stepsLeft < 0 { return nil }
          position = last.position + 1
          step = last.step
          retry = (position, step)
        } else {
          return false
        }
      }
      while step < steps.count, steps[step] == Self.anyBytes { step += 1 }
      return step == steps.count
    }
  }

  private func accepts(_ step: Step, _ byte: UInt8) -> Bool {
    if step < 256 { return step == Step(byte) }
    return step == Self.anyByte || classes[Int(step - Self.firstClass)].contains(byte)
  }

  /// Reads a class whose `[` has been taken, up to and with its `]`.
  private static func popClass(_ rest: inout ArraySlice<UInt8>) -> ByteSet {
    var set = ByteSet()
    let isNegated = rest.first == UInt8(ascii: "^")
    if isNegated { rest.removeFirst() }
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        set.insert(escaped...escaped)
      } else if byte == UInt8(ascii: "]") {
        break
      } else if rest.count >= 2, rest.first == UInt8(ascii: "-") {
        rest.removeFirst()
        let end = rest.removeFirst()
        set.insert(min(byte, end)...max(byte, end))
      } else {
        set.insert(byte...byte)
      }
    }
    return isNegated ? set.inverted : set
  }
}

/// A set of byte values: 256 bits.
private struct ByteSet: Sendable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  mutating func insert(_ range: ClosedRange<UInt8>) {
    for byte in range {
      let bit: UInt64 = 1 << UInt64(byte & 63)
      switch byte >> 6 {
      case 0: words.0 |= bit
      case 1: words.1 |= bit
      case 2: words.2 |= bit
      default: words.3 |= bit
      }
    }
  }

  func contains(_ byte: UInt8) -> Bool {
    let word =
      switch byte >> 6 {
      case 0: words.0
      case 1: words.1
      case 2: words.2
      default: words.3
      }
    return (word >> UInt64(byte & 63)) & 1 != 0
  }

  var inverted: ByteSet {
    var result = self
    result.words = (~words.0, ~words.1, ~words.2, ~words.3)
    return result
  }
}
