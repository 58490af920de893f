// The samples of docs/FORMATS.md: small files, and what each of their bytes is.

import Store

@testable import Log

struct FormatDump {
  let title: String
  let bytes: Bytes
  /// How many bytes belong together, and what they are.
  let notes: [(count: Int, text: String)]

  /// As it stands in the page.
  var text: String {
    var lines: [String] = []
    var place = 0
    for note in notes {
      let end = min(place + note.count, bytes.count)
      for start in stride(from: place, to: end, by: 16) {
        let row = bytes[start..<min(start + 16, end)]
        let digits = row.map { Self.hexadecimal(UInt64($0), digits: 2) }.joined(separator: " ")
        let offset = Self.hexadecimal(UInt64(start), digits: 4)
        let padded = digits + String(repeating: " ", count: 47 - digits.count)
        lines.append("\(offset)  \(padded)  \(start == place ? note.text : "")".trimmedEnd)
      }
      place = end
    }
    return lines.joined(separator: "\n")
  }

  var isComplete: Bool { notes.reduce(0) { $0 + $1.count } == bytes.count }

  private static func hexadecimal(_ number: UInt64, digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}

extension String {
  fileprivate var trimmedEnd: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}

extension FormatDump {
  static let identity = LogIdentity(
    lineage: Lineage(high: 0x1111_1111_2222_2222, low: 0x3333_3333_4444_4444),
    life: 0x5555_5555_6666_6666)

  private static let head: [(Int, String)] = [
    (4, "length of the batch"), (4, "CRC32C"), (8, "position"), (8, "life"), (8, "epoch"),
    (8, "committed"),
  ]

  private static func record(_ type: String, _ slot: String) -> [(Int, String)] {
    [
      (4, "length of the payload"), (1, "type: \(type)"), (1, "flags: must be understood"),
      (2, "slot: \(slot)"),
    ]
  }

  static func header() -> FormatDump {
    let header = FileHeader(
      kind: .log, lineage: identity.lineage, directory: 0x7777_7777_8888_8888, cluster: "live",
      shard: "s1", seedDigest: 0x9999_9999_aaaa_aaaa, life: identity.life, position: 1_000,
      committed: 900, newestPass: 500)
    let bytes = header.encode()
    return FormatDump(
      title: "header", bytes: Bytes(bytes[..<98]) + Bytes(bytes[4092...]),
      notes: [
        (8, "magic"), (4, "format"), (4, "kind: log"), (16, "lineage"), (8, "directory"),
        (8, "life"), (8, "epoch"), (8, "position"), (8, "committed"),
        (8, "newest pass: begins at 500"), (8, "digest of the hash seed"), (2, "length"),
        (4, "cluster"), (2, "length"), (2, "shard"),
        (4, "after 3994 zeros, at 0ffc: CRC32C"),
      ])
  }

  static func batch() -> FormatDump {
    let expiry = Expiry(unixMillis: 1_800_000_000_000)
    let effects = [
      OwnedEffect(
        database: 0, slot: 7, key: Bytes("k".utf8), version: 0x21,
        change: .put(Bytes("hello".utf8), expiry)),
      OwnedEffect(
        database: 0, slot: 7, key: Bytes("list".utf8), version: 0x22,
        change: .insert([Bytes("a".utf8), Bytes("bc".utf8)], .tail, lengthBefore: 300)),
    ]
    return FormatDump(
      title: "batch", bytes: bytes(of: effects, .versionCeiling(0x1000_0000), at: 1_000),
      notes: head + record("group", "7") + [
        (1, "put, expires"), (1, "database 0"), (8, "version"), (2, "key: 1 byte, \"k\""),
        (8, "expiry"), (6, "value: 5 bytes, \"hello\""), (1, "insert at the tail"),
        (1, "database 0"), (8, "version"), (5, "key: 4 bytes, \"list\""),
        (2, "length before: 300"), (1, "2 values"), (2, "1 byte, \"a\""), (3, "2 bytes, \"bc\""),
      ] + record("version ceiling", "none") + [(8, "ceiling")])
  }

  static func secondBatch() -> FormatDump {
    let write = OwnedEffect(
      database: 0, slot: 7, key: Bytes("k".utf8), version: 0x23,
      change: .write(Bytes("HE".utf8), offset: 0, lengthBefore: 5))
    let life = StateRecord.newLife(life: identity.life, incarnation: 0x1234)
    return FormatDump(
      title: "second batch", bytes: bytes(of: [write], life, at: 1_113),
      notes: head + record("group", "7") + [
        (1, "write into a string"), (1, "database 0"), (8, "version"), (2, "key: 1 byte, \"k\""),
        (1, "length before: 5"), (1, "offset: 0"), (3, "2 bytes, \"HE\""),
      ] + record("new life", "none") + [(8, "life"), (8, "incarnation")])
  }

