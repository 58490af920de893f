// Calls of a batch that are read ahead of their execution, so that the keys they look up are in the
// cache by then (Keyspace.callsAhead). They are executed one by one, in order, as if each had been
// read just before: invalid bytes stop the reading ahead, and are an error when they are reached.
//
// Calls and look-ups are written where they stay: a struct that is copied right after its fields
// were stored one by one waits for those stores, some ten cycles for each copy.

import Commands
import RingstoreAPI

final class ReadAhead<Call: BatchedCall> {
  private let keyspace: Keyspace
  private let countMax = Keyspace.callsAhead
  /// Where each call but the first begins, and the calls.
  private let starts: UnsafeMutablePointer<UnsafeRawPointer?>
  private let calls: UnsafeMutablePointer<Call>
  private var count = 0
  /// Those before it were handed out.
  private var next = 0

  init(_ keyspace: Keyspace) {
    self.keyspace = keyspace
    starts = .allocate(capacity: countMax)
    calls = .allocate(capacity: countMax)
  }

  deinit {
    starts.deallocate()
    calls.deallocate()
  }

  /// The call that a message is, until the next one is read.
  ///
  /// - Parameters:
  ///   - context: of the batch.
  ///   - following: the later messages, one by one; called only if more must be read.
  @inline(__always)
  func call(
    _ message: UnsafeRawBufferPointer, _ context: CallContext,
    following: () -> UnsafeRawBufferPointer?
  ) throws(WireError) -> UnsafePointer<Call> {
    if next < count, starts[next] == message.baseAddress {
      defer { next &+= 1 }
      return UnsafePointer(calls + next)
    }
    end()
    try Call.read(message, into: calls)
    count = 1
    next = 1
    while count < countMax, let message = following() {
      guard (try? Call.read(message, into: calls + count)) != nil else { break }
      if count == 1 { note(0, context) }
      (starts + count).initialize(to: message.baseAddress)
      note(count, context)
      count &+= 1
    }
    if count > 1 { keyspace.prefetchAhead() }
    return UnsafePointer(calls)
  }

  @inline(__always)
  private func note(_ index: Int, _ context: CallContext) {
    keyspace.isAhead(of: calls[index].methodNumber, calls[index].request, context)
  }

  /// The bytes of the batch may go.
  func end() {
    guard count > 0 else { return }
    count = 0
    next = 0
    keyspace.endAhead()
  }
}
