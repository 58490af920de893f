// The flags that say how the interop program's connections are encrypted. A value.

import GRPC

struct TLSFlags {
  private var files: [String: String] = [:]

  private static let names: Set<Substring> = [
    "--tls-certificate", "--tls-key", "--tls-client-ca", "--tls-ca",
  ]

  /// Takes the flags off the front of the arguments.
  init(_ arguments: inout ArraySlice<String>) {
    while let name = arguments.first, Self.names.contains(name[...]), arguments.count > 1 {
      arguments.removeFirst()
      files[name] = arguments.removeFirst()
    }
  }

  /// Nil: not encrypted.
  func ofServer() throws -> ListenerTLS? {
    guard let certificate = files["--tls-certificate"], let key = files["--tls-key"] else {
      return nil
    }
    let server = TLSFiles.server(
      certificate: certificate, key: key, clientAuthority: files["--tls-client-ca"])
    return try ServerTLS(server).listeners().calls
  }

  /// Nil: not encrypted.
  func ofClient() throws -> ClientTLS? {
    guard let authority = files["--tls-ca"] else { return nil }
    let client = TLSFiles.client(
      authority: authority, certificate: files["--tls-certificate"], key: files["--tls-key"])
    return ClientTLS(try TLSContexts(client))
  }
}
