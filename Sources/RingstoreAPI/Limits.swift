// The limits that every node checks requests against. Defaults are part of the protocol page; a
// node's configuration may set others. Value type; any thread.

package struct Limits: Sendable, Hashable {
  /// A key has 1...this many bytes, in bytes.
  package var maxKeyBytes = 64 * 1024
  /// The longest gRPC message, request or reply, in bytes.
  package var maxMessageBytes = 4 * 1024 * 1024
  /// Items of a many-key call, values of one push.
  package var maxItems = 10_000
  /// Databases are numbered 0..<this.
  package var databases: UInt32 = 16
  /// Bytes that views of values and lists may keep alive on a shard after writers have released
  /// them; above it the oldest views expire.
  package var maxPinnedBytes = 256 << 20
  /// The maximum age of a view, in nanoseconds.
  package var viewNanosMax: UInt64 = 60_000_000_000
  /// Bytes of replies that may wait on a shard until the changes that they report are committed.
  /// Above it, writes are refused, and reads whose replies would have to wait.
  package var heldBytesMax = 64 << 20
  /// How far a list is searched at once for a value, in values; further in turns.
  package var searchStepsMax = 65_536
  /// The longest that a call may wait for a value.
  package var waitMillisMax = Limits.waitMillisMaxDefault
  package static let waitMillisMaxDefault: UInt32 = 86_400_000
  /// Lists that one pop may name.
  package var popKeysMax = 64
  /// Calls that may wait for a value on a shard.
  package var parkedCallsMax = 65_536
  /// Bytes that they may hold: their requests, and a fixed amount for each.
  package var parkedBytesMax = 64 << 20
  /// A request or a response longer than this goes over a link's bulk lane.
  package var bulkBytesMin = 64 << 10
  /// The most bytes of a large reply that travel in one part.
  package var pieceBytesMax = 64 << 10
  /// Bytes of large replies that one event loop of a router collects at a time.
  package var largeReplyMemoryBytesMax = 64 << 20
  /// Bytes that calls on many keys and on every shard hold in one event loop for their requests and
  /// their replies, until those have been sent.
  package var replyMemoryBytesMax = 64 << 20

  /// Orders the keys of scans; the same on all nodes of a cluster.
  package var hashSeed = HashSeed.publicSeed

  /// Bytes that the clients of a node may make it hold: requests on their way in, and replies that
  /// they don't take. For the whole node, whose event loops have equal parts of it.
  package var clientMemoryBytes = 512 << 20

  /// The least of `clientMemoryBytes`: some of the longest messages for each event loop.
  package func clientMemoryBytesMin(threads: Int) -> Int { 8 * maxMessageBytes * threads }

  package init() {}

  /// What a link message may be longer than `maxMessageBytes` by: the wrapping of one call around
  /// the longest message that a client may send.
  package static let linkHeadroomBytes = 64 * 1024
}
