// What clients asked of one key and what they were told, as far as a history needs it.
//
// Owns nothing. Values; any thread.

/// A call on one key, without the key.
package enum KeyCall: Sendable, Hashable {
  case get
  case set([UInt8])
  case delete
  case incrBy(Int64)
  /// The values one after another: the last ends up first.
  case pushHead([[UInt8]])
  case pushTail([[UInt8]])
  case popHead
  case popTail
  case length
  case exists
  case type
  /// Zero-based, inclusive, negative from the end, clamped.
  case range(Int64, Int64)
  /// Not a call of a client: the key's memory was lost, as when its shard restarts without a log.
  case wipe

  var isRange: Bool {
    if case .range = self { true } else { false }
  }

  /// Whether it leaves every state as it is.
  package var isRead: Bool {
    switch self {
    case .get, .length, .exists, .type, .range: true
    default: false
    }
  }
}

/// The answer to a call that was executed. Errors that tell of the key's state are answers too.
package enum KeyReply: Sendable, Hashable {
  /// Get and the pops: the value, nil where there was none.
  case value([UInt8]?)
  /// Set and wipe.
  case done
  /// Delete: keys removed; pushes and length: elements in the list; exists: 0 or 1.
  case count(Int64)
  /// IncrBy: the new value.
  case integer(Int64)
  case type(KeyType)
  /// Range: the elements, nil where there is no such key.
  case elements([[UInt8]]?)
  /// Executed, and refused for what the key held; nothing changed.
  case refused(KeyRefusal)
}

package enum KeyType: Sendable, Hashable {
  case none
  case string
  case list
}

package enum KeyRefusal: Sendable, Hashable {
  case wrongType
  case notAnInteger
  case overflow
}

/// What is known about a call's execution.
package enum Outcome: Sendable, Hashable {
  /// It happened once, between invocation and return, and this was the answer.
  case ok(KeyReply)
  /// An error that promises that nothing happened.
  case notExecuted
  /// It may have happened once, at any time after the invocation, even after the return; or never.
  case unknown
  /// Not answered when the recording ended. As little is known as of `unknown`.
  case pending
}
