// One request to the collector, on a connection of its own: sends it when the connection is made,
// and reports the response.
//
// Event loop of the exporter.

import GRPC
import NIOCore
import NIOHTTP1
import Tracing

final class ExportExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  enum Outcome {
    case responded(CollectorResponse)
    /// - Parameter reason: one of a few words, by which log lines are limited.
    case failed(reason: String, detail: String)
  }

  private let endpoint: TraceEndpoint
  private let body: ByteBuffer
  private let headers: TraceHeaders
  private let version: String
  private var completion: ((ExportExchange, Outcome) -> Void)?
  private var context: ChannelHandlerContext?
  private var response: CollectorResponse?

  /// - Parameter completion: called once, unless the exchange is dropped.
  init(
    _ endpoint: TraceEndpoint, _ body: ByteBuffer, _ headers: TraceHeaders, version: String,
    completion: @escaping (ExportExchange, Outcome) -> Void
  ) {
    self.endpoint = endpoint
    self.body = body
    self.headers = headers
    self.version = version
    self.completion = completion
  }

  /// Ends it without an outcome.
  func drop() {
    completion = nil
    closeSoon()
  }

  func fail(_ reason: String, _ detail: String) {
    end(.failed(reason: reason, detail: detail))
  }

  private func end(_ outcome: Outcome) {
    guard let completion else { return }
    self.completion = nil
    completion(self, outcome)
    closeSoon()
  }

  private func closeSoon() {
    guard let context else { return }
    self.context = nil
    context.closeSoon()
  }

  // MARK: - The connection

  func handlerAdded(context: ChannelHandlerContext) {
    // It ended while the connection was being made.
    guard completion != nil else { return context.closeSoon() }
    self.context = context
    do {
      try context.pipeline.syncOperations.addHTTPClientHandlers(position: .before(self))
    } catch {
      return fail("connect", "\(error)")
    }
    var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: endpoint.path)
    head.headers.add(name: "Host", value: endpoint.address.description)
    head.headers.add(name: "User-Agent", value: "ringstore/\(version)")
    head.headers.add(name: "Content-Type", value: OTLPRequest.contentType)
    head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
    head.headers.add(name: "Connection", value: "close")
    for field in headers.fields { head.headers.add(name: field.name, value: field.value) }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      response = CollectorResponse(head)
    case .body(let bytes):
      // The status has decided: the rest of a long response isn't read.
      if response?.append(bytes) == false, let response { end(.responded(response)) }
    case .end:
      if let response { end(.responded(response)) }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail("closed", "the collector closed the connection")
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if TLSFailure.isMissingGoodbye(error) { return }
    fail("protocol", TLSFailure.sentence(error) ?? "\(error)")
  }
}
