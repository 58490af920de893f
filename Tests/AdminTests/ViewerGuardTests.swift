// Which requests a browser may have sent for a page of another site, and what these get.

import NIOHTTP1
import NodeCore
import Testing

@testable import Admin

@Suite struct ViewerGuardTests {
  @Test(arguments: [
    ("127.0.0.1:9000", true), ("[::1]:9000", true), ("localhost", true), ("localhost:1", true),
    ("router", true), ("a.localhost:80", true), ("evil.example", false),
    ("127.0.0.1.evil.example", false), ("1.2.3.4.5", false), ("256.1.1.1", false), ("", false),
    ("evil.example:9000", false),
  ])
  func aNodeWithoutUsersIsAskedByAnAddress(_ host: String, _ isAllowed: Bool) {
    #expect(ViewerGuard.isHostOfAnAddress(host) == isAllowed)
    #expect(isAllowedIn(AdminRequest(path: "/api/keys", host: host)) == isAllowed)
  }

  @Test func aNodeWithUsersOrTLSMayBeAskedByAnyName() {
    #expect(isAllowedIn(AdminRequest(path: "/", user: "a", host: "db.example")))
    #expect(isAllowedIn(AdminRequest(path: "/", host: "db.example", isEncrypted: true)))
    #expect(!isAllowedIn(AdminRequest(path: "/")))
  }

  @Test(arguments: [
    ("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false),
  ])
  func pagesOfOtherSitesGetNothing(_ site: String, _ isAllowed: Bool) {
    let request = AdminRequest(path: "/", user: "a", host: "localhost", fetchSite: site)
    #expect(isAllowedIn(request) == isAllowed)
  }

  private func isAllowedIn(_ request: AdminRequest) -> Bool {
    (try? ViewerGuard.check(request)) != nil
  }

  // MARK: - The pages

  private let pages = AdminPages(
    [], process: { .init() }, settings: { NodeSettings(kind: "shard", []) })

  private func status(
    _ path: String, host: String, user: String? = nil, isEncrypted: Bool = false
  ) async throws -> HTTPResponseStatus {
    let route = try #require(pages.routes.first { $0.path == path })
    let request = AdminRequest(path: path, user: user, host: host, isEncrypted: isEncrypted)
    return await route.respond(request).status
  }

  @Test(arguments: ["/config", "/slowlog"])
  func whatShowsMoreThanFiguresIsKeptFromOtherSites(_ path: String) async throws {
    #expect(try await status(path, host: "127.0.0.1:9464") == .ok)
    #expect(try await status(path, host: "evil.example:9464") == .forbidden)
    #expect(try await status(path, host: "db.example", user: "root") == .ok)
    #expect(try await status(path, host: "db.example", isEncrypted: true) == .ok)
  }

  @Test(arguments: ["/", "/metrics", "/healthz", "/readyz"])
  func figuresAndProbesAreAskedByAnyName(_ path: String) async throws {
    #expect(try await status(path, host: "shard-a.example.org:9464") == .ok)
  }
}
