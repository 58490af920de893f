// Digests of slots (EntryDigest.swift), made by a walk over the whole store, a part at a time.
//
// There are two kinds. One is of the state: it includes versions and the encoding of numbers;
// copies of one log agree on it. The other is of the data that clients see: versions count as 0 and
// integers as their text, so that a cluster agrees with another one that has the same keys.

/// Where a walk that makes the digests of all slots is.
package struct DigestWalk {
  fileprivate var cursor = ImageCursor()
  fileprivate var slot: Slot?
  fileprivate var open: OpenValue?
  private let isOfContents: Bool
  private let nowMillis: Int64?

  /// - Parameters:
  ///   - isOfContents: see the head of the file.
  ///   - nowMillis: keys that have expired by then are left out; nil: none.
  package init(ofContents isOfContents: Bool = false, nowMillis: Int64? = nil) {
    self.isOfContents = isOfContents
    self.nowMillis = nowMillis
  }

  /// The slot that the walk is in.
  fileprivate struct Slot {
    let number: Int
    /// When the walk reached it.
    let version: UInt64
    var sum: UInt64 = 0
    var lastingSum: UInt64 = 0
    var keys = 0
    var expiringKeys = 0

    mutating func add(_ digest: UInt64, expires: Bool) {
      sum &+= digest
      if !expires { lastingSum &+= digest }
    }
  }

  /// A large value that is not complete yet.
  fileprivate struct OpenValue {
    enum Value {
      case bytes(Store.PinnedBytes)
      case list(PinnedList)
    }

    var digest: EntryDigest
    let value: Value
    let expires: Bool
    /// Bytes or elements that are in the digest.
    var done = 0
  }
}

/// The digest of one slot with keys; that of a slot without is 0.
package struct SlotDigest: Equatable, Sendable {
  package let slot: Int
  /// The slot's version for which it is valid.
  package let version: UInt64
  /// nil: the slot has changed while it was made.
  package let value: UInt64?
  /// The same of the keys that don't expire.
  package let lasting: UInt64?
  package let keys: Int
  /// Those among them that expire.
  package let expiringKeys: Int
}

extension Store {
  /// What a key costs beside its bytes.
  private static let digestWorkPerKey = 64
  /// Bytes of a large string between two looks at the budget.
  private static let digestPartBytes = 64 * 1024

  /// Continues a walk.
  /// - Parameters:
  ///   - work: in bytes of keys and values, those without many count as 64: 1 ns each, roughly.
  ///   - body: gets the complete slots, in ascending order. Must not call the store.
  /// - Returns: whether all slots are.
  package func advance(
    _ walk: inout DigestWalk, work: Int, _ body: (SlotDigest) -> Void
  ) -> Bool {
    var left = max(1, work)
    while left > 0 {
      if walk.open != nil {
        advanceValue(&walk, &left)
      } else if walk.cursor.slot < slotCount {
        advanceKeys(&walk, &left, body)
      } else {
        endSlot(&walk, body)
        return true
      }
    }
    if let slot = walk.slot, walk.open == nil, walk.cursor.slot > slot.number {
      endSlot(&walk, body)
    }
    return false
  }

  /// One slot at once: for tests, and for small slots.
  package func digest(slot: Int) -> UInt64 {
    var walk = DigestWalk()
    walk.cursor = ImageCursor(slot: slot)
    var digest: UInt64 = 0
    while walk.cursor.slot == slot || walk.open != nil {
      _ = advance(&walk, work: 1 << 20) { if $0.slot == slot { digest = $0.value ?? 0 } }
    }
    endSlot(&walk) { if $0.slot == slot { digest = $0.value ?? 0 } }
    return digest
  }

  private func advanceKeys(
    _ walk: inout DigestWalk, _ left: inout Int, _ body: (SlotDigest) -> Void
  ) {
    // A stretch without keys costs as well.
    left -= 1
    let keys = left / Store.digestWorkPerKey
    walk.cursor = image(from: walk.cursor, keys: keys, bytes: left) { entry in
      if walk.slot?.number != entry.slot {
        endSlot(&walk, body)
        walk.slot = DigestWalk.Slot(number: entry.slot, version: versions[entry.slot])
      }
      left -= Store.digestWorkPerKey + entry.copiedBytes
      walk.add(entry)
      return walk.open == nil
    }
  }

  private func endSlot(_ walk: inout DigestWalk, _ body: (SlotDigest) -> Void) {
    guard let slot = walk.slot else { return }
    walk.slot = nil
    let version = versions[slot.number]
    let isSame = version == slot.version
    body(
      SlotDigest(
        slot: slot.number, version: version, value: isSame ? slot.sum : nil,
        lasting: isSame ? slot.lastingSum : nil, keys: slot.keys, expiringKeys: slot.expiringKeys))
  }

  private func advanceValue(_ walk: inout DigestWalk, _ left: inout Int) {
    guard var open = walk.open else { return }
    let isComplete: Bool
    switch open.value {
    case .bytes(let pinned):
      let end = min(pinned.count, open.done + Store.digestPartBytes)
      pinned.withBytes(open.done..<end) { open.digest.addPart($0) }
      left -= end - open.done
      open.done = end
      isComplete = end == pinned.count
    case .list(let pinned):
      pinned.forEach(from: open.done) { element in
        open.digest.addElement(element)
        open.done += 1
        left -= 8 + element.count
        return left > 0
      }
      isComplete = open.done == pinned.count
    }
    if isComplete { walk.slot?.add(open.digest.value, expires: open.expires) }
    walk.open = isComplete ? nil : open
  }
}

extension DigestWalk {
  fileprivate mutating func add(_ entry: ImageEntry) {
    let expires = entry.expiry != .never
    if expires, let nowMillis, entry.expiry.unixMillis <= nowMillis { return }
    slot?.keys += 1
    if expires { slot?.expiringKeys += 1 }
    var digest = EntryDigest(
      database: entry.database, key: entry.key, version: isOfContents ? 0 : entry.version,
      expiry: entry.expiry)
    switch entry.value {
    case .bytes(let bytes): digest.addString(bytes)
    case .integer(let number) where isOfContents: digest.addText(of: number)
    case .integer(let number): digest.addInteger(number)
    case .list(let elements):
      digest.beginList(count: elements.count)
      elements.forEach { digest.addElement($0) }
    case .pinnedBytes(let pinned):
      digest.beginString(count: pinned.count)
      open = OpenValue(digest: digest, value: .bytes(pinned), expires: expires)
      return
    case .pinnedList(let pinned):
      digest.beginList(count: pinned.count)
      open = OpenValue(digest: digest, value: .list(pinned), expires: expires)
      return
    }
    slot?.add(digest.value, expires: expires)
  }
}
