// Keys are told apart by all their bytes; the hash bits in a table hide a comparison that isn't.

import Testing

@testable import Store

@Suite struct EntryTests {
  @Test func aKeyIsItselfAndNoOther() {
    let heap = Heap(usesSlabs: true)
    for length in 0...40 {
      let key = Bytes((0..<length).map { UInt8($0) })
      let entry = key.withUnsafeBytes {
        Entry(
          on: heap, key: $0, kind: .bytes, payloadCount: 3, version: 1, expiry: .never,
          clock: 0)
      }
      func isKey(_ other: Bytes) -> Bool { other.withUnsafeBytes { entry.hasKey($0) } }
      #expect(isKey(key))
      #expect(!isKey(key + [0]))
      for index in 0..<length {
        var other = key
        other[index] ^= 0x80
        #expect(!isKey(other), "byte \(index) of \(length)")
      }
      heap.free(entry.base, entry.byteCount)
    }
    #expect(heap.usedBytes == 0)
  }

  @Test func theHeadKeepsAllItsFields() {
    let heap = Heap(usesSlabs: true)
    let key = Bytes(repeating: 1, count: Store.keyBytesMax)
    let version: UInt64 = 1 << 56 - 1
    let entry = key.withUnsafeBytes {
      Entry(
        on: heap, key: $0, kind: .bytes, payloadCount: Entry.inlineMax, version: version,
        expiry: .never, clock: 7)
    }
    #expect(entry.version == version && entry.kind == .bytes && entry.clock == 7)
    #expect(entry.keyCount == Store.keyBytesMax && entry.payloadCount == Entry.inlineMax)
    heap.free(entry.base, entry.byteCount)
  }

  @Test func expiryKindAndVersionDontDisturbEachOther() {
    let heap = Heap(usesSlabs: true)
    let key = Bytes("key")
    for kind in Entry.Kind.allCases {
      for expiry in [.never, Expiry(unixMillis: 1), Expiry(unixMillis: .max - 1)] {
        let entry = key.withUnsafeBytes {
          Entry(
            on: heap, key: $0, kind: kind, payloadCount: 8, version: Entry.versionMax,
            expiry: expiry, clock: 0)
        }
        entry.integer = -1
        entry.clock = .max
        entry.setVersion(Entry.versionMax - 1)
        #expect(entry.expiry == expiry && entry.expires == (expiry != .never))
        #expect(entry.kind == kind && entry.version == Entry.versionMax - 1)
        #expect(Bytes(entry.key) == key && entry.integer == -1 && entry.clock == .max)
        #expect(entry.byteCount == 16 + 3 + 8 + (entry.expires ? 8 : 0))
        heap.free(entry.base, entry.byteCount)
      }
    }
  }

  /// Tables keep 48 bits of an entry's address, without the lowest three.
  @Test func addressesThatTablesCannotHoldAreReported() {
    for address in [8, 0x7fff_ffff_fff8, 0xffff_ffff_fff8] as [UInt] {
      #expect(Heap.isHoldable(address))
    }
    for address in [1, 12, 1 << 48, 0xff00_0000_0000_0008, UInt.max - 7] as [UInt] {
      #expect(!Heap.isHoldable(address))
    }
  }

  @Test func aBlockAtSuchAnAddressEndsTheProcess() async {
    await #expect(processExitsWith: .failure) {
      _ = Heap.checked(UnsafeMutableRawPointer(bitPattern: 1 << 48 | 8).unsafelyUnwrapped)
    }
  }
}
