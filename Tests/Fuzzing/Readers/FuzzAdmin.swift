// Requests to the admin port as its connections get them: the first two bytes say how what the
// client sends is split, the third whether the node has users, time passes in between, and the
// client closes its side. Everything on the way is the port's own: HTTP/1.1, targets, hosts, users,
// the guard against other sites' pages, queries. The replies are the same for every split, and
// complete; a page is made only for a caller that may see it; nothing is left when the connection
// is gone.

import Admin
import Dashboard
import Foundation
import GRPC
import Logging
import MetricTypes
import NIOCore
import NIOEmbedded
import NodeCore
import RingstoreAPI
import Synchronization
import TextForms
import Users

extension FuzzReader {
  package static let admin = FuzzReader(
    name: "admin", seeds: AdminSeeds.all, triesInTests: 150
  ) { input in
    guard input.count > 3 else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input[3...])
    let (hasUsers, timePasses) = (input[2] & 1 == 1, input[2] & 2 == 2)
    var outputs: [[UInt8]] = []
    for pieces in [[rest]] + Splits.pieces(of: rest, seed: input[0], at: input[1]) {
      let connection = try AdminMeeting(hasUsers: hasUsers)
      try connection.run(pieces, timePasses: timePasses, closesSide: input[2] & 4 == 4)
      outputs.append(connection.output)
    }
    // With a clock, a request in many pieces may take too long.
    if !timePasses, Set(outputs).count > 1 {
      let texts = outputs.map { String(decoding: $0, as: UTF8.self).debugDescription }
      throw Finding("the replies depend on the pieces: \(texts)")
    }
  }
}

/// The admin port and a client, without a socket between them.
private final class AdminMeeting {
  private let loop = EmbeddedEventLoop()
  private let connections = AdminServer.connections(AdminLimits())
  private let port: AdminLoop
  private let channel: EmbeddedChannel
  private let pages: FuzzedPages
  private(set) var output: [UInt8] = []

  init(hasUsers: Bool) throws {
    let pages = FuzzedPages(hasUsers: hasUsers)
    self.pages = pages
    let ledger = AccessLedger(nowNanos: { 0 })
    port = AdminLoop(
      loop, NodeLoops(), pages.routes,
      authorizer: hasUsers ? Authorizer(try UsersFile.parse(AdminSeeds.users), ledger) : nil,
      limits: AdminLimits(), connections: connections, counters: AdminCounters(), logger: .silent)
    channel = EmbeddedChannel(loop: loop)
    guard let place = connections.admit(nil) else { throw Finding("there is no place") }
    try channel.pipeline.syncOperations.addHandler(
      port.makeHandler(AcceptedConnection(place: place)))
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
  }

  func run(
    _ pieces: [UnsafeRawBufferPointer], timePasses: Bool, closesSide: Bool
  ) throws {
    for piece in pieces where channel.isActive {
      _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
      if timePasses { loop.advanceTime(by: .milliseconds(700)) }
      settle()
    }
    if closesSide, channel.isActive {
      channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
      settle()
    }
    if channel.isActive { channel.close(promise: nil) }
    settle()
    try RepliesCheck.areWhole(output)
    if let problem = pages.problem { throw Finding(problem) }
    guard connections.open == 0, port.connectionCount == 0 else {
      throw Finding("something is left when the connection is gone")
    }
  }

  /// Runs what is due, and takes what was written.
  private func settle() {
    repeat {
      loop.run()
      loop.advanceTime(by: .microseconds(20))
      while let part = try? channel.readOutbound(as: ByteBuffer.self) {
        output += part.readableBytesView
      }
    } while port.scheduler.hasTurns
  }
}

/// Pages that look at the requests that they get.
private final class FuzzedPages: Sendable {
  private static let names: Set = ["key", "database", "cursor", "limit"]

  private let hasUsers: Bool
  private let found = Mutex<String?>(nil)

  init(hasUsers: Bool) { self.hasUsers = hasUsers }

  var problem: String? { found.withLock { $0 } }

  var routes: [AdminRoute] {
    let pages: [(String, AdminRoute.Access)] = [
      ("/", .open), ("/metrics", .read), ("/config", .admin), ("/api/keys", .read),
    ]
    return pages.map { path, access in
      AdminRoute(
        path, access: access,
        atOnce: { request in
          if let problem = self.problem(of: request, path, access) {
            self.found.withLock { $0 = problem }
          }
          _ = MetricText(accept: request.accept)
          return .line(.ok, path)
        })
    }
  }

