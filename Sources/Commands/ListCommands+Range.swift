// The commands that read a range of a list.

import NIOCore
import RingstoreAPI
import Store

extension Command {
  package static let lRange = onKey(
    V1.KeyStore.lRange, "LRANGE key start stop", shows: .list,
    "Reads a range of a list; start and stop are included, negative ones count from the end."
  ) {
    (request: V1.ListRange, place, keyspace, _, _: inout V1.ListValues)
      throws(CallError) in
    guard let view = try view(of: request, at: place, keyspace) else {
      return .done
    }
    return .list(view)
  }

  package static let lRangeStream = Command(
    .lRangeStream, V1.KeyStore.lRangeStream, .read, .namedKeys, .oneKey, .streamOfKey,
    rangeStreamSummary,
    forms: [CommandForm("LRANGESTREAM key start stop", rangeStreamSummary)])

  private static let rangeStreamSummary =
    "Reads a range of a list of any length, in chunks of one consistent view."

  /// The range that a request names; nil if there is no such key.
  private static func view(
    of request: V1.ListRange, at place: KeyPlace, _ keyspace: Keyspace
  ) throws(CallError) -> Store.ListView? {
    try lists { () throws(Store.StoreError) in
      try keyspace.store.range(start: request.start, stop: request.stop, at: place)
    }
  }

  /// The parts of a range as LRangeStream sends them; nil if there is no such key.
  package static func listParts(
    _ message: UnsafeRawBufferPointer, of keyspace: Keyspace, _ context: CallContext
  ) throws(CallError) -> ListPartsSource? {
    let request = try V1.ListRange(request: message)
    let place = try keyspace.find(request.key, request.database, context)
    return try view(of: request, at: place, keyspace).map {
      ListPartsSource($0, messageBytesMax: keyspace.limits.maxMessageBytes)
    }
  }
}

extension Store.ListView {
  /// Appends the view as a `ListValues`, or returns its source if it is long.
  ///
  /// - Parameter isTaken: the list has these elements no more.
  /// - Throws: RESPONSE_TOO_LARGE.
  @inline(never)
  func reply(
    _ keyspace: Keyspace, largerThan bytesMin: Int, isTaken: Bool,
    into response: inout ByteBuffer
  ) throws(CallError) -> (any ReplySource)? {
    let bounds = ListReplySize.bounds(self)
    if let source = try source(keyspace, largerThan: bytesMin, bounds, isTaken: isTaken) {
      return source
    }
    response.reserveCapacity(minimumWritableBytes: bounds.upperBound)
    forEach { value in
      response.append(V1.ListValues.Field.values, value)
      return true
    }
    response.writeListEnd(of: self, firstIndex: firstIndex)
    return nil
  }

  /// Passes the view on as a `ListValues`, or returns its source if it is long.
  ///
  /// - Throws: RESPONSE_TOO_LARGE.
  func reply(
    _ keyspace: Keyspace, largerThan bytesMin: Int, isTaken: Bool, _ respond: (CallReply) -> Void
  ) throws(CallError) -> (any ReplySource)? {
    let bounds = ListReplySize.bounds(self)
    if let source = try source(keyspace, largerThan: bytesMin, bounds, isTaken: isTaken) {
      return source
    }
    withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: count) { values in
      var place = 0
      forEach { value in
        values.initializeElement(at: place, to: value)
        place += 1
        return true
      }
      var list = ListReplySize.message(self, firstIndex: firstIndex)
      list.values = RepeatedBytes(UnsafeBufferPointer(rebasing: values[..<place]))
      respond(.list(list))
    }
    return nil
  }

  /// Exact, so that nothing is removed that doesn't fit into a reply. O(1), unless the reply may be
  /// as long as that: then O(elements).
  ///
  /// - Throws: RESPONSE_TOO_LARGE.
  func refuseTooLarge(_ limits: Limits) throws(CallError) {
    let bounds = ListReplySize.bounds(self)
    if bounds.upperBound <= limits.maxMessageBytes { return }
    var byteCount = bounds.lowerBound
    if byteCount <= limits.maxMessageBytes {
      let source = ListMessageSource(self, isTaken: true)
      while !source.measure() {}
      byteCount = source.byteCount ?? .max
    }
    guard byteCount <= limits.maxMessageBytes else { throw .responseTooLarge(streamingCall: nil) }
  }

  /// The view's source; nil if the reply is made at once.
  ///
  /// - Parameter bounds: the limits of the reply's size.
  /// - Throws: RESPONSE_TOO_LARGE.
  @inline(__always)
  private func source(
    _ keyspace: Keyspace, largerThan bytesMin: Int, _ bounds: ClosedRange<Int>, isTaken: Bool
  ) throws(CallError) -> ListMessageSource? {
    let messageMax = keyspace.limits.maxMessageBytes
    guard bounds.lowerBound <= messageMax else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    if bounds.upperBound <= min(bytesMin, messageMax) { return nil }
    let source = ListMessageSource(self, isTaken: isTaken)
    guard bytesMin == .max else { return source }
    while !source.measure() {}
    guard let byteCount = source.byteCount, byteCount <= messageMax else {
      throw .responseTooLarge(streamingCall: "LRangeStream")
    }
    return nil
  }
}
