// Options that make a load, and those that make none.

import Testing

@testable import LoadGenerator

@Suite struct LoadSettingsTests {
  @Test func withoutOptionsItIsAClosedLoopOfUnaryCalls() throws {
    let settings = try LoadSettings.with { _ in }
    #expect(settings.way == .unary && settings.rates.isEmpty)
    #expect(settings.connections == 16 && settings.inFlight == 1 && settings.batch == 1)
    #expect(settings.durationSeconds == 10 && settings.warmUpSeconds == 1)
    #expect(settings.mix.text == "get=80,set=20")
  }

  @Test func depthAndBatchFitEachOtherByThemselves() throws {
    let pipeline = try LoadSettings.with { $0.way = .pipeline }
    #expect(pipeline.inFlight == 64 && pipeline.batch == 16)
    let deep = try LoadSettings.with {
      $0.way = .pipeline
      $0.batch = 500
    }
    #expect(deep.inFlight == 500 && deep.batch == 500)
    let shallow = try LoadSettings.with {
      $0.way = .pipeline
      $0.inFlight = 4
    }
    #expect(shallow.inFlight == 4 && shallow.batch == 4)
    for way in [LoadProtocol.line, .resp] {
      let alone = try LoadSettings.with { $0.way = way }
      #expect(alone.inFlight == 1 && alone.batch == 1)
      let together = try LoadSettings.with { ($0.way, $0.batch) = (way, 16) }
      #expect(together.inFlight == 16 && together.batch == 16)
    }
    let open = try LoadSettings.with { $0.rates = ["1000", "2000,4e3"] }
    #expect(open.rates == [1_000, 2_000, 4_000] && open.inFlight == 100)
  }

  @Test func aNumberOfCallsEndsARunWithoutATimeAndHasNoWarmUp() throws {
    let settings = try LoadSettings.with { $0.calls = 5 }
    #expect(settings.calls == 5 && settings.durationSeconds == nil && settings.warmUpSeconds == 0)
  }

  @Test func distributionsSizesAndMixesSayWhatTheyWereMadeOf() throws {
    for text in ["uniform", "zipf:1.2", "hot:0.01:0.9"] {
      #expect(try KeyDistribution(text).text == text)
    }
    #expect(try KeyDistribution("zipf").text == "zipf:0.99")
    #expect(try ValueSizes("16-1KiB").text == "16-1024")
    #expect(try CallMix("set=1,get=4").text == "get=4,set=1")
  }

  static let wrong: [(String, @Sendable (inout LoadSettings.Options) -> Void)] = [
    ("--connections", { $0.connections = 0 }),
    ("--connections", { $0.connections = 10_001 }),
    ("--connections", { ($0.connections, $0.threads) = (1, 2) }),
    ("--threads", { $0.threads = 0 }),
    ("--in-flight", { $0.inFlight = 0 }),
    ("--in-flight", { $0.inFlight = 1_025 }),
    ("--in-flight", { ($0.way, $0.inFlight) = (.line, 10_001) }),
    ("--in-flight", { ($0.way, $0.inFlight) = (.resp, 10_001) }),
    ("--batch", { $0.batch = 2 }),
    ("--batch", { ($0.way, $0.batch) = (.line, 0) }),
    ("--batch", { ($0.way, $0.batch, $0.inFlight) = (.pipeline, 9, 8) }),
    ("--rate", { $0.rates = ["0"] }),
    ("--rate", { $0.rates = ["-1"] }),
    ("--rate", { $0.rates = ["1000,,2"] }),
    ("--rate", { $0.rates = ["nan"] }),
    ("--rate", { $0.rates = ["inf"] }),
    ("--rate", { $0.rates = ["10000001"] }),
    ("--rate", { $0.rates = Array(repeating: "1", count: 65) }),
    ("--duration", { $0.durationSeconds = 0 }),
    ("--duration", { $0.durationSeconds = .nan }),
    ("--duration", { ($0.durationSeconds, $0.calls) = (86_401, 5) }),
    ("--warm-up", { $0.warmUpSeconds = -1 }),
    ("--calls", { $0.calls = 0 }),
    ("--timeout", { $0.timeoutSeconds = 0 }),
    ("--keys", { $0.keys = 0 }),
    ("--keys", { $0.keys = 1_000_000_001 }),
    ("--distribution", { $0.distribution = "normal" }),
    ("--distribution", { ($0.distribution, $0.keys) = ("hot:0.1:0.5", 1) }),
    ("zipf", { $0.distribution = "zipf:0" }),
    ("zipf", { $0.distribution = "zipf:x" }),
    ("hot", { $0.distribution = "hot:0:0.5" }),
    ("hot", { $0.distribution = "hot:0.5:1" }),
    ("--value-bytes", { $0.valueBytes = "" }),
    ("--value-bytes", { $0.valueBytes = "9-8" }),
    ("--value-bytes", { $0.valueBytes = "1-2-3" }),
    ("--value-bytes", { $0.valueBytes = "65MiB" }),
    ("--value-bytes", { ($0.way, $0.inFlight, $0.valueBytes) = (.line, 1_025, "1-1MiB") }),
    ("--mix", { $0.mix = "" }),
    ("--mix", { $0.mix = "get=0" }),
    ("--mix", { $0.mix = "get" }),
    ("--mix", { $0.mix = "get=1,get=2" }),
    ("--mix", { $0.mix = "delete=1" }),
    ("--mix", { $0.mix = "get=99999999999999999999" }),
    ("--fill", { ($0.fills, $0.mix) = (true, "incr=1") }),
  ]

  @Test func whatMakesNoLoadIsRefusedWithASentenceThatNamesTheOption() {
    for (place, (option, change)) in Self.wrong.enumerated() {
      var options = LoadSettings.Options()
      change(&options)
      do {
        _ = try LoadSettings(options)
        Issue.record("case \(place), \(option): not refused")
      } catch {
        #expect(error.sentence.contains(option), "case \(place): \(error.sentence)")
        #expect(error.sentence.hasSuffix("."))
      }
    }
  }
}
