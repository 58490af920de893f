// A node's settings with their sources, as the node has read them: for people who query a running
// node. It holds no secrets: for settings with a secret, `shown` is the text to show. Any thread.

import Synchronization
import TextForms

package final class SettingLedger: Sendable {
  package enum Source: String, Sendable {
    case `default`, file, environment, flag
  }

  private struct Entry {
    var value: JSONValue
    var source: Source
    /// The flag, the variable, or the key and its file; empty for a default.
    var from: String
  }

  private let kind: NodeKind
  private let entries = Mutex<[Setting: Entry]>([:])

  init(_ kind: NodeKind) {
    self.kind = kind
  }

  /// Notes a setting as it was written.
  func note(_ setting: Setting, _ value: JSONValue, _ source: Source, from origin: String) {
    let entry = Entry(value: Self.shown(setting, value), source: source, from: origin)
    entries.withLock { $0[setting] = entry }
  }

  /// Notes that a setting has no source.
  func note(_ setting: Setting, default value: JSONValue) {
    let entry = Entry(value: Self.shown(setting, value), source: .default, from: "")
    entries.withLock { $0[setting] = entry }
  }

  /// Notes the value that was parsed from the text.
  func take(_ setting: Setting, _ value: JSONValue) {
    entries.withLock { $0[setting]?.value = Self.shown(setting, value) }
  }

  /// The public part of a setting that may be a secret: its source.
  private static func shown(_ setting: Setting, _ value: JSONValue) -> JSONValue {
    guard setting == .hashSeed, case .string(let text) = value else { return value }
    return .string(text == "public" || text.hasPrefix("file:") ? text : "(secret)")
  }

  /// All settings of the node in the order of their list. One without a source and without a
  /// default is null.
  package var json: JSONValue {
    let entries = entries.withLock { $0 }
    let settings = kind.settings.map { setting in
      let entry = entries[setting]
      return JSONValue.Member(
        setting.rawValue,
        .object([
          .init("value", entry?.value ?? .null),
          .init("source", .string((entry?.source ?? .default).rawValue)),
          .init("from", entry.map { $0.from.isEmpty ? .null : .string($0.from) } ?? .null),
        ]))
    }
    return .object([
      .init("kind", .string(kind.rawValue)), .init("settings", .object(settings)),
    ])
  }
}
