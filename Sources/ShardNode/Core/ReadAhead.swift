// Calls of a batch that are read ahead of their execution, so that the keys they look up are in the
// cache by then (Keyspace.callsAhead). They are executed one by one, in order, as if each had been
// read just before: invalid bytes stop the reading ahead, and are an error when they are reached.

import Commands
import RingstoreAPI

final class ReadAhead<Call: BatchedCall> {
  private static var countMax: Int { Keyspace.callsAhead - 1 }

  private let keyspace: Keyspace
  /// Where each call begins, and the calls.
  private let starts: UnsafeMutablePointer<UnsafeRawPointer?>
  private let calls: UnsafeMutablePointer<Call>
  private var count = 0
  /// Those before it were handed out.
  private var next = 0

  init(_ keyspace: Keyspace) {
    self.keyspace = keyspace
    starts = .allocate(capacity: Self.countMax)
    calls = .allocate(capacity: Self.countMax)
  }

  deinit {
    end()
    starts.deallocate()
    calls.deallocate()
  }

  /// The call that a message is.
  ///
  /// - Parameters:
  ///   - context: of the batch.
  ///   - following: the later messages, one by one; called only if more must be read.
  @inline(__always)
  func call(
    _ message: UnsafeRawBufferPointer, _ context: CallContext,
    following: () -> UnsafeRawBufferPointer?
  ) throws(WireError) -> Call {
    if next < count, starts[next] == message.baseAddress {
      next &+= 1
      return calls[next &- 1]
    }
    let call = try Call(message)
    end()
    while count < Self.countMax, let message = following(), let following = try? Call(message) {
      if count == 0 { note(call, context) }
      (starts + count).initialize(to: message.baseAddress)
      (calls + count).initialize(to: following)
      count &+= 1
      note(following, context)
    }
    if count > 0 { keyspace.prefetchAhead() }
    return call
  }

  @inline(__always)
  private func note(_ call: Call, _ context: CallContext) {
    keyspace.isAhead(of: call.methodNumber, call.request, context)
  }

  /// The bytes of the batch may go.
  func end() {
    guard count > 0 else { return }
    calls.deinitialize(count: count)
    count = 0
    next = 0
    keyspace.endAhead()
  }
}
