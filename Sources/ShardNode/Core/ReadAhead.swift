// Calls of a batch that are read before their execution: so each is read once, although a client's
// batch is accepted as a whole or not at all, and the keys that the next calls look up are in the
// cache by then (Keyspace.callsAhead). They are executed one by one, in order, as if each had been
// read just before. In a router's frame, invalid bytes stop the reading ahead, and are an error
// when they are reached.
//
// Calls and look-ups are written where they stay: a struct that is copied right after its fields
// were stored one by one waits for those stores, some ten cycles for each copy.

import Commands
import RingstoreAPI

final class ReadAhead<Call: BatchedCall> {
  /// Calls of a batch that are kept; further ones are read again at their execution.
  private let countMax = 128
  /// Calls whose keys are looked up together.
  private let lookupsMax = Keyspace.callsAhead

  private let keyspace: Keyspace
  /// Where each call begins, and the calls.
  private let starts: UnsafeMutablePointer<UnsafeRawPointer?>
  private let calls: UnsafeMutablePointer<Call>
  private var count = 0
  /// Those before it were handed out.
  private var next = 0
  /// The store knows the keys of those before it.
  private var noted = 0

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
      if next == noted { noteNext(context) }
    } else {
      end()
      try keep(message)
      while count < lookupsMax, let message = following() {
        guard (try? keep(message)) != nil else { break }
      }
      noteNext(context)
    }
    defer { next &+= 1 }
    return UnsafePointer(calls + next)
  }

  @inline(__always)
  private func keep(_ message: UnsafeRawBufferPointer) throws(WireError) {
    try Call.read(message, into: calls + count)
    (starts + count).initialize(to: message.baseAddress)
    count &+= 1
  }

  /// The store prefetches what the next calls look up. A single one gains nothing by that.
  private func noteNext(_ context: CallContext) {
    if noted > 0 { keyspace.endAhead() }
    let end = min(noted &+ lookupsMax, count)
    if end &- noted > 1 {
      for index in noted..<end {
        keyspace.isAhead(of: calls[index].methodNumber, calls[index].request, context)
      }
      keyspace.prefetchAhead()
    }
    noted = end
  }

  /// The bytes of the batch may go.
  func end() {
    guard count > 0 else { return }
    count = 0
    next = 0
    noted = 0
    keyspace.endAhead()
  }
}

extension ReadAhead<V1.Call> {
  /// Reads a client's batch as a whole, and keeps its first calls for their execution.
  func read(_ batch: UnsafeRawBufferPointer) throws(WireError) {
    end()
    do throws(WireError) {
      var messages = RepeatedBytes.Iterator(in: batch, V1.CallBatch.Field.calls)
      while let message = try messages.read() {
        if count < countMax { try keep(message) } else { _ = try V1.Call(message) }
      }
    } catch {
      end()
      throw error
    }
  }
}
