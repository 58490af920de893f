// Logs that hold nothing up: one line for a class and a second, and a reader that has stopped.

import Dispatch
import Logging
import Synchronization
import Testing

@testable import ringstore

@Suite struct LogLimitTests {
  private func event(_ message: String, reason: String? = nil) -> LogRates.Class {
    LogRates.Class(
      label: "l", level: .warning, message: message,
      fields: reason.map { ["reason": $0] } ?? [:])
  }

  private func run<Value>(_ body: () -> Value) -> Value { body() }

  @Test func oneLineForAClassAndASecondAndACountOfTheOthers() {
    var rates = LogRates()
    var written = 0
    for step in 0..<1_000 where rates.admit(event("cut"), nowNanos: UInt64(step)) { written += 1 }
    #expect(written == 1)
    #expect(run { rates.due(nowNanos: 999_999_999) == [] })
    let summary = LogRates.Summary(of: event("cut"), suppressed: 999)
    #expect(run { rates.due(nowNanos: 1_000_000_000) == [summary] })
    // The flood continues, and so does the count.
    #expect(run { !rates.admit(event("cut"), nowNanos: 1_000_000_001) })
    #expect(run { rates.due(nowNanos: 2_000_000_000) == [.init(of: event("cut"), suppressed: 1)] })
    #expect(run { rates.due(nowNanos: 3_000_000_000) == [] })
    #expect(rates.nextNanos == nil)
    #expect(run { rates.admit(event("cut"), nowNanos: 3_000_000_001) })
  }

  @Test func whatHappenedAndToWhichShardTellsClassesApart() {
    var rates = LogRates()
    for reason in ["a", "b", "c"] {
      #expect(run { rates.admit(event("cut", reason: reason), nowNanos: 0) })
      #expect(run { !rates.admit(event("cut", reason: reason), nowNanos: 0) })
    }
    #expect(run { rates.admit(event("other"), nowNanos: 0) })
  }

  @Test func theNumberOfClassesIsBounded() {
    var rates = LogRates()
    var written = 0
    for number in 0..<10_000 where rates.admit(event("cut", reason: "\(number)"), nowNanos: 0) {
      written += 1
    }
    #expect(written == LogRates.classesMax + 1)
    let suppressed = rates.takeAll().map(\.suppressed)
    #expect(suppressed == [10_000 - LogRates.classesMax - 1])
  }

  @Test func loggersOfAProcessShareTheLimit() {
    let lines = LineBox()
    let logs = NodeLogs(level: .info) { lines.append($0) }
    for number in 0..<100 {
      logs.logger("server").warning("cut", metadata: ["peer": "\(number)", "reason": "pings"])
      logs.logger("server").debug("not shown")
    }
    logs.flush()
    #expect(lines.all.count == 2)
    #expect(lines.all.first?.hasSuffix(" warning server cut peer=0 reason=pings\n") == true)
    #expect(lines.all.last?.hasSuffix(" warning server cut reason=pings suppressed=99\n") == true)
  }

  @Test func aLevelThatIsSetHoldsForLoggersThatAreThereAlready() {
    let lines = LineBox()
    let logs = NodeLogs(level: .info) { lines.append($0) }
    let logger = logs.logger("server")
    let levels: [Logger.Level] = [.error, .debug, .info]
    for level in levels {
      logs.setLevel(level)
      #expect(logs.levelInForce == level && logs.levelConfigured == .info)
      for event in levels { logger.log(level: event, "at \(level)") }
    }
    logs.flush()
    let written = lines.all.map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
    #expect(
      written == [
        "error server at error\n", "error server at debug\n", "debug server at debug\n",
        "info server at debug\n", "error server at info\n", "info server at info\n",
      ])
  }

  @Test func everyChangeOfTheLevelIsWrittenHoweverQuicklyTheyFollow() {
    let lines = LineBox()
    let logs = NodeLogs(level: .info) { lines.append($0) }
    let surroundings = ProcessSurroundings(logs, nil)
    let levels = ["debug", "info", "debug", "info", "error"]
    for level in levels { #expect(surroundings.setLogLevel(level)) }
    logs.flush()
    #expect(lines.all.count == levels.count)
    for (line, level) in zip(lines.all, levels) { #expect(line.hasSuffix(" to=\(level)\n")) }
    #expect(logs.events.latest.count == levels.count)
  }

  @Test func showingTheLevelAndSettingItAreLinesOfTheirOwn() {
    let lines = LineBox()
    let audit = NodeLogs(level: .info) { lines.append($0) }.auditLogger(isComplete: false)
    audit.notice("call", metadata: ["call": "LogLevel", "outcome": "OK"])
    audit.notice("call", metadata: ["call": "LogLevel", "outcome": "OK", "level": "debug"])
    #expect(lines.all.count == 2)
  }

  @Test func theAuditLogIsCompleteOnlyWhereCallersAreKnown() {
    let lines = LineBox()
    let logs = NodeLogs(level: .critical) { lines.append($0) }
    for isComplete in [true, false] {
      let audit = logs.auditLogger(isComplete: isComplete)
      for peer in 0..<50 {
        audit.notice("call", metadata: ["call": "HotKeys", "outcome": "OK", "peer": "\(peer)"])
      }
      audit.notice("call", metadata: ["call": "Reset", "outcome": "OK", "peer": "last"])
      logs.flush()
    }
    #expect(lines.all.filter { $0.contains("peer=") }.count == 51 + 2)
    #expect(lines.all.last?.hasSuffix(" call call=HotKeys outcome=OK suppressed=49\n") == true)
  }

  @Test func atTheLevelDebugEveryEventIsLogged() {
    let lines = LineBox()
    let logs = NodeLogs(level: .debug) { lines.append($0) }
    for _ in 0..<10 { logs.logger("server").debug("frame") }
    #expect(lines.all.count == 10)
  }

  @Test func aReaderThatHasStoppedHoldsNothingUpAndLearnsWhatItMissed() {
    let (begun, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let lines = LineBox()
    let queue = LogQueue { line in
      if lines.all.isEmpty {
        begun.signal()
        gate.wait()
      }
      lines.append(line)
    }
    let line = String(repeating: "x", count: 1_023) + "\n"
    queue.append(line)
    begun.wait()
    // More than the queue takes, beside the line that is being written.
    for _ in 1..<2_000 { queue.append(line) }
    #expect(!queue.flush())
    gate.signal()
    while !queue.flush() {}
    let kept = lines.all.filter { $0 == line }.count
    #expect(kept == 1_025)
    #expect(queue.linesDropped == UInt64(2_000 - kept))
    let dropped = "lines were dropped because no one read them lines=\(2_000 - kept)\n"
    #expect(lines.all.last?.hasSuffix(dropped) == true)
  }
}
