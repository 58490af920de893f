// The node that `cli` and `health` call: --server, RINGSTORE_SERVER, the port in RINGSTORE_PORT of
// a node on this machine or in our container, or a router's default address; in this order. Pure.

import TextForms

package enum ServerAddress {
  package static let variable = Setting.environmentPrefix + "SERVER"

  /// - Parameter flag: the value of --server.
  package static func of(
    flag: String?, environment: [String: String]
  ) throws(ConfigurationError) -> HostPort {
    if let flag { return try parse(flag, "--server") }
    if let named = environment[variable] { return try parse(named, variable) }
    let name = Setting.port.environmentName
    guard let port = environment[name], !EnvironmentNames.isOfService(name, port) else {
      return HostPort(host: "127.0.0.1", port: SettingSources.routerPort)
    }
    guard let server = HostPort("127.0.0.1:\(port)") else {
      throw ConfigurationError("\(name) must be a port from 1 to 65535, not '\(port)'.")
    }
    return server
  }

  private static func parse(
    _ text: String, _ origin: String
  ) throws(ConfigurationError) -> HostPort {
    guard let server = HostPort(text) else {
      throw ConfigurationError(
        "\(origin) must be HOST:PORT with a port from 1 to 65535, not '\(text)'.")
    }
    return server
  }
}
