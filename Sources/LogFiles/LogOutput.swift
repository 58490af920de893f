// The face that a shard's loop writes its log through, and what it hears of it.
//
// How it is used, in the order of a shard's life:
//
//     let directory = try LogDirectory.open(path, as: owner, over: PosixFiles())   // locks it
//     let recovery = try LogRecovery(directory, numbers, settings) { pass in ... }
//     while let progress = try recovery.step() { ... }    // in turns of the loop
//     let start = try recovery.begin()                    // a new segment, with the new life
//     let output = LogFileOutput(start, settings, wake: ...)
//     let threads = LogThreads(output)             // or, in a simulation: output.perform(...)
//
//     output.write(batch)            what the appender gave; the batch comes back in `.written`
//     output.writeDirectly(batch)    ... on this thread, if the output takes direct writes
//     output.sync(upTo: number)      all up to this batch is synced as soon as can be
//     output.takeEvents()            when `wake` was called
//
//     output.beginPass(at:)          one pass at a time
//     output.writePass(chunk)        ... as many as there are; each comes back in `.passWritten`
//     output.endPass(lastAsOf:)      then `.passCompleted`, or `.passAbandoned`
//
//     output.close()                 the rest is written and synced; then `.closed`
//
// Every call but `writeDirectly` returns at once: work is queued for two lanes, each of which does
// one blocking step at a time. The writer writes batches, and syncs them under `always`. The
// background lane syncs once a second under `everysec`, writes passes, prepares segments, removes
// old files and watches the directory. Events come in the order in which things happened. `wake` is
// called on a lane's thread, once for all events that weren't taken yet.
//
// After `.failed` nothing is written any more and no event follows: what was given and not told as
// synced may be lost or not, so replies that wait have an unknown outcome and the process ends. The
// failure of a write or sync is never met by another try, because the system may have dropped the
// pages with the first. A full disk is no failure: what was given waits, is written when there is
// room again, and `.diskFull` tells of both ends. Room for what comes in until the loop has heard
// of it is set aside in advance: the rest of the segment, and a whole one that is prepared.

package import Log
package import MetricTypes

/// When what was written is synced.
package enum FsyncPolicy: String, Sendable, CaseIterable {
  /// After each write, before the next: nothing that was told as synced is lost with the power.
  case always
  /// Once a second.
  case everysec
  /// When a segment or a pass is complete; else when the system does.
  case never
}

package enum LogEvent {
  /// The kernel has all batches up to this number; the batches, to be recycled.
  case written(UInt64, [LogBatch])
  /// All batches up to this number are durable.
  case synced(UInt64)
  /// A chunk of the pass is in its file, or the pass was given up; what the chunk pins may be let
  /// go, on the loop.
  case passWritten(any PassBytes)
  /// The pass that begins here is complete and named by a segment's header.
  case passCompleted(LogPosition)
  /// The pass was given up, because the disk is full or on request, and its file is removed. Chunks
  /// that are given after that come back unwritten, until the next pass begins.
  case passAbandoned(LogPosition)
  /// True: the disk is full, or so full that a pass would not fit; refuse writes. False: no more.
  case diskFull(Bool)
  case failed(LogFailure)
  /// The directory of this path was removed or replaced while it was in use.
  case directoryGone(String)
  /// All is written and synced, and the files are closed.
  case closed
}

/// What ended the log.
package struct LogFailure: Error, Sendable, CustomStringConvertible {
  /// The file concerned; its directory where it was none.
  package let file: String
  /// A sentence for the operator.
  package let sentence: String

  package init(file: String, sentence: String) {
    self.file = file
    self.sentence = sentence
  }

  package var description: String { sentence }
}

/// A part of a pass on its way to the file: `PassChunk`, or what stands for one in a test. Has one
/// owner at a time: the loop until it is given away, and again once it comes back.
package protocol PassBytes: AnyObject, Sendable {
  /// About how many bytes it takes in the file.
  var byteCount: Int { get }

  /// The next batch of it, sealed; nil where there is none left. On the lane's thread. The bytes
  /// are good until the next call.
  /// - Parameter position: where the batch begins in the pass.
  func nextBatch(
    at position: LogPosition, committed: LogPosition, epoch: UInt64, identity: LogIdentity
  ) -> [UnsafeRawBufferPointer]?
}

extension PassChunk: PassBytes {}

package protocol LogOutput: AnyObject {
  /// Queues a batch. Its owner is the output until it comes back.
  func write(_ batch: LogBatch)

  /// Writes a batch before it returns, where that needs no more than a write into a file with room
  /// for it. What was written so is not told as `.written`.
  /// - Returns: whether it was written, and may be used again. If not, it was queued, as by
  ///   `write`,
  ///   or the log has failed.
  func writeDirectly(_ batch: LogBatch) -> Bool

  /// Whether `writeDirectly` would write, and nothing is under way that may hold up the write: no
  /// sync, no new segment. Never under `always`, where a write alone commits nothing.
  var takesDirectWrites: Bool { get }

  /// Syncs all batches up to this number as soon as can be, under every policy.
  func sync(upTo number: UInt64)

  /// Begins the file of a pass. There is no other under way.
  func beginPass(at begin: LogPosition)

  func writePass(_ chunk: any PassBytes)

  /// - Parameter lastAsOf: the log is synced up to here before the pass counts.
  func endPass(lastAsOf: LogPosition)

  /// Gives the pass up, if there is one that isn't complete.
  func abandonPass()

  /// Bytes that the disk should have left, beside what is prepared; below that `diskFull` is told.
  /// What the next pass needs, so that it can be made and give room back.
  func keepFree(_ bytes: Int)

  /// Writes and syncs the rest and gives a pass that isn't complete up. Nothing may be given after.
  func close()

  /// What has happened since the last call.
  func takeEvents() -> [LogEvent]

  /// Bytes of a pass that were given and not written.
  var passBytesQueued: Int { get }

  /// What is counted for the operator.
  var measures: LogMeasures { get }

  /// What the disk had left when it was looked at last; nil: it wasn't.
  var room: DiskRoom? { get }
}

extension LogOutput {
  package var measures: LogMeasures { LogMeasures() }
  package var room: DiskRoom? { nil }
}

/// What the lanes have counted since their start.
package struct LogMeasures: Sendable {
  /// How long syncs of the log's files took, where there is a clock (`LogFileSettings.nanos`).
  package var syncs = DurationCounts()
  package var segments = 0

  package init() {}
}