  private func problem(
    of request: AdminRequest, _ path: String, _ access: AdminRoute.Access
  ) -> String? {
    guard request.path == path, request.query.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      return "\(path) gets the request \(request)"
    }
    if let problem = Self.problem(ofQuery: request.query) { return problem }
    guard access != .open else { return request.user == nil ? nil : "a user of an open page" }
    if let site = request.fetchSite, !["same-origin", "none"].contains(site) {
      return "a page of the site \(site.debugDescription) gets \(path)"
    }
    guard hasUsers else {
      let name = (request.host ?? "").prefix { $0 != ":" }
      let isShown =
        (request.host ?? "").hasPrefix("[") || !name.contains(".") && !name.isEmpty
        || name.hasSuffix(".localhost") || Self.isDotted(name)
      return isShown ? nil : "\(path) is shown for the host \(request.host ?? "")"
    }
    let may = access == .admin ? ["root"] : ["root", "reader"]
    return may.contains(request.user ?? "") ? nil : "\(path) is shown to \(request.user ?? "")"
  }

  /// Whether it is an address of version 4.
  private static func isDotted(_ name: Substring) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }

  private static func problem(ofQuery text: String) -> String? {
    guard let query = try? DashboardQuery(text, names) else { return nil }
    for name in names {
      let value = query.text(name)
      guard text.isEmpty || value.isEmpty || text.contains("\(name)=\(value)") else {
        return "\(name) of \(text.debugDescription) is \(value.debugDescription)"
      }
      guard let bytes = try? query.bytes(name) else { continue }
      if Base64.decode(Base64.encode(bytes)) != bytes || 3 * value.utf8.count / 4 != bytes.count {
        return "\(value) is read as \(bytes)"
      }
    }
    if let limit = try? query.number("limit", 1...100, missing: 7), !(1...100).contains(limit) {
      return "\(limit) is a limit"
    }
    return nil
  }
}

/// What the port has sent is a row of HTTP/1.1 responses with bodies of the announced lengths.
private enum RepliesCheck {
  private static let statuses: Set = [200, 400, 401, 403, 404, 405, 413, 429]

  static func areWhole(_ output: [UInt8]) throws {
    var rest = output[...]
    while !rest.isEmpty {
      guard let head = rest.firstRange(of: Array("\r\n\r\n".utf8)) else {
        throw Finding("half a response: \(String(decoding: rest, as: UTF8.self))")
      }
      let lines = String(decoding: rest[..<head.lowerBound], as: UTF8.self)
        .components(separatedBy: "\r\n")
      let words = lines[0].split(separator: " ")
      guard words.count > 1, words[0] == "HTTP/1.1", let status = Int(words[1]),
        statuses.contains(status)
      else { throw Finding("\(lines[0].debugDescription) is no status line of this port") }
      rest = rest[head.upperBound...]
      let lengths = lines.filter { $0.lowercased().hasPrefix("content-length: ") }
        .compactMap { Int($0.dropFirst(16)) }
      // One to HEAD has no body: the next one follows. (No page begins like a response.)
      guard lengths.count <= 1 else { throw Finding("\(lines) has \(lengths.count) lengths") }
      let length = lengths.first ?? 0
      if rest.isEmpty || rest.starts(with: Array("HTTP/1.1 ".utf8)) { continue }
      guard rest.count >= length else { throw Finding("half a body behind \(lines)") }
      rest = rest.dropFirst(length)
    }
  }
}

private enum AdminSeeds {
  private static func token(_ name: String, _ seed: UInt64) -> String {
    var random = SplitMix64(seed: seed)
    return Token.make(for: name, using: &random)
  }

  private static let root = token("root", 12)
  private static let reader = token("reader", 13)

  static let users = Array(
    """
    user root
      may read admin
      databases all
      keys all
      token sha256:\(TokenDigest(of: root).hexadecimal)
    user reader
      may read
      databases all
      keys all
      token sha256:\(TokenDigest(of: reader).hexadecimal)

    """.utf8)

  private static let requests: [String] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /metrics HTTP/1.1\r\nHost: localhost:9464\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/openmetrics-text;q=0\r\n\r\n",
    "GET /api/keys?key=AAEC&database=3&limit=5 HTTP/1.1\r\nHost: [::1]:9\r\n"
      + "Sec-Fetch-Site: same-origin\r\n\r\n",
    "GET /config HTTP/1.1\r\nHost: evil.example\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a.localhost/config?x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n",
    "GET /config HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    "GET /config HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(root)\r\n\r\n",
    "GET /config HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer \(reader)\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic "
      + String(decoding: Base64.encode(Array("reader:\(reader)".utf8)), as: UTF8.self)
      + "\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n", "GET /config HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /nothing%00 HTTP/1.1\r\nHost: a%2e\r\nAccept:\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\n",
  ]

  static let all: [[UInt8]] = requests.enumerated().map { number, request in
    [UInt8(number % 5), 40, UInt8(number % 8)] + Array(request.utf8)
  }
}
