// The trace that a call belongs to, by W3C Trace Context (https://www.w3.org/TR/trace-context/):
//
//   traceparent = version "-" trace-id "-" parent-id "-" trace-flags
//   version     = 2HEXDIGLC    ; not ff
//   trace-id    = 32HEXDIGLC   ; not all 0
//   parent-id   = 16HEXDIGLC   ; not all 0
//   trace-flags = 2HEXDIGLC    ; bit 0: sampled, bit 1: the trace id is random
//
// On links it is sent as bytes (`trace_context`): 16 of the trace, 8 of the span, 1 of flags, most
// significant first, then `tracestate` as text. Values; any thread.

import TextForms

/// The id of a trace.
package struct TraceID: Sendable, Hashable {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Whether it is an id: 0 isn't.
  package var isValid: Bool { high | low != 0 }
}

/// A span within its trace: the parent of the spans below it.
package struct TraceContext: Sendable, Hashable {
  /// The maximum length of `tracestate`, which is what the standard requires to be passed on. A
  /// longer one is left out.
  package static let stateBytesMax = 512
  /// The flags that are passed on.
  private static let knownFlags: UInt8 = 0b11
  private static let sampledFlag: UInt8 = 0b1
  private static let textBytes = 55
  private static let encodedBytesMin = 25
  private static let hyphen = UInt8(ascii: "-")

  package let traceID: TraceID
  package let spanID: UInt64
  package let flags: UInt8
  /// `tracestate`, unchanged; empty: none.
  package let state: String

  package init(traceID: TraceID, spanID: UInt64, flags: UInt8, state: String = "") {
    self.traceID = traceID
    self.spanID = spanID
    self.flags = flags
    self.state = state
  }

  package var isSampled: Bool { flags & Self.sampledFlag != 0 }

  /// The first span of a trace.
  static func root(_ traceID: TraceID, _ spanID: UInt64) -> TraceContext {
    TraceContext(traceID: traceID, spanID: spanID, flags: sampledFlag)
  }

  /// Another span of the same trace.
  func with(spanID: UInt64) -> TraceContext {
    TraceContext(traceID: traceID, spanID: spanID, flags: flags, state: state)
  }

  // MARK: - As a header

  /// Reads `traceparent`; nil if it is malformed: then a new trace may begin. Of versions above 00,
  /// anything after the flags is ignored.
  package init?(traceparent text: UnsafeRawBufferPointer, state: String = "") {
    guard text.count >= Self.textBytes, let version = Self.hex(text, 0..<2), version != 0xff,
      text[2] == Self.hyphen, text[35] == Self.hyphen, text[52] == Self.hyphen,
      let high = Self.hex(text, 3..<19), let low = Self.hex(text, 19..<35),
      let span = Self.hex(text, 36..<52), let flags = Self.hex(text, 53..<55),
      high | low != 0, span != 0
    else { return nil }
    if text.count > Self.textBytes {
      guard version > 0, text[Self.textBytes] == Self.hyphen else { return nil }
    }
    self.init(
      traceID: TraceID(high: high, low: low), spanID: span,
      flags: UInt8(truncatingIfNeeded: flags) & Self.knownFlags, state: state)
  }

  /// As a header of version 00.
  package var traceparent: String {
    "00-" + Self.text(traceID) + "-" + Hexadecimal.text(spanID) + "-"
      + Hexadecimal.text(flags)
  }

  /// Joins the fields `tracestate` of a request; empty if they are too long, or contain bytes that
  /// a header can't.
  package static func state(_ fields: [UnsafeRawBufferPointer]) -> String {
    let joined = fields.filter { !$0.isEmpty }.joined(separator: [UInt8(ascii: ",")])
    let bytes = Array(joined)
    guard bytes.count <= stateBytesMax, isPrintable(bytes) else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func isPrintable(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x09 }
  }

  // MARK: - On links

  /// Reads the bytes that a router has sent; nil if they are malformed: then the call isn't traced.
  package init?(encoded bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.encodedBytesMin,
      bytes.count <= Self.encodedBytesMin + Self.stateBytesMax
    else { return nil }
    func word(_ place: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }
    let traceID = TraceID(high: word(0), low: word(8))
    let spanID = word(16)
    let state = bytes[Self.encodedBytesMin...]
    guard traceID.isValid, spanID != 0, Self.isPrintable(state) else { return nil }
    self.init(
      traceID: traceID, spanID: spanID, flags: bytes[24] & Self.knownFlags,
      state: String(decoding: state, as: UTF8.self))
  }

  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.encodedBytesMin + state.utf8.count)
    for word in [traceID.high, traceID.low, spanID] {
      withUnsafeBytes(of: word.bigEndian) { bytes += $0 }
    }
    bytes.append(flags)
    bytes += state.utf8
    return bytes
  }

  // MARK: - Digits

  package static func text(_ traceID: TraceID) -> String {
    Hexadecimal.text(traceID.high) + Hexadecimal.text(traceID.low)
  }

  /// Reads at most 16 digits, in lower case only, as the standard requires.
  private static func hex(_ bytes: UnsafeRawBufferPointer, _ places: Range<Int>) -> UInt64? {
    var number: UInt64 = 0
    for place in places {
      let isUpperCase = (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(bytes[place])
      guard !isUpperCase, let digit = Hexadecimal.value(of: bytes[place]) else { return nil }
      number = number << 4 | UInt64(digit)
    }
    return number
  }
}
