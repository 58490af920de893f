// The lanes on threads of their own, on the machine's file system: the loop waits for events only.

import Foundation
import Log
import LogCrashes
import LogFiles
import Synchronization
import Testing

@Suite struct LogThreadsTests {
  /// What wakes the test's loop.
  private final class Bell: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func ring() { semaphore.signal() }
    func wait() -> Bool { semaphore.wait(timeout: .now() + 60) == .success }
  }

  @Test(arguments: FsyncPolicy.allCases)
  func whatIsGivenIsWrittenSyncedAndReported(_ policy: FsyncPolicy) throws {
    let temporary = try TemporaryDirectory()
    let settings = LogFileSettings(policy: policy)
    let owner = LogRig.owner
    let numbers = LogStartNumbers(
      identity: NewLogIdentity(lineage: Lineage(high: 1, low: 2), directory: 3), life: 9)
    let directory = try LogDirectory.open(temporary.path, as: owner, over: PosixFiles())
    let recovery = try LogRecovery(directory, numbers, settings) { _ in NumberSink() }
    while try recovery.step() != nil {}
    let start = try recovery.begin()
    let bell = Bell()
    let output = LogFileOutput(start, settings) { bell.ring() }
    let threads = try LogThreads(output)
    let appender = LogAppender(position: start.position)
    var given: UInt64 = 0
    var synced: UInt64 = 0
    for number in 1...500 as ClosedRange<UInt64> {
      appender.append(.slotMap(withUnsafeBytes(of: number) { Array($0) }))
      while let batch = appender.takeBatch() {
        given = batch.number
        output.write(batch)
      }
      if number % 50 == 0 {
        output.sync(upTo: given)
        while synced < given {
          try #require(bell.wait())
          for event in output.takeEvents() {
            if case .synced(let number) = event { synced = number }
            if case .written(_, let batches) = event { batches.forEach(appender.recycle) }
          }
        }
      }
    }
    output.close()
    var isClosed = false
    while !isClosed {
      try #require(bell.wait())
      for event in output.takeEvents() { if case .closed = event { isClosed = true } }
    }
    threads.finish()
    directory.close()

    let again = try LogDirectory.open(temporary.path, as: owner, over: PosixFiles())
    let sink = NumberSink()
    let next = try LogRecovery(again, numbers, settings) { _ in sink }
    while try next.step() != nil {}
    #expect(sink.numbers == Array(1...500))
    #expect(next.cut == nil)
    again.close()
  }

  @Test func threadsThatHaveNothingToDoEndAtOnce() throws {
    let temporary = try TemporaryDirectory()
    let rig = LogRig(PosixFiles(), temporary.path, .never)
    try rig.start()
    let output = try #require(rig.output)
    let threads = try LogThreads(output)
    threads.finish()
    threads.finish()
  }
}
