// Bytes that are written into strings at an offset.

import Testing

@testable import Store

@Suite struct WriteTests {
  private let fixture = Fixture()
  private var store: Store { fixture.store }

  @discardableResult
  private func write(_ bytes: Bytes, at offset: Int, to key: Bytes) throws -> UInt64 {
    try fixture.at(key) { place in
      let old = try store.string(at: place)
      return bytes.withUnsafeBytes { store.write($0, offset: offset, into: old, at: place) }
    }
  }

  private func written(_ bytes: Bytes, at offset: Int, into old: Bytes) -> Bytes {
    var whole = old + Bytes(repeating: 0, count: max(0, offset + bytes.count - old.count))
    whole.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return whole
  }

  @Test func theResultIsAsIfTheWholeHadBeenSet() throws {
    let effects = RecordedEffects()
    store.observer = effects
    let copy = Fixture()
    let max = Entry.inlineMax
    var (key, number) = (Bytes("k"), 0)
    let olds: [Bytes?] = [
      nil, Bytes(), Bytes("12"), Bytes("text"), Bytes(repeating: 7, count: max),
    ]
    for old in olds {
      for offset in [0, 1, 2, 5, max - 1, max, max + 1] {
        for bytes in [Bytes("3"), Bytes("xyz"), Bytes(repeating: 9, count: max)] {
          number += 1
          key = Bytes("k\(number)")
          if let old { fixture.set(key, old, expiry: Expiry(unixMillis: 50)) }
          let version = fixture.at(key) { $0.version }
          #expect(try write(bytes, at: offset, to: key) > version)
          let whole = written(bytes, at: offset, into: old ?? [])
          #expect(try fixture.get(key) == whole)
          #expect(fixture.at(key) { $0.expiry } == (old == nil ? .never : Expiry(unixMillis: 50)))
        }
      }
    }
    for effect in effects.takeGroups().flatMap({ $0 }) { try effect.apply(to: copy.store) }
    #expect(try StoreContents(copy.store).difference(from: try StoreContents(store)) == nil)
  }

  @Test func theEffectIsWhatWasWrittenAndWhere() throws {
    let effects = RecordedEffects()
    let key = Bytes("k")
    fixture.set(key, Bytes("12"))
    store.observer = effects
    try write(Bytes("3"), at: 2, to: key)
    #expect(
      effects.takeGroups().map { $0.map(\.change) } == [
        [.write(Bytes("3"), offset: 2, lengthBefore: 2)]
      ])
    #expect(try fixture.incrBy(key, 1).value == 124, "digits make a number")
  }

  @Test func anEffectThatDoesNotFitIsCorruption() throws {
    let key = Bytes("k")
    fixture.set(key, Bytes("12"))
    try fixture.push(Bytes("l"), .tail, [Bytes("a")])
    func refusal(_ key: Bytes, _ bytes: Bytes, _ offset: Int, _ length: Int) -> Effect.Corruption? {
      do {
        try bytes.withUnsafeBytes { bytes in
          try key.withUnsafeBytes {
            try store.apply(
              Effect(
                database: 0, slot: 0, key: $0, version: 1_000,
                change: .write(bytes, offset: offset, lengthBefore: length)))
          }
        }
        return nil
      } catch { return error as? Effect.Corruption }
    }
    #expect(refusal(key, Bytes("x"), 0, 1) == .otherLength(2))
    #expect(refusal(Bytes("none"), Bytes("x"), 0, 1) == .otherLength(0))
    #expect(refusal(Bytes("l"), Bytes("x"), 0, 0) == .wrongType)
    #expect(refusal(key, Bytes(), 0, 2) == .outOfBounds)
    #expect(refusal(key, Bytes("x"), -1, 2) == .outOfBounds)
    #expect(refusal(key, Bytes("x"), .max, 2) == .outOfBounds)
    #expect(refusal(key, Bytes("x"), Store.valueBytesMax, 2) == .outOfBounds)
    #expect(try fixture.get(key) == Bytes("12"))
    #expect(refusal(key, Bytes("x"), 2, 2) == nil)
    #expect(try fixture.get(key) == Bytes("12x"))
  }
}
