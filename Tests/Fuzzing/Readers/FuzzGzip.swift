// Messages in gzip: the first two bytes are the limit, the third says whether the rest is such a
// message or is to become one. Whatever comes, no more than the limit comes out of it, and a message
// that is one comes out the same each time, up to a limit of its own length and not below.

import GRPC
import NIOCore

extension FuzzReader {
  package static let gzip = FuzzReader(name: "gzip", seeds: gzipSeeds) { input in
    guard input.count > 3 else { return }
    let limit = Int(input[0]) << 8 | Int(input[1])
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    let codec = GzipCodec()
    guard input[2] & 1 == 1 else { return try check(rest, limit: limit, codec) }
    var packed = ByteBuffer()
    guard codec.deflate(rest, into: &packed) else {
      if packed.readableBytes > 0 { throw Finding("something is left of what was given up") }
      return
    }
    if packed.readableBytes >= rest.count { throw Finding("what was packed is not shorter") }
    let again = try packed.withUnsafeReadableBytes { try codec.inflate($0, limit: rest.count) }
    if Array(again.readableBytesView) != Array(rest) { throw Finding("gzip changes bytes") }
  }

  private static func check(
    _ bytes: UnsafeRawBufferPointer, limit: Int, _ codec: GzipCodec
  ) throws {
    let first = outcome(bytes, limit, codec)
    if outcome(bytes, limit, codec) != first { throw Finding("the second time it is another") }
    guard case .success(let message) = first else { return }
    if message.count > limit { throw Finding("more comes out than may") }
    guard outcome(bytes, message.count, codec) == first else {
      throw Finding("a limit of its length is too little")
    }
    if !message.isEmpty,
      outcome(bytes, message.count - 1, codec) != .failure(.tooLargeInflated)
    {
      throw Finding("a limit below its length is enough")
    }
  }

  private static func outcome(
    _ bytes: UnsafeRawBufferPointer, _ limit: Int, _ codec: GzipCodec
  ) -> Result<[UInt8], MessageFramingError> {
    do throws(MessageFramingError) {
      let message = try codec.inflate(bytes, limit: limit)
      // Room is doubled, and never more than a step above what came out.
      return .success(Array(message.readableBytesView))
    } catch {
      return .failure(error)
    }
  }

  private static let gzipSeeds: [[UInt8]] = {
    let text = Array("the same words, the same words, the same words".utf8)
    let zeros = [UInt8](repeating: 0, count: 20_000)
    // Twenty thousand zeros in some forty bytes, and those packed once more.
    let bomb = HTTP2Seeds.gzip(zeros)
    var damaged = HTTP2Seeds.gzip(text)
    damaged[damaged.count - 5] ^= 1
    return [
      [1, 0, 0] + HTTP2Seeds.gzip(text), [0, 10, 0] + HTTP2Seeds.gzip(text),
      [0xff, 0xff, 0] + bomb, [0, 100, 0] + bomb, [0xff, 0xff, 0] + bomb + bomb,
      [0xff, 0xff, 0] + damaged, [0, 0, 1] + text, [0, 0, 1] + Array(zeros.prefix(600)),
      [0, 0, 0, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], [0xff, 0, 0, 0x1f, 0x8b, 8, 0x1e, 0, 0],
    ]
  }()
}
