// The hot-path codec reads what SwiftProtobuf reads, from any bytes whatever.

import CodecReadings
import NodeCore
import RingstoreAPI
import Testing

@Suite struct CodecAgreementTests {
  @Test(arguments: TwoReaders.all)
  func `random messages are read alike`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: testSeed))
    for _ in 0..<250 {
      let bytes = soup.message(pair.schema)
      #expect(pair.contradiction(in: bytes) == nil, "seed \(testSeed), bytes \(hex(bytes))")
      let ours = pair.readOurs(bytes)
      #expect(
        !ours.isRefusal || ours == .incomparable, "seed \(testSeed), bytes \(hex(bytes))")
    }
  }

  @Test(arguments: TwoReaders.all)
  func `a message cut short anywhere is read alike`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: testSeed &+ 1))
    for _ in 0..<8 {
      let bytes = soup.message(pair.schema)
      for length in 0...bytes.count {
        let cut = Array(bytes.prefix(length))
        #expect(pair.contradiction(in: cut) == nil, "seed \(testSeed), bytes \(hex(cut))")
      }
    }
  }

  @Test(arguments: TwoReaders.all)
  func `a message with one byte changed is read alike`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: testSeed &+ 2))
    for _ in 0..<250 {
      var bytes = soup.message(pair.schema)
      guard let place = bytes.indices.randomElement(using: &soup.random) else { continue }
      bytes[place] = UInt8.random(in: 0...255, using: &soup.random)
      #expect(pair.contradiction(in: bytes) == nil, "seed \(testSeed), bytes \(hex(bytes))")
    }
  }

  @Test(arguments: PartReader.all)
  func `the messages of parts are read again as they are written`(_ part: PartReader) {
    var soup = MessageSoup(random: SplitMix64(seed: testSeed &+ 5))
    for _ in 0..<250 {
      let bytes = soup.message(PartReader.schema)
      #expect(part.contradiction(in: bytes) == nil, "seed \(testSeed), bytes \(hex(bytes))")
    }
  }

  /// In the order of `TwoReaders.requests`.
  static let shapes: [RequestShape] = [.key, .keyValue, .listInsert, .listRange, .incrBy]

  @Test(arguments: zip(TwoReaders.requests, shapes))
  func `the router's peek sees the key and database of the shard's view`(
    _ pair: TwoReaders, _ shape: RequestShape
  ) throws {
    var soup = MessageSoup(random: SplitMix64(seed: testSeed &+ 3))
    for _ in 0..<300 {
      let bytes = soup.message(pair.schema)
      let facts = try pair.theirs(bytes)
      try bytes.withUnsafeBytes { message in
        let place = try KeyPeek.peek(message, shape: shape)
        #expect(hex(place.key) == facts.first, "seed \(testSeed), bytes \(hex(bytes))")
        #expect("\(place.database)" == facts.dropLast(2).last, "seed \(testSeed)")
      }
    }
  }
}

extension TwoReaders: CustomTestStringConvertible {
  public var testDescription: String { name }
}

extension PartReader: CustomTestStringConvertible {
  public var testDescription: String { name }
}
