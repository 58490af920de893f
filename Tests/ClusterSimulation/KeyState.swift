// One key as a sequential object. What calls do to it, and their replies, are in CommandModel.
//
// Owns the key's value. A value; any thread.

package struct KeyState: Sendable, Hashable {
  package enum Kind: Sendable, Hashable { case absent, string, list }

  package enum Value: Sendable, Hashable {
    case absent
    case string([UInt8])
    /// Never empty: a list without elements is an absent key.
    case list([[UInt8]])
  }

  package var value: Value {
    didSet { if value == .absent { expiresAt = nil } }
  }
  /// Of the last write, as far as replies tell.
  package private(set) var version = KnownVersion()
  /// On the wall clock; nil: never.
  package private(set) var expiresAt: Int64?
  /// Of the moments at which calls have the key expire, the latest that has passed.
  private var passed: Int64 = .min

  private init(_ value: Value) { self.value = value }

  package static let absent = KeyState(.absent)
  package static func string(_ value: [UInt8]) -> KeyState { KeyState(.string(value)) }
  package static func list(_ value: [[UInt8]]) -> KeyState { KeyState(.list(value)) }

  package var kind: Kind {
    switch value {
    case .absent: .absent
    case .string: .string
    case .list: .list
    }
  }

  /// Has the key, which is there, expire then; a moment that has passed removes it.
  mutating func expire(at millis: Int64?) {
    expiresAt = millis
    if let millis, millis <= passed { value = .absent }
  }

  /// The wall clock has come to a moment.
  mutating func pass(_ millis: Int64) {
    passed = max(passed, millis)
    if let expiresAt, expiresAt <= passed { value = .absent }
  }

  /// The wall clock was set to a moment, which may be an earlier one.
  mutating func setClock(_ millis: Int64) {
    passed = millis
    if let expiresAt, expiresAt <= passed { value = .absent }
  }

  // MARK: - Versions

  /// Whether its version may be this one; 0 is that of a key that isn't there.
  func mayHave(version told: UInt64) -> Bool {
    value == .absent ? told == 0 : version.mayBe(told)
  }

  /// A reply has its version. Returns whether it may be this one.
  mutating func hasVersion(_ told: UInt64) -> Bool {
    guard mayHave(version: told) else { return false }
    if value != .absent { version = .known(told) }
    return true
  }

  /// What was there before this write, or deletion, had a version.
  mutating func supersedes(_ told: UInt64) { version.isAbove(told) }

  /// A reply has the version of this write, or deletion. Returns whether it may be this one.
  mutating func wasWritten(as told: UInt64) -> Bool {
    guard version.mayBe(told) else { return false }
    version = .known(told)
    return true
  }

  /// A call that may have written it, and left it like this, is over.
  mutating func wasWritten(from before: KeyState) {
    // Nothing is known of versions as long as none was told.
    guard version.floor > 0, version == before.version else { return }
    let isSame = value == before.value && expiresAt == before.expiresAt
    version = isSame ? .atLeast(version.floor) : .atLeast(version.floor + 1)
  }

  /// Versions begin again.
  mutating func forgetVersion() { version = KnownVersion() }

  /// Executes `call` and returns the reply.
  package mutating func apply(_ call: KeyCall) -> KeyReply {
    var object = ObjectState(self)
    defer { self = object[0] }
    return object.apply(call)
  }
}

/// What replies have told of a version: which one it is, or above which it must be.
package struct KnownVersion: Sendable, Hashable {
  private(set) var floor: UInt64 = 0
  private(set) var isKnown = false

  static func known(_ version: UInt64) -> KnownVersion {
    KnownVersion(floor: version, isKnown: true)
  }

  static func atLeast(_ floor: UInt64) -> KnownVersion { KnownVersion(floor: floor) }

  func mayBe(_ version: UInt64) -> Bool { isKnown ? version == floor : version >= floor }

  mutating func isAbove(_ version: UInt64) { self = .atLeast(max(floor, version) + 1) }
}

extension KeyState: CustomStringConvertible {
  package var description: String {
    let text =
      switch value {
      case .absent: "absent"
      case .string(let value): "the string \(HistoryOperation.text(value))"
      case .list(let list):
        "the list [\(list.prefix(12).map(HistoryOperation.text).joined(separator: ", "))"
          + (list.count > 12 ? ", ... \(list.count) in all]" : "]")
      }
    let age = version.floor > 0 ? " version \(version.isKnown ? "" : ">= ")\(version.floor)" : ""
    return text + (expiresAt.map { " until \($0)" } ?? "") + age
  }
}
