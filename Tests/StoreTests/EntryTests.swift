// Keys are told apart by all their bytes; the hash bits in a table hide a comparison that isn't.

import Testing

@testable import Store

@Suite struct EntryTests {
  @Test func aKeyIsItselfAndNoOther() {
    let heap = Heap(usesSlabs: true)
    for length in 0...40 {
      let key = Bytes((0..<length).map { UInt8($0) })
      let entry = key.withUnsafeBytes {
        Entry(on: heap, key: $0, kind: .bytes, payloadCount: 3, version: 1)
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
      Entry(on: heap, key: $0, kind: .bytes, payloadCount: Entry.inlineMax, version: version)
    }
    #expect(entry.version == version && entry.kind == .bytes)
    #expect(entry.keyCount == Store.keyBytesMax && entry.payloadCount == Entry.inlineMax)
    heap.free(entry.base, entry.byteCount)
  }
}
