// One request to the collector, over a connection of its own: writes it when the connection is
// there, and tells what was answered. What the answer holds beside its status is passed over.
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
    case answered(HTTPResponseStatus)
    /// - Parameter reason: of a few, by which failures are told apart.
    case failed(reason: String, detail: String)
  }

  /// What an answer may have: a collector has a sentence or two to say.
  private static let answerBytesMax = 64 << 10

  private let endpoint: TraceEndpoint
  private let body: ByteBuffer
  private let version: String
  private var completion: ((ExportExchange, Outcome) -> Void)?
  private var context: ChannelHandlerContext?
  private var status: HTTPResponseStatus?
  private var answerBytes = 0

  /// - Parameter completion: told once.
  init(
    _ endpoint: TraceEndpoint, _ body: ByteBuffer, version: String,
    completion: @escaping (ExportExchange, Outcome) -> Void
  ) {
    self.endpoint = endpoint
    self.body = body
    self.version = version
    self.completion = completion
  }

  /// Ends it, and tells nobody.
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
    // It was given up while it was being connected.
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
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      status = head.status
    case .body(let bytes):
      answerBytes += bytes.readableBytes
      if answerBytes > Self.answerBytesMax, let status { end(.answered(status)) }
    case .end:
      if let status { end(.answered(status)) }
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
