// Where a setting's value comes from: flags take precedence over the environment, and that over the
// file. Independent of the settings' meaning.

import Configuration

package struct SettingSources: Sendable {
  package let kind: NodeKind
  /// A sentence for each variable that was passed over.
  package let remarks: [String]
  private let flags: [Setting: [String]]
  private let environmentReader: ConfigReader
  private let file: ConfigFile?
  /// The parsed settings, for display.
  package let ledger: SettingLedger

  /// A value as written, and its source: "--port", "RINGSTORE_PORT" or "port in router.yaml".
  struct Found<Value> {
    let value: Value
    let origin: String
  }

  /// - Parameters:
  ///   - flags: the flags that were given, with their values.
  ///   - environment: all variables of the process. One of another kind of node is passed over,
  ///     because nodes often share their environment.
  package init(
    _ kind: NodeKind, flags: [Setting: [String]], environment: [String: String], file: ConfigFile?
  ) {
    self.kind = kind
    self.flags = flags
    self.file = file
    ledger = SettingLedger(kind)
    let (taken, remarks) = EnvironmentNames.sorted(environment)
    self.remarks = remarks
    environmentReader = ConfigReader(
      provider: EnvironmentVariablesProvider(environmentVariables: taken, arraySeparator: " "))
  }

  /// The same sources with the file as it is now.
  package func reread() async throws(ConfigurationError) -> SettingSources {
    guard let file else { return self }
    return SettingSources(self, file: try await ConfigFile.load(file.path, for: kind))
  }

  private init(_ sources: SettingSources, file: ConfigFile) {
    kind = sources.kind
    remarks = sources.remarks
    flags = sources.flags
    environmentReader = sources.environmentReader
    ledger = sources.ledger
    self.file = file
  }

  /// Names the configuration file if `--config` isn't given.
  package static let configVariable = Setting.environmentPrefix + "CONFIG"

  func text(_ setting: Setting) throws(ConfigurationError) -> Found<String>? {
    let found = try findText(setting)
    if let (found, source) = found {
      ledger.note(setting, .text(found.value), source, from: found.origin)
    }
    return found?.found
  }

  private func findText(
    _ setting: Setting
  ) throws(ConfigurationError) -> (found: Found<String>, source: SettingLedger.Source)? {
    if let value = flags[setting]?.last {
      return (Found(value: value, origin: setting.flag(kind)), .flag)
    }
    if let value = environmentReader.string(forKey: Self.environmentKey(setting)) {
      return (Found(value: value, origin: setting.environmentName), .environment)
    }
    return try inFile(setting, "must have one value") { try $0.requiredString(forKey: $1) }
      .map { ($0, .file) }
  }

  func list(_ setting: Setting) throws(ConfigurationError) -> Found<[String]>? {
    let found = try findList(setting)
    if let (found, source) = found {
      ledger.note(
        setting, .list(found.value), source, from: found.origin)
    }
    return found?.found
  }

  private func findList(
    _ setting: Setting
  ) throws(ConfigurationError) -> (found: Found<[String]>, source: SettingLedger.Source)? {
    if let values = flags[setting], !values.isEmpty {
      return (Found(value: values, origin: setting.flag(kind)), .flag)
    }
    if let values = environmentReader.stringArray(forKey: Self.environmentKey(setting)) {
      return (
        Found(value: values.filter { !$0.isEmpty }, origin: setting.environmentName), .environment
      )
    }
    return try inFile(setting, "must be a list") { try $0.requiredStringArray(forKey: $1) }
      .map { ($0, .file) }
  }

  /// Whether the file's value of a setting applies, because neither a flag nor a variable sets it.
  func isInFile(_ setting: Setting) -> Bool {
    flags[setting]?.isEmpty != false
      && environmentReader.stringArray(forKey: Self.environmentKey(setting)) == nil
      && file?.keys.contains(setting.rawValue) == true
  }

  /// The reader makes RINGSTORE_LOG_LEVEL of it.
  private static func environmentKey(_ setting: Setting) -> ConfigKey {
    ConfigKey(["ringstore", setting.rawValue])
  }

  private func inFile<Value>(
    _ setting: Setting, _ rule: String, _ read: (ConfigReader, ConfigKey) throws -> Value
  ) throws(ConfigurationError) -> Found<Value>? {
    guard let file, file.keys.contains(setting.rawValue) else { return nil }
    let origin = "\(setting.rawValue) in \(file.path)"
    do {
      return Found(value: try read(file.reader, ConfigKey([setting.rawValue])), origin: origin)
    } catch {
      throw ConfigurationError("\(origin) \(rule).")
    }
  }
}
