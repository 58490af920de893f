// What deploy/fuzz runs for as long as one likes, run briefly: the seeds, the seeds with a few
// bytes changed, the inputs that reach the most code, and every input that was found to break
// something once.

import FuzzReaders
import NodeCore
import TestSeeds
import Testing

@Suite struct ReplayTests {
  private func finding(_ reader: FuzzReader, _ input: [UInt8]) -> String? {
    do {
      try input.withUnsafeBytes { try reader.check($0) }
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: FuzzReader.all)
  func theSeedsAndEachOfThemCutShortBreakNothing(_ reader: FuzzReader) {
    for seed in reader.seeds {
      for count in stride(from: seed.count, through: 0, by: -max(1, seed.count / 40)) {
        let input = Array(seed.prefix(count))
        #expect(finding(reader, input) == nil, "\(input)")
      }
    }
  }

  @Test(arguments: FuzzReader.all)
  func seedsWithBytesChangedBreakNothing(_ reader: FuzzReader) {
    var random = SplitMix64(seed: TestSeed.value)
    for _ in 0..<reader.triesInTests {
      guard var input = reader.seeds.randomElement(using: &random), !input.isEmpty else { continue }
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<input.count, using: &random)
        input[place] = UInt8.random(in: 0...255, using: &random)
      }
      #expect(finding(reader, input) == nil, "seed \(TestSeed.value): \(input)")
    }
  }

  @Test(arguments: FuzzReader.all)
  func theKeptInputsBreakNothing(_ reader: FuzzReader) throws {
    let kept = try KeptInputs.of(reader)
    #expect(!kept.isEmpty, "deploy/fuzz --keep has kept none")
    for input in kept { #expect(finding(reader, input) == nil, "\(input)") }
  }

  @Test(arguments: FoundInputs.all)
  func foundInputsStayFixed(_ found: FoundInputs) throws {
    let reader = try #require(FuzzReader.all.first { $0.name == found.reader })
    var input = found.input
    #expect(finding(reader, input) == nil)
    // Of the codec's inputs the first byte names a message, and no message may mind the bytes.
    guard reader.name == "wire" else { return }
    for choice in UInt8.min...UInt8.max {
      input[0] = choice
      #expect(finding(reader, input) == nil, "as message \(choice)")
    }
  }
}

extension FuzzReader: CustomTestStringConvertible {
  public var testDescription: String { name }
}
