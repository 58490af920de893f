// A node's settings with their sources, as the node has read them: for people who query a running
// node. It holds no secrets: for settings with a secret, `shown` is the text to show. Any thread.

import NodeCore
import Synchronization

package final class SettingLedger: Sendable {
  package enum Source: String, Sendable {
    case `default`, file, environment, flag
  }

  private struct Entry {
    var value: NodeSettings.Value
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
  func note(
    _ setting: Setting, _ value: NodeSettings.Value, _ source: Source, from origin: String
  ) {
    let entry = Entry(value: Self.shown(setting, value), source: source, from: origin)
    entries.withLock { $0[setting] = entry }
  }

  /// Notes that nothing says what a setting is.
  func note(_ setting: Setting, default value: NodeSettings.Value) {
    let entry = Entry(value: Self.shown(setting, value), source: .default, from: "")
    entries.withLock { $0[setting] = entry }
  }

  /// Notes what was made of what was written.
  func take(_ setting: Setting, _ value: NodeSettings.Value) {
    entries.withLock { $0[setting]?.value = Self.shown(setting, value) }
  }

  /// Of a setting that may be a secret, what isn't: where it is from.
  private static func shown(
    _ setting: Setting, _ value: NodeSettings.Value
  ) -> NodeSettings.Value {
    guard setting == .hashSeed, case .text(let text) = value else { return value }
    return .text(text == "public" || text.hasPrefix("file:") ? text : "(secret)")
  }

  /// All settings of the node in the order of their list.
  package var settings: NodeSettings {
    let entries = entries.withLock { $0 }
    return NodeSettings(
      kind: kind.rawValue,
      kind.settings.map { setting in
        let entry = entries[setting]
        return NodeSettings.Setting(
          name: setting.rawValue, value: entry?.value,
          source: (entry?.source ?? .default).rawValue, origin: entry?.from ?? "")
      })
  }
}
