// Reads the effects of a group's payload (EffectEncoding.swift has the grammar). It checks their
// form; the store checks whether they fit.
//
// Owns the arrays that effects borrow. One thread.

import Store

package final class EffectReader {
  /// The position of the values and indices of the last effect.
  private var values = ScratchArray<UnsafeRawBufferPointer>()
  private var indices = ScratchArray<Int>()

  package init() {}

  deinit {
    values.free()
    indices.free()
  }

  /// Hands over the effects of a group one after another; each is good inside `body` only, as long
  /// as `payload` is.
  package func forEach(
    in payload: UnsafeRawBufferPointer, slot: Int, _ body: (Effect) throws -> Void
  ) throws {
    var reader = ByteReader(payload)
    guard !reader.isAtEnd else { throw LogDefect.cutShort }
    while !reader.isAtEnd { try body(next(&reader, slot: slot)) }
  }

  /// The key of a group's first effect; nil if there is none, or no key.
  static func firstKey(of group: Record) -> KeyAhead? {
    var reader = ByteReader(group.payload)
    do throws(LogDefect) {
      _ = try reader.read(UInt8.self)
      let database = try reader.readCount()
      _ = try reader.read(UInt64.self)
      return KeyAhead(key: try reader.readCounted(), slot: Int(group.slot), database: database)
    } catch {
      return nil
    }
  }

  /// - Returns: an effect that is good until the next call.
  func next(_ reader: inout ByteReader, slot: Int) throws(LogDefect) -> Effect {
    let code = try reader.read(UInt8.self)
    guard let code = ChangeCode(rawValue: code) else { throw .unknownChange(code) }
    let database = try reader.readCount()
    let version = try reader.read(UInt64.self)
    let key = try reader.readCounted()
    let change = try change(code, &reader)
    if case .empty = change, !key.isEmpty { throw .badField }
    return Effect(database: database, slot: slot, key: key, version: version, change: change)
  }

  private func change(
    _ code: ChangeCode, _ reader: inout ByteReader
  ) throws(LogDefect) -> Effect.Change {
    switch code {
    case .put: return .put(.bytes(try reader.readCounted()), .never)
    case .putExpiring:
      let expiry = try reader.readExpiry()
      return .put(.bytes(try reader.readCounted()), expiry)
    case .putInteger: return .put(.integer(try reader.read(Int64.self)), .never)
    case .putIntegerExpiring:
      let expiry = try reader.readExpiry()
      return .put(.integer(try reader.read(Int64.self)), expiry)
    case .expire: return .expire(try reader.readExpiry())
    case .persist: return .expire(.never)
    case .delete: return .delete
    case .empty: return .empty
    case .write, .insertAtHead, .insertAtTail, .insertWithin, .removeAtHead, .removeAtTail,
      .removeEach, .keep, .setElement:
      let lengthBefore = try reader.readCount()
      return try change(code, lengthBefore: lengthBefore, &reader)
    }
  }

  /// Those that build on a length.
  private func change(
    _ code: ChangeCode, lengthBefore: Int, _ reader: inout ByteReader
  ) throws(LogDefect) -> Effect.Change {
    switch code {
    case .write:
      let offset = try reader.readCount()
      return .write(try reader.readCounted(), offset: offset, lengthBefore: lengthBefore)
    case .insertAtHead, .insertAtTail:
      let end: Store.ListEnd = code == .insertAtHead ? .head : .tail
      return .insert(try readValues(&reader), at: end, lengthBefore: lengthBefore)
    case .insertWithin:
      let before = try reader.readCount()
      return .insertWithin(
        try reader.readCounted(), before: before, lengthBefore: lengthBefore)
    case .removeAtHead, .removeAtTail:
      let end: Store.ListEnd = code == .removeAtHead ? .head : .tail
      return .remove(count: try reader.readCount(), at: end, lengthBefore: lengthBefore)
    case .removeEach:
      return .removeEach(try readIndices(&reader), lengthBefore: lengthBefore)
    case .keep:
      let first = try reader.readCount()
      let (end, overflows) = first.addingReportingOverflow(try reader.readCount())
      guard !overflows else { throw .badNumber }
      return .keep(first..<end, lengthBefore: lengthBefore)
    case .setElement:
      let index = try reader.readCount()
      return .setElement(try reader.readCounted(), at: index, lengthBefore: lengthBefore)
    case .put, .putExpiring, .putInteger, .putIntegerExpiring, .expire, .persist, .delete, .empty:
      throw .badField
    }
  }

  private func readValues(
    _ reader: inout ByteReader
  ) throws(LogDefect) -> UnsafeBufferPointer<UnsafeRawBufferPointer> {
    let count = try reader.readCount()
    // Each takes at least a byte, so the allocation is bounded by the existing bytes.
    guard count <= reader.rest.count else { throw .cutShort }
    values.removeAll()
    values.reserve(count)
    for _ in 0..<count { values.append(try reader.readCounted()) }
    return values.elements
  }

  private func readIndices(
    _ reader: inout ByteReader
  ) throws(LogDefect) -> UnsafeBufferPointer<Int> {
    let count = try reader.readCount()
    guard count <= reader.rest.count else { throw .cutShort }
    indices.removeAll()
    indices.reserve(count)
    var next = 0
    for _ in 0..<count {
      let (index, overflows) = next.addingReportingOverflow(try reader.readCount())
      guard !overflows, index < .max else { throw .badNumber }
      indices.append(index)
      next = index + 1
    }
    return indices.elements
  }
}

extension ByteReader {
  /// Of a key that expires: not `never`.
  mutating func readExpiry() throws(LogDefect) -> Expiry {
    let expiry = Expiry(unixMillis: try read(Int64.self))
    guard expiry != .never else { throw .badField }
    return expiry
  }
}

/// An array whose elements can be borrowed for longer than a call.
private struct ScratchArray<Element: BitwiseCopyable> {
  private var start: UnsafeMutablePointer<Element>?
  private var capacity = 0
  private var count = 0

  var elements: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: start, count: count) }

  mutating func removeAll() { count = 0 }

  mutating func reserve(_ needed: Int) {
    guard needed > capacity else { return }
    start?.deallocate()
    capacity = max(needed, 2 * capacity, 64)
    start = .allocate(capacity: capacity)
  }

  /// There is space.
  mutating func append(_ element: Element) {
    start.unsafelyUnwrapped.advanced(by: count).initialize(to: element)
    count += 1
  }

  func free() { start?.deallocate() }
}
