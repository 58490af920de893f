// How much of what was written to a connection its peer has taken. Bytes that were given to the
// system say little: its buffer holds megabytes, and takes new ones in steps that are seconds apart
// where the peer reads slowly. What the peer's system has acknowledged moves as the peer reads.
//
// Asked about now and then, not on the way of a call: each look is a system call. Used on the
// channel's event loop.

import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the peer of one connection has taken.
package struct TakenBytes {
  /// Bytes that the peer's system has acknowledged, as far as they were looked at. They only grow:
  /// what else is written meanwhile (frames that no stream knows of) can hide some for a moment.
  package private(set) var count = 0
  /// Bytes that wait in the channel, because the socket takes no more.
  package private(set) var queued = 0

  package init() {}

  /// Looks how far the peer has come.
  ///
  /// - Parameter written: all bytes that were handed to the channel or its socket so far.
  package mutating func look(written: Int, _ channel: any Channel) {
    queued = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    count = max(count, written - queued - Self.unacknowledgedBytes(channel))
  }

  /// Bytes that the system has, sent or not, and that the peer has not acknowledged; 0 where there
  /// is no socket, or where the system doesn't say.
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
