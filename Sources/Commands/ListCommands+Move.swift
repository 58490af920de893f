// Moving a value from one list to another of the same slot, as one change.

import RingstoreAPI
import Store

extension Command {
  package static let lMove = onKey(
    V1.KeyStore.lMove, "LMOVE source destination LEFT|RIGHT LEFT|RIGHT", shows: .taken,
    "Moves a value from one end of a list to an end of another list, or of the same.",
    also: [
      RequestForm(
        "RPOPLPUSH source destination", .taken,
        "Moves the last value of a list to the front of another list, or of the same."
      ) { words, database in
        V1.ListMoveRequest(
          key: words[1], database: database, destination: words[2], from: .tail, to: .head)
      },
      RequestForm(
        "BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout", .taken,
        "As LMOVE, but waits for a value until the timeout; 0: the longest wait."
      ) { words, database throws(ArgumentError) in
        var request = try V1.ListMoveRequest(words, database: database)
        request.waitMillis = try words.waitMillis(5)
        return request
      },
      RequestForm(
        "BRPOPLPUSH source destination timeout", .taken,
        "As RPOPLPUSH, but waits for a value until the timeout; 0: the longest wait."
      ) { words, database throws(ArgumentError) in
        V1.ListMoveRequest(
          key: words[1], database: database, destination: words[2], from: .tail, to: .head,
          waitMillis: try words.waitMillis(3))
      },
    ],
    otherKeys: { (try? V1.ListMoveRequest($0)).map { [$0.destination] } ?? [] }
  ) {
    (request: V1.ListMoveRequest, place, keyspace, context, reply: inout V1.Value)
      throws(CallError) in
    try keyspace.checkSlot(
      of: request.destination, request.database, place.lookup.slot, context.call)
    let wait =
      request.waitMillis == 0
      ? nil : try ListWait(request.waitMillis, RepeatedBytes(), keyspace.limits)
    let (from, to) = (Store.ListEnd(request.from), Store.ListEnd(request.to))
    let outermost = try lists { () throws(Store.StoreError) in
      try keyspace.store.outermost(from, at: place)
    }
    guard let byteCount = outermost?.count else { return wait.map { .waiting($0) } ?? .done }
    let bytesMax = ReplySizes.value(count: byteCount, version: .max)
    guard bytesMax <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    let destination = try keyspace.find(
      request.destination, request.database, context.call)
    _ = try lists { () throws(Store.StoreError) in
      try keyspace.store.listLength(at: destination)
    }
    // Looking up the other key may have changed something: a key whose time to live had passed is
    // removed.
    let source = try keyspace.find(request.key, request.database, context.call)
    let move = Store.Move(from: from, of: source, to: to, of: destination.lookup)
    if bytesMax > context.bytesMin, let moved = try? keyspace.store.movePinned(move) {
      return .source(ValueSource(moved, isPopped: true))
    }
    guard let moved = try? keyspace.store.move(move) else { return .done }
    reply = V1.Value(value: moved.bytes, found: true, version: moved.version)
    return .done
  }
}

extension Store.ListEnd {
  /// Other numbers were refused.
  fileprivate init(_ end: V1.ListEnd) { self = end == .tail ? .tail : .head }
}

extension V1.ListMoveRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    let from = try words.choice(3, "the end of the source", "LEFT", "RIGHT")
    let to = try words.choice(4, "the end of the destination", "LEFT", "RIGHT")
    self.init(
      key: words[1], database: database, destination: words[2], from: from ? .tail : .head,
      to: to ? .tail : .head)
  }
}
