// The interface through which a shard's loop writes its log, and its events.
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
// old files and watches the directory. Events are in chronological order. `wake` is called on a
// lane's thread, once for all events that weren't taken yet.
//
// After `.failed` nothing is written any more and no event follows: batches without a sync event
// may be lost or not, so waiting replies have an unknown outcome and the process exits. A failed
// write or sync is never repeated, because the system may have dropped the pages. A full disk is
// not a failure: batches wait, are written when there is space again, and `.diskFull` reports the
// begin and the end. Space for batches until the loop gets this event is allocated in advance: the
// rest of the segment, and a prepared whole one.

package import Log
package import MetricTypes

/// When written data is synced.
package enum FsyncPolicy: String, Sendable, CaseIterable {
  /// After each write, before the next: data reported as synced survives a power loss.
  case always
  /// Once a second.
  case everysec
  /// When a segment or a pass is complete; else when the system does.
  case never
}

package enum LogEvent {
  /// The kernel has all batches up to this number; the batches can be recycled.
  case written(UInt64, [LogBatch])
  /// All batches up to this number are durable.
  case synced(UInt64)
  /// A chunk of the pass is in its file, or the pass was abandoned; the chunk's pins may be
  /// released, on the loop.
  case passWritten(any PassBytes)
  /// The pass that begins here is complete and named by a segment's header.
  case passCompleted(LogPosition)
  /// The pass was abandoned, because the disk is full or on request, and its file is removed.
  /// Later chunks are returned unwritten, until the next pass begins.
  case passAbandoned(LogPosition)
  /// True: the disk is full, or so full that a pass would not fit; refuse writes. False: no more.
  case diskFull(Bool)
  case failed(LogFailure)
  /// The directory of this path was removed or replaced while it was in use.
  case directoryGone(String)
  /// All is written and synced, and the files are closed.
  case closed
}

/// The error that ended the log.
package struct LogFailure: Error, Sendable, CustomStringConvertible {
  /// The file; the directory if it was none.
  package let file: String
  /// A sentence for the operator.
  package let sentence: String

  package init(file: String, sentence: String) {
    self.file = file
    self.sentence = sentence
  }

  package var description: String { sentence }
}

/// A part of a pass in flight to the file: `PassChunk`, or a test's replacement. Has one owner at a
/// time: the loop until it is passed on, and again once it is returned.
package protocol PassBytes: AnyObject, Sendable {
  /// Its approximate size in the file.
  var byteCount: Int { get }

  /// Its next sealed batch; nil if none remains. On the lane's thread. The bytes are valid until
  /// the next call.
  /// - Parameter position: the begin of the batch in the pass.
  func nextBatch(
    at position: LogPosition, committed: LogPosition, epoch: UInt64, identity: LogIdentity
  ) -> [UnsafeRawBufferPointer]?
}

extension PassChunk: PassBytes {}

package protocol LogOutput: AnyObject {
  /// Queues a batch. The output owns it until it is returned.
  func write(_ batch: LogBatch)

  /// Writes a batch before it returns, if that is only a write into a file with enough space. Such
  /// a write makes no `.written` event.
  /// - Returns: whether it was written, and may be used again. If not, it was queued, as by
  ///   `write`,
  ///   or the log has failed.
  func writeDirectly(_ batch: LogBatch) -> Bool

  /// Whether `writeDirectly` would write, and nothing in progress may delay the write: no sync, no
  /// new segment. Never under `always`, where a write alone commits nothing.
  var takesDirectWrites: Bool { get }

  /// Syncs all batches up to this number as soon as can be, under every policy.
  func sync(upTo number: UInt64)

  /// Begins the file of a pass. There is no other in progress.
  func beginPass(at begin: LogPosition)

  func writePass(_ chunk: any PassBytes)

  /// - Parameter lastAsOf: the log is synced up to here before the pass counts.
  func endPass(lastAsOf: LogPosition)

  /// Gives the pass up, if there is one that isn't complete.
  func abandonPass()

  /// The minimum of free bytes on the disk, besides prepared files; below it `diskFull` is
  /// reported. The next pass needs this space, so that it can be made and free space.
  func keepFree(_ bytes: Int)

  /// Writes and syncs the rest, and abandons an incomplete pass. Nothing may be passed afterwards.
  func close()

  /// What has happened since the last call.
  func takeEvents() -> [LogEvent]

  /// Bytes of a pass that were passed and not written.
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
  /// Durations of the log's syncs, if there is a clock (`LogFileSettings.nanos`).
  package var syncs = DurationCounts()
  package var segments = 0

  package init() {}
}
