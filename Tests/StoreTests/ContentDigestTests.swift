// Digests of contents: equal where clients see the same, however it came to be.

import Testing

@testable import Store

@Suite struct ContentDigestTests {
  private func digests(
    _ fixture: Fixture, ofContents: Bool = true, nowMillis: Int64? = nil
  ) -> [SlotDigest] {
    var digests: [SlotDigest] = []
    var walk = DigestWalk(ofContents: ofContents, nowMillis: nowMillis)
    while !fixture.store.advance(&walk, work: 1_000, { digests.append($0) }) {}
    return digests
  }

  private func installing(
    _ value: InstalledValue, version: UInt64, expiry: Expiry = .never
  ) throws -> Fixture {
    let fixture = Fixture()
    try Bytes("k").withUnsafeBytes { key in
      try fixture.store.install(
        value, key: key, slot: 1, database: 0, version: version, expiry: expiry, accessClock: 0)
    }
    return fixture
  }

  @Test func versionsAndTheFormOfNumbersDontCount() throws {
    let number = try installing(.integer(-907), version: 3)
    let text = try Bytes("-907").withUnsafeBytes { try installing(.bytes($0), version: 9) }
    #expect(digests(number)[0].value == digests(text)[0].value)
    #expect(
      digests(number, ofContents: false)[0].value != digests(text, ofContents: false)[0].value)
    let other = try Bytes("-908").withUnsafeBytes { try installing(.bytes($0), version: 9) }
    #expect(digests(other)[0].value != digests(text)[0].value)
  }

  @Test func keysThatExpireAreCountedApartAndThoseThatAreDueNotAtAll() throws {
    let fixture = Fixture()
    fixture.set(Bytes("lasting"), Bytes("v"))
    let alone = try #require(digests(fixture).first)
    try Bytes("k").withUnsafeBytes { key in
      try fixture.store.install(
        .integer(5), key: key, slot: alone.slot, database: 0, version: 1_000,
        expiry: Expiry(unixMillis: 50), accessClock: 0)
    }
    let both = try #require(digests(fixture, nowMillis: 49).first)
    #expect(both.keys == 2 && both.expiringKeys == 1)
    #expect(both.lasting == alone.value && both.value != alone.value)
    let later = try #require(digests(fixture, nowMillis: 50).first)
    #expect(later.keys == 1 && later.expiringKeys == 0 && later.value == alone.value)
  }

  @Test func digestsOfLargeValuesThatExpireAreNotAmongThoseThatLast() throws {
    let large = Bytes((0..<200_000).map { UInt8(truncatingIfNeeded: $0) })
    let fixture = try large.withUnsafeBytes {
      try installing(.bytes($0), version: 1, expiry: Expiry(unixMillis: 9))
    }
    let digest = try #require(digests(fixture).first)
    #expect(digest.lasting == 0 && digest.value != 0 && digest.expiringKeys == 1)
  }
}
