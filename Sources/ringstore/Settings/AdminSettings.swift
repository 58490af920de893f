// From settings to the admin port and the slow log.

import Admin
import MetricTypes
import NodeCore
import TextForms

extension SettingSources {
  private static let portNumbers = 0...65_535
  private static let day = 86_400
  private static let slowSizes = 1...(1 << 40)

  /// The admin port; nil: it is off, the default: it would be one more port to protect.
  ///
  /// Its users are not known here.
  package func adminConfiguration() throws(ConfigurationError) -> AdminConfiguration? {
    var admin = AdminConfiguration()
    admin.host = try host(.adminAddress)
    guard let port = try adminPort() else { return nil }
    admin.port = port
    admin.tls = try serverTLS()
    try checkPort(of: admin)
    try checkAddress(
      admin.host, of: .adminAddress, isEncrypted: admin.tls != nil, hasUsers: try hasUsers())
    return admin
  }

  /// Refuses a port that the node itself listens on.
  private func checkPort(of admin: AdminConfiguration) throws(ConfigurationError) {
    let (port, host) = (admin.port, try host())
    // Other addresses have ports of their own.
    let all = ["0.0.0.0", "::"]
    guard port != 0, host == admin.host || all.contains(host) || all.contains(admin.host) else {
      return
    }
    let callPort = try callPort()
    let other =
      port == callPort
      ? "gRPC" : port == (try linePort(beside: callPort)) ? "the line protocol" : nil
    guard let other else { return }
    throw ConfigurationError(
      "the admin port and \(other) can't share port \(port); --admin-port names another.")
  }

  func adminPort() throws(ConfigurationError) -> Int? {
    guard let found = try text(.adminPort) else {
      ledger.note(.adminPort, default: .text("off"))
      return nil
    }
    if found.value == "off" { return nil }
    guard let port = Int(found.value), Self.portNumbers.contains(port) else {
      throw ConfigurationError(
        "\(found.origin) must be a whole number from \(Self.portNumbers.lowerBound) to "
          + "\(Self.portNumbers.upperBound), or off, not '\(found.value)'.")
    }
    ledger.take(.adminPort, .number(Int64(port)))
    return port
  }

  /// Which calls are kept in the slow log.
  func slowLog() throws(ConfigurationError) -> SlowLogSettings {
    var slowLog = SlowLogSettings()
    slowLog.millis = try integer(.slowlogMillis, 0...(Self.day * 1_000), default: slowLog.millis)
    slowLog.bytes = try size(.slowlogBytes, Self.slowSizes, orZero: true, default: slowLog.bytes)
    guard let found = try text(.slowlogKeys) else {
      ledger.note(.slowlogKeys, default: .text(slowLog.keyForm.rawValue))
      return slowLog
    }
    guard let form = SlowKeyForm(rawValue: found.value) else {
      let forms = SlowKeyForm.allCases.map(\.rawValue).joined(separator: ", ")
      throw ConfigurationError("\(found.origin) must be one of \(forms), not '\(found.value)'.")
    }
    slowLog.keyForm = form
    return slowLog
  }
}
