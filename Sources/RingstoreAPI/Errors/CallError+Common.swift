// The errors of nodes, each in one place, so that routers and shards use the same code, reason and
// message for the same error.

import StatusCodes

// MARK: What the caller got wrong

extension CallError {
  package static func invalidKey(bytes: Int, max: Int) -> CallError {
    CallError(
      .invalidKey,
      bytes == 0
        ? "The key is empty; a key has 1 to \(max) bytes."
        : "The key has \(bytes) bytes; a key has 1 to \(max) bytes.")
  }

  /// - Parameters: `holds` and `wanted` name types as a person would: "a list", "a string".
  package static func wrongType(holds: String, wanted: String) -> CallError {
    CallError(.wrongType, "The key holds \(holds), and this call works on \(wanted).")
  }

  package static var notAnInteger: CallError {
    CallError(.notAnInteger, "The value is not a decimal 64-bit integer.")
  }

  package static var beyondInt32: CallError {
    CallError(
      .integerOverflow, "The value is an integer beyond 32 bits; read it with ringstore.v1.")
  }

  package static var integerOverflow: CallError {
    CallError(
      .integerOverflow,
      "The result would not fit into a signed 64-bit integer; the value is unchanged.")
  }

  /// Of calls that need one.
  package static var noSuchKey: CallError {
    CallError(.noSuchKey, "There is no such key; nothing was changed.")
  }

  package static func indexOutOfRange(_ index: Int64) -> CallError {
    CallError(
      .indexOutOfRange, "The list has no value at the index \(index); nothing was changed.")
  }

  package static var crossSlot: CallError {
    CallError(
      .crossSlot,
      "The keys are in different slots, and the call works within one. Keys with the same "
        + "{hash tag}, as in {jobs}:new and {jobs}:done, share a slot.")
  }

  package static func invalidWait(max: UInt32) -> CallError {
    CallError(.invalidWait, "A call may wait at most \(max) milliseconds.")
  }

  package static func badPattern(_ detail: String) -> CallError {
    CallError(.badPattern, "The pattern can't be used: \(detail)")
  }

  package static var badPageToken: CallError {
    CallError(
      .badPageToken,
      "The page token is not one that this call returned for the same pattern and database.")
  }

  /// A token from before the cluster was given another hash seed.
  package static var otherHashSeed: CallError {
    CallError(
      .badPageToken,
      "The page token is from a cluster with another hash seed, where keys have another order. "
        + "Start again without a token.")
  }

  package static func noSuchDatabase(_ database: UInt32, databases: UInt32) -> CallError {
    noSuchDatabase("\(database)", databases: databases)
  }

  /// - Parameter database: its number as it was written; it may be too large for the type.
  package static func noSuchDatabase(_ database: String, databases: UInt32) -> CallError {
    CallError(
      .noSuchDatabase,
      "There is no database \(database); databases are numbered 0 to \(max(databases, 1) - 1).")
  }

  package static func tooManyItems(_ count: Int, max: Int) -> CallError {
    CallError(
      .tooManyItems, "The call names \(count) items; \(max) is the most. Split it into several.")
  }

  /// - Parameter streamingCall: the call that has no such limit, "LRangeStream" say, or nil.
  package static func responseTooLarge(streamingCall: String?) -> CallError {
    let advice = streamingCall.map { "Ask for less, or use \($0)." } ?? "Ask for less."
    return CallError(.responseTooLarge, "The reply would exceed the message limit. \(advice)")
  }

  package static var unknownField: CallError {
    CallError(
      .unknownField,
      "The request has a field that this version does not know, and a write is never executed "
        + "without all its fields.")
  }

  /// - Parameter name: the field as the .proto file calls it.
  package static func unservedField(_ name: String) -> CallError {
    CallError(.unknownField, "The field \(name) is not supported by this version yet.")
  }

  package static func undecodable(_ error: WireError) -> CallError {
    CallError(code: .internal, message: "The request is not a protobuf message: \(error.sentence).")
  }

  package static var notUTF8: CallError {
    CallError(.notUTF8, "The value is not UTF-8; read it as bytes.")
  }
}

// MARK: Errors of the cluster

extension CallError {
  /// How long a caller should wait by default, in milliseconds.
  package static let retryDelayMillisDefault = 100

  package static func shardUnavailable(
    _ shard: String, _ detail: String, retryDelayMillis: Int = CallError.retryDelayMillisDefault
  ) -> CallError {
    CallError(
      .shardUnavailable, "Shard \(shard) can't be reached: \(detail)", shard: shard,
      retryDelayMillis: retryDelayMillis)
  }

  package static func outcomeUnknown(_ shard: String) -> CallError {
    CallError(
      .outcomeUnknown,
      "The connection to shard \(shard) was lost after the write had been sent: it may have been "
        + "executed or not. Read before you repeat it.",
      shard: shard)
  }

  package static func wrongShard(owner: String?) -> CallError {
    CallError(
      .wrongShard,
      owner.map { "The key belongs to shard \($0)." } ?? "The key belongs to another shard.",
      shard: owner)
  }

  /// - Parameter detail: whether the key's slot is arriving or leaving.
  package static func slotMoves(_ detail: String) -> CallError {
    CallError(
      .wrongShard, "The key can't be served at this moment: \(detail). Try again.",
      retryDelayMillis: CallError.retryDelayMillisDefault)
  }

  package static func mapConflict(_ detail: String) -> CallError {
    CallError(.mapConflict, "The slot maps of router and shard differ: \(detail)")
  }

  package static func memoryLimit(_ detail: String) -> CallError {
    CallError(.memoryLimit, detail, retryDelayMillis: 1000)
  }

  package static func overloaded(
    _ detail: String, retryDelayMillis: Int = CallError.retryDelayMillisDefault
  ) -> CallError {
    CallError(.overloaded, detail, retryDelayMillis: retryDelayMillis)
  }

  /// A Pipeline has the maximum number of calls that wait for values.
  package static var tooManyWaitingCalls: CallError {
    .overloaded("This Pipeline has too many calls that wait for values; use another one.")
  }

  /// A read on many keys or every shard whose reply has no room beside those of others.
  package static func repliesHoldTooMuch(_ limits: Limits) -> CallError {
    .overloaded(
      "The replies to calls on many keys and on all shards use \(limits.replyMemoryBytesMax) bytes, the "
        + "maximum of this node; try later, or read in pages.")
  }

  package static var viewExpired: CallError {
    CallError(
      .viewExpired, "The view of the list was held for too long and has expired; read it again.")
  }

  package static var deadlineExceeded: CallError {
    CallError(code: .deadlineExceeded, message: "The deadline passed before there was a reply.")
  }

  package static var cancelled: CallError {
    CallError(code: .cancelled, message: "The caller cancelled the call.")
  }

  package static func internalError(_ detail: String) -> CallError {
    CallError(code: .internal, message: detail)
  }
}
