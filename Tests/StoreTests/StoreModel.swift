// The naive store that the real one is compared with: dictionaries and arrays.

@testable import Store

struct Place: Hashable {
  let database: Int
  let slot: Int
  let key: Bytes
}

/// A call, with what it needs, so that a sequence of them can be run again.
enum Operation {
  case set(Place, Bytes, Expiry)
  /// Like `set`, but with a value that lies in a block between so many other bytes.
  case setInBlock(Place, Bytes, before: Int, after: Int)
  case get(Place)
  case delete(Place)
  case incrBy(Place, Int64)
  case push(Place, Store.ListEnd, [Bytes])
  case pop(Place, Store.ListEnd)
  case length(Place)
  case popMany(Place, Store.ListEnd, Int)
  case element(Place, Int64)
  case setElement(Place, Int64, Bytes)
  case trim(Place, Int64, Int64)
  /// In front of an index, of the list's length at most.
  case insertElement(Place, Int, Bytes)
  /// From one list to another of the same slot and database.
  case move(Place, Store.ListEnd, to: Place, Store.ListEnd, isPinned: Bool)
  /// Every element at an index that leaves `rest` when it is divided.
  case removeElements(Place, by: Int, rest: Int)
  case takeView(Place, Int64, Int64)
  case dropView(Int)
  /// All of a list.
  case pinList(Place)
  case dropList(Int)
  case pin(Place)
  case popPinned(Place, Store.ListEnd, longerThan: Int)
  case peekLength(Place, Store.ListEnd)
  case dropPinned(Int)
  case collect(Int)
  case reset(slot: Int, database: Int)
  case expire(Place, Expiry)
  /// The wall clock jumps.
  case setClock(Int64)
  /// A part of the walk that finds keys that are due.
  case walk(Int)
}

extension Operation {
  /// The key that a call is about.
  var place: Place? {
    switch self {
    case .set(let place, _, _), .setInBlock(let place, _, _, _), .get(let place),
      .delete(let place), .incrBy(let place, _), .push(let place, _, _), .pop(let place, _),
      .length(let place), .takeView(let place, _, _), .pin(let place),
      .popPinned(let place, _, _), .peekLength(let place, _), .expire(let place, _),
      .popMany(let place, _, _), .element(let place, _), .setElement(let place, _, _),
      .trim(let place, _, _), .insertElement(let place, _, _), .removeElements(let place, _, _),
      .move(let place, _, _, _, _), .pinList(let place):
      place
    case .dropView, .dropList, .dropPinned, .collect, .reset, .setClock, .walk: nil
    }
  }
}

/// The reply of a call, in a form that can be compared.
enum Outcome: Equatable {
  case nothing
  case value(Bytes, UInt64)
  case version(UInt64)
  case number(Int64, UInt64)
  case length(Int)
  case view([Bytes], firstIndex: Int, length: Int, byteCount: Int, version: UInt64)
  case error(Store.StoreError)
}

struct StoreModel {
  enum Value {
    case string(Bytes)
    case list([Bytes])
  }

  private(set) var values: [Place: (value: Value, version: UInt64, expiry: Expiry)] = [:]
  private var versions: [Int: UInt64] = [:]
  private(set) var nowMillis: Int64 = 1

  func isDue(_ place: Place) -> Bool { values[place]?.expiry.isDue(at: nowMillis) == true }

  /// Deletes a key that is due.
  mutating func expire(_ place: Place) {
    values[place] = nil
    _ = next(place.slot)
  }

  /// Meets a key: one that is due goes.
  mutating func meet(_ place: Place) {
    if isDue(place) { expire(place) }
  }

  func type(_ place: Place) -> Store.ValueType {
    switch values[place]?.value {
    case nil: .none
    case .string: .string
    case .list: .list
    }
  }

  private mutating func next(_ slot: Int) -> UInt64 {
    versions[slot, default: 0] += 1
    return versions[slot, default: 0]
  }

