// Which requests a browser may have sent for a page of another site, and what these get.

import NIOHTTP1
import NodeCore
import Testing
import Users

@testable import Admin

@Suite struct ViewerGuardTests {
  /// Credentials: of a user with a certificate, and none on a node that every client may read.
  private static let known = credential("certificate dns db", certificate: "db")
  private static let anonymous = credential("", certificate: "another")

  private static func credential(_ line: String, certificate: String) -> KnownCredential? {
    let name = line.isEmpty ? "anonymous" : "known"
    let file = "user \(name)\n  may read\n  keys all\n  databases all\n  \(line)\n"
    guard let table = try? UsersFile.parse(Array(file.utf8)) else { return nil }
    let ledger = AccessLedger(nowNanos: { 0 })
    let names = [CertificateName.dns(certificate)]
    return try? CallerIdentity(Authorizer(table, ledger), certificateNames: names).principal(nil)
      .known
  }

  @Test(arguments: [
    ("127.0.0.1:9000", true), ("[::1]:9000", true), ("localhost", true), ("localhost:1", true),
    ("router", true), ("a.localhost:80", true), ("evil.example", false),
    ("127.0.0.1.evil.example", false), ("1.2.3.4.5", false), ("256.1.1.1", false), ("", false),
    ("evil.example:9000", false), ("[evil.example", false), ("[evil.example]", false),
    ("evil%2eexample", false), ("1.2.3.+4", false), ("[::1]:+9", false),
  ])
  func clientsWithoutACredentialMustUseAnAddress(_ host: String, _ isAllowed: Bool) {
    #expect(isAllowedIn(AdminRequest(path: "/api/keys", host: host)) == isAllowed)
    let anonymous = AdminRequest(
      path: "/api/keys", user: "anonymous", caller: Self.anonymous, host: host)
    #expect(isAllowedIn(anonymous) == isAllowed)
  }

  @Test func clientsWithACredentialOrTLSMayUseAnyName() throws {
    let known = try #require(Self.known)
    #expect(isAllowedIn(AdminRequest(path: "/", user: "a", caller: known, host: "db.example")))
    #expect(isAllowedIn(AdminRequest(path: "/", host: "db.example", isEncrypted: true)))
    #expect(!isAllowedIn(AdminRequest(path: "/")))
    #expect(Self.anonymous?.isAnonymous == true)
  }

  @Test(arguments: [
    ("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false),
  ])
  func pagesOfOtherSitesGetNothing(_ site: String, _ isAllowed: Bool) {
    let request = AdminRequest(
      path: "/", user: "a", caller: Self.known, host: "localhost", fetchSite: site)
    #expect(isAllowedIn(request) == isAllowed)
  }

  private func isAllowedIn(_ request: AdminRequest) -> Bool {
    (try? ViewerGuard.check(request)) != nil
  }

  // MARK: - The pages

  private let pages = AdminPages(
    [], process: { .init() }, settings: { NodeSettings(kind: "shard", []) })

  @Test func probesAreThosePagesThatTellWhetherTheNodeLives() {
    #expect(pages.routes.filter(\.isProbe).map(\.path) == ["/healthz", "/readyz"])
  }

  private func status(
    _ path: String, host: String, caller: KnownCredential? = nil, isEncrypted: Bool = false,
    site: String? = nil
  ) async throws -> HTTPResponseStatus {
    let route = try #require(pages.routes.first { $0.path == path })
    let request = AdminRequest(
      path: path, caller: caller, host: host, fetchSite: site, isEncrypted: isEncrypted)
    if let refusal = route.refusal(of: request) { return refusal.status }
    return await route.respond(request).status
  }

  @Test(arguments: ["/config", "/slowlog", "/metrics"])
  func whatIsNotOpenIsKeptFromOtherSites(_ path: String) async throws {
    #expect(try await status(path, host: "127.0.0.1:9464") == .ok)
    #expect(try await status(path, host: "evil.example:9464") == .forbidden)
    #expect(try await status(path, host: "127.0.0.1", site: "cross-site") == .forbidden)
    #expect(try await status(path, host: "db.example", caller: Self.anonymous) == .forbidden)
    #expect(try await status(path, host: "db.example", caller: Self.known) == .ok)
    #expect(try await status(path, host: "db.example", isEncrypted: true) == .ok)
  }

  @Test(arguments: ["/", "/healthz", "/readyz"])
  func probesAreServedUnderAnyName(_ path: String) async throws {
    #expect(try await status(path, host: "shard-a.example.org:9464") == .ok)
  }
}
