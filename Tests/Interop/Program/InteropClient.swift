// The client's side of gRPC's interop tests, one function for each case. What doesn't hold is
// thrown as a sentence.

import GRPC
import NIOCore
import ProtobufMessages
import SwiftProtobuf

struct Violation: Error, CustomStringConvertible {
  let description: String
}

struct InteropClient {
  static let service = "/grpc.testing.TestService/"

  let channel: ClientChannel
  /// Whether the server can tell a compressed message from another, and is probed for it.
  let hasProbes: Bool

  func run(_ name: String) async throws {
    switch name {
    case "empty_unary": try await emptyUnary()
    case "large_unary": try await largeUnary()
    case "client_streaming": try await clientStreaming()
    case "server_streaming": try await serverStreaming()
    case "ping_pong": try await pingPong()
    case "empty_stream": try await emptyStream()
    case "cancel_after_begin": try await cancelAfterBegin()
    case "cancel_after_first_response": try await cancelAfterFirstResponse()
    case "custom_metadata": try await customMetadata()
    case "status_code_and_message": try await statusCode(2, "test status message")
    case "special_status_message":
      try await statusCode(
        2, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")
    case "unimplemented_method": try await unimplemented(Self.service + "UnimplementedCall")
    case "unimplemented_service":
      try await unimplemented("/grpc.testing.UnimplementedService/UnimplementedCall")
    case "timeout_on_sleeping_server": try await timeoutOnSleepingServer()
    case "client_compressed_unary": try await clientCompressedUnary()
    case "server_compressed_unary": try await serverCompressedUnary()
    case "client_compressed_streaming": try await clientCompressedStreaming()
    case "server_compressed_streaming": try await serverCompressedStreaming()
    default: throw Violation(description: "there is no such case")
    }
  }

  // MARK: - What the cases are made of

  func expect(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    if !holds { throw Violation(description: what()) }
  }

  /// One request, one response.
  func unary<Response: Message>(
    _ path: String, _ request: some Message, encoding: MessageEncoding = .identity
  ) async throws -> Response {
    let bytes: [UInt8] = try request.serializedBytes()
    let reply = try await channel.unary(path: path, timeout: .seconds(30), encoding: encoding) {
      $0.writeBytes(bytes)
    }
    return try Response(serializedBytes: Array(reply.readableBytesView))
  }

  func open(
    _ name: String, metadata: Metadata = Metadata(), timeout: TimeAmount = .seconds(30),
    encoding: MessageEncoding = .identity
  ) -> ClientStream {
    channel.stream(
      path: Self.service + name, metadata: metadata, timeout: timeout, encoding: encoding,
      keepsNotes: true)
  }

  func send(
    _ request: some Message, on stream: ClientStream, isPlain: Bool = false
  ) async throws {
    let bytes: [UInt8] = try request.serializedBytes()
    try await stream.send(isPlain: isPlain) { $0.writeBytes(bytes) }
  }

  /// The next response; nil at the end.
  func next<Response: Message>(
    _ messages: inout ClientStream.Messages.Iterator, as: Response.Type
  ) async throws -> Response? {
    guard let reply = try await messages.next() else { return nil }
    return try Response(serializedBytes: Array(reply.readableBytesView))
  }

  func output(_ sizes: [Int], payload: Int? = nil) -> Grpc_Testing_StreamingOutputCallRequest {
    var request = Grpc_Testing_StreamingOutputCallRequest()
    request.responseParameters = sizes.map { size in
      var parameters = Grpc_Testing_ResponseParameters()
      parameters.size = Int32(size)
      return parameters
    }
    if let payload { request.payload = self.payload(payload) }
    return request
  }

  func payload(_ size: Int) -> Grpc_Testing_Payload {
    var payload = Grpc_Testing_Payload()
    payload.body = .init(repeating: 0, count: size)
    return payload
  }

  func simple(request: Int, response: Int) -> Grpc_Testing_SimpleRequest {
    var message = Grpc_Testing_SimpleRequest()
    message.payload = payload(request)
    message.responseSize = Int32(response)
    return message
  }

  func bool(_ value: Bool) -> Grpc_Testing_BoolValue {
    var wrapped = Grpc_Testing_BoolValue()
    wrapped.value = value
    return wrapped
  }

  /// Has `body` fail with this status.
  func expect(
    _ code: StatusCode, _ message: String? = nil, _ body: () async throws -> Void
  ) async throws {
    do {
      try await body()
    } catch let status as RPCStatus {
      try expect(status.code == code, "\(code.name) was expected, not \(status)")
      if let message { try expect(status.message == message, "another message: \(status)") }
      return
    }
    throw Violation(description: "\(code.name) was expected, not OK")
  }
}
