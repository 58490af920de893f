// gRPC's message framing: the first two bytes say how the rest is split, and the messages must be
// the same however that is; a message is never longer than its limit.

import GRPC

private let limit = 300

func test(_ input: UnsafeRawBufferPointer) {
  guard input.count > 2 else { return }
  let rest = UnsafeRawBufferPointer(rebasing: input[2...])
  let whole = messages([rest])
  var pieces: [UnsafeRawBufferPointer] = []
  var place = 0
  while place < rest.count {
    let step = max(1, Int(input[pieces.count % 2]))
    let end = min(place + step, rest.count)
    pieces.append(UnsafeRawBufferPointer(rebasing: rest[place..<end]))
    place = end
  }
  if messages(pieces) != whole { finding("splits make a difference") }
}

/// The messages of a stream that comes in these pieces, and how it ended.
private func messages(_ pieces: [UnsafeRawBufferPointer]) -> [[UInt8]] {
  var deframer = MessageDeframer(limit: limit)
  var messages: [[UInt8]] = []
  do {
    for piece in pieces {
      var piece = piece
      while !piece.isEmpty {
        guard let message = try deframer.next(&piece) else { continue }
        if message.count > limit { finding("a message of \(message.count) bytes") }
        messages.append(Array(message))
      }
      if deframer.announcedBytes > limit + 5 { finding("more is announced than may be") }
      if deframer.reservedBytes > 2 * (limit + 5) { finding("more is reserved than may be") }
    }
    try deframer.finish()
    messages.append(Array("whole".utf8))
  } catch {
    messages.append(Array("\(error)".utf8))
  }
  return messages
}
