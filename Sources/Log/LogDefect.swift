// What can be wrong with bytes that have the right checksum: they were written by another version,
// or by a faulty one.

package enum LogDefect: Error, Equatable, Sendable {
  /// A field reaches past the end of its container.
  case cutShort
  /// There are bytes after the last field.
  case leftOver
  /// A number that is too large, or not in its one form.
  case badNumber
  /// A record's type or an effect's change of a newer version.
  case unknownRecord(type: UInt8)
  case unknownChange(UInt8)
  /// A group without a slot, a slot in a record that must have none, an invalid expiry, and similar
  /// faults.
  case badField
}

extension LogDefect: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cutShort: "a field reaches past the end of its record"
    case .leftOver: "there are bytes after the last field of a record"
    case .badNumber: "a number is not in its canonical form"
    case .unknownRecord(let type):
      "there is a record of type \(type), which a newer version has written"
    case .unknownChange(let change):
      "there is an effect of kind \(change), which a newer version has written"
    case .badField: "a field has an invalid value"
    }
  }
}
