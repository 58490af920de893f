// The line protocol's parser and its commands. The first two bytes say where the rest is split; the
// parser must see the same requests however that is, keep within its bounds, and what the commands
// answer must be lines and what they ask for must be messages.

import LineProtocol
import NIOCore
import RingstoreAPI

private let limits: LineLimits = {
  // Small, so that they are reached.
  var limits = LineLimits(Limits())
  limits.maxLines = 20
  limits.maxLineBytes = 200
  limits.maxRequestBytes = 600
  limits.maxInlineBytes = 300
  return limits
}()

func test(_ input: UnsafeRawBufferPointer) {
  guard input.count > 2 else { return }
  let rest = Array(input[2...])
  let whole = events([rest])
  let first = min(Int(input[0]), rest.count)
  let second = min(first + Int(input[1]), rest.count)
  let pieces = [Array(rest[..<first]), Array(rest[first..<second]), Array(rest[second...])]
  if events(pieces) != whole { finding("splits make a difference") }
}

/// What the parser makes of input that comes in these pieces, as text.
private func events(_ pieces: [[UInt8]]) -> [String] {
  var parser = LineParser(limits)
  var events: [String] = []
  for piece in pieces {
    parser.append(ByteBuffer(bytes: piece))
    while let event = parser.next() {
      switch event {
      case .request(let request):
        events.append("\(request.copies)")
        check(request)
      case .failure(let failure):
        events.append(failure.text ?? "")
        if failure.endsConnection, parser.next() != nil { finding("it goes on after its end") }
      }
    }
    if parser.heldBytes > limits.maxRequestBytes + 2 { finding("held \(parser.heldBytes) bytes") }
  }
  if let failure = parser.finish() { events.append(failure.text ?? "") }
  return events
}

private func check(_ request: LineRequest) {
  let context = LineContext(database: 3, limits: Limits())
  switch request.withWords({ LineCommands.action($0, context) }) {
  case .answer(let reply): checkLines(reply)
  case .refuse(let error):
    if error.text.contains(where: { $0 == 10 || $0 == 13 }) { finding("an error of two lines") }
  case .select(let database): if database >= 16 { finding("there is no such database") }
  case .quit: break
  case .call(let call), .scan(let call, _): checkCall(call)
  }
}

/// A reply is one line, or `*N` and N.
private func checkLines(_ reply: ByteBuffer) {
  let lines = reply.readableBytesView.split(separator: 10, omittingEmptySubsequences: false)
  guard let first = lines.first, lines.last?.isEmpty == true,
    lines.dropLast().allSatisfy({ $0.last == 13 && !$0.dropLast().contains(13) })
  else { finding("a reply that is no lines") }
  let count =
    first.first == UInt8(ascii: "*")
    ? Int(String(decoding: first.dropFirst().dropLast(), as: UTF8.self)) : 0
  if count.map({ $0 + 2 }) != lines.count { finding("a reply of other than its lines") }
}

/// What a command asks for can be read by the node, and its reply can be told, whatever it is.
private func checkCall(_ call: LineCall) {
  call.request.withUnsafeReadableBytes { message in
    do {
      switch call.command {
      case .mGet: _ = try MGetView(message)
      case .mSet: _ = try MSetView(message)
      case .keys: _ = try KeysView(message)
      case .dbSize: _ = try DbSizeView(message)
      case .reset: _ = try ResetView(message)
      case .shutdown: _ = try ShutdownView(message)
      default:
        let shape = CommandTable.shape(ofMethod: UInt32(call.command.rawValue))
        if shape == .other { finding("\(call.command) is no call on one key") }
        if try KeyPeek.peek(message, shape: shape).database != 3 { finding("another database") }
      }
    } catch {
      finding("\(call.command) asks with what is no message")
    }
    // Any bytes in the reply's place: here the request's own.
    var out = ByteBuffer()
    call.form.write(call.request, of: call.request, into: &out)
    checkReply(out)
  }
}

/// Like `checkLines`, for replies whose lines may be values: only the framing is looked at.
private func checkReply(_ reply: ByteBuffer) {
  guard let first = reply.readableBytesView.first, "+-*".utf8.contains(first),
    reply.readableBytesView.suffix(2).elementsEqual([13, 10])
  else { finding("a reply that is no line") }
  checkLines(reply)
}
