// The manifest as text, and read again from bytes that may be anything. Pure.

internal import Log
internal import TextForms

extension BackupManifest {
  package func encode() -> [UInt8] {
    var lines = [Self.head, "version \(version)", "cluster \(cluster)", "databases \(databases)"]
    for shard in shards {
      lines.append(
        "shard \(Hexadecimal.text(shard.seedDigest)) \(shard.takenUnixMillis) \(shard.id)")
      for (kind, file) in [("pass", shard.pass), ("log", shard.log)] {
        lines.append("\(kind) \(file.size) \(Hexadecimal.text(file.checksum)) \(file.name)")
      }
    }
    for (database, keys) in keys.sorted(by: { $0.key < $1.key }) {
      lines.append("database \(database) \(keys)")
    }
    for (slot, held) in slots.sorted(by: { $0.key < $1.key }) {
      lines.append(
        "slot \(slot) \(held.keys) \(held.expiringKeys) \(Hexadecimal.text(held.digest)) "
          + Hexadecimal.text(held.lastingDigest))
    }
    let text = Array(lines.map { $0 + "\n" }.joined().utf8)
    let checksum = text.withUnsafeBytes { Checksum.extend(0, $0) }
    return text + Array("checksum \(Hexadecimal.text(checksum))\n".utf8)
  }

  /// - Throws: if the bytes are no manifest, or were changed.
  package init(decoding bytes: [UInt8]) throws(BackupFault.Reason) {
    guard bytes.starts(with: Array("ringstore backup ".utf8)) else { throw .noManifest }
    guard bytes.starts(with: Array((Self.head + "\n").utf8)) else { throw .newerFormat }
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.popLast() == "", let last = lines.popLast(), last.hasPrefix("checksum "),
      let told = Self.number(last.dropFirst("checksum ".count), as: UInt32.self)
    else { throw .damaged }
    let covered = bytes.dropLast(last.utf8.count + 1)
    guard covered.withUnsafeBytes({ Checksum.extend(0, $0) }) == told else { throw .damaged }
    self.init(version: "", cluster: "", databases: 0)
    for line in lines.dropFirst() {
      guard take(line) else { throw .damaged }
    }
    let hasFiles = shards.allSatisfy { !$0.pass.name.isEmpty && !$0.log.name.isEmpty }
    guard hasFiles, (1...Self.databasesMax).contains(databases) else { throw .damaged }
  }

  /// The most that a cluster may have.
  private static let databasesMax = 1024

  /// Returns whether the line could be read.
  private mutating func take(_ line: Substring) -> Bool {
    let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard words.count == 2 else { return false }
    let rest = words[1]
    switch words[0] {
    case "version": version = String(rest)
    case "cluster": cluster = String(rest)
    case "databases":
      guard let number = Int(rest) else { return false }
      databases = number
    case "shard": return takeShard(rest)
    case "pass": return takeFile(rest, \.pass)
    case "log": return takeFile(rest, \.log)
    case "database":
      let numbers = rest.split(separator: " ").map { Int($0) }
      guard numbers.count == 2, let database = numbers[0], let count = numbers[1], count >= 0,
        (0..<Self.databasesMax).contains(database)
      else { return false }
      keys[database] = count
    case "slot": return takeSlot(rest)
    default: return false
    }
    return true
  }

  private mutating func takeShard(_ rest: Substring) -> Bool {
    let words = rest.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count == 3, let seed = Self.number(words[0], as: UInt64.self),
      let taken = Int64(words[1])
    else { return false }
    let none = File(name: "", size: 0, checksum: 0)
    shards.append(
      Shard(
        id: String(words[2]), seedDigest: seed, takenUnixMillis: taken, pass: none, log: none))
    return true
  }

  private mutating func takeFile(
    _ rest: Substring, _ place: WritableKeyPath<Shard, File>
  ) -> Bool {
    let words = rest.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count == 3, !shards.isEmpty, let size = UInt64(words[0]),
      let checksum = Self.number(words[1], as: UInt32.self), BackupFiles.isName(words[2])
    else { return false }
    shards[shards.count - 1][keyPath: place] = File(
      name: String(words[2]), size: size, checksum: checksum)
    return true
  }

  private mutating func takeSlot(_ rest: Substring) -> Bool {
    let words = rest.split(separator: " ")
    guard words.count == 5, let slot = Int(words[0]), (0..<BackupFiles.slotCount).contains(slot),
      let keys = Int(words[1]), let expiring = Int(words[2]), keys >= 0, expiring >= 0,
      let digest = Self.number(words[3], as: UInt64.self),
      let lasting = Self.number(words[4], as: UInt64.self)
    else { return false }
    slots[slot] = SlotContents(
      keys: keys, expiringKeys: expiring, digest: digest, lastingDigest: lasting)
    return true
  }

  private static func number<Number: FixedWidthInteger & UnsignedInteger>(
    _ text: Substring, as type: Number.Type
  ) -> Number? {
    // A number has one form, in small letters, so that a changed byte is never overlooked.
    guard let number = Hexadecimal.number(text.utf8, as: type), text == Hexadecimal.text(number)
    else { return nil }
    return number
  }
}
