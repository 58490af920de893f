// Tokens of scans: they come back as they were given, to the same query only.

import Commands
import NodeCore
import Placement
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct ScanTokenTests {
  private func query(
    _ kind: KeyPattern.Kind = .glob, _ text: String = "user:*", database: UInt32 = 0,
    type: V1.ValueType = .none, seed: HashSeed = .publicSeed
  ) throws -> KeyQuery {
    var limits = Limits()
    limits.hashSeed = seed
    return try Array(text.utf8).withUnsafeBytes { bytes in
      let pattern: V1.Pattern? =
        switch kind {
        case .everything: nil
        case .unset: V1.Pattern()
        case .glob: V1.Pattern(kind: .glob(bytes))
        case .regex: V1.Pattern(kind: .regex(bytes))
        case .prefix: V1.Pattern(kind: .prefix(bytes))
        }
      return try KeyQuery(pattern, database: database, type: type, CallContext(), limits)
    }
  }

  private func position(_ token: [UInt8], _ query: KeyQuery) -> ScanPosition? {
    token.withUnsafeBytes { try? query.position(of: $0) }
  }

  @Test func aTokenGivesItsPositionBack() throws {
    let query = try query()
    var random = SplitMix64(seed: TestSeed.value)
    var positions = [ScanPosition.start, .end, ScanPosition(slot: 16_383, cursor: .max)]
    for _ in 0..<1_000 {
      positions.append(
        ScanPosition(slot: .random(in: 0..<16_384, using: &random), cursor: random.next()))
    }
    for place in positions {
      let token = query.token(of: place)
      #expect(token.count == 19)
      #expect(position(token, query) == place, "seed \(TestSeed.value)")
    }
    #expect(position([], query) == .start)
  }

  /// Tokens outlive versions: every token must stay valid in later versions.
  @Test func theBytesOfATokenAreThoseOfTheFirstVersion() throws {
    let token = try query().token(of: ScanPosition(slot: 0x1234, cursor: 0x0102_0304_0506_0708))
    let fields: [UInt8] = [1, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1]
    #expect(Array(token.prefix(11)) == fields)
    #expect(Array(token.suffix(8)) == [197, 119, 60, 202, 70, 175, 61, 143])
  }

  @Test func anotherPatternDatabaseOrTypeIsDistinguished() throws {
    let queries = try [
      query(), query(.glob, "user:"), query(.regex), query(.prefix), query(.everything),
      query(database: 1), query(type: .list), query(type: .string),
    ]
    for (index, query) in queries.enumerated() {
      let token = query.token(of: ScanPosition(slot: 7, cursor: 8))
      for (other, stranger) in queries.enumerated() {
        #expect((position(token, stranger) == nil) == (index != other), "\(index) \(other)")
      }
    }
  }

  @Test func aTokenOfAnotherHashSeedIsRefusedAndTheErrorSaysSo() throws {
    let seeds = [HashSeed.publicSeed, HashSeed(words: (1, 2)), HashSeed(words: (1, 3))]
    let place = ScanPosition(slot: 7, cursor: 8)
    for (index, seed) in seeds.enumerated() {
      let token = try query(seed: seed).token(of: place)
      #expect(token.count == (seed == .publicSeed ? 19 : 23))
      for (other, reader) in try seeds.map({ try query(seed: $0) }).enumerated() {
        if index == other {
          #expect(position(token, reader) == place)
          continue
        }
        let error = #expect(throws: CallError.self) {
          _ = try token.withUnsafeBytes { try reader.position(of: $0) }
        }
        #expect(error?.reason == .badPageToken && error?.message.contains("hash seed") == true)
      }
    }
  }

  @Test func aSecretSeedsTokenIsRefusedWhenItIsDamaged() throws {
    let query = try query(seed: HashSeed(words: (5, 6)))
    let token = query.token(of: ScanPosition(slot: 300, cursor: 0x1234_5678_9abc))
    for place in token.indices {
      for bit in 0..<8 {
        var damaged = token
        damaged[place] ^= 1 << UInt8(bit)
        #expect(position(damaged, query) == nil)
      }
    }
  }

  @Test func damageIsRefusedAsBADPAGETOKENWhateverItHits() throws {
    let query = try query()
    let token = query.token(of: ScanPosition(slot: 300, cursor: 0x1234_5678_9abc))
    for place in token.indices {
      for bit in 0..<8 {
        var damaged = token
        damaged[place] ^= 1 << UInt8(bit)
        #expect(position(damaged, query) == nil)
      }
      #expect(position(Array(token.prefix(place)), query) == (place == 0 ? .start : nil))
    }
    #expect(position(token + [0], query) == nil)
    #expect {
      try [1, 2, 3].withUnsafeBytes { try query.position(of: $0) }
    } throws: { ($0 as? CallError)?.reason == .badPageToken }
  }

  @Test func noiseIsNeverAToken() throws {
    let query = try query()
    var random = SplitMix64(seed: TestSeed.value &+ 1)
    for round in 0..<20_000 {
      let count = round % 2 == 0 ? 19 : Int.random(in: 1...40, using: &random)
      var noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      if round % 4 == 0 { noise[0] = 1 }
      #expect(position(noise, query) == nil, "seed \(TestSeed.value)")
    }
  }

  @Test func positionsAreOrderedBySlotThenByCursor() {
    let order = [
      ScanPosition.start, ScanPosition(slot: 0, cursor: .max), ScanPosition(slot: 1, cursor: 0),
      ScanPosition(slot: 16_383, cursor: 5), .end,
    ]
    #expect(order == order.reversed().sorted())
  }
}
