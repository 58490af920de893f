// grpc.testing.TestService on our server. On one event loop; a call's state is its context.

import GRPC
import NIOCore
import ProtobufMessages
import SwiftProtobuf

final class InteropService: ServerService {
  enum Method: Int, CaseIterable {
    case emptyCall = 1
    case unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall

    /// The call's name: the case's, with a large letter in front.
    var path: String {
      let name = "\(self)"
      return "/grpc.testing.TestService/" + name.prefix(1).uppercased() + name.dropFirst()
    }
  }

  private static let echoInitial = "x-grpc-test-echo-initial"
  private static let echoTrailing = "x-grpc-test-echo-trailing-bin"

  private let eventLoop: any EventLoop
  private let methods: [String: ServerMethod]

  init(eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    methods = Dictionary(
      uniqueKeysWithValues: Method.allCases.map { method in
        let isUnary = method == .emptyCall || method == .unaryCall
        return (
          method.path, ServerMethod(id: method.rawValue, kind: isUnary ? .unary : .streaming)
        )
      })
  }

  func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    methods[String(decoding: path, as: UTF8.self)]
  }

  /// Sends back the metadata that the client wants to see again.
  private func echoMetadata(_ call: ServerCall) {
    let metadata = call.metadata
    if let text = metadata.firstText(Self.echoInitial) {
      var initial = Metadata()
      initial.add(Self.echoInitial, text)
      call.setInitialMetadata(initial)
    }
    if let bytes = metadata.first(Self.echoTrailing) {
      var trailing = Metadata()
      trailing.addBinary(Self.echoTrailing, bytes)
      call.setTrailingMetadata(trailing)
    }
  }

  // MARK: - Unary calls

  func unary(_ call: ServerCall, message: UnsafeRawBufferPointer) {
    echoMetadata(call)
    guard call.methodID == Method.unaryCall.rawValue else { return call.respond { _ in } }
    guard let request = try? Grpc_Testing_SimpleRequest(serializedBytes: Array(message)) else {
      return call.fail(RPCStatus(.internal, "no SimpleRequest"))
    }
    if request.hasExpectCompressed, request.expectCompressed.value != call.wasMessageCompressed {
      return call.fail(Self.wrongCompression)
    }
    if request.responseStatus.code != 0 {
      return call.fail(Self.status(request.responseStatus))
    }
    var response = Grpc_Testing_SimpleResponse()
    response.payload = Self.payload(request.responseSize)
    guard let bytes: [UInt8] = try? response.serializedBytes() else {
      return call.fail(RPCStatus(.internal))
    }
    guard request.hasResponseCompressed else { return call.respond { $0.writeBytes(bytes) } }
    call.offerGzip()
    call.respond(compressed: request.responseCompressed.value) { $0.writeBytes(bytes) }
  }

  private static let wrongCompression = RPCStatus(
    .invalidArgument, "the message is not compressed as expected")

  private static func status(_ asked: Grpc_Testing_EchoStatus) -> RPCStatus {
    RPCStatus(StatusCode(rawValue: asked.code) ?? .unknown, asked.message)
  }

  private static func payload(_ size: Int32) -> Grpc_Testing_Payload {
    var payload = Grpc_Testing_Payload()
    payload.body = .init(repeating: 0, count: Int(max(size, 0)))
    return payload
  }

  // MARK: - Streams

  func streamOpened(_ call: ServerCall) {
    echoMetadata(call)
    let isInput = call.methodID == Method.streamingInputCall.rawValue
    call.context = isInput ? InputCall() : OutputCall()
  }

  func stream(_ call: ServerCall, received message: UnsafeRawBufferPointer) {
    if let input = call.context as? InputCall {
      receive(call, input, message)
    } else if let output = call.context as? OutputCall {
      receive(call, output, message)
    }
  }

  private func receive(_ call: ServerCall, _ input: InputCall, _ message: UnsafeRawBufferPointer) {
    guard
      let request = try? Grpc_Testing_StreamingInputCallRequest(serializedBytes: Array(message))
    else { return call.fail(RPCStatus(.internal, "no StreamingInputCallRequest")) }
    if request.hasExpectCompressed, request.expectCompressed.value != call.wasMessageCompressed {
      return call.fail(Self.wrongCompression)
    }
    input.bytes += request.payload.body.count
  }

  private func receive(
    _ call: ServerCall, _ output: OutputCall, _ message: UnsafeRawBufferPointer
  ) {
    guard
      let request = try? Grpc_Testing_StreamingOutputCallRequest(serializedBytes: Array(message))
    else { return call.fail(RPCStatus(.internal, "no StreamingOutputCallRequest")) }
    if request.responseStatus.code != 0 {
      return call.fail(Self.status(request.responseStatus))
    }
    if request.responseParameters.contains(where: \.hasCompressed) { call.offerGzip() }
    output.waiting += request.responseParameters
    advance(call, output)
  }

  func streamHalfClosed(_ call: ServerCall) {
    if let input = call.context as? InputCall {
      var response = Grpc_Testing_StreamingInputCallResponse()
      response.aggregatedPayloadSize = Int32(clamping: input.bytes)
      let bytes: [UInt8] = (try? response.serializedBytes()) ?? []
      call.send { $0.writeBytes(bytes) }
      call.finish(.ok)
    } else if let output = call.context as? OutputCall {
      output.isHalfClosed = true
      advance(call, output)
    }
  }

  func streamWritable(_ call: ServerCall) {
    if let output = call.context as? OutputCall { advance(call, output) }
  }

  func callEnded(_ call: ServerCall, _ reason: CallEnd) {
    (call.context as? OutputCall)?.isOver = true
  }

  /// Sends what is due, as far as the client takes it.
  private func advance(_ call: ServerCall, _ output: OutputCall) {
    while let next = output.waiting.first, !output.isTimerSet, call.isWritable {
      if next.intervalUs > 0, !output.hasWaited {
        output.isTimerSet = true
        let interval = TimeAmount.microseconds(Int64(next.intervalUs))
        eventLoop.assumeIsolated().scheduleTask(in: interval) {
          guard !output.isOver else { return }
          output.isTimerSet = false
          output.hasWaited = true
          self.advance(call, output)
        }
        return
      }
      output.hasWaited = false
      output.waiting.removeFirst()
      var response = Grpc_Testing_StreamingOutputCallResponse()
      response.payload = Self.payload(next.size)
      let bytes: [UInt8] = (try? response.serializedBytes()) ?? []
      call.send(compressed: next.compressed.value) { $0.writeBytes(bytes) }
    }
    if output.isHalfClosed, output.waiting.isEmpty {
      output.isOver = true
      call.finish(.ok)
    }
  }
}

/// A call that adds up what it gets.
private final class InputCall {
  var bytes = 0
}

/// A call that sends what it is asked for.
private final class OutputCall {
  var waiting: [Grpc_Testing_ResponseParameters] = []
  var isTimerSet = false
  /// The first one's interval has passed.
  var hasWaited = false
  var isHalfClosed = false
  var isOver = false
}
