// The HTTP side of an admin connection: one request after another, each of which is looked up in
// the table of pages, admitted or refused, and replied to. Pages that query nodes are made outside
// the event loop, within a time limit. Event loop of the port.

import GRPC
import NIOCore
import NIOHTTP1
import NodeCore
import RingstoreAPI
import Users

final class AdminExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let connection: AdminConnection
  private let loop: AdminLoop
  private let access: AdminAccess?
  private var head: HTTPRequestHead?
  /// Numbers the requests, so that a late reply can be distinguished from the current one.
  private var number = 0
  /// Responds in the place of a page that takes too long.
  private var late: Scheduled<Void>?
  /// Makes the page that is due.
  private var work: Task<Void, Never>?
  private var context: ChannelHandlerContext?

  init(_ connection: AdminConnection) {
    self.connection = connection
    loop = connection.loop
    access = connection.loop.authorizer.map { AdminAccess($0, connection.peer) }
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  private func end() {
    context = nil
    late?.cancel()
    late = nil
    work?.cancel()
    work = nil
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is HTTPParserError { loop.counters.responded("other", 400) }
    connection.isRefused()
  }

  // MARK: - Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      // Its client waits for 100 (Continue) before it sends the body.
      if head.headers.contains(name: "expect") { refuseBody() }
    case .body(let bytes): if bytes.readableBytes > 0 { refuseBody() }
    case .end:
      guard let head else { return }
      self.head = nil
      connection.requestIsWhole()
      respond(to: head)
    }
  }

  private func refuseBody() {
    guard let head else { return }
    self.head = nil
    connection.requestIsWhole()
    number += 1
    write(.line(.payloadTooLarge, "A request has no body here."), to: head, "other", ends: true)
  }

  private func respond(to head: HTTPRequestHead) {
    number += 1
    guard head.method == .GET || head.method == .HEAD else {
      var response = AdminResponse.line(.methodNotAllowed, "Pages are read by GET or HEAD.")
      response.headers = [("Allow", "GET, HEAD")]
      return write(response, to: head, "other")
    }
    let target: RequestTarget
    do throws(RequestTarget.Malformed) {
      target = try RequestTarget(head)
    } catch {
      return write(.line(.badRequest, error.sentence), to: head, "other", ends: true)
    }
    let path = target.path
    guard let route = loop.routes[path] else {
      return write(.line(.notFound, "There is no such page; / lists them."), to: head, "other")
    }
    let caller: Principal?
    do throws(AdminRefusal) {
      caller = try access?.admit(head, to: route)
    } catch {
      connection.hasShownCredential = false
      return write(error.response, to: head, path)
    }
    if let caller { connection.hasShownCredential = !caller.known.isAnonymous }
    let request = AdminRequest(
      path: path, query: target.query,
      accept: head.headers.joined("accept"),
      user: caller?.name, permissions: caller?.permissions ?? .all, caller: caller?.known,
      rules: caller?.rules, host: target.host?.text,
      fetchSite: head.headers.joined("sec-fetch-site"), isEncrypted: connection.peer.isEncrypted)
    if let refusal = route.refusal(of: request) { return write(refusal, to: head, path) }
    make(route, request, head)
  }

  private func make(_ route: AdminRoute, _ request: AdminRequest, _ head: HTTPRequestHead) {
    connection.beginsPage(route)
    if let response = route.respondAtOnce?(request) { return write(response, to: head, route.path) }
    let ours = number
    let (eventLoop, loops) = (loop.eventLoop, loop.loops)
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let work = Task {
      let response = await route.respond(request)
      loops.execute(on: eventLoop) { bound.value.write(response, to: head, route.path, of: ours) }
    }
    self.work = work
    let nanos = route.isProbe ? loop.limits.probeNanosMax : loop.limits.responseNanosMax
    late = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(nanos))) {
      self.write(
        .line(.serviceUnavailable, "An event loop of the node doesn't respond."), to: head,
        route.path, of: ours)
      work.cancel()
    }
  }

  // MARK: - Responses

  /// - Parameter ours: the number of the request; nothing happens if it already has a reply.
  private func write(
    _ response: AdminResponse, to head: HTTPRequestHead, _ path: String, of ours: Int
  ) {
    guard ours == number else { return }
    late?.cancel()
    late = nil
    work = nil
    write(response, to: head, path)
  }

  private func write(
    _ response: AdminResponse, to head: HTTPRequestHead, _ path: String, ends: Bool = false
  ) {
    guard let context else { return }
    number += 1
    loop.counters.responded(path, Int(response.status.code))
    let isLast = ends || head.endsHTTP || !head.isKeepAlive || loop.isDraining
    var headers: HTTPHeaders = [
      "content-type": response.contentType, "content-length": "\(response.body.count)",
      "cache-control": "no-store", "x-content-type-options": "nosniff",
    ]
    for (name, value) in response.headers { headers.add(name: name, value: value) }
    if isLast {
      headers.add(name: "connection", value: "close")
    } else if head.version.minor == 0 {
      headers.add(name: "connection", value: "keep-alive")
    }
    connection.beginsToWrite()
    let hasBody = head.method != .HEAD && !response.body.isEmpty
    let taken = context.eventLoop.makePromise(of: Void.self)
    taken.futureResult.assumeIsolated().whenComplete { _ in
      // In a turn: otherwise the loop would poll no socket until all requests that one client has
      // sent in a row get responses.
      self.loop.scheduler.yieldThenRun { self.isTaken(isLast: isLast) }
    }
    let start = HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
    context.write(wrapOutboundOut(.head(start)), promise: hasBody ? nil : taken)
    if hasBody {
      let body = ByteBuffer(bytes: response.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: taken)
    }
    context.flush()
  }

  /// The socket has accepted a response. The next request, which may be there already, comes when
  /// the response's end is written: not before, so that no more than one response waits for its
  /// reader.
  private func isTaken(isLast: Bool) {
    guard let context else { return }
    if isLast || loop.isDraining { return connection.closeSoon() }
    connection.hasWritten()
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    connection.requestsMayBeOver()
  }
}

extension HTTPHeaders {
  /// A field as one list, which it is where it comes several times; nil: there is none.
  fileprivate func joined(_ name: String) -> String? {
    let values = self[name]
    return values.isEmpty ? nil : values.joined(separator: ",")
  }
}

extension HTTPRequestHead {
  /// Whether the client continues in another protocol, or expects to: the parser reads no request
  /// behind such a one.
  fileprivate var endsHTTP: Bool { method == .CONNECT || headers.contains(name: "upgrade") }
}
