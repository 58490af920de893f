// Our codec reads what SwiftProtobuf reads, from any bytes whatever, and writes what it reads: for
// every message of the .proto files, since their list is generated.

import CodecReadings
import NodeCore
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct CodecAgreementTests {
  @Test(arguments: TwoReaders.all)
  func randomMessagesAreReadAlike(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: TestSeed.value))
    for _ in 0..<100 {
      let bytes = soup.message(pair.schema)
      #expect(pair.contradiction(in: bytes) == nil, "seed \(TestSeed.value), bytes \(hex(bytes))")
      let ours = pair.readOurs(bytes)
      #expect(
        !ours.isRefusal || ours == .incomparable || ours == .inPieces,
        "seed \(TestSeed.value), bytes \(hex(bytes))")
    }
  }

  @Test(arguments: TwoReaders.all)
  func aMessageCutShortAnywhereIsReadAlike(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: TestSeed.value &+ 1))
    for _ in 0..<3 {
      let bytes = soup.message(pair.schema)
      for length in 0...bytes.count {
        let cut = Array(bytes.prefix(length))
        #expect(pair.contradiction(in: cut) == nil, "seed \(TestSeed.value), bytes \(hex(cut))")
      }
    }
  }

  @Test(arguments: TwoReaders.all)
  func aMessageWithOneByteChangedIsReadAlike(_ pair: TwoReaders) {
    var soup = MessageSoup(random: SplitMix64(seed: TestSeed.value &+ 2))
    for _ in 0..<100 {
      var bytes = soup.message(pair.schema)
      guard let place = bytes.indices.randomElement(using: &soup.random) else { continue }
      bytes[place] = UInt8.random(in: 0...255, using: &soup.random)
      #expect(pair.contradiction(in: bytes) == nil, "seed \(TestSeed.value), bytes \(hex(bytes))")
    }
  }

  @Test func everyMessageIsCompared() {
    #expect(Set(TwoReaders.all.map(\.name)).count == TwoReaders.all.count)
    #expect(TwoReaders.all.contains { $0.name == V1.KeyValue.name })
    #expect(TwoReaders.all.contains { $0.name == LinkV1.KeysPartReply.name })
    // Others name a key and a database as well: a HotKey.
    let withKeys = Set(V1.KeyStore.all.filter { $0.keyFields != nil }.map { $0.request.name })
    let comparedByKey = TwoReaders.all.filter { $0.key != nil }.map(\.name)
    #expect(withKeys.count > 20 && withKeys.isSubset(of: comparedByKey))
  }
}

extension TwoReaders: CustomTestStringConvertible {
  public var testDescription: String { name }
}
