// What stands in header fields of gRPC, as text that peers write: metadata with its Base64, the
// words of a status, timeouts. What was read is written and read again, and must be the same.

import GRPC
import TextForms

extension FuzzReader {
  package static let fields = FuzzReader(name: "fields", seeds: fieldSeeds) { input in
    guard input.count > 1 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[1...])
    try checkMetadata(rest, splitAt: Int(input[0]))
    try checkText(rest)
    try checkTimeout(rest)
    try checkBase64(rest)
  }

  /// A field's name up to a place, and its value behind it.
  private static func checkMetadata(_ bytes: UnsafeRawBufferPointer, splitAt place: Int) throws {
    let place = min(place, bytes.count)
    var received = Metadata()
    for _ in 0..<2 {
      received.addReceived(
        name: UnsafeRawBufferPointer(rebasing: bytes[..<place]),
        value: UnsafeRawBufferPointer(rebasing: bytes[place...]))
    }
    if received.entries.count > 2 * (bytes.count + 1) { throw Finding("more entries than bytes") }
    var again = Metadata()
    received.forEachWireField { again.addReceived(name: $0, value: $1) }
    // Names that are no UTF-8 have become text, and may end in -bin since.
    if again != received { throw Finding("\(received) is read again as \(again)") }
    var own = Metadata()
    for entry in received.entries where !own.addBinary(entry.name, entry.value) {
      own.add(entry.name, entry.text)
    }
    var isPrintable = true
    own.forEachWireField { _, value in
      if !value.allSatisfy({ (0x20...0x7e).contains($0) }) { isPrintable = false }
    }
    if !isPrintable { throw Finding("a field is sent that no header can carry") }
  }

  private static func checkText(_ bytes: UnsafeRawBufferPointer) throws {
    let text = PercentCoding.decode(bytes)
    let coded = PercentCoding.encode(text)
    guard coded.allSatisfy({ (0x20...0x7e).contains($0) }) else {
      throw Finding("\(text.debugDescription) is coded with bytes that no header can carry")
    }
    if PercentCoding.decode(coded) != text { throw Finding("\(text.debugDescription) changes") }
  }

  private static func checkTimeout(_ bytes: UnsafeRawBufferPointer) throws {
    guard let nanos = GRPCTimeout.parse(bytes) else { return }
    let text = GRPCTimeout.format(nanos: nanos)
    guard text.count <= 9, let again = GRPCTimeout.parse(text), again >= nanos else {
      throw Finding("a timeout of \(nanos) ns becomes \(String(decoding: text, as: UTF8.self))")
    }
  }

  private static func checkBase64(_ bytes: UnsafeRawBufferPointer) throws {
    if let decoded = Base64.decode(bytes), decoded.count > bytes.count {
      throw Finding("Base64 grows when it is decoded")
    }
    for isPadded in [false, true]
    where Base64.decode(
      Base64.encode(bytes, padded: isPadded)) != Array(bytes)
    {
      throw Finding("Base64 changes bytes")
    }
  }

  private static let fieldSeeds: [[UInt8]] = [
    (5, "a-binAAEC,/w==, ,AA"), (3, "abcplain value"), (10, "grpc-statusx"), (0, "100m"), (0, "1H"),
    (0, "99999999n"), (0, "a%20b%C3%A9%zz%"), (7, ":method-bin"), (4, "-bin"), (9, "trace-bin"),
    (13, "authorizationBearer x"),
  ].map { [UInt8($0)] + Array($1.utf8) }
}
