// What the tests of this room share: events of the parser as text.

import LineProtocol
import NIOCore
import RingstoreAPI

/// Small bounds, so that tests reach them: 9 lines, 24 bytes a line, 64 a request, 40 inline.
let smallLimits: LineLimits = {
  var limits = LineLimits(Limits())
  limits.maxLines = 9
  limits.maxLineBytes = 24
  limits.maxRequestBytes = 64
  limits.maxInlineBytes = 40
  return limits
}()

/// What a parser makes of input that comes in these pieces, each event as a line of text: words
/// joined by `|`, failures as `-text` (`!text` where the connection ends).
func parse(_ pieces: [[UInt8]], _ limits: LineLimits = smallLimits) -> [String] {
  var parser = LineParser(limits)
  var events: [String] = []
  func collect() {
    while let event = parser.next() { events.append(described(event)) }
  }
  for piece in pieces {
    parser.append(ByteBuffer(bytes: piece))
    collect()
  }
  if let failure = parser.finish() { events.append(described(.failure(failure))) }
  return events
}

func parse(_ text: String, _ limits: LineLimits = smallLimits) -> [String] {
  parse([Array(text.utf8)], limits)
}

private func described(_ event: LineParser.Event) -> String {
  switch event {
  case .request(let request):
    request.copies.map { String(decoding: $0, as: Unicode.ASCII.self) }.joined(separator: "|")
  case .failure(let failure):
    (failure.endsConnection ? "!" : "-") + (failure.text ?? "")
  }
}

func text(_ buffer: ByteBuffer) -> String {
  String(decoding: buffer.readableBytesView, as: UTF8.self)
}
