// The hot-path codec reads what SwiftProtobuf reads, from any bytes whatever.

import RingstoreAPI
import Testing

@Suite struct CodecAgreementTests {
  static let all =
    TwoReaders.requests + TwoReaders.fanOuts + TwoReaders.fanOutReplies
    + TwoReaders.batches + TwoReaders.older

  @Test(arguments: all)
  func `random messages are read alike`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SeededRandom(seed: testSeed))
    for _ in 0..<250 {
      let bytes = soup.message(pair.schema)
      let ours = pair.readOurs(bytes)
      #expect(ours != ["malformed"], "seed \(testSeed), bytes \(hex(bytes))")
      #expect(ours == pair.readTheirs(bytes), "seed \(testSeed), bytes \(hex(bytes))")
    }
  }

  @Test(arguments: all)
  func `a message cut short anywhere is read alike`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SeededRandom(seed: testSeed &+ 1))
    for _ in 0..<8 {
      let bytes = soup.message(pair.schema)
      for length in 0...bytes.count {
        let cut = Array(bytes.prefix(length))
        #expect(
          pair.readOurs(cut) == pair.readTheirs(cut), "seed \(testSeed), bytes \(hex(cut))")
      }
    }
  }

  @Test(arguments: all)
  func `a message with one byte changed is read alike or refused`(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SeededRandom(seed: testSeed &+ 2))
    for _ in 0..<250 {
      var bytes = soup.message(pair.schema)
      guard let place = bytes.indices.randomElement(using: &soup.random) else { continue }
      bytes[place] = UInt8.random(in: 0...255, using: &soup.random)
      let ours = pair.readOurs(bytes)
      // Ours refuses tags of more than five bytes inside groups, and SwiftProtobuf refuses text
      // that is not UTF-8; what both accept they must understand alike.
      let theirs = pair.readTheirs(bytes)
      guard ours != ["malformed"], theirs != ["malformed"] else { continue }
      #expect(ours == theirs, "seed \(testSeed), bytes \(hex(bytes))")
    }
  }

  /// In the order of `TwoReaders.requests`.
  static let shapes: [RequestShape] = [.key, .keyValue, .listInsert, .listRange, .incrBy]

  @Test(arguments: zip(TwoReaders.requests, shapes))
  func `the router's peek sees the key and database of the shard's view`(
    _ pair: TwoReaders, _ shape: RequestShape
  ) throws {
    var soup = MessageSoup(random: SeededRandom(seed: testSeed &+ 3))
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