  /// - Parameter expiry: nil: what it was.
  private mutating func write(
    _ place: Place, _ value: Value, _ expiry: Expiry? = nil
  ) -> UInt64 {
    let version = next(place.slot)
    values[place] = (value, version, expiry ?? values[place]?.expiry ?? .never)
    return version
  }

  mutating func apply(_ operation: Operation) -> Outcome {
    if let place = operation.place { meet(place) }
    switch operation {
    case .set(let place, let value, let expiry):
      return .version(write(place, .string(value), expiry))
    case .setInBlock(let place, let value, _, _):
      return .version(write(place, .string(value), .never))
    case .expire(let place, let expiry):
      guard let found = values[place] else { return .nothing }
      return .version(write(place, found.value, expiry))
    case .setClock(let millis):
      nowMillis = millis
      return .nothing
    case .get(let place):
      guard let found = values[place] else { return .nothing }
      guard case .string(let bytes) = found.value else { return .error(.wrongType) }
      return .value(bytes, found.version)
    case .delete(let place):
      guard values.removeValue(forKey: place) != nil else { return .nothing }
      return .version(next(place.slot))
    case .incrBy(let place, let delta):
      return increment(place, delta)
    case .pin(let place):
      guard let found = values[place] else { return .nothing }
      guard case .string(let bytes) = found.value else { return .error(.wrongType) }
      return bytes.count > Entry.inlineMax ? .value(bytes, found.version) : .nothing
    case .push, .pop, .popPinned, .peekLength, .length, .takeView:
      return applyToList(operation)
    case .pinList(let place):
      return applyToList(.takeView(place, 0, -1))
    case .popMany, .element, .setElement, .trim, .insertElement, .removeElements:
      return applyWithinList(operation)
    case .move(let source, let from, let destination, let to, _):
      meet(destination)
      return move(source, from, to: destination, to)
    case .dropView, .dropList, .dropPinned, .collect, .walk:
      return .nothing
    case .reset(let slot, let database):
      let places = values.keys.filter { $0.slot == slot && $0.database == database }
      for place in places { values[place] = nil }
      if !places.isEmpty { _ = next(slot) }
      return .length(places.count)
    }
  }

  private mutating func increment(_ place: Place, _ delta: Int64) -> Outcome {
    var old: Int64 = 0
    if let found = values[place] {
      guard case .string(let bytes) = found.value else { return .error(.wrongType) }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let number = Int64(text), String(number) == text else { return .error(.notAnInteger) }
      old = number
    }
    let (sum, overflows) = old.addingReportingOverflow(delta)
    if overflows { return .error(.integerOverflow) }
    return .number(sum, write(place, .string(Bytes(String(sum)))))
  }

  private mutating func applyToList(_ operation: Operation) -> Outcome {
    switch operation {
    case .push(let place, let end, let new):
      let found = values[place]
      var elements: [Bytes] = []
      if let found {
        guard case .list(let old) = found.value else { return .error(.wrongType) }
        elements = old
      }
      if new.isEmpty { return .number(Int64(elements.count), found?.version ?? 0) }
      elements = end == .head ? new.reversed() + elements : elements + new
      return .number(Int64(elements.count), write(place, .list(elements)))
    case .pop(let place, let end):
      return pop(place, end, longerThan: -1)
    case .popPinned(let place, let end, let bytes):
      return pop(place, end, longerThan: bytes)
    case .peekLength(let place, let end):
      guard let found = values[place] else { return .nothing }
      guard case .list(let elements) = found.value else { return .error(.wrongType) }
      return .length((end == .head ? elements.first : elements.last)?.count ?? -1)
    case .length(let place):
      guard let found = values[place] else { return .nothing }
      guard case .list(let elements) = found.value else { return .error(.wrongType) }
      return .length(elements.count)
    case .takeView(let place, let start, let stop):
      guard let found = values[place] else { return .nothing }
      guard case .list(let elements) = found.value else { return .error(.wrongType) }
      let range = StoreModel.redisRange(start, stop, elements.count)
      let part = Array(elements[range])
      return .view(
        part, firstIndex: range.lowerBound, length: elements.count,
        byteCount: part.joined().count, version: found.version)
    default:
      return .nothing
    }
  }

