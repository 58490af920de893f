// When a pass begins, how fast it goes, and when writers have to wait for it.
//
// On disk are the newest complete pass, the log since its begin, and the pass in progress. With
// `live` as the bytes of a pass of all data, the rules are
//
//   begin    when pass + log >= 1.75 x live + 64 MiB
//   pace     4 bytes of the new pass for each byte that the log grows, and 4 MiB a second
//   wait     when pass + log + what the new pass still grows to would be over 3 x live + 64 MiB
//
// So the log grows by a quarter of `live` during a pass, and if all data is overwritten repeatedly
// the sizes are
//
//   live     at the begin   log at the begin   log at the end   most on disk   3 x live + 256 MiB
//   1 MiB    65.8 MiB       64.8 MiB           65 MiB           259 MiB        259 MiB
//   256 MiB  512 MiB        256 MiB            320 MiB          1.0 GiB        1.0 GiB
//   1 GiB    1.8 GiB        832 MiB            1.1 GiB          3.3 GiB        3.3 GiB
//   10 GiB   17.6 GiB       7.6 GiB            10.1 GiB         30.3 GiB       30.3 GiB
//
// "Most on disk" includes 192 MiB for other parts of files: a segment is kept completely for its
// last byte, the space of the current one is allocated in advance, and so is that of the next one:
// at most 64 MiB each, because a segment that ends early returns its rest. A small, hot data set
// needs one pass for 64 MiB of log; a large one needs a third more bytes in passes than in the log.
// Keys that are never overwritten need no pass: the log is not longer than they are.
//
// Values; pure.

package struct PassPacing: Equatable, Sendable {
  /// The size of pass and log at which a pass begins, in quarters of `live`.
  static let beginQuarters = 7
  /// The size of all files, in parts of `live`.
  static let wholeParts = 3
  /// The constant part of both.
  package static let slackBytes = 64 << 20
  /// The log grows so much at least between the begins of two passes.
  package static let logBytesMin = 16 << 20
  /// Bytes of a pass for each byte of the log.
  static let passPerLog = 4
  /// Bytes of a pass for each second, so that it ends even without writes.
  package static let bytesPerSecond = 4 << 20

  /// Bytes that a pass of all data would have; see `LiveBytes`.
  package var live: Int
  /// Bytes of the newest complete pass; 0 if there is none.
  package var pass: Int
  /// Bytes of the log since that pass began; since the log's beginning if there is none.
  package var log: Int

  package init(live: Int, pass: Int, log: Int) {
    self.live = live
    self.pass = pass
    self.log = log
  }

  /// Whether a pass must begin, if none is in progress.
  package var begins: Bool {
    log >= Self.logBytesMin && pass + log >= live / 4 * Self.beginQuarters + Self.slackBytes
  }

  /// How many bytes of a pass may have been taken by now.
  /// - Parameters:
  ///   - logGrowth: bytes of the log since the pass began.
  ///   - nanos: time since then.
  package static func bytesAllowed(logGrowth: Int, nanos: UInt64) -> Int {
    let seconds = Double(nanos) / 1e9
    return logGrowth * passPerLog + Int(min(seconds, 1e6) * Double(bytesPerSecond))
  }

  /// Whether a pass would free space on a nearly full disk.
  package var freesRoom: Bool { log > live }

  /// Whether writers wait until the current pass is complete and the replaced files are removed.
  /// - Parameter taken: bytes of it so far.
  package func writersWait(taken: Int) -> Bool {
    let most = max(live, pass) * Self.wholeParts + Self.slackBytes
    return pass + log + max(live, taken) > most
  }

  /// What should be free on disk so that a pass can always be made.
  package var bytesNeeded: Int { live + Self.slackBytes }
}

/// Estimates the bytes of a pass of all data from the store's memory.
package struct LiveBytes: Equatable, Sendable {
  /// Bytes of the last pass, and the store's memory when it began.
  private var measured: (pass: Int, used: Int)?

  package init() {}

  package mutating func passEnded(bytes: Int, storeUsed: Int) {
    measured = (max(1, bytes), max(1, storeUsed))
  }

  /// - Parameter used: `Store.usedBytes` now, which is more than a pass would have.
  package func guess(storeUsed used: Int) -> Int {
    guard let measured else { return used }
    return Int(Double(used) * Double(measured.pass) / Double(measured.used))
  }

  package static func == (left: LiveBytes, right: LiveBytes) -> Bool {
    left.measured?.pass == right.measured?.pass && left.measured?.used == right.measured?.used
  }
}
