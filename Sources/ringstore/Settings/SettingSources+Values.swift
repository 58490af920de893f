// Parsing settings to their types, with a message for each possible error.

import Logging
import TextForms

extension SettingSources {
  func integer(
    _ setting: Setting, _ range: ClosedRange<Int>, default value: Int
  ) throws(ConfigurationError) -> Int {
    guard let found = try text(setting) else {
      ledger.note(setting, default: .number(Int64(value)))
      return value
    }
    guard let number = Int(found.value), range.contains(number) else {
      throw ConfigurationError(
        "\(found.origin) must be a whole number from \(range.lowerBound) to \(range.upperBound), "
          + "not '\(found.value)'.")
    }
    ledger.take(setting, .number(Int64(number)))
    return number
  }

  /// A size of memory in bytes, or a number followed by KiB, MiB, GiB or TiB.
  func size(
    _ setting: Setting, _ range: ClosedRange<Int>, orZero: Bool = false, default value: Int
  ) throws(ConfigurationError) -> Int {
    guard let found = try text(setting) else {
      ledger.note(setting, default: .number(Int64(value)))
      return value
    }
    guard let size = ByteSize.parse(found.value), range.contains(size) || orZero && size == 0 else {
      throw ConfigurationError(
        "\(found.origin) must be a size from \(ByteSize.text(range.lowerBound)) to "
          + "\(ByteSize.text(range.upperBound))\(orZero ? ", or 0," : "") in bytes, or with KiB, "
          + "MiB, GiB or TiB after the number, not '\(found.value)'.")
    }
    ledger.take(setting, .number(Int64(size)))
    return size
  }

  /// Yes or no.
  func boolean(_ setting: Setting, default value: Bool) throws(ConfigurationError) -> Bool {
    guard let found = try text(setting) else {
      ledger.note(setting, default: .flag(value))
      return value
    }
    let flag: Bool
    switch found.value.lowercased() {
    case "true", "yes", "1": flag = true
    case "false", "no", "0": flag = false
    default:
      throw ConfigurationError("\(found.origin) must be true or false, not '\(found.value)'.")
    }
    ledger.take(setting, .flag(flag))
    return flag
  }

  /// A path; an empty one is none.
  func path(_ setting: Setting) throws(ConfigurationError) -> String? {
    guard let found = try text(setting), !found.value.isEmpty else { return nil }
    return found.value
  }

  /// A name of a shard or a cluster.
  func name(_ setting: Setting) throws(ConfigurationError) -> String? {
    guard let found = try text(setting) else { return nil }
    guard PlainName.isValid(found.value.utf8) else {
      throw ConfigurationError("\(found.origin) must be \(PlainName.form), not '\(found.value)'.")
    }
    return found.value
  }

  /// The host to listen on: a name or an address; brackets around an IPv6 address are removed.
  func host(_ setting: Setting = .host) throws(ConfigurationError) -> String {
    guard let found = try text(setting) else {
      ledger.note(setting, default: .text("127.0.0.1"))
      return "127.0.0.1"
    }
    guard let host = HostPort.host(found.value) else {
      throw ConfigurationError(
        "\(found.origin) must be a host name or an address, not '\(found.value)'.")
    }
    return host
  }

  package func logLevel() throws(ConfigurationError) -> Logger.Level {
    guard let found = try text(.logLevel) else {
      ledger.note(.logLevel, default: .text("\(Logger.Level.info)"))
      return .info
    }
    guard let level = Logger.Level(rawValue: found.value) else {
      let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
      throw ConfigurationError(
        "\(found.origin) must be one of \(levels), not '\(found.value)'.")
    }
    return level
  }
}
