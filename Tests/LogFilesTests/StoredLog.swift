// A store whose log and passes lie on a simulated disk, as a shard leaves them: what the store held
// at the end of each batch is kept, so that any beginning of the log can be compared with it.

import Log
import LogCrashes
import LogFiles
import SimulatedDisk
import Store

final class StoredLog {
  static let path = "data"

  let disk: SimulatedDisk
  let rig: LogRig
  private(set) var store = StoredLog.makeStore()
  /// What the store held where a batch ended, by position; and at the log's beginning.
  private(set) var pictures: [LogPosition: [String]] = [0: []]
  private var number: UInt64 = 0

  static func makeStore() -> Store {
    Store(databaseCount: 2, slotCount: 3, hashSeed: (5, 6))
  }

  init(_ policy: FsyncPolicy = .always) throws {
    disk = try SimulatedDisk.withDirectory(Self.path, seed: 1)
    rig = LogRig(disk, Self.path, policy)
    rig.settings.sizes = SegmentSizes(first: 6 << 10, largest: 6 << 10, fillStep: 6 << 10)
    try start()
  }

  /// The process begins, with what the files hold.
  func start() throws {
    let found = Self.makeStore()
    try rig.start { LogMerge(into: StoreReplay(into: found), passBegin: $0) }
    store = found
    store.observer = rig.appender
  }

  var position: LogPosition { rig.appender.position }

  /// Batches of one change each: a string, a number, a list, in turn.
  func change(_ count: Int, filler: Int = 30) throws {
    for _ in 0..<count {
      number += 1
      let key = Array("key-\(number % 9)".utf8)
      let value = Array("\(number)".utf8) + [UInt8](repeating: 0xee, count: filler)
      try key.withUnsafeBytes { key in
        try value.withUnsafeBytes { value in
          let slot = Int(number % 3)
          let place = store.find(key, slot: slot, database: Int(number % 2), nowMillis: 1)
          switch number % 9 % 3 {
          case 0: _ = store.set(value, expiry: .never, at: place)
          case 1: _ = try store.incrBy(7, at: place)
          default: _ = try store.push(value, .tail, at: place)
          }
        }
      }
      write()
    }
  }

  func write() {
    pictures[position] = Self.picture(store)
    rig.give(asNumber: number)
    rig.perform(.writer)
    // The next segment is prepared.
    rig.perform(.background)
  }

  /// A whole pass, with changes while it is made; older files go.
  func pass(changes: Int = 3) throws {
    let begin = position
    let maker = PassMaker(of: store, begin: begin, state: [.versionCeiling(1 << 30)])
    rig.beginPass(at: begin)
    var changesLeft = changes
    while !maker.isDone {
      _ = maker.take(asOf: position, keys: 2, bytes: 100_000)
      if let chunk = maker.takeChunk() { rig.output?.writePass(chunk) }
      if changesLeft > 0 {
        try change(1)
        changesLeft -= 1
      }
    }
    rig.output?.endPass(lastAsOf: maker.lastAsOf)
    rig.run()
  }

  /// The process ends without closing its files.
  func end() {
    rig.run()
    rig.end()
  }

  // MARK: - Files

  var names: [String] { disk.names(in: Self.path).filter { $0 != "LOCK" } }
  var segments: [String] { names.filter { $0.hasPrefix("log-") } }
  var passes: [String] { names.filter { $0.hasPrefix("pass-") } }

  func contents(_ name: String) -> [UInt8] { disk.contents(of: "\(Self.path)/\(name)") ?? [] }

  var files: [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: names.map { ($0, contents($0)) })
  }

  /// Another disk with these files.
  static func disk(_ files: [String: [UInt8]], seed: UInt64 = 2) throws -> SimulatedDisk {
    let made = try SimulatedDisk.withDirectory(path, seed: seed)
    for (name, bytes) in files {
      made.close(try made.open("\(path)/\(name)", for: .creating))
      made.setContents(of: "\(path)/\(name)", to: bytes)
    }
    try made.syncDirectory(path)
    return made
  }

  // MARK: - What others find in them

  static func verify(_ disk: SimulatedDisk, replays: Bool = true) throws -> LogVerdict {
    let directory = try LogDirectory.inspect(path, over: disk, locking: .ifFree)
    defer { directory.close() }
    let makeTarget = { () -> any ReplayTarget in StoreReplay(into: makeStore()) }
    return try LogVerification(directory, replays ? makeTarget : nil).run()
  }

  struct Found {
    let store: Store
    let position: LogPosition
    let ceiling: UInt64
    var picture: [String] { StoredLog.picture(store) }
  }

  /// What a start finds.
  static func start(_ disk: SimulatedDisk) throws -> Found {
    let rig = LogRig(disk, path, .always)
    let store = makeStore()
    var ceiling: UInt64 = 0
    try rig.start { begin in
      let replay = StoreReplay(into: store) { state in
        if case .versionCeiling(let value) = state { ceiling = max(ceiling, value) }
      }
      return LogMerge(into: replay, passBegin: begin)
    }
    let position = rig.appender.position
    rig.end()
    return Found(store: store, position: position, ceiling: ceiling)
  }

  @discardableResult
  static func cut(_ disk: SimulatedDisk, at position: LogPosition) throws -> [LogFileName] {
    let directory = try LogDirectory.inspect(path, over: disk, locking: .required)
    defer { directory.close() }
    let plan = try CutPlan(directory, at: position)
    return try LogCut.perform(plan, in: directory, life: 0xc07)
  }

  static func plan(_ disk: SimulatedDisk, at position: LogPosition) -> Result<CutPlan, any Error> {
    Result {
      let directory = try LogDirectory.inspect(path, over: disk, locking: .none)
      return try CutPlan(directory, at: position)
    }
  }

  /// All that a store holds, a line for each key.
  static func picture(_ store: Store) -> [String] {
    var lines: [String] = []
    var cursor = ImageCursor()
    while cursor < store.imageEnd {
      cursor = store.image(from: cursor, keys: .max, bytes: .max) { entry in
        var text = "\(entry.slot)/\(entry.database)/\(Array(entry.key)) v\(entry.version)"
        text += " \(entry.expiry.unixMillis) "
        switch entry.value {
        case .bytes(let bytes): text += "\(Array(bytes))"
        case .integer(let number): text += "\(number)"
        case .list(let list): list.forEach { text += "\(Array($0))," }
        case .pinnedBytes(let pin): text += "\(pin.withBytes(0..<pin.count) { Array($0) })"
        case .pinnedList(let list):
          list.forEach {
            text += "\(Array($0)),"
            return true
          }
        }
        lines.append(text)
        return true
      }
    }
    return lines
  }
}
