// A configuration file: flat YAML, keys as `Setting` names them, the router's shards as a list.

import Configuration
import SmallFiles
import Synchronization

package struct ConfigFile: Sendable {
  /// A file has a line for each setting, and one for each shard.
  static let fileBytesMax = 1 << 20

  package let path: String
  /// The keys that the file sets.
  package let keys: Set<String>
  let reader: ConfigReader

  /// Reads a file and checks that it has only settings of this kind of node.
  package static func load(
    _ path: String, for kind: NodeKind
  ) async throws(ConfigurationError) -> ConfigFile {
    let keys = KeyRecorder()
    let reader: ConfigReader
    if try holdsNothing(path) {
      reader = ConfigReader(provider: InMemoryProvider(values: [:]))
    } else {
      reader = ConfigReader(provider: try await provider(path, keys))
    }
    let file = ConfigFile(path: path, keys: keys.all, reader: reader)
    let known = kind.settings.map(\.rawValue)
    if let unknown = file.keys.subtracting(known).min() {
      throw ConfigurationError(
        "'\(unknown)' in \(path) is not a setting of a \(kind.rawValue) node; "
          + (meant(by: unknown, for: kind)
            ?? "the settings are \(known.joined(separator: ", "))."))
    }
    return file
  }

  /// A setting with nearly that name, of this kind of node or else of others; nil: there is none.
  private static func meant(by unknown: String, for kind: NodeKind) -> String? {
    if let name = EnvironmentNames.nearest(unknown, of: kind.settings.map(\.rawValue)) {
      return "did you mean \(name)?"
    }
    let all = Setting.allCases.map(\.rawValue)
    guard let name = EnvironmentNames.nearest(unknown, of: all),
      let setting = Setting(rawValue: name)
    else { return nil }
    let kinds = NodeKind.allCases.filter { $0.settings.contains(setting) }.map(\.rawValue)
    let owners = "\(kinds.joined(separator: " and ")) nodes"
    return name == unknown
      ? "it is one of \(owners)." : "did you mean \(name), a setting of \(owners)?"
  }

  private static func provider(
    _ path: String, _ keys: KeyRecorder
  ) async throws(ConfigurationError) -> FileProvider<YAMLSnapshot> {
    // The snapshot can't list its keys, but it calls this for each key to check whether it is
    // secret.
    let options = YAMLSnapshot.ParsingOptions(
      secretsSpecifier: .dynamic { key, _ in
        keys.note(key)
        return false
      })
    do {
      return try await FileProvider<YAMLSnapshot>(
        parsingOptions: options,
        config: ConfigReader(
          provider: InMemoryProvider(values: ["filePath": .init(stringLiteral: path)])))
    } catch {
      let reason = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      throw ConfigurationError("\(path) can't be used as a configuration: \(reason)")
    }
  }

  /// Whether the file has comments and blank lines only, which the YAML reader takes for an error.
  private static func holdsNothing(_ path: String) throws(ConfigurationError) -> Bool {
    let text: [UInt8]
    do throws(SmallFile.Failure) {
      text = try SmallFile.read(path, bytesMax: fileBytesMax)
    } catch {
      throw ConfigurationError(
        "the configuration file \(path) can't be read: \(error.reason).")
    }
    let lines = text.split(separator: UInt8(ascii: "\n")).map {
      $0.drop { " \t\r".utf8.contains($0) }
    }
    let settings = lines.filter { $0.first.map { $0 != UInt8(ascii: "#") } ?? false }
    // An empty {} would hide a key from us: the reader skips keys without a value.
    if settings.contains(where: { $0.contains(UInt8(ascii: "{")) }) {
      throw ConfigurationError("\(path) uses '{'; settings are KEY: VALUE lines, without nesting.")
    }
    return settings.isEmpty
  }
}

private final class KeyRecorder: Sendable {
  private let keys = Mutex<Set<String>>([])

  var all: Set<String> { keys.withLock { $0 } }

  func note(_ key: String) {
    keys.withLock { _ = $0.insert(key) }
  }
}
