// Walking the messages of a Pipeline: CallBatch (calls in field 1) and ReplyBatch (replies in
// field 1). Both read as they go and hand out slices of the message.

/// The calls of one CallBatch.
package struct CallBatchReader {
  private var reader: WireReader

  package init(_ message: UnsafeRawBufferPointer) {
    reader = WireReader(message)
  }

  /// The next call, or nil at the end.
  ///
  /// - Throws: at the first malformed field. Calls handed out before that have been handed out;
  ///   a node that must not execute half a batch asks `validate` first.
  package mutating func next() throws(WireError) -> CallView? {
    while let tag = try reader.nextTag() {
      if tag == .bytes(1) { return try CallView(try reader.readBytes(), carrier: .pipeline) }
      try reader.skip(tag)
    }
    return nil
  }

  /// Reads the whole batch once: how many calls it has, or why it is malformed.
  package static func validate(_ message: UnsafeRawBufferPointer) throws(WireError) -> Int {
    var batch = CallBatchReader(message)
    var count = 0
    while try batch.next() != nil { count += 1 }
    return count
  }
}

/// The replies of one ReplyBatch.
package struct ReplyBatchReader {
  private var reader: WireReader

  package init(_ message: UnsafeRawBufferPointer) {
    reader = WireReader(message)
  }

  /// The next reply, or nil at the end.
  package mutating func next() throws(WireError) -> ReplyView? {
    while let tag = try reader.nextTag() {
      if tag == .bytes(1) { return try ReplyView(try reader.readBytes()) }
      try reader.skip(tag)
    }
    return nil
  }
}
