// What a user may do, apart from which keys. A value; any thread.

/// The permissions of a caller. None includes another: a user with write can't read unless it has
/// read as well.
package struct Permissions: OptionSet, Sendable, Hashable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  package static let read = Permissions(rawValue: 1)
  package static let write = Permissions(rawValue: 2)
  package static let admin = Permissions(rawValue: 4)
  /// To open links to shards, which allow every call: for routers.
  package static let router = Permissions(rawValue: 8)
  package static let all: Permissions = [.read, .write, .admin, .router]

  /// As the users file and messages call them.
  static let names: [(name: String, permission: Permissions)] = [
    ("read", .read), ("write", .write), ("admin", .admin), ("router", .router),
  ]

  init?(name: String) {
    guard let known = Self.names.first(where: { $0.name == name }) else { return nil }
    self = known.permission
  }

  /// The names of its permissions, for example "read, write".
  package var description: String {
    Self.names.filter { contains($0.permission) }.map(\.name).joined(separator: ", ")
  }
}
