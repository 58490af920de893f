// New certificates while calls continue, and files that can't be used.

import Foundation
import NIOCore
import TestCertificates
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(15))) struct TLSReloadTests {
  /// Not shared: their files change.
  private let own: TestCertificates
  private let strangers: TestCertificates

  init() throws {
    own = try TestCertificates()
    strangers = try Certificates.strangers.get()
  }

  @Test func newConnectionsGetTheNewCertificateAndOpenOnesContinue() async throws {
    try await withEncryptedServer(.server(own.router)) { (server: EncryptedServer) async throws in
      let channel = server.channel(try .trusting(own.authority))
      defer { channel.close() }
      let stream = channel.stream(path: "/t/Stream")
      var messages = stream.messages.makeAsyncIterator()
      try await stream.send { $0.writeString("before") }
      #expect(try await messages.next().map { String(buffer: $0) } == "before")

      #expect(server.contexts.refresh() == .unchanged)
      try own.renew(own.router, as: "renewed")
      #expect(server.contexts.refresh() == .changing)
      #expect(server.contexts.refresh() == .renewed)
      #expect(server.contexts.refresh() == .unchanged)

      try await stream.send { $0.writeString("after") }
      #expect(try await messages.next().map { String(buffer: $0) } == "after")
      // The old certificate names the router, and the new one doesn't.
      #expect(try await server.call(.trusting(own.authority, serverName: "localhost")) == nil)
      #expect(try await server.call(.trusting(own.authority, serverName: "router")) != nil)
    }
  }

  @Test func filesThatCannotBeUsedLeaveTheOldOnesInForce() async throws {
    try await withEncryptedServer(.server(own.router)) { (server: EncryptedServer) async throws in
      let good = try String(contentsOfFile: own.router.certificate, encoding: .utf8)
      func put(_ text: String, _ sentence: String) {
        do {
          try Data(text.utf8).write(to: URL(filePath: own.router.certificate), options: .atomic)
        } catch {
          Issue.record(error)
        }
        #expect(server.contexts.refresh() == .changing)
        guard case .refused(let failure) = server.contexts.refresh() else {
          return #expect(Bool(false), "taken: \(text.prefix(20))")
        }
        #expect(failure.sentence.contains(sentence), "\(failure.sentence)")
        // It is reported once.
        #expect(server.contexts.refresh() == .unchanged)
      }
      put("nothing", "contains no certificate in PEM form")
      put(
        try String(contentsOfFile: strangers.router.certificate, encoding: .utf8),
        "the key doesn't belong to the certificate")
      #expect(try await server.call(.trusting(own.authority)) == nil)
      try Data(good.utf8).write(to: URL(filePath: own.router.certificate), options: .atomic)
      #expect(server.contexts.refresh() == .changing)
      #expect(server.contexts.refresh() == .renewed)
      #expect(server.contexts.reloadCounts == (usable: 1, failed: 2))
      #expect(try await server.call(.trusting(own.authority)) == nil)
    }
  }

  @Test func aServerDoesNotBeginWithFilesThatCannotBeUsed() throws {
    func sentence(_ files: TLSFiles) -> String {
      do throws(TLSFileFailure) {
        _ = try TLSContexts(files)
        return "(taken)"
      } catch {
        return error.sentence
      }
    }
    let missing = "\(own.folder)/missing.pem"
    let pair = own.router
    let isMissing = "\(missing) can't be read: No such file or directory"
    #expect(sentence(.server(certificate: missing, key: pair.key)) == isMissing)
    #expect(sentence(.server(certificate: pair.certificate, key: missing)) == isMissing)
    #expect(
      sentence(.server(certificate: pair.key, key: pair.key))
        == "\(pair.key) contains no certificate in PEM form")
    #expect(
      sentence(.server(certificate: pair.certificate, key: pair.certificate))
        .hasPrefix("\(pair.certificate) contains no private key in PEM form"))
    #expect(
      sentence(.server(certificate: pair.certificate, key: own.shard.key))
        .contains("the key doesn't belong to the certificate"))
    #expect(sentence(.server(pair, clientAuthority: missing)) == isMissing)
    let long = "\(own.folder)/long.pem"
    try Data(count: TLSFiles.fileBytesMax + 1).write(to: URL(filePath: long))
    #expect(
      sentence(.client(authority: long)) == "\(long) can't be read: it has more than 1048576 bytes")
    #expect(sentence(.client(authority: "/dev/zero")).contains("it is not a file"))
    #expect(sentence(.client(authority: own.authority)) == "(taken)")
  }
}
