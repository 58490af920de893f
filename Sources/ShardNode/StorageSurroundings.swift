// The environment of a shard's storage: clocks, threads for the log's lanes, the loop's output. A
// process provides real ones; a simulation provides all of them in one thread.
//
// Values and a protocol; the shard's event loop.

import GRPC
import Log
import LogFiles
import Logging
import NIOCore

/// The output of a loop's connections, which waits for the log if the loop itself writes it.
package protocol LoopOutput: AnyObject {
  /// Flushes `target` at the end of this tick before anything else.
  func markFirst(_ target: any Flushable)
  /// No connection writes before `release`.
  func hold()
  func release()
}

extension FlushCoalescer: LoopOutput {}

package struct StorageSurroundings {
  /// Random, for this start.
  package var numbers: LogStartNumbers
  package var settings: LogFileSettings
  /// What one turn of the loading reads, and replays, about.
  package var loadBytesPerTurn = 1 << 20
  package var loadWorkPerTurn = 1_000
  /// Measures one turn of a pass.
  package var passTurns = PassTurns()
  /// Milliseconds since 1970.
  package var wallMillis: () -> Int64
  package var logger: Logger
  /// Starts the lanes of an output. Returns a closure that stops them.
  package var runLanes: (LogFileOutput) throws(LogThreads.NoThread) -> () -> Void
  /// Makes a closure that any thread may call, and that calls `action` on the loop soon.
  package var waker: (_ action: @escaping () -> Void) -> @Sendable () -> Void

  package init(
    numbers: LogStartNumbers, settings: LogFileSettings, wallMillis: @escaping () -> Int64,
    logger: Logger,
    runLanes: @escaping (LogFileOutput) throws(LogThreads.NoThread) -> () -> Void,
    waker: @escaping (_ action: @escaping () -> Void) -> @Sendable () -> Void
  ) {
    self.numbers = numbers
    self.settings = settings
    self.wallMillis = wallMillis
    self.logger = logger
    self.runLanes = runLanes
    self.waker = waker
  }

  /// Those of a process: a thread for each lane.
  static func process(
    _ policy: FsyncPolicy, _ eventLoop: any EventLoop, wallMillis: @escaping () -> Int64,
    logger: Logger
  ) -> StorageSurroundings {
    var settings = LogFileSettings(policy: policy)
    settings.nanos = { NIODeadline.now().uptimeNanoseconds }
    return StorageSurroundings(
      numbers: LogStartNumbers(
        identity: NewLogIdentity(
          lineage: Lineage(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max)),
          directory: .random(in: 1 ... .max)),
        life: .random(in: 1 ... .max)),
      settings: settings, wallMillis: wallMillis, logger: logger,
      runLanes: { output throws(LogThreads.NoThread) in
        let threads = try LogThreads(output)
        return { threads.finish() }
      },
      waker: { action in
        let bound = NIOLoopBound(action, eventLoop: eventLoop)
        return { eventLoop.execute { bound.value() } }
      })
  }
}
