// All calls, and the ways to find one. The entries are in CommandTable+Entries.swift. Immutable
// and shared by all threads.

package enum CommandTable {
  /// Every call of the contract, in the order of the documentation.
  package static let all: [Command] = oneKey + manyKeys + everyShard + thisNode

  /// The call with this path, or nil. Linear: callers look up a path once and keep the answer.
  package static func command(path: UnsafeRawBufferPointer) -> Command? {
    all.first { path.elementsEqual($0.path.utf8) }
  }

  package static func command(_ id: CommandID) -> Command? {
    all.first { $0.commandID == id }
  }

  package static func command(id: Int) -> Command? {
    CommandID(rawValue: id).flatMap { command($0) }
  }

  /// The call with this number of enum Method: one that may travel in a batch.
  package static func command(method: UInt32) -> Command? {
    all.first { $0.method == method }
  }

  /// The call whose line begins with this word, in any case of letters, aliases included.
  package static func command(lineName word: some Sequence<UInt8>) -> Command? {
    let capitals = word.map { (0x61...0x7a).contains($0) ? $0 - 0x20 : $0 }
    return all.first { command in
      guard let lineName = command.lineName else { return false }
      return capitals.elementsEqual(lineName.utf8)
        || command.lineAliases.contains { capitals.elementsEqual($0.utf8) }
    }
  }

  package static func command(lineName: String) -> Command? {
    command(lineName: lineName.utf8)
  }

  /// Where the request of a batched call says its key, nil for a number that may not be batched.
  /// O(1), for the path of every forwarded call.
  package static func keyFields(ofMethod method: UInt32) -> KeyFields? {
    method < keyFields.count ? keyFields[Int(method)] : nil
  }

  /// Whether a batched call changes anything, false for a number that may not be batched. O(1).
  package static func isWrite(method: UInt32) -> Bool {
    method < writes.count && writes[Int(method)]
  }

  private static let keyFields: [KeyFields?] = (0..<UInt32(CommandID.firstWithoutMethod)).map {
    command(method: $0)?.rpc.keyFields
  }

  private static let writes: [Bool] = (0..<UInt32(CommandID.firstWithoutMethod)).map {
    command(method: $0)?.access == .write
  }
}
