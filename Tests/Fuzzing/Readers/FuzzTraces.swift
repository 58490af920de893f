// Trace contexts of callers: the first byte says whether the rest is a `traceparent`, the bytes
// that a router has sent over a link, or fields `tracestate` (divided by zeros). What is read of a
// `traceparent` is what its grammar says; written in either form it is read again as the same, and
// what is passed on is what a header can carry.

import TextForms
import Tracing

extension FuzzReader {
  package static let traces = FuzzReader(name: "traces", seeds: TraceSeeds.all) { input in
    guard let first = input.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[1...])
    switch first % 3 {
    case 0: try checkTraceparent(rest)
    case 1: try checkEncoded(rest)
    default: try checkState(rest)
    }
  }

  private static func checkTraceparent(_ text: UnsafeRawBufferPointer) throws {
    let read = TraceContext(traceparent: text)
    let expected = ExpectedTrace(traceparent: Array(text))
    guard read.map(ExpectedTrace.init) == expected else {
      throw Finding(
        "\(String(decoding: text, as: UTF8.self)) is read as \(String(describing: read))")
    }
    if let read { try checkWritten(read) }
  }

  private static func checkEncoded(_ bytes: UnsafeRawBufferPointer) throws {
    guard let read = TraceContext(encoded: bytes) else { return }
    guard read.traceID.isValid, read.spanID != 0, isCarried(read.state) else {
      throw Finding("\(read) is no trace context")
    }
    // Bits of the flags that aren't known are not passed on.
    var same = Array(bytes)
    same[24] &= 3
    if read.encoded != same { throw Finding("\(read) is encoded differently") }
    try checkWritten(read)
  }

  private static func checkWritten(_ context: TraceContext) throws {
    let header = Array(context.traceparent.utf8)
    let again = header.withUnsafeBytes { TraceContext(traceparent: $0, state: context.state) }
    let decoded = context.encoded.withUnsafeBytes { TraceContext(encoded: $0) }
    guard again == context, decoded == context else {
      throw Finding("\(context) is read again as \(again as Any) and \(decoded as Any)")
    }
  }

  private static func checkState(_ bytes: UnsafeRawBufferPointer) throws {
    let fields = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
      UnsafeRawBufferPointer(rebasing: $0)
    }
    let state = TraceContext.state(fields)
    guard state.utf8.count <= TraceContext.stateBytesMax, isCarried(state) else {
      throw Finding("\(state.debugDescription) is passed on")
    }
    let whole = Array(fields.filter { !$0.isEmpty }.joined(separator: [0x2c]))
    guard state.isEmpty || Array(state.utf8) == whole else {
      throw Finding("\(state.debugDescription) is not what was received")
    }
  }

  private static func isCarried(_ state: String) -> Bool {
    state.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 9 }
  }
}

/// By the grammar alone, on text.
private struct ExpectedTrace: Equatable {
  private let ids: [Substring]
  private let isSampled: Bool

  init(_ read: TraceContext) {
    ids = [TraceContext.text(read.traceID)[...], Hexadecimal.text(read.spanID)[...]]
    isSampled = read.isSampled
  }

  init?(traceparent bytes: [UInt8]) {
    guard bytes.prefix(55).allSatisfy({ $0 < 0x80 }) else { return nil }
    let text = String(decoding: bytes.prefix(55), as: UTF8.self)
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    let digits = Set("0123456789abcdef")
    guard parts.map(\.count) == [2, 32, 16, 2],
      parts.allSatisfy({ $0.allSatisfy(digits.contains) }),
      parts[0] != "ff", parts[1].contains(where: { $0 != "0" }),
      parts[2].contains(where: { $0 != "0" }),
      bytes.count == 55 || parts[0] != "00" && bytes[55] == UInt8(ascii: "-")
    else { return nil }
    ids = [parts[1], parts[2]]
    isSampled = (UInt8(parts[3], radix: 16) ?? 0) & 1 == 1
  }
}

private enum TraceSeeds {
  private static let trace = "0af7651916cd43dd8448eb211c80319c"
  private static let span = "b7ad6b7169203331"
  private static let headers = [
    "00-\(trace)-\(span)-01", "00-\(trace)-\(span)-00", "00-\(trace)-\(span)-ff",
    "01-\(trace)-\(span)-03-more", "cc-\(trace)-\(span)-01-", "ff-\(trace)-\(span)-01",
    "00-\(trace)-\(span)-01-more", "00-\(trace.uppercased())-\(span)-01",
    "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
    "00-\(trace)-\(span)-0", "00_\(trace)_\(span)_01", "01-\(trace)-\(span)-0g", "",
  ]
  private static let states = [
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1\0b=2\0\0c=3", "\0\0", "a=\u{1}", "a=\u{e4}",
    String(repeating: "a", count: 512), String(repeating: "a", count: 511) + "\0b", "\ta= b ",
  ]

  static let all: [[UInt8]] =
    headers.map { [0] + Array($0.utf8) } + encoded.map { [1] + $0 }
    + states.map { [2] + Array($0.utf8) }

  private static let encoded: [[UInt8]] = {
    let context = TraceContext(
      traceID: TraceID(high: 1, low: 2), spanID: 3, flags: 1, state: "vendor=1,other=2")
    let plain = TraceContext(traceID: TraceID(high: 0, low: 1 << 63), spanID: .max, flags: 0)
    let zeros = [UInt8](repeating: 0, count: 25)
    return [
      context.encoded, plain.encoded, zeros, Array(plain.encoded.dropLast()),
      plain.encoded + [0xff], plain.encoded + [UInt8](repeating: 0x61, count: 513),
    ]
  }()
}
