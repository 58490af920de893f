// From settings to the permissions on a node. NodeAccess reads the files themselves, at the start
// and whenever they change.

import TextForms

/// The settings on users.
package struct AccessSettings: Sendable, Hashable {
  /// The users file; nil: there are no users.
  package var usersPath: String?
  /// The file with the token with which a router identifies itself to its shards.
  package var shardTokenPath: String?
  /// Whether writes are noted in the log, like administrative calls.
  package var notesWrites = false

  package init() {}
}

extension SettingSources {
  package func accessSettings() throws(ConfigurationError) -> AccessSettings {
    var settings = AccessSettings()
    settings.usersPath = try path(.users)
    if kind == .router { settings.shardTokenPath = try path(.shardTokenFile) }
    ledger.note(.audit, default: .text("admin"))
    if let found = try text(.audit) {
      guard ["admin", "writes"].contains(found.value) else {
        throw ConfigurationError("\(found.origin) must be admin or writes, not '\(found.value)'.")
      }
      settings.notesWrites = found.value == "writes"
    }
    return settings
  }

  /// Whether callers must identify themselves.
  func hasUsers() throws(ConfigurationError) -> Bool { try path(.users) != nil }
}
