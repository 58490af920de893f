// gRPC's message framing: the first three bytes say how the rest is split and read. The messages
// must be those of a reader that has it all at once and takes its time, however the bytes come; a
// message is never longer than the limit, and what is written is read again.

import GRPC
import NIOCore

extension FuzzReader {
  package static let frames = FuzzReader(name: "frames", seeds: frameSeeds) { input in
    guard input.count > 3 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    let acceptsCompressed = input[2] & 4 == 4
    let expected = FrameOutcome.simply(rest, acceptsCompressed: acceptsCompressed)
    let gathersAll = input[2] & 1 == 1
    let reserves = input[2] & 2 == 2
    for pieces in [[rest]] + Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      let outcome = try FrameOutcome.of(
        pieces, gathersAll: gathersAll, reserves: reserves, acceptsCompressed: acceptsCompressed)
      if outcome != expected {
        throw Finding("in \(pieces.count) pieces \(outcome), and simply read \(expected)")
      }
    }
    try FrameOutcome.checkWriting(expected.messages, inPlace: gathersAll)
  }

  private static let frameSeeds: [[UInt8]] = [
    [1, 2, 0, 0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0],
    [2, 7, 1, 0, 0, 0, 0, 1, 9, 0, 0, 0, 1, 0x2c] + Array(repeating: 8, count: 300),
    [1, 2, 4, 1, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
    [3, 4, 3, 0, 0, 0, 1, 0x2d, 1], [0, 0, 2, 1, 0, 0, 0, 1, 7], [5, 3, 0, 2, 0, 0, 0, 0],
    [6, 1, 2, 0, 0, 0, 0, 9, 1, 2, 3], [1, 1, 1, 0, 0, 0], [9, 9, 0, 0, 0xff, 0xff, 0xff, 0xff],
  ]
}

/// The messages of a stream and how it ended.
private struct FrameOutcome: Equatable {
  var messages: [[UInt8]] = []
  var error: MessageFramingError?

  private static let limit = 300

  static func of(
    _ pieces: [UnsafeRawBufferPointer], gathersAll: Bool, reserves: Bool, acceptsCompressed: Bool
  ) throws -> FrameOutcome {
    var deframer = MessageDeframer(limit: limit)
    deframer.acceptsCompressed = acceptsCompressed
    var outcome = FrameOutcome()
    do {
      for piece in pieces {
        // A copy of its own for each: a message that lies across two must not be read in place.
        try Array(piece).withUnsafeBytes { bytes in
          var rest = bytes
          while !rest.isEmpty {
            let before = rest.count
            if let message = try deframer.next(&rest, gathersAll: gathersAll) {
              outcome.messages.append(Array(message))
            } else if !rest.isEmpty, rest.count == before {
              throw Finding("nothing is taken")
            }
            if reserves { deframer.reserveAnnounced() }
          }
        }
        try check(deframer)
      }
      try deframer.finish()
    } catch let error as MessageFramingError {
      outcome.error = error
    }
    if outcome.messages.contains(where: { $0.count > limit }) {
      throw Finding("a message is longer than the limit")
    }
    return outcome
  }

  private static func check(_ deframer: borrowing MessageDeframer) throws {
    // Twice, since room is doubled; never what a prefix over the limit announces.
    let most = limit + MessageFrame.prefixBytes
    if deframer.announcedBytes > most || deframer.reservedBytes > 2 * most
      || deframer.bufferedBytes > most
    {
      throw Finding("more is held than may be")
    }
  }

  /// The same by the grammar alone.
  static func simply(
    _ bytes: UnsafeRawBufferPointer, acceptsCompressed: Bool = false
  ) -> FrameOutcome {
    var outcome = FrameOutcome()
    var rest = Array(bytes)[...]
    while rest.count >= 5 {
      let header = Array(rest.prefix(5))
      guard header[0] == 0 || header[0] == 1 && acceptsCompressed else {
        outcome.error = header[0] == 1 ? .compressedWithoutEncoding : .badFlag(header[0])
        return outcome
      }
      let length = header[1...].reduce(0) { $0 * 256 + Int($1) }
      guard length <= limit else {
        outcome.error = .tooLarge(length: length)
        return outcome
      }
      guard rest.count >= 5 + length else { break }
      outcome.messages.append(Array(rest.dropFirst(5).prefix(length)))
      rest = rest.dropFirst(5 + length)
    }
    if !rest.isEmpty { outcome.error = .truncatedAtEnd }
    return outcome
  }

  /// What our framing writes is read as what was written.
  static func checkWriting(_ messages: [[UInt8]], inPlace: Bool) throws {
    var buffer = ByteBuffer()
    for message in messages {
      if inPlace {
        let mark = MessageFrame.begin(&buffer)
        buffer.writeBytes(message)
        MessageFrame.end(mark, &buffer)
      } else {
        message.withUnsafeBytes { MessageFrame.write($0, to: &buffer) }
      }
    }
    let read = buffer.withUnsafeReadableBytes { simply($0) }
    if read != FrameOutcome(messages: messages) {
      throw Finding("\(messages) is written as \(read)")
    }
  }
}
