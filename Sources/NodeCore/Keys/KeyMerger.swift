// The keys of all shards, merged in the order of their positions. Since a slot belongs to one
// shard, this is an order over the whole cluster: the drawn keys are all keys before one position,
// and that position is an exact token.
//
// One slice at a time is requested from each shard, and one more may wait after the one in use, so
// memory is limited: shards x 2 slices. No shard is further ahead of the slowest one than a window
// of slots, so that little is searched twice when the caller continues with a token.
//
// A state machine without input or output of its own, owned by one operation.

import NIOCore
import Placement
import RingstoreAPI

struct KeyMerger {
  /// How many slots a shard may be ahead of the slowest one.
  static let windowSlots = UInt32(Slots.count) / 8
  /// Bytes of keys that all slices together may hold, as long as each has at least
  /// `sliceBytesMin`. The bookkeeping of each key needs about as much again.
  static let heldBytesMax = 2 << 20
  static let sliceBytesMin = 4 << 10
  static let sliceBytesMax = 64 << 10
  /// A slice has at most one key for this many of its bytes: a key needs memory besides its bytes.
  private static let bytesPerKey = 32

  /// A key that was drawn.
  struct Key {
    let slice: ByteBuffer
    let entry: Entry

    /// The key's bytes.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      slice.withUnsafeReadableBytes {
        body(.init(rebasing: $0[Int(entry.start)..<Int(entry.end)]))
      }
    }

    /// Whether a walk may continue after this key without returning it again: false inside a group
    /// of keys that have no position between them.
    let isCutPoint: Bool
  }

  /// The position of a key in its slice, and in the walk.
  struct Entry {
    let start: UInt32
    let end: UInt32
    let slot: UInt32
    /// The cursor after the key.
    let cursor: UInt64

    /// Behind the key.
    var position: ScanPosition { ScanPosition(behindKeyIn: slot, cursor: cursor) }
  }

  private struct Slice {
    let bytes: ByteBuffer
    let entries: [Entry]
    var next = 0

    var heldBytes: Int { bytes.readableBytes + entries.count * MemoryLayout<Entry>.stride }
  }

  private struct Shard {
    /// The shard's own position.
    var position: ScanPosition
    var current: Slice?
    var following: Slice?
    var isInProgress = false
    var isMissing = false

    var head: Entry? { current.map { $0.entries[$0.next] } }
    var isExhausted: Bool { isMissing || position.slot >= UInt32(Slots.count) }
  }

  private var shards: [Shard]
  /// Behind the last key drawn.
  private var drawn: ScanPosition
  /// The current shard, as long as it has keys of this slot: no other shard has any.
  private var turn: (shard: Int, slot: UInt32)?
  private let sliceBytes: UInt32
  private let windowSlots: UInt32

  init(
    shards count: Int, from position: ScanPosition, windowSlots: UInt32 = Self.windowSlots
  ) {
    self.windowSlots = windowSlots
    shards = Array(repeating: Shard(position: position), count: count)
    drawn = position
    let share = Self.heldBytesMax / 2 / max(count, 1)
    sliceBytes = UInt32(min(max(share, Self.sliceBytesMin), Self.sliceBytesMax))
  }

  // MARK: - Slices

  /// The slices to request now, which are then in progress: one from each shard that has none in
  /// progress, has room for one, has more keys and isn't too far ahead. O(shards).
  ///
  /// - Parameter maxKeys: the most keys that are of use to the caller.
  mutating func nextSlices(
    _ query: KeyQuery, maxKeys: UInt32 = .max
  ) -> [(shard: Int, request: ByteBuffer)] {
    let endSlot = min(UInt32(Slots.count), front.slot + windowSlots)
    var slices: [(shard: Int, request: ByteBuffer)] = []
    for (index, shard) in shards.enumerated() {
      guard !shard.isInProgress, !shard.isExhausted, shard.following == nil,
        shard.position.slot < endSlot
      else { continue }
      shards[index].isInProgress = true
      let request = query.request(
        from: shard.position, endSlot: endSlot,
        maxKeys: min(maxKeys, sliceBytes / UInt32(Self.bytesPerKey)), maxBytes: sliceBytes,
        wantsPositions: true)
      slices.append((index, request))
    }
    return slices
  }

  /// Takes a slice's reply. O(keys).
  ///
  /// - Throws: INTERNAL if the reply is inconsistent.
  mutating func add(_ response: UnsafeRawBufferPointer, shard: Int) throws(CallError) {
    shards[shard].isInProgress = false
    let reply = try LinkV1.KeysPartReply(decoding: response)
    let next = ScanPosition(slot: reply.nextSlot, cursor: reply.nextCursor)
    let entries = Self.entries(of: reply, in: response)
    guard entries.count == reply.keys.count, next > shards[shard].position,
      Self.isOrdered(entries, from: shards[shard].position, to: next)
    else { throw .internalError("a shard's slice of keys is out of order") }
    shards[shard].position = next
    guard !entries.isEmpty else { return }
    let slice = Slice(bytes: ByteBuffer(bytes: response), entries: entries)
    if shards[shard].current == nil {
      shards[shard].current = slice
    } else {
      shards[shard].following = slice
    }
  }

  /// The shard can't be reached any more; its earlier replies are kept.
  mutating func markMissing(_ shard: Int) {
    shards[shard].isInProgress = false
    shards[shard].isMissing = true
  }

  // MARK: - Keys

  /// Takes the next key in order; nil if a shard must reply first, or there are no more.
  mutating func draw() -> Key? {
    guard let shard = shardInTurn(), var slice = shards[shard].current else { return nil }
    let entry = slice.entries[slice.next]
    turn = (shard, entry.slot)
    slice.next += 1
    var isCutPoint = true
    if slice.next < slice.entries.count {
      let follower = slice.entries[slice.next]
      let distance = follower.cursor &- entry.cursor
      isCutPoint = follower.slot != entry.slot || distance > 1
      shards[shard].current = slice
    } else {
      shards[shard].current = shards[shard].following
      shards[shard].following = nil
    }
    drawn = entry.position
    return Key(slice: slice.bytes, entry: entry, isCutPoint: isCutPoint)
  }

  /// Bytes of the held slices. O(shards).
  var heldBytes: Int {
    shards.reduce(0) { $0 + ($1.current?.heldBytes ?? 0) + ($1.following?.heldBytes ?? 0) }
  }

  /// Everything before this position has been drawn, and nothing from it on.
  var position: ScanPosition {
    shardInTurn() == nil ? max(drawn, front) : drawn
  }

  /// As `position`, but after a drawn key or at the beginning of a slot. Shards skip keys that the
  /// caller may not see, and a position among those would be the hash of such a key.
  var positionOfSeen: ScanPosition {
    shardInTurn() == nil ? max(drawn, ScanPosition(slot: front.slot, cursor: 0)) : drawn
  }

  /// Whether all keys of the shards have been drawn.
  var isDone: Bool {
    shards.allSatisfy { $0.isExhausted && $0.current == nil }
  }

  /// The shard with the next key, if no shard can return an earlier key any more.
  private func shardInTurn() -> Int? {
    if let turn, shards[turn.shard].head?.slot == turn.slot { return turn.shard }
    var best: (shard: Int, position: ScanPosition)?
    for (index, shard) in shards.enumerated() {
      guard let head = shard.head else { continue }
      if let best, best.position <= head.position { continue }
      best = (index, head.position)
    }
    guard let best else { return nil }
    let blocked = shards.contains {
      $0.current == nil && !$0.isExhausted && $0.position < best.position
    }
    return blocked ? nil : best.shard
  }

  /// The position of the slowest shard, drawn or not; the end if all are done.
  private var front: ScanPosition {
    shards.lazy.filter { !$0.isExhausted }.map(\.position).min() ?? .end
  }

  // MARK: - Reading a slice

  private static func entries(
    of reply: LinkV1.KeysPartReply, in response: UnsafeRawBufferPointer
  ) -> [Entry] {
    guard reply.positions.count == reply.keys.count, let first = response.baseAddress else {
      return []
    }
    var entries: [Entry] = []
    entries.reserveCapacity(reply.keys.count)
    for (key, cursor) in zip(reply.keys, reply.positions) {
      let start = key.baseAddress.map { first.distance(to: $0) } ?? 0
      entries.append(
        Entry(
          start: UInt32(clamping: start), end: UInt32(clamping: start + key.count),
          slot: UInt32(Slots.slot(of: key)), cursor: cursor))
    }
    return entries
  }

  /// A shard's bug must not become lost or endless pages.
  private static func isOrdered(
    _ entries: [Entry], from: ScanPosition, to end: ScanPosition
  ) -> Bool {
    var last = from
    for entry in entries {
      if entry.position < last { return false }
      last = entry.position
    }
    return last <= end
  }
}
