// Effects to bytes and back.

import Store
import TestSeeds
import Testing

@testable import Log

@Suite struct EffectEncodingTests {
  private let reader = EffectReader()

  private func encode(_ effects: [OwnedEffect]) -> Bytes {
    var bytes: Bytes = []
    for effect in effects {
      effect.lend { effect in
        bytes += Bytes(unsafeUninitializedCapacity: effect.encodedBytesMax) { buffer, count in
          let start = UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
          var writer = ByteWriter(start)
          effect.write(to: &writer)
          count = writer.end - start
          #expect(count <= effect.encodedBytesMax)
        }
      }
    }
    return bytes
  }

  private func decode(_ bytes: Bytes, slot: Int) throws -> [OwnedEffect] {
    var effects: [OwnedEffect] = []
    try bytes.withUnsafeBytes { bytes in
      try reader.forEach(in: bytes, slot: slot) { effects.append(OwnedEffect($0)) }
    }
    return effects
  }

  @Test func randomEffectsAreReadAsTheyWereWritten() throws {
    var random = SeededRandom(seed: TestSeed.value)
    var codes: Set<UInt8> = []
    for _ in 0..<1_000 {
      let slot = Int.random(in: 0..<16_384, using: &random)
      let effects = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        OwnedEffect.random(slot: slot, &random)
      }
      let bytes = encode(effects)
      codes.insert(bytes[0])
      #expect(try decode(bytes, slot: slot) == effects, "seed \(TestSeed.value)")
    }
    #expect(codes == Set(ChangeCode.allCases.map(\.rawValue)))
  }

  @Test func anEffectCutAnywhereIsRefusedAndSoIsOneWithAByteBehindIt() throws {
    var random = SeededRandom(seed: TestSeed.value)
    for _ in 0..<500 {
      let bytes = encode([.random(slot: 1, &random)])
      for count in bytes.indices {
        #expect(throws: LogDefect.self) { try decode(Bytes(bytes[..<count]), slot: 1) }
      }
      #expect(throws: LogDefect.self) { try decode(bytes + [0], slot: 1) }
    }
  }

  @Test func anyBytesAtAllAreReadWithoutATrapAndWhatIsReadHasOneForm() throws {
    var random = SeededRandom(seed: TestSeed.value)
    for _ in 0..<5_000 {
      var bytes = encode([.random(slot: 1, &random)])
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<min(bytes.count, 40), using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      guard let effects = try? decode(bytes, slot: 1) else { continue }
      #expect(encode(effects) == bytes)
    }
  }

  @Test(arguments: [
    ([0x80, 0x00], LogDefect.badNumber), ([0xff, 0x00], .badNumber),
    (Bytes(repeating: 0xff, count: 9) + [0x02], .badNumber),
    (Bytes(repeating: 0x80, count: 10) + [0x01], .badNumber), ([0x80], .cutShort),
  ])
  func varintsHaveOneFormAnd64Bits(bytes: Bytes, defect: LogDefect) {
    bytes.withUnsafeBytes { bytes in
      var reader = ByteReader(bytes)
      #expect(throws: defect) { try reader.readVarint() }
    }
  }

  @Test func varintsAtTheirEdges() throws {
    for bits in 0..<64 {
      let power = UInt64(1) << UInt64(bits)
      for number in [power, power - 1, UInt64.max >> UInt64(bits)] {
        let bytes = Bytes(unsafeUninitializedCapacity: 10) { buffer, count in
          let start = UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
          var writer = ByteWriter(start)
          writer.writeVarint(number)
          count = writer.end - start
        }
        try bytes.withUnsafeBytes { bytes in
          var reader = ByteReader(bytes)
          let read = try reader.readVarint()
          #expect(read == number)
          #expect(reader.isAtEnd)
        }
      }
    }
  }
}
