// The commands that search a list for a value. A short list is searched at once; of a long one only
// a piece, and the call is executed again in later turns, each time with its progress
// (`Remainder`).

import NIOCore
import RingstoreAPI
import Store

extension Command {
  package static let lRem = onKey(
    V1.KeyStore.lRem, "LREM key count value", shows: .count,
    "Removes values equal to a given one: a number from the head or the tail, or all.",
    needsMemory: false
  ) {
    (request: V1.ListRemoveRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let count = request.count == 0 ? Int.max : Int(clamping: request.count.magnitude)
    let begin = ListSearch(from: request.count < 0 ? .tail : .head, foundMax: count)
    switch try search(begin, for: request.value, at: place, keyspace) {
    case .missing:
      reply = V1.Status(ok: true)
      return .done
    case .continues(let search): return .unfinished(search)
    case .done(let search):
      guard !search.found.isEmpty else {
        reply = V1.Status(ok: true, version: place.version)
        return .done
      }
      let version = try? keyspace.store.removeElements(search.rising, at: place)
      reply = V1.Status(ok: true, count: Int64(search.found.count), version: version ?? 0)
      return .done
    }
  }

  package static let lInsert = onKey(
    V1.KeyStore.lInsert, "LINSERT key BEFORE|AFTER pivot value", shows: .inserted,
    "Inserts a value before or after the first value that equals a pivot."
  ) {
    (request: V1.ListInsertRequest, place, keyspace, _, reply: inout V1.Status)
      throws(CallError) in
    let begin = ListSearch(from: .head, foundMax: 1)
    switch try search(begin, for: request.pivot, at: place, keyspace) {
    case .missing:
      reply = V1.Status(ok: false)
      return .done
    case .continues(let search): return .unfinished(search)
    case .done(let search):
      guard let pivot = search.found.first,
        let result = try? keyspace.store.insertElement(
          request.value, before: request.after ? pivot + 1 : pivot, at: place)
      else {
        let length = try? keyspace.store.listLength(at: place)
        reply = V1.Status(ok: false, count: Int64(length ?? 0), version: place.version)
        return .done
      }
      reply = V1.Status(ok: true, count: Int64(result.length), version: result.version)
      return .done
    }
  }

  package static let lPos = onKey(
    V1.KeyStore.lPos, "LPOS key value [RANK rank] [COUNT count] [MAXLEN length]",
    shows: .positions(isMany: false),
    "Finds the indexes of values in a list that are equal to a given one.",
    orShows: { words in
      stride(from: 3, to: words.count, by: 2).contains { words.isWord($0, "COUNT") }
        ? .positions(isMany: true) : nil
    }
  ) {
    (
      request: V1.ListPositionRequest, place, keyspace, context,
      reply: inout V1.ListPositions
    )
      throws(CallError) in
    switch try search(try request.search(), for: request.value, at: place, keyspace) {
    case .missing: return .done
    case .continues(let search): return .unfinished(search)
    case .done(let search): return try positions(search.found, keyspace)
    }
  }

  private static func positions(
    _ indices: [Int], _ keyspace: Keyspace
  ) throws(CallError) -> Outcome {
    let numbers = indices.map { UInt64($0) }
    var reply = ByteBuffer()
    // Made here, because the numbers are not valid later.
    numbers.withUnsafeBufferPointer {
      V1.ListPositions(indexes: RepeatedNumbers($0), found: true).write(into: &reply)
    }
    guard reply.readableBytes <= keyspace.limits.maxMessageBytes else {
      throw .responseTooLarge(streamingCall: nil)
    }
    return .encoded(reply)
  }

  private enum SearchOutcome {
    case missing
    case continues(ListSearch)
    case done(ListSearch)
  }

  /// Begins a search, or continues with the one that this execution resumes.
  private static func search(
    _ begin: ListSearch, for value: UnsafeRawBufferPointer, at place: KeyPlace,
    _ keyspace: Keyspace
  ) throws(CallError) -> SearchOutcome {
    let resumed = keyspace.resumed
    var search = resumed?.search ?? begin
    let steps = resumed?.steps ?? keyspace.limits.searchStepsMax
    let isDone = try lists { () throws(Store.StoreError) in
      try keyspace.store.advance(&search, for: value, steps: steps, at: place)
    }
    guard let isDone else { return .missing }
    return isDone ? .done(search) : .continues(search)
  }
}

extension V1.ListPositionRequest {
  /// - Throws: INVALID_ARGUMENT.
  fileprivate func search() throws(CallError) -> ListSearch {
    guard (count ?? 0) >= 0, maxLength >= 0 else { throw .negativeCount }
    let wanted = count.map { $0 == 0 ? Int.max : Int($0) } ?? 1
    return ListSearch(
      from: rank < 0 ? .tail : .head,
      passingOver: rank == 0 ? 0 : Int(clamping: rank.magnitude - 1),
      foundMax: wanted, elementsMax: maxLength == 0 ? .max : Int(maxLength))
  }
}

extension CallError {
  fileprivate static var negativeCount: CallError {
    CallError(
      code: .invalidArgument, message: "The count and the maximum length can't be negative.")
  }
}

extension V1.ListRemoveRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(
      key: words[1], database: database, count: try words.integer(2, "the count"), value: words[3])
  }
}

extension V1.ListInsertRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    let isAfter = try words.choice(2, "the second argument", "BEFORE", "AFTER")
    self.init(
      key: words[1], database: database, pivot: words[3], value: words[4], after: isAfter)
  }
}

extension V1.ListPositionRequest: WordedMessage {
  init(_ words: CommandWords, database: UInt32) throws(ArgumentError) {
    self.init(key: words[1], database: database, value: words[2])
    if let place = words.place(behind: "RANK") {
      rank = try words.integer(place, "RANK")
      if rank == 0 { throw .badOptions("RANK can't be 0: 1 is the first, -1 the last") }
    }
    if let place = words.place(behind: "COUNT") { count = try words.notNegative(place, "COUNT") }
    if let place = words.place(behind: "MAXLEN") {
      maxLength = try words.notNegative(place, "MAXLEN")
    }
  }
}

extension CommandWords {
  fileprivate func notNegative(_ index: Int, _ what: String) throws(ArgumentError) -> Int64 {
    let number = try integer(index, what)
    if number < 0 { throw .badOptions("\(what) can't be negative") }
    return number
  }
}
