// The writing end's settings and limits, all in one place. docs/OPERATIONS.md lists what users can
// set. Pure.

package struct LogFileSettings: Sendable {
  package var policy: FsyncPolicy
  package var sizes = SegmentSizes()
  /// How often `everysec` syncs.
  package var syncIntervalNanos: UInt64 = 1_000_000_000
  /// How often the directory and the free disk space are checked.
  package var watchIntervalNanos: UInt64 = 1_000_000_000
  /// The pause before the next try on a full disk.
  package var retryNanos: UInt64 = 200_000_000
  /// Most bytes of batches that go into one write, unless one batch is longer.
  package var gatherBytesMax = 8 << 20
  /// The maximum of bytes of a pass between two syncs of its file. It limits how long the sync of a
  /// second can wait for it.
  package var passSyncBytes = 8 << 20
  /// The maximum of bytes of a pass that are written in one step of its lane.
  package var passStepBytes = 256 << 10
  /// Size of the segment in which a pass can be named when the disk is full.
  package var reserveBytes: UInt64 = 64 << 10
  /// The maximum of unused bytes in a segment that is no longer written.
  package var restBytesMax: UInt64 = 4096
  /// Free bytes below which the disk counts as full, independent of `keepFree`.
  package var freeBytesMin = 8 << 20

  /// A clock in nanoseconds by which syncs are measured; nil: they aren't.
  package var nanos: (@Sendable () -> UInt64)?

  /// Whether new segments are filled with zeros. Where no reply waits for syncs, it isn't worth
  /// writing everything twice.
  package var fillsSegments: Bool

  package init(policy: FsyncPolicy) {
    self.policy = policy
    fillsSegments = policy == .always
  }
}
