// Streams that have ended, kept for reuse by the sessions of one event loop. The latest one is
// reused first: if hundreds of connections make one call at a time, all these calls use a few
// objects that are still in the cache.
//
// A stream keeps the owner's object (`HTTP2Stream.context`) in the pool, so all owners that share a
// pool must use the same kind of object. The owner that recycles a stream removes that object's
// references to its connection.
//
// What the library's sessions of the loop share goes with it (LibraryMemory.swift).
//
// Thread: the event loop.

import NIOCore

/// The streams that one event loop keeps.
package final class HTTP2StreamPool {
  /// Streams that a loop's pool keeps; more are freed.
  package static let loopStreamsMax = 1024
  /// Streams that the pool of a single session keeps.
  package static let sessionStreamsMax = 128
  /// Capacity of all the body buffers that they keep together; above it they are kept without a
  /// buffer.
  package static let bytesMax = 1 << 20

  /// For the library's sessions, which must not outlive the pool.
  let memory = LibraryMemory()

  private let streamsMax: Int
  private var streams: ContiguousArray<HTTP2Stream> = []
  /// Streams that found no place while the caller of their recycling may use them: see `lend`.
  private var surplus: ContiguousArray<HTTP2Stream> = []
  private var lendings = 0
  /// Capacity of the buffers that the streams keep.
  package private(set) var bytes = 0

  package init(streamsMax: Int) {
    self.streamsMax = streamsMax
  }

  deinit { empty() }

  /// How many streams are kept.
  package var count: Int { streams.count }

  /// Frees the streams.
  package func empty() {
    for stream in streams { stream.context = nil }
    if lendings > 0 { surplus += streams }
    streams = []
    bytes = 0
  }

  /// Calls `body` with a stream whose references it does not count, although `body` may recycle it:
  /// no stream is freed before the outermost `body` has returned.
  @inline(__always)
  func lend(_ stream: Unmanaged<HTTP2Stream>, _ body: (HTTP2Stream) -> Void) {
    lendings += 1
    stream._withUnsafeGuaranteedRef(body)
    lendings -= 1
    if lendings == 0, !surplus.isEmpty { surplus = [] }
  }

  func take() -> HTTP2Stream {
    guard let stream = streams.popLast() else { return HTTP2Stream() }
    bytes -= stream.bufferCapacity
    return stream
  }

  /// Takes a cleared stream. One that is not kept releases its context: the owner's object points
  /// back to the stream, and the two would retain each other.
  func keep(_ stream: HTTP2Stream) {
    guard streams.count < streamsMax else {
      stream.context = nil
      if lendings > 0 { surplus.append(stream) }
      return
    }
    if bytes + stream.bufferCapacity > Self.bytesMax { stream.dropBuffers() }
    bytes += stream.bufferCapacity
    streams.append(stream)
  }
}
