// How many written bytes a connection's peer has received. Bytes given to the operating system say
// little: its buffer holds megabytes, and accepts new ones in steps that are seconds apart if the
// peer reads slowly. The bytes acknowledged by the peer's system advance as the peer reads.
//
// Checked from time to time, not for each call: each check is a system call. On the channel's event
// loop.

import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The acknowledged bytes of one connection.
package struct TakenBytes {
  /// Bytes that the peer's system has acknowledged, as of the last check. They only increase: other
  /// output (frames without a stream) can hide some for a moment.
  package private(set) var count = 0
  /// Bytes that wait in the channel, because the socket accepts no more.
  package private(set) var queued = 0

  package init() {}

  /// Checks the peer's progress.
  ///
  /// - Parameter written: all bytes that were handed to the channel or its socket so far.
  package mutating func look(written: Int, _ channel: any Channel) {
    queued = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    count = max(count, written - queued - Self.unacknowledgedBytes(channel))
  }

  /// Bytes in the system, sent or not, that the peer has not acknowledged; 0 without a socket, or
  /// if unknown.
  private static func unacknowledgedBytes(_ channel: any Channel) -> Int {
    #if os(Linux)
      var bytes: CInt = 0
      let status = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self
      ) { ioctl($0, UInt(TIOCOUTQ), &bytes) }
      return status == 0 ? Int(bytes) : 0
    #else
      return 0
    #endif
  }
}
