// BigKeys: a walk over all keys, of all shards in parallel, that keeps the largest ones.
//
// A slice returns the keys that may be among the largest: the request contains the current minimum
// size. So few keys are sent, and shards keep nothing between slices.

import Commands
import NIOCore
import RingstoreAPI

package struct BigKeysMerge: FanoutReducer {
  /// Keys of a ranking: the default and the maximum.
  package static let countDefault: UInt32 = 10
  package static let countMax: UInt32 = 100

  package let part = InternalMethod.bigKeysPart
  package let lane = LinkLane.bulk
  package let allowsPartial = true
  package let tellsOfClusterState = true
  private let count: UInt32
  private let limits: Limits
  private var walk: BigKeysWalk
  private var types: [V1.ValueType: OfType] = [.string: OfType(), .list: OfType()]
  private var unreachable: [CallError] = []

  private struct OfType {
    var keys: Int64 = 0
    var bytes: Int64 = 0
    var byBytes = Ranking()
    var byLength = Ranking()
  }

  /// The largest keys, encoded, the largest one first.
  private struct Ranking {
    private(set) var keys: [(size: Int64, bytes: ByteBuffer)] = []
    /// The largest dropped key: no smaller one may be added after it.
    private var dropped: Int64 = 0

    /// What a key must be larger than.
    func bound(_ count: UInt32) -> Int64 {
      max(dropped, keys.count < Int(count) ? 0 : keys.last?.size ?? 0)
    }

    mutating func add(_ key: V1.BigKey, size: Int64, _ count: UInt32) {
      guard size > bound(count) else { return }
      var bytes = ByteBuffer()
      key.write(into: &bytes)
      keys.insert((size, bytes), at: keys.firstIndex { $0.size < size } ?? keys.count)
      if keys.count > Int(count) { keys.removeLast() }
    }

    var heldBytes: Int { keys.reduce(0) { $0 + $1.bytes.readableBytes } }

    mutating func dropSmallest() { dropped = max(dropped, keys.popLast()?.size ?? 0) }

    func write(as field: BytesField, into reply: inout ByteBuffer) {
      for key in keys { key.bytes.withUnsafeReadableBytes { reply.append(field, $0) } }
    }
  }

  package init(
    _ call: V1.BigKeysRequest, _ context: CallContext, _ limits: Limits
  ) throws(CallError) {
    if call.hasUnknownField { throw .unknownField }
    walk = try BigKeysWalk(
      database: call.database, allDatabases: call.allDatabases, context, limits)
    count = call.count == 0 ? Self.countDefault : min(call.count, Self.countMax)
    self.limits = limits
  }

  package var heldBytes: Int {
    types.values.reduce(0) { $0 + $1.byBytes.heldBytes + $1.byLength.heldBytes }
  }

  package mutating func request(shard: Int) -> ByteBuffer {
    let (strings, lists) = (types[.string] ?? OfType(), types[.list] ?? OfType())
    return walk.request(
      shard: shard, stringBytesAbove: strings.byBytes.bound(count),
      listBytesAbove: lists.byBytes.bound(count), listLengthAbove: lists.byLength.bound(count))
  }

  package mutating func merge(
    _ response: UnsafeRawBufferPointer, shard: Int
  ) throws(CallError) -> Bool {
    let slice = try LinkV1.BigKeysPartReply(decoding: response)
    for (type, counted) in [
      (V1.ValueType.string, (slice.strings, slice.stringBytes)),
      (.list, (slice.lists, slice.listBytes)),
    ] {
      types[type, default: OfType()].keys &+= counted.0
      types[type, default: OfType()].bytes &+= counted.1
    }
    for key in slice.keys {
      types[key.type, default: OfType()].byBytes.add(key, size: key.bytes, count)
      if key.type == .list { types[.list]?.byLength.add(key, size: key.length, count) }
    }
    while heldBytes > limits.maxMessageBytes / 2, dropSmallest() {}
    return walk.hasNextSlice(shard: shard, after: slice)
  }

  /// Keys may be so long that not all fit into a reply: the longest ranking loses its last one.
  private mutating func dropSmallest() -> Bool {
    let rankings: [WritableKeyPath<OfType, Ranking>] = [\.byBytes, \.byLength]
    let all = types.keys.flatMap { type in rankings.map { (type, $0) } }
    let longest = all.max {
      (types[$0.0]?[keyPath: $0.1].heldBytes ?? 0) < (types[$1.0]?[keyPath: $1.1].heldBytes ?? 0)
    }
    guard let longest, types[longest.0]?[keyPath: longest.1].keys.isEmpty == false else {
      return false
    }
    types[longest.0]?[keyPath: longest.1].dropSmallest()
    return true
  }

  package mutating func missing(_ error: CallError, shard: Int) { unreachable.append(error) }

  package func reply() -> ByteBuffer {
    var reply = ByteBuffer()
    for (type, found) in types.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      if found.keys == 0 { continue }
      typealias Field = V1.BigKeysOfType.Field
      let item = reply.beginLengthDelimited(V1.BigKeysResponse.Field.types, sizeHint: 1 << 14)
      reply.write(Field.type, type)
      reply.write(Field.keys, found.keys)
      reply.write(Field.bytes, found.bytes)
      found.byBytes.write(as: Field.byBytes, into: &reply)
      found.byLength.write(as: Field.byLength, into: &reply)
      reply.endLengthDelimited(item)
    }
    for error in unreachable { reply.append(V1.BigKeysResponse.Field.unreachable, error) }
    return reply
  }
}
