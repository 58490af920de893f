// The cluster into which a backup is restored: lone shards, each with its part of the slots. And
// the contents of keys, as clients see them.
//
// Owns the shards' cores. One thread.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI
import ShardNode
import Store

/// The value of a key, and when it expires.
struct KeyContents: Hashable {
  typealias OfKeys = [[UInt8]: KeyContents]

  enum Value: Hashable {
    case string([UInt8])
    case list([[UInt8]])
  }

  let value: Value
  /// Milliseconds since 1970; the greatest number: never.
  let expiry: Int64
}

extension KeyContents {
  /// - Returns: nil for a value that is held in place; the keys of a run have none.
  fileprivate init?(_ entry: ImageEntry) {
    switch entry.value {
    case .bytes(let bytes): value = .string(Array(bytes))
    case .integer(let number): value = .string(CommandModel.word("\(number)"))
    case .list(let list):
      var elements: [[UInt8]] = []
      list.forEach { elements.append(Array($0)) }
      value = .list(elements)
    case .pinnedBytes, .pinnedList: return nil
    }
    expiry = entry.expiry.unixMillis
  }
}

extension Store {
  /// More keys than a slot has in a run.
  fileprivate static let unservedMax = 1_000
}

extension ShardCore {
  /// The contents of those of the keys that exist.
  func contents(of keys: [[UInt8]], nowNanos: UInt64) -> KeyContents.OfKeys {
    var contents: KeyContents.OfKeys = [:]
    for key in keys { contents[key] = self.contents(of: key, nowNanos) ?? unserved(key) }
    return contents
  }

  /// The contents of a key whose slot isn't served, as from a restart until the map is in force:
  /// calls on it are refused, but walks and backups have it. Nil if it is served, or missing.
  func unserved(_ key: [UInt8]) -> KeyContents? {
    let slot = key.withUnsafeBytes { Slots.slot(of: $0) }
    guard !ownership.owns(slot: slot), keyspace.store.keyCount(database: 0, slot: slot) > 0 else {
      return nil
    }
    var found: KeyContents?
    _ = keyspace.store.image(
      from: ImageCursor(slot: slot, database: 0), keys: Store.unservedMax, bytes: .max
    ) { entry in
      guard entry.slot == slot, entry.database == 0, found == nil else { return false }
      if entry.key.elementsEqual(key) { found = KeyContents(entry) }
      return true
    }
    return found
  }

  private func contents(of key: [UInt8], _ nowNanos: UInt64) -> KeyContents? {
    let value: KeyContents.Value
    switch reply(to: KeyCall(.get), key, nowNanos) {
    case .value(let bytes?): value = .string(bytes)
    case nil:
      guard case .elements(let elements?) = reply(to: .wholeList, key, nowNanos) else { return nil }
      value = .list(elements)
    default: return nil
    }
    // In milliseconds since 1970; -1: it doesn't expire.
    guard case .integer(let moment) = reply(to: KeyCall(Command.ttl), key, nowNanos) else {
      return nil
    }
    return KeyContents(value: value, expiry: moment < 0 ? .max : moment)
  }

  /// The reply to a call; nil: an error.
  func reply(to call: KeyCall, _ key: [UInt8], _ nowNanos: UInt64) -> KeyReply? {
    guard let command = call.model.command else { return nil }
    var request = ByteBuffer()
    call.write(key: key, into: &request)
    var response = ByteBuffer()
    let isExecuted = request.withUnsafeReadableBytes { request in
      do throws(CallError) {
        _ = try execute(
          UInt32(command.id.rawValue), request, into: &response, context(nowNanos: nowNanos))
        return true
      } catch {
        return false
      }
    }
    guard isExecuted else { return nil }
    return response.withUnsafeReadableBytes { try? KeyReply($0, to: call) }
  }
}

final class RestoredCluster {
  /// Keys of a store that one step reads.
  private static let keysPerStep = 100

  private let map: SlotMap
  private let cores: [ShardCore]

  init(shards: Int) throws(PlacementError) {
    let ids = (0..<shards).map { "restored-\($0)" }
    map = try SlotMap.initial(ids.map { ShardDescription(id: $0, address: "\($0):1") })
    var limits = Limits()
    limits.databases = 1
    // Its clock is behind every expiry of simulated calls, so that nothing expires in it.
    cores = ids.map { id in
      ShardCore(
        cluster: "restored", id: id, incarnation: 1, version: "0", limits: limits,
        clock: { 0 }, wallMillis: { 1 }, uptimeMillis: { 0 })
    }
  }

  private func core(of key: [UInt8]) -> ShardCore {
    cores[map.owner(ofSlot: key.withUnsafeBytes { Slots.slot(of: $0) })]
  }

  /// Writes the keys of a batch, except for those that have expired. Returns what was written.
  func take(_ batch: Store, nowMillis: Int64) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var cursor = ImageCursor()
    while cursor != batch.imageEnd {
      cursor = batch.image(from: cursor, keys: Self.keysPerStep, bytes: .max) { entry in
        guard entry.expiry.unixMillis > nowMillis else { return true }
        keys.append(Array(entry.key))
        write(entry)
        return true
      }
    }
    return keys
  }

  private func write(_ entry: ImageEntry) {
    let key = Array(entry.key)
    let core = core(of: key)
    let call: KeyCall? =
      switch entry.value {
      case .bytes(let bytes): KeyCall(.set, [Array(bytes)])
      case .integer(let number): KeyCall(.set, [CommandModel.word("\(number)")])
      case .list(let elements): KeyCall(.rPush, values(elements))
      // Values of the simulation are short.
      case .pinnedBytes, .pinnedList: nil
      }
    guard let call else { return }
    _ = core.reply(to: call, key, 0)
    if entry.expiry != .never {
      let moment = CommandModel.word("\(entry.expiry.unixMillis)")
      _ = core.reply(to: KeyCall(Command.expire, [moment]), key, 0)
    }
  }

  private func values(_ elements: Store.ListElements) -> [[UInt8]] {
    var values: [[UInt8]] = []
    elements.forEach { values.append(Array($0)) }
    return values
  }

  func contents(of keys: [[UInt8]]) -> KeyContents.OfKeys {
    var contents: KeyContents.OfKeys = [:]
    for key in keys {
      contents.merge(core(of: key).contents(of: [key], nowNanos: 0)) { $1 }
    }
    return contents
  }
}
