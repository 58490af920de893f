// What a connection counts of its calls: how many there are, and the bytes that it holds for them.
// A sum over the calls and the call's own part of it change together, here and nowhere else. Pure.

/// The calls and messages of a connection.
struct CallTally {
  /// Calls begun and not replied to.
  private(set) var open = 0
  /// Calls with a reply, and those that were processed and wait for something. Floods are measured
  /// against them.
  private(set) var replied = 0
  /// Calls that ended with OK.
  private(set) var succeeded = 0
  private(set) var messagesSent = 0
  private(set) var messagesReceived = 0

  mutating func begin() { open += 1 }
  mutating func end() { open -= 1 }
  mutating func reply() { replied += 1 }
  mutating func succeed() { succeeded += 1 }
  mutating func sent() { messagesSent += 1 }
  mutating func received(_ messages: Int = 1) { messagesReceived += messages }
}

/// The bytes that a connection holds for one call.
struct CallBytes {
  /// Of a message that is not complete, but for large ones that were admitted.
  fileprivate(set) var unfinished = 0
  /// Of the request, until the service has it.
  fileprivate(set) var request = 0
  /// That the service will append to the reply.
  fileprivate(set) var reserved = 0
}

/// The bytes that a connection holds for all its calls.
struct CallBytesSums {
  private(set) var unfinished = 0
  private(set) var request = 0
  private(set) var reserved = 0

  mutating func setUnfinished(_ bytes: Int, of call: inout CallBytes) {
    unfinished += bytes - call.unfinished
    call.unfinished = bytes
  }

  mutating func setRequest(_ bytes: Int, of call: inout CallBytes) {
    request += bytes - call.request
    call.request = bytes
  }

  mutating func reserve(_ bytes: Int, for call: inout CallBytes) {
    call.reserved += bytes
    reserved += bytes
  }

  /// Subtracts bytes from what a call has reserved, down to zero at most.
  mutating func release(_ bytes: Int, of call: inout CallBytes) {
    let released = min(bytes, call.reserved)
    call.reserved -= released
    reserved -= released
  }

  /// The call is over.
  mutating func releaseAll(of call: inout CallBytes) {
    unfinished -= call.unfinished
    request -= call.request
    reserved -= call.reserved
    call = CallBytes()
  }
}

/// A message whose pieces are appended one after another.
struct MessageInPieces {
  /// Bytes that are still to be appended; 0: there is no such message, or it is complete.
  private(set) var missing = 0
  /// Bytes that were appended, prefix included.
  private(set) var appended = 0

  mutating func begin(byteCount: Int) {
    missing = byteCount
    appended = MessageFrame.prefixBytes
  }

  mutating func append(_ bytes: Int) {
    missing -= bytes
    appended += bytes
  }
}
