// The cases with messages in gzip. Payloads of zeros get shorter by it, so each is really sent
// compressed where that is asked for.

import GRPC
import NIOCore
import ProtobufMessages
import SwiftProtobuf

extension InteropClient {
  func clientCompressedUnary() async throws {
    if hasProbes {
      // A server that knows finds that this one isn't compressed, although it is said to be.
      try await expect(.invalidArgument) { try await compressedUnary(.identity, expected: true) }
    }
    try await compressedUnary(.gzip, expected: true)
    try await compressedUnary(.identity, expected: false)
  }

  private func compressedUnary(_ encoding: MessageEncoding, expected: Bool) async throws {
    var request = simple(request: 271_828, response: 314_159)
    request.expectCompressed = bool(expected)
    let reply: Grpc_Testing_SimpleResponse = try await unary(
      Self.service + "UnaryCall", request, encoding: encoding)
    try expect(reply.payload.body.count == 314_159, "another size")
  }

  func serverCompressedUnary() async throws {
    for isCompressed in [true, false] {
      var request = simple(request: 271_828, response: 314_159)
      request.responseCompressed = bool(isCompressed)
      let stream = open("UnaryCall")
      try await send(request, on: stream)
      stream.halfClose()
      var messages = stream.messages.makeAsyncIterator()
      let reply = try await next(&messages, as: Grpc_Testing_SimpleResponse.self)
      try expect(reply?.payload.body == payload(314_159).body, "another payload")
      try expect(
        stream.notes.compressedMessages == (isCompressed ? 1 : 0),
        "a response is to be compressed: \(isCompressed)")
      try expect(try await messages.next() == nil, "a second response")
    }
  }

  func clientCompressedStreaming() async throws {
    if hasProbes {
      try await expect(.invalidArgument) {
        let stream = open("StreamingInputCall")
        try await send(input(27_182, isCompressed: true), on: stream)
        stream.halfClose()
        for try await _ in stream.messages {}
      }
    }
    let stream = open("StreamingInputCall", encoding: .gzip)
    try await send(input(27_182, isCompressed: true), on: stream)
    try await send(input(45_904, isCompressed: false), on: stream, isPlain: true)
    stream.halfClose()
    var messages = stream.messages.makeAsyncIterator()
    let reply = try await next(&messages, as: Grpc_Testing_StreamingInputCallResponse.self)
    try expect(reply?.aggregatedPayloadSize == 73_086, "another sum")
    try expect(try await messages.next() == nil, "a second response")
  }

  private func input(
    _ size: Int, isCompressed: Bool
  ) -> Grpc_Testing_StreamingInputCallRequest {
    var request = Grpc_Testing_StreamingInputCallRequest()
    request.payload = payload(size)
    request.expectCompressed = bool(isCompressed)
    return request
  }

  func serverCompressedStreaming() async throws {
    var request = output([31_415, 92_653])
    request.responseParameters[0].compressed = bool(true)
    request.responseParameters[1].compressed = bool(false)
    let stream = open("StreamingOutputCall")
    try await send(request, on: stream)
    stream.halfClose()
    var messages = stream.messages.makeAsyncIterator()
    for size in [31_415, 92_653] {
      let reply = try await next(
        &messages, as: Grpc_Testing_StreamingOutputCallResponse.self)
      try expect(reply?.payload.body.count == size, "another size than \(size)")
    }
    try expect(try await messages.next() == nil, "one response too many")
    try expect(stream.notes.compressedMessages == 1, "the first of two is to be compressed")
  }
}
