// Strings and the integers in them.

import Testing
import TextForms

@testable import Store

/// Values in each of the forms that entries have for one.
private let replacedValues = [
  Bytes(), Bytes("12"), Bytes("text"), Bytes(repeating: 1, count: Entry.inlineMax),
  Bytes(repeating: 2, count: Entry.inlineMax + 1), Bytes(repeating: 3, count: 100_000),
]

@Suite struct ReplacedStringTests {
  @Test func theBytesOutliveTheirKey() throws {
    let fixture = Fixture()
    let used = fixture.store.usedBytes
    for old in replacedValues {
      for new in replacedValues {
        let key = Bytes("k")
        let version = fixture.set(key, old)
        let replaced = try fixture.at(key) { place in
          let held = try fixture.store.replacedString(at: place)
          _ = new.withUnsafeBytes { fixture.store.set($0, at: place) }
          return held.map { ($0.version, Bytes($0.bytes)) }
        }
        #expect(replaced?.0 == version && replaced?.1 == old)
        #expect(try fixture.get(key) == new)
        #expect(fixture.store.pinnedBytes == 0, "nothing is held any more")
        let deleted = try fixture.at(key) { place in
          let held = try fixture.store.replacedString(at: place)
          _ = fixture.store.delete(at: place)
          return held.map { Bytes($0.bytes) }
        }
        #expect(deleted == new)
        #expect(fixture.store.usedBytes == used)
      }
    }
  }

  @Test func ofWhatIsNoStringThereIsNone() throws {
    let fixture = Fixture()
    let none = try fixture.at(Bytes("none")) { try fixture.store.replacedString(at: $0) }
    #expect(none == nil)
    try fixture.push(Bytes("l"), .tail, [Bytes("a")])
    #expect(throws: Store.StoreError.wrongType) {
      try fixture.at(Bytes("l")) { try fixture.store.replacedString(at: $0) }
    }
  }
}

@Suite struct StringTests {
  @Test func aMissIsNotAnEmptyValue() throws {
    let fixture = Fixture()
    #expect(try fixture.get(Bytes("a")) == nil)
    fixture.set(Bytes("a"), [])
    #expect(try fixture.get(Bytes("a")) == [])
    #expect(fixture.type(Bytes("a")) == .string)
  }

  @Test func aKeyIsInOneSlotAndOneDatabase() throws {
    let fixture = Fixture()
    fixture.set(Bytes("a"), Bytes("x"), slot: 1, database: 1)
    #expect(try fixture.get(Bytes("a"), slot: 1, database: 0) == nil)
    #expect(try fixture.get(Bytes("a"), slot: 2, database: 1) == nil)
    #expect(try fixture.get(Bytes("a"), slot: 1, database: 1) == Bytes("x"))
  }

  @Test func valuesOfEverySizeAroundTheInlineLimitComeBack() throws {
    let fixture = Fixture()
    let key = Bytes("k")
    for size in [0, 1, 7, 8, 496, 512, Entry.inlineMax, Entry.inlineMax + 1, 200_000, 3] {
      let value = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
      fixture.set(key, value)
      #expect(try fixture.get(key) == value)
    }
  }

  @Test func theLargestValueAndTheLongestKeyAreServed() throws {
    let fixture = Fixture()
    let key = Bytes(repeating: 0xff, count: Store.keyBytesMax)
    var nearlySame = key
    nearlySame[nearlySame.count - 1] = 0
    let value = Bytes(repeating: 0xa5, count: Store.valueBytesMax)
    fixture.set(key, value)
    #expect(try fixture.get(key) == value)
    #expect(try fixture.get(nearlySame) == nil)
    #expect(fixture.delete(key) != nil)
    #expect(fixture.store.memoryBytes == fixture.memoryAtStart)
  }

  @Test func aSetReplacesAList() throws {
    let fixture = Fixture()
    try fixture.push(Bytes("k"), .tail, [Bytes("1")])
    #expect(throws: Store.StoreError.wrongType) { try fixture.get(Bytes("k")) }
    fixture.set(Bytes("k"), Bytes("x"))
    #expect(try fixture.get(Bytes("k")) == Bytes("x"))
    #expect(throws: Store.StoreError.wrongType) {
      try fixture.push(Bytes("k"), .tail, [Bytes("1")])
    }
    #expect(throws: Store.StoreError.wrongType) { try fixture.push(Bytes("k"), .tail, []) }
  }

  @Test(arguments: [
    "0", "7", "-1", "10", "9223372036854775807", "-9223372036854775808", "1000000000000000000",
  ])
  func canonicalNumbersAreStoredAsNumbers(text: String) throws {
    let fixture = Fixture()
    fixture.set(Bytes("n"), Bytes(text))
    #expect(try fixture.get(Bytes("n")) == Bytes(text))
    #expect(try fixture.incrBy(Bytes("n"), 0).value == Int64(text))
    let inDigits = Bytes(text).withUnsafeBytes { DecimalInteger.parse($0) }
    #expect(inDigits == Int64(text))
  }

  @Test(arguments: [
    "", "-", "-0", "+1", "01", "00", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808",
    "-9223372036854775809", "18446744073709551617", "99999999999999999999", "1\0", "--1",
  ])
  func otherTextIsKeptAsItIsAndNotANumber(text: String) throws {
    let fixture = Fixture()
    fixture.set(Bytes("n"), Bytes(text))
    #expect(try fixture.get(Bytes("n")) == Bytes(text))
    #expect(throws: Store.StoreError.notAnInteger) { try fixture.incrBy(Bytes("n"), 1) }
    #expect(try fixture.get(Bytes("n")) == Bytes(text))
  }

  @Test func anIncrementThatOverflowsChangesNothing() throws {
    let fixture = Fixture()
    let key = Bytes("n")
    #expect(try fixture.incrBy(key, .max).value == .max)
    let before = try fixture.versionedGet(key)?.version
    #expect(throws: Store.StoreError.integerOverflow) { try fixture.incrBy(key, 1) }
    #expect(try fixture.versionedGet(key)?.version == before)
    #expect(try fixture.incrBy(key, .min).value == -1)
    #expect(try fixture.incrBy(key, .min + 1).value == .min)
    #expect(throws: Store.StoreError.integerOverflow) { try fixture.incrBy(key, -1) }
  }

  @Test func versionsGrowWithEveryWriteOfTheSlotAndAreNotReused() throws {
    let fixture = Fixture()
    let key = Bytes("k")
    var versions = [fixture.set(key, Bytes("1"))]
    versions.append(try fixture.incrBy(key, 1).version)
    versions.append(fixture.set(Bytes("other"), [], database: 1))
    versions.append(try #require(fixture.delete(key)))
    versions.append(try fixture.push(key, .head, [[1], [2]]).version)
    versions.append(try #require(try fixture.pop(key, .tail)).version)
    versions.append(try #require(try fixture.pop(key, .tail)).version)
    fixture.set(key, [])
    #expect(fixture.store.reset(slot: 0, database: 0) == 1)
    versions.append(fixture.set(key, []))
    #expect(versions == [1, 2, 3, 4, 5, 6, 7, 10])
    #expect(fixture.set(key, [], slot: 1) == 1)
    #expect(fixture.delete(Bytes("missing")) == nil)
    #expect(fixture.set(key, []) == 11)
  }
}
