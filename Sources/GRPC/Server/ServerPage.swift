// Pages on the gRPC port: a line of text for load balancers and probes that speak HTTP/2 and no
// gRPC. The reply to any other path is 405 or 415.

import HTTP2
import NIOCore

/// What a page says.
package struct ServerPage: Sendable, Hashable {
  package let isOK: Bool
  /// One line, without its line end.
  package let line: String

  /// - Parameter isOK: status 200; else 503.
  package init(isOK: Bool, line: String) {
    self.isOK = isOK
    self.line = line
  }
}

/// How a page was requested.
enum PageMethod {
  case get
  /// The headers alone.
  case head

  /// Nil for any other method.
  init?(_ method: UnsafeRawBufferPointer) {
    if method.equals("GET") {
      self = .get
    } else if method.equals("HEAD") {
      self = .head
    } else {
      return nil
    }
  }
}

extension GRPCServerHandler {
  /// Replies with a page. A request for a page counts as use of the connection, like a call, so
  /// that frequent requests are not taken for a flood.
  func reply(to call: ServerCall, _ page: ServerPage, _ method: PageMethod) {
    let stream = call.stream
    retire(call)
    tally.reply()
    let text = page.line + "\n"
    let block = loop.statusBlock
    block.removeAll()
    block.append(":status", page.isOK ? "200" : "503")
    block.append("content-type", "text/plain; charset=utf-8")
    block.append("content-length", "\(text.utf8.count)")
    block.append("cache-control", "no-store")
    session.submitResponse(stream, headers: block, hasBody: method == .get)
    if method == .get {
      stream.outbound.writeString(text)
      session.finish(stream)
    }
    dropInbound(stream)
    needsFlush()
  }
}
