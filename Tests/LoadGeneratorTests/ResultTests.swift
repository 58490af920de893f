// Results: percentiles, tables, JSON and back, the comparison, the picture, and what is said of the
// generator itself.

import NodeCore
import Testing

@testable import LoadGenerator

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct ResultTests {
  @Test func percentilesAreThoseOfTheSortedLatenciesToThreeDigits() {
    var random = SplitMix64(seed: 11)
    var histogram = LatencyHistogram()
    var half = LatencyHistogram()
    var all: [UInt64] = []
    for place in 0..<50_000 {
      // From 100 ns to some seconds.
      let nanos = 100 + UInt64(exponential(17 * KeyChooser.unit(&random)) * 100)
      all.append(nanos)
      if place % 2 == 0 { histogram.record(nanos) } else { half.record(nanos) }
    }
    histogram.add(half)
    all.sort()
    #expect(histogram.count == all.count)
    for percentile in [1, 50, 90, 99, 99.9, 99.99] {
      let exact = all[Int((percentile / 100 * Double(all.count)).rounded(.up)) - 1]
      let found = histogram.nanos(atPercentile: percentile)
      let error = abs(Double(found) - Double(exact)) / Double(exact)
      #expect(error <= 0.001, "p\(percentile): \(found) instead of \(exact)")
    }
    #expect(histogram.maxNanos == all.last)
    #expect(histogram.nanos(atPercentile: 100) == all.last)
    let mean = all.reduce(0) { $0 + Double($1) } / Double(all.count)
    #expect(abs(histogram.meanNanos - mean) / mean < 1e-9)
  }

  @Test func noLatencyIsLostHoweverLong() {
    var histogram = LatencyHistogram()
    histogram.record(0)
    histogram.record(.max)
    #expect(histogram.count == 2 && histogram.maxNanos == .max)
    #expect(histogram.nanos(atPercentile: 99) >= LatencyHistogram.nanosLimit)
    #expect(LatencyHistogram().nanos(atPercentile: 99) == 0)
  }

  @Test func failedCallsAreCountedByReasonAndAreInNoPercentile() {
    var tally = LoadTally()
    tally.record(.get, .done(found: true), latencyNanos: 1_000, sent: 5, received: 7)
    for message in ["first", "second"] {
      tally.record(
        .get, .failed(CallFailure(code: "UNAVAILABLE", reason: "X", message: message)),
        latencyNanos: 9_000_000, sent: 5, received: 7)
    }
    tally.record(.set, .failed(.wrongReply("no")), latencyNanos: 1, sent: 0, received: 0)
    #expect(tally.done == 1 && tally.failed == 3)
    #expect(tally.latencies.count == 1 && tally.latencies.maxNanos == 1_000)
    #expect(tally.bytesSent == 5 && tally.bytesReceived == 7)
    #expect(tally.failures.map(\.count) == [2, 1])
    #expect(tally.failures[0].message == "first")
    var both = tally
    both.add(tally)
    #expect(both.failures.map(\.count) == [4, 2] && both.done == 2 && both.failed == 6)
    #expect(both.kinds.map(\.kind) == [.get, .set])
  }

  @Test func aReasonThatIsNamedAfterItsCodeIsSaidOnce() {
    #expect(LoadTally.name("PERMISSION_DENIED", "PERMISSION_DENIED") == "PERMISSION_DENIED")
    #expect(LoadTally.name("UNAVAILABLE", "LOADING") == "UNAVAILABLE LOADING")
    #expect(LoadTally.name("UNAVAILABLE", "") == "UNAVAILABLE")
  }

  @Test func sortsOfFailuresAreBoundedAndAllAreCounted() {
    var tally = LoadTally()
    for number in 0..<(LoadTally.failureSortsMax + 10) {
      tally.record(
        .get, .failed(CallFailure(code: "C", reason: "\(number)")), latencyNanos: 1, sent: 0,
        received: 0)
    }
    #expect(tally.failures.count == LoadTally.failureSortsMax)
    #expect(tally.failures.reduce(0) { $0 + $1.count } == tally.failed)
  }

  @Test(arguments: [[nil], [1_000.0, 2_000, 4_000.5]])
  func aResultIsReadAgainAsItWasWritten(rates: [Double?]) throws {
    let report = try LoadReport.sample(rates: rates)
    let json = try report.json()
    #expect(json.last == UInt8(ascii: "\n"))
    #expect(try LoadReport(json: json) == report)
    #expect(String(decoding: json, as: UTF8.self).contains("\"protocol\" : \"unary\""))
  }

  @Test(arguments: [
    "", "{}", "[]", "{\"schema\": \"other\", \"version\": 1}",
    "{\"schema\": \"ringstore-bench\", \"version\": 1}",
    "{\"schema\": \"ringstore-bench\", \"version\": 1e99}",
    "{\"schema\": \"ringstore-bench\", \"version\": 2, \"more\": 1}",
  ])
  func whatIsNoResultIsRefusedWithASentence(text: String) {
    #expect(throws: LoadUsage.self) { try LoadReport(json: Array(text.utf8)) }
  }

  @Test func textAndComparisonHoldTheFiguresAndTheirRatios() throws {
    let one = try LoadReport.sample(rates: [nil])
    let other = try LoadReport.sample(rates: [nil], slower: 2)
    let text = LoadText.text(one)
    #expect(text.contains("1000 calls/s") && text.contains("0.500"))
    #expect(text.contains("1 x UNAVAILABLE SHARD_UNAVAILABLE: a"))
    #expect(text.contains("get: 799 of 800 found their key."))
    let table = LoadComparison.text(one, other)
    let p99 = table.split(separator: "\n").first { $0.hasPrefix("p99, ms") }
    #expect(p99?.split(separator: " ").map(String.init).suffix(3) == ["0.990", "1.980", "2.00"])
    #expect(!table.contains("settings differ"))
    #expect(LoadComparison.text(one, one).contains("1.00"))
  }

  @Test func onlyRunsOfTheSameRateAreComparedAndOtherSettingsAreNamed() throws {
    let one = try LoadReport.sample(rates: [1_000, 2_000])
    var other = try LoadReport.sample(rates: [2_000, 4_000])
    other.settings.connections = 99
    let table = LoadComparison.text(one, other)
    #expect(table.contains("2000 calls/s wanted") && !table.contains("1000 calls/s wanted"))
    #expect(table.contains("Runs in only one of them: 2."))
    #expect(table.contains("settings differ") && table.contains("99"))
  }

  @Test func thePictureIsWellFormedXMLAndHasAPointForEachRunAndCurve() throws {
    let report = try LoadReport.sample(rates: [1_000, 2_000, 4_000])
    let svg = try #require(LatencyPlot.svg(report, title: "a < b & \"c\""))
    var open: [Substring] = []
    for tag in svg.split(separator: "<").dropFirst(svg.hasPrefix("<") ? 0 : 1) {
      let name = tag.prefix { !" >/\n".contains($0) }
      if tag.hasPrefix("/") {
        #expect(open.popLast() == tag.dropFirst().prefix { $0 != ">" })
      } else if !tag.prefix(while: { $0 != ">" }).hasSuffix("/") {
        open.append(name)
      }
    }
    #expect(open.isEmpty)
    #expect(svg.contains("a &lt; b &amp; &quot;c&quot;"))
    #expect(svg.split(separator: "<circle").count - 1 == 3 * 4)
    #expect(!svg.contains("nan") && !svg.contains("inf"))
    #expect(LatencyPlot.svg(try LoadReport.sample(rates: [1_000]), title: "one") == nil)
  }

  @Test func aGeneratorThatWasTheLimitIsNamed() {
    func remarks(
      cpu: Double = 0.3, _ change: (inout LoadTally) -> Void = { _ in }
    ) -> [String] {
      var tally = LoadTally()
      for _ in 0..<1_000 {
        tally.record(.get, .done(found: true), latencyNanos: 1, sent: 0, received: 0)
      }
      change(&tally)
      return GeneratorReview.remarks(tally, cpuShares: [0.1, cpu])
    }
    #expect(remarks().isEmpty)
    #expect(remarks(cpu: 0.97)[0].contains("busy 97 %"))
    #expect(remarks { $0.unsent = 100 }[0].contains("never sent"))
    #expect(remarks { $0.unsent = 1 }.isEmpty)
    let late = remarks { tally in for _ in 0..<20 { tally.lags.record(5_000_000) } }
    #expect(late[0].contains("late"))
  }
}