  private mutating func move(
    _ source: Place, _ from: Store.ListEnd, to destination: Place, _ to: Store.ListEnd
  ) -> Outcome {
    guard let found = values[source] else { return .nothing }
    guard case .list(let list) = found.value else { return .error(.wrongType) }
    var target: [Bytes] = []
    if let there = values[destination] {
      guard case .list(let list) = there.value else { return .error(.wrongType) }
      target = list
    }
    let value = (from == .head ? list.first : list.last) ?? []
    target.insert(value, at: to == .head ? 0 : target.count)
    _ = write(destination, .list(target))
    return pop(source, from, longerThan: -1)
  }

  private mutating func applyWithinList(_ operation: Operation) -> Outcome {
    guard let place = operation.place, let found = values[place] else { return .nothing }
    guard case .list(var list) = found.value else { return .error(.wrongType) }
    func index(_ index: Int64) -> Int? {
      list.indices.first { Int64($0) == index || Int64($0 - list.count) == index }
    }
    func write(_ list: [Bytes], _ model: inout StoreModel) -> Outcome {
      let version = model.write(place, .list(list))
      if list.isEmpty { model.values[place] = nil }
      return .number(Int64(list.count), version)
    }
    switch operation {
    case .popMany(_, let end, let count):
      let taken = min(count, list.count)
      guard taken > 0 else { return .nothing }
      let part = end == .head ? Array(list.prefix(taken)) : list.suffix(taken).reversed()
      let first = end == .head ? 0 : list.count - 1
      let version = next(place.slot)
      let length = list.count
      if end == .head { list.removeFirst(taken) } else { list.removeLast(taken) }
      values[place] = list.isEmpty ? nil : (.list(list), version, found.expiry)
      return .view(
        part, firstIndex: first, length: length, byteCount: part.joined().count, version: version)
    case .element(_, let at):
      return index(at).map { .value(list[$0], found.version) } ?? .nothing
    case .setElement(_, let at, let value):
      guard let index = index(at) else { return .nothing }
      list[index] = value
      return write(list, &self)
    case .trim(_, let start, let stop):
      let range = StoreModel.redisRange(start, stop, list.count)
      if range.count == list.count { return .number(Int64(list.count), found.version) }
      return write(Array(list[range]), &self)
    case .insertElement(_, let index, let value):
      list.insert(value, at: min(index, list.count))
      return write(list, &self)
    case .removeElements(_, let divisor, let rest):
      let left = list.enumerated().filter { $0.offset % divisor != rest }.map(\.element)
      return left.count == list.count ? .nothing : write(left, &self)
    default:
      return .nothing
    }
  }

  private mutating func pop(_ place: Place, _ end: Store.ListEnd, longerThan: Int) -> Outcome {
    guard let found = values[place] else { return .nothing }
    guard case .list(var elements) = found.value else { return .error(.wrongType) }
    let popped = end == .head ? elements.removeFirst() : elements.removeLast()
    if popped.count <= longerThan { return .nothing }
    let version = write(place, .list(elements))
    if elements.isEmpty { values[place] = nil }
    return .value(popped, version)
  }

  /// As t_list.c of Redis says it, in numbers wide enough to ignore overflow.
  static func redisRange(_ start: Int64, _ stop: Int64, _ length: Int) -> Range<Int> {
    let count = Double(length)
    let first = max(0, start < 0 ? Double(start) + count : Double(start))
    let last = min(count - 1, stop < 0 ? Double(stop) + count : Double(stop))
    if first > last { return Int(min(first, count))..<Int(min(first, count)) }
    return Int(first)..<Int(last) + 1
  }
}