  /// A batch with a group of slot 7, and a record of state.
  private static func bytes(
    of effects: [OwnedEffect], _ state: StateRecord, at position: LogPosition
  ) -> Bytes {
    let appender = LogAppender(position: position)
    for effect in effects { effect.lend { appender.willApply($0) } }
    appender.groupEnded(slot: 7)
    appender.append(state)
    let batch = appender.takeBatch()
    batch?.seal(committed: 1_000, lineage: identity.lineage, life: identity.life)
    return batch.map { Bytes($0.bytes) } ?? []
  }

  static func pass() -> FormatDump {
    let store = Store(databaseCount: 1, slotCount: 8, hashSeed: (1, 2))
    func at(_ key: String, _ body: (KeyPlace) -> Void) {
      Bytes(key.utf8).withUnsafeBytes {
        body(store.find($0, slot: 7, database: 0, nowMillis: 1_600))
      }
    }
    let value = Bytes("hello".utf8)
    at("k") { place in
      _ = value.withUnsafeBytes {
        store.set($0, expiry: Expiry(unixMillis: 1_800_000_000_000), at: place)
      }
    }
    at("n") { _ = try? store.incrBy(-2, at: $0) }
    let batches = batches(of: store, [.versionCeiling(0x1000_0000)])
    return FormatDump(title: "pass", bytes: Bytes(batches.joined()), notes: passNotes)
  }

  private static func batches(of store: Store, _ state: [StateRecord]) -> [Bytes] {
    let maker = PassMaker(of: store, begin: 500, state: state)
    var batches: [Bytes] = []
    var position: LogPosition = 500 | 1 << 63
    while !maker.isDone {
      _ = maker.take(asOf: 520, keys: 100, bytes: 1_000)
      guard let chunk = maker.takeChunk() else { continue }
      while let pieces = chunk.nextBatch(
        at: position, committed: 400, epoch: 0, identity: identity)
      {
        batches.append(pieces.reduce(into: []) { $0 += $1 })
        position += UInt64(batches.last?.count ?? 0)
      }
    }
    return batches
  }

  private static var passNotes: [(Int, String)] {
    head + record("pass begin", "none") + [
      (8, "begin: 500"), (1, "1 record of state"), (1, "type: version ceiling"), (1, "8 bytes"),
      (8, "ceiling"),
    ] + head + record("image", "none") + [
      (8, "as of: 520"), (12, "from: slot 0, database 0, hash 0, no key"), (1, "section"),
      (2, "slot 7"), (1, "database 0"), (4, "2 keys"), (1, "integer"), (8, "version"),
      (4, "access clock"), (2, "key: 1 byte, \"n\""), (8, "value: -2"), (1, "bytes, expires"),
      (8, "version"), (4, "access clock"), (8, "expiry"), (2, "key: 1 byte, \"k\""),
      (6, "value: 5 bytes, \"hello\""), (1, "end"),
      (12, "to: slot 8, of which there is none: all is done"),
    ] + head + record("pass end", "none") + [
      (8, "as of the last image: 520"), (8, "1 image"), (8, "2 keys"),
    ]
  }

  /// The two batches of a pass in which lists are: of a long one the elements come first.
  static func lists() throws -> FormatDump {
    let store = Store(databaseCount: 1, slotCount: 8, hashSeed: (1, 2))
    let long = [Bytes("a".utf8), Bytes(repeating: UInt8(ascii: "b"), count: Store.imageCopyMax)]
    for (key, slot, values) in [("l", 6, [Bytes("a".utf8), Bytes("bc".utf8)]), ("m", 7, long)] {
      try Bytes(key.utf8).withUnsafeBytes { key in
        let place = store.find(key, slot: slot, database: 0, nowMillis: 1_600)
        _ = try values.withPieces { try store.push($0, .tail, at: place) }
      }
    }
    let batches = batches(of: store, [])
    return FormatDump(
      title: "lists", bytes: Bytes(batches[1].dropLast(Store.imageCopyMax)) + batches[2],
      notes: listNotes)
  }

  private static var listNotes: [(Int, String)] {
    head + record("image part", "none") + [
      (8, "as of: 520"), (2, "slot 7"), (1, "database 0"), (2, "key: 1 byte, \"m\""),
      (1, "first: element 0"), (2, "1 byte, \"a\""),
      (3, "65536 bytes, which are left out here; the next batch:"),
    ] + head + record("image", "none") + [
      (8, "as of: 520"), (12, "from: slot 0, database 0, hash 0, no key"), (1, "section"),
      (2, "slot 6"), (1, "database 0"), (4, "1 key"), (1, "list"), (8, "version"),
      (4, "access clock"), (2, "key: 1 byte, \"l\""), (1, "2 elements"), (2, "1 byte, \"a\""),
      (3, "2 bytes, \"bc\""), (1, "section"), (2, "slot 7"), (1, "database 0"), (4, "1 key"),
      (1, "list in parts"), (8, "version"), (4, "access clock"), (2, "key: 1 byte, \"m\""),
      (1, "2 elements, as in the parts"), (1, "end"), (12, "to: behind the key \"m\""),
    ]
  }

  static func all() throws -> [FormatDump] {
    [header(), batch(), secondBatch(), pass(), try lists()]
  }
}
