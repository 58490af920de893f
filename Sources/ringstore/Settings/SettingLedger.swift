// What a node's settings are, and where each of them is from, as the node has read them: for people
// who ask a running node. Secrets are not in it: of settings that hold one, what is shown is in
// `shown`. Any thread.

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

  /// Notes that nothing says what a setting is.
  func note(_ setting: Setting, default value: JSONValue) {
    let entry = Entry(value: Self.shown(setting, value), source: .default, from: "")
    entries.withLock { $0[setting] = entry }
  }

  /// Notes what was made of what was written.
  func take(_ setting: Setting, _ value: JSONValue) {
    entries.withLock { $0[setting]?.value = Self.shown(setting, value) }
  }

  /// Of a setting that may be a secret, what isn't: where it is from.
  private static func shown(_ setting: Setting, _ value: JSONValue) -> JSONValue {
    guard setting == .hashSeed, case .string(let text) = value else { return value }
    return .string(text == "public" || text.hasPrefix("file:") ? text : "(secret)")
  }

  /// All settings of the node in the order of their list. One that nothing says, and that has no
  /// default, is null.
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
