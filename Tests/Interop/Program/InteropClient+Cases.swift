// The cases without compression.

import GRPC
import NIOCore
import ProtobufMessages
import SwiftProtobuf

extension InteropClient {
  private typealias OutputResponse = Grpc_Testing_StreamingOutputCallResponse

  func emptyUnary() async throws {
    let reply: Grpc_Testing_Empty = try await unary(
      Self.service + "EmptyCall", Grpc_Testing_Empty())
    try expect(reply == Grpc_Testing_Empty(), "the response isn't empty")
  }

  func largeUnary() async throws {
    let reply: Grpc_Testing_SimpleResponse = try await unary(
      Self.service + "UnaryCall", simple(request: 271_828, response: 314_159))
    try expect(reply.payload.body == payload(314_159).body, "another payload")
  }

  func clientStreaming() async throws {
    let stream = open("StreamingInputCall")
    for size in [27_182, 8, 1_828, 45_904] {
      var request = Grpc_Testing_StreamingInputCallRequest()
      request.payload = payload(size)
      try await send(request, on: stream)
    }
    stream.halfClose()
    var messages = stream.messages.makeAsyncIterator()
    let reply = try await next(&messages, as: Grpc_Testing_StreamingInputCallResponse.self)
    try expect(reply?.aggregatedPayloadSize == 74_922, "another sum")
    try expect(try await messages.next() == nil, "a second response")
  }

  func serverStreaming() async throws {
    let sizes = [31_415, 9, 2_653, 58_979]
    let stream = open("StreamingOutputCall")
    try await send(output(sizes), on: stream)
    stream.halfClose()
    var messages = stream.messages.makeAsyncIterator()
    for size in sizes {
      let reply = try await next(&messages, as: OutputResponse.self)
      try expect(reply?.payload.body.count == size, "another size than \(size)")
    }
    try expect(try await messages.next() == nil, "one response too many")
  }

  func pingPong() async throws {
    let stream = open("FullDuplexCall")
    var messages = stream.messages.makeAsyncIterator()
    for (response, request) in [(31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)] {
      try await send(output([response], payload: request), on: stream)
      let reply = try await next(&messages, as: OutputResponse.self)
      try expect(reply?.payload.body.count == response, "another size than \(response)")
    }
    stream.halfClose()
    try expect(try await messages.next() == nil, "one response too many")
  }

  func emptyStream() async throws {
    let stream = open("FullDuplexCall")
    stream.halfClose()
    var messages = stream.messages.makeAsyncIterator()
    try expect(try await messages.next() == nil, "a response without a request")
  }

  func cancelAfterBegin() async throws {
    let stream = open("StreamingInputCall")
    stream.cancel()
    try await expect(.cancelled) {
      var messages = stream.messages.makeAsyncIterator()
      _ = try await messages.next()
    }
  }

  func cancelAfterFirstResponse() async throws {
    let stream = open("FullDuplexCall")
    var messages = stream.messages.makeAsyncIterator()
    try await send(output([31_415], payload: 27_182), on: stream)
    let reply = try await next(&messages, as: OutputResponse.self)
    try expect(reply?.payload.body.count == 31_415, "another size")
    stream.cancel()
    do {
      while try await messages.next() != nil {}
      throw Violation(description: "CANCELLED was expected, not OK")
    } catch let status as RPCStatus {
      try expect(status.code == .cancelled, "CANCELLED was expected, not \(status)")
    }
  }

  func customMetadata() async throws {
    var metadata = Metadata()
    metadata.add("x-grpc-test-echo-initial", "test_initial_metadata_value")
    metadata.addBinary("x-grpc-test-echo-trailing-bin", [0xAB, 0xAB, 0xAB])
    for isUnary in [true, false] {
      let stream = open(isUnary ? "UnaryCall" : "FullDuplexCall", metadata: metadata)
      if isUnary {
        try await send(simple(request: 271_828, response: 314_159), on: stream)
      } else {
        try await send(output([314_159], payload: 271_828), on: stream)
      }
      stream.halfClose()
      for try await _ in stream.messages {}
      let notes = stream.notes
      try expect(
        notes.initialMetadata.firstText("x-grpc-test-echo-initial")
          == "test_initial_metadata_value", "the initial metadata: \(notes.initialMetadata)")
      try expect(
        notes.trailingMetadata.first("x-grpc-test-echo-trailing-bin") == [0xAB, 0xAB, 0xAB],
        "the trailing metadata: \(notes.trailingMetadata)")
    }
  }

  func statusCode(_ code: Int32, _ message: String) async throws {
    var status = Grpc_Testing_EchoStatus()
    status.code = code
    status.message = message
    var simple = Grpc_Testing_SimpleRequest()
    simple.responseStatus = status
    var output = Grpc_Testing_StreamingOutputCallRequest()
    output.responseStatus = status
    let wanted = StatusCode(rawValue: code) ?? .unknown
    try await expect(wanted, message) {
      let _: Grpc_Testing_SimpleResponse = try await unary(Self.service + "UnaryCall", simple)
    }
    try await expect(wanted, message) {
      let stream = open("FullDuplexCall")
      try await send(output, on: stream)
      stream.halfClose()
      for try await _ in stream.messages {}
    }
  }

  func unimplemented(_ path: String) async throws {
    try await expect(.unimplemented) {
      let _: Grpc_Testing_Empty = try await unary(path, Grpc_Testing_Empty())
    }
  }

  func timeoutOnSleepingServer() async throws {
    try await expect(.deadlineExceeded) {
      let stream = open("FullDuplexCall", timeout: .milliseconds(1))
      do {
        try await send(output([], payload: 27_182), on: stream)
      } catch let status as RPCStatus {
        // The deadline may pass before there is anything to send on.
        guard status.code == .deadlineExceeded else { throw status }
      }
      for try await _ in stream.messages {}
    }
  }
}
