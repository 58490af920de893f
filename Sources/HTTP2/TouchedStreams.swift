// The streams of a session to which something happened, first things first: a list through the
// streams themselves, so that a stream is added and removed without memory of its own and without
// counted references.
//
// Invariant: a stream on the list is live (HTTP2Session retains it); `isTouched` says whether it is
// on the list.

/// A queue of streams.
struct TouchedStreams {
  private var first: Unmanaged<HTTP2Stream>?
  private var last: Unmanaged<HTTP2Stream>?

  /// Adds a stream that isn't on the list.
  mutating func append(_ stream: HTTP2Stream) {
    assert(!stream.isTouched, "a stream has one place")
    stream.isTouched = true
    let place = Unmanaged.passUnretained(stream)
    if let last {
      last._withUnsafeGuaranteedRef { $0.nextTouched = place }
    } else {
      first = place
    }
    last = place
  }

  /// The first stream, which is no longer on the list; nil if there is none.
  mutating func popFirst() -> Unmanaged<HTTP2Stream>? {
    guard let stream = first else { return nil }
    first = stream._withUnsafeGuaranteedRef {
      $0.isTouched = false
      let next = $0.nextTouched
      $0.nextTouched = nil
      return next
    }
    if first == nil { last = nil }
    return stream
  }

  /// Removes a stream from the list. O(streams); streams end without being on it.
  mutating func remove(_ stream: HTTP2Stream) {
    var others = TouchedStreams()
    while let next = popFirst() {
      next._withUnsafeGuaranteedRef { if $0 !== stream { others.append($0) } }
    }
    self = others
  }
}
