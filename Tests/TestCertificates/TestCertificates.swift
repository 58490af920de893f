// Certificates for tests, made when they are needed and removed with the process that needed them:
// by deploy/certificates, as operators make theirs, and by openssl where a test needs a bad one.
// Any thread; the functions block.

import Foundation

/// A folder as deploy/certificates makes it.
package final class TestCertificates: Sendable {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// A certificate and its key.
  package struct Pair: Sendable, Hashable {
    package let certificate: String
    package let key: String
  }

  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  package let folder: String

  /// An authority of its own, and what it has signed.
  package init() throws {
    let place = FileManager.default.temporaryDirectory
      .appending(path: "ringstore-certificates-\(UUID().uuidString)")
    folder = place.path
    try Self.run(Self.root.appending(path: "deploy/certificates").path, [folder])
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  package var authority: String { "\(folder)/ca/certificate.pem" }
  package var router: Pair { pair("router") }
  package var shard: Pair { pair("shard") }
  package var client: Pair { pair("client") }

  private func pair(_ name: String) -> Pair {
    Pair(certificate: "\(folder)/\(name)/certificate.pem", key: "\(folder)/\(name)/key.pem")
  }

  /// A certificate for localhost, and for `spiffe://ringstore/NAME`, that was valid yesterday.
  package func expired(_ name: String) throws -> Pair {
    try sign(name, days: -1)
  }

  /// A new certificate and key at the places of another pair, as a renewal puts them there.
  package func renew(_ pair: Pair, as name: String) throws {
    let new = try sign(name, days: 2)
    for (from, to) in [(new.key, pair.key), (new.certificate, pair.certificate)] {
      guard rename(from, to) == 0 else { throw Failure(description: "can't rename \(from)") }
    }
  }

  private func sign(_ name: String, days: Int) throws -> Pair {
    let base = "\(folder)/\(name)-\(UUID().uuidString)"
    let pair = Pair(certificate: "\(base).pem", key: "\(base).key")
    let extensions = """
      basicConstraints=critical,CA:FALSE
      extendedKeyUsage=serverAuth,clientAuth
      subjectAltName=URI:spiffe://ringstore/\(name),DNS:localhost,IP:127.0.0.1
      """
    try Data(extensions.utf8).write(to: URL(filePath: "\(base).extensions"))
    try Self.openssl(
      "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pair.key)
    try Self.openssl(
      "req", "-new", "-key", pair.key, "-subj", "/CN=\(name)", "-out", "\(base).request")
    try Self.openssl(
      "x509", "-req", "-in", "\(base).request", "-CA", authority,
      "-CAkey", "\(folder)/ca/key.pem", "-set_serial", "\(Int.random(in: 1...Int.max))",
      "-days", "\(days)", "-extfile", "\(base).extensions", "-out", pair.certificate)
    return pair
  }

  private static func openssl(_ arguments: String...) throws {
    try run("/usr/bin/env", ["openssl"] + arguments)
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(description: String(decoding: said, as: UTF8.self))
    }
  }
}
