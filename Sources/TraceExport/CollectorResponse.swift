// A collector's response, as OTLP/HTTP defines it: its status, when to come back (`Retry-After`),
// and how many spans of a batch it has rejected (`partialSuccess`). A value; any thread.

import NIOCore
import NIOHTTP1

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

struct CollectorResponse {
  /// The part of a response that is read. A collector has no reason to send more.
  static let bytesMax = 64 << 10
  /// The longest pause that a collector may request. The queue of spans fills up meanwhile, and
  /// further spans are dropped (`SpanQueue.spansMax`).
  static let pauseSecondsMax = 300
  /// The part of a collector's message that is logged.
  static let messageCharactersMax = 200

  let status: HTTPResponseStatus
  /// The requested pause in seconds. (A `Retry-After` that is a date is ignored: the clocks may
  /// differ.)
  let pauseSeconds: Int?
  private var body = ByteBuffer()

  init(_ head: HTTPResponseHead) {
    status = head.status
    pauseSeconds = head.headers.first(name: "Retry-After").flatMap { Int($0) }
      .map { min(max($0, 0), Self.pauseSecondsMax) }
  }

  /// Adds a part of the body. Returns false if it is too long; then what was added is dropped.
  mutating func append(_ bytes: ByteBuffer) -> Bool {
    guard body.readableBytes + bytes.readableBytes <= Self.bytesMax else {
      body.clear()
      return false
    }
    body.writeImmutableBuffer(bytes)
    return true
  }

  var isSuccess: Bool { (200...299).contains(status.code) }

  /// Whether the batch may be sent again: the statuses that OTLP names.
  var isTemporary: Bool { [429, 502, 503, 504].contains(status.code) }

  /// The spans that an accepting collector has rejected for good, and its message; nil: none.
  ///
  /// - Parameter count: the spans of the batch.
  func rejected(of count: Int) -> (spans: Int, message: String)? {
    // Most responses are `{}` or empty.
    guard isSuccess, body.readableBytes > 2,
      let reply = try? JSONDecoder().decode(Reply.self, from: Data(body.readableBytesView)),
      let partial = reply.partialSuccess, let spans = partial.rejectedSpans?.number, spans > 0
    else { return nil }
    let message = String((partial.errorMessage ?? "").prefix(Self.messageCharactersMax))
    return (Int(clamping: min(spans, Int64(count))), message)
  }

  private struct Reply: Decodable {
    var partialSuccess: PartialSuccess?
  }

  private struct PartialSuccess: Decodable {
    var rejectedSpans: Number?
    var errorMessage: String?
  }

  /// A 64-bit number: text in protobuf's JSON encoding, but some collectors write a number.
  private struct Number: Decodable {
    let number: Int64

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        number = Int64(text) ?? 0
      } else {
        number = try container.decode(Int64.self)
      }
    }
  }
}
