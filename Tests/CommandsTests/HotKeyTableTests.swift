// The sample of what calls look up: what it finds, what it holds, how it fades.

import Store
import Testing

@testable import Commands

@Suite struct HotKeyTableTests {
  private let store = Store(databaseCount: 2, slotCount: 4)

  private func sample(
    _ key: String, _ table: inout HotKeyTable, atMillis nowMillis: Int64 = 1_000,
    database: Int = 0
  ) {
    Array(key.utf8).withUnsafeBytes {
      table.sample(store.lookup($0, slot: 1, database: database, nowMillis: nowMillis))
    }
  }

  private func name(_ hot: HotKeyTable.HotKey) -> String {
    String(decoding: hot.key.bytes, as: UTF8.self)
  }

  @Test func samplesAreAsFarApartAsIsSaidOnAverageAndNeverInStep() {
    var table = HotKeyTable()
    let intervals = (0..<20_000).map { _ in table.nextInterval() + 1 }
    let mean = Double(intervals.reduce(0, +)) / 20_000
    #expect(abs(mean - Double(HotKeyTable.intervalMean)) < 2)
    #expect(Set(intervals).count > HotKeyTable.intervalMean)
    #expect(intervals.allSatisfy { $0 >= 1 && $0 < 2 * HotKeyTable.intervalMean })
  }

  /// A tenth of the samples is of one key, the others are of keys that come once each.
  @Test func aHotKeyIsFoundAmongAnyNumberOfOthersAndNotOverstated() throws {
    var table = HotKeyTable()
    for number in 0..<30_000 {
      sample(number % 10 == 0 ? "hot" : "cold:\(number)", &table)
    }
    let all = table.hottest(.max, nowMillis: 1_000)
    #expect(all.count == HotKeyTable.countersMax)
    let first = try #require(all.first)
    #expect(name(first) == "hot" && first.slot == 1 && first.key.database == 0)
    #expect(first.samples <= 3_000 && first.samples > 2_700)
    #expect(first.share <= 0.1 && first.share > 0.09)
    #expect(all.dropFirst().allSatisfy { $0.samples <= 1 })
  }

  @Test func theOrderIsThatOfTheSamplesAndDatabasesAreDistinguished() {
    var table = HotKeyTable()
    for number in 0..<50 {
      for _ in 0...number { sample("key:\(number)", &table) }
    }
    for _ in 0..<500 { sample("key:0", &table, database: 1) }
    let hottest = table.hottest(4, nowMillis: 1_000)
    #expect(hottest.map(name) == ["key:0", "key:49", "key:48", "key:47"])
    #expect(hottest.map(\.samples) == [500, 50, 49, 48] && hottest[0].key.database == 1)
  }

  @Test func countsFadeToAHalfInAMinuteAndRatesSayWhatIsTheCase() throws {
    var table = HotKeyTable()
    // Ten samples a second for ten minutes.
    for second in 0..<600 as Range<Int64> {
      for _ in 0..<10 { sample("k", &table, atMillis: 1_000 + second * 1_000) }
    }
    let steady = try #require(table.hottest(1, nowMillis: 600_000).first)
    let rate = 10 * Double(HotKeyTable.intervalMean)
    #expect(abs(steady.rate - rate) < rate / 50 && steady.share == 1)
    let later = try #require(table.hottest(1, nowMillis: 660_000).first)
    #expect(abs(later.samples - steady.samples / 2) < 1)
    #expect(abs(later.rate - rate / 2) < rate / 40)
    #expect(table.hottest(1, nowMillis: 9_000_000).isEmpty, "nothing is left after hours")
    sample("again", &table, atMillis: 9_000_000)
    #expect(table.hottest(9, nowMillis: 9_000_000).map(name) == ["again"])
  }

  @Test func aClockThatIsPutBackOrStandsStillMakesNoNonsense() {
    var table = HotKeyTable()
    sample("k", &table, atMillis: 50_000)
    sample("k", &table, atMillis: 10)
    #expect(table.hottest(1, nowMillis: 5).first?.samples == 2)
    var still = HotKeyTable()
    for _ in 0..<5 { sample("k", &still, atMillis: 0) }
    let hot = still.hottest(1, nowMillis: 0)
    #expect(hot.first?.samples == 5 && hot.first?.rate == 0)
    #expect(table.hottest(1, nowMillis: .max).isEmpty, "nothing is left after ages")
  }
}
