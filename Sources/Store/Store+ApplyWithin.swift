// Effects within a list, as Store+Apply.swift applies them.

extension Store {
  @inline(never)
  func changeWithin(_ change: Effect.Change, at place: KeyPlace, version: UInt64) {
    guard let entry = place.entry else { return }
    var list = entry.list
    switch change {
    case .insertWithin(let value, let index, _):
      list.insert(value, before: index, heap: heap)
    case .removeEach(let indices, _):
      list.removeEach(indices, heap: heap)
    case .keep(let range, let lengthBefore):
      free(list.drop(range.lowerBound, at: .head, heap: heap), of: list)
      free(list.drop(lengthBefore - range.upperBound, at: .tail, heap: heap), of: list)
    case .setElement(let value, let index, _):
      list.set(value, at: index, heap: heap)
    case .put, .write, .expire, .delete, .insert, .remove, .empty:
      preconditionFailure("not a change within a list")
    }
    entry.list = list
    entry.setVersion(version)
  }
}

extension KeyPlace {
  func checkFitsWithin(_ change: Effect.Change) throws(Effect.Corruption) {
    let fits: Bool
    switch change {
    case .insertWithin(let value, let index, let length):
      try checkLength(length)
      fits = index >= 1 && index < length && value.count <= Store.valueBytesMax
    case .setElement(let value, let index, let length):
      try checkLength(length)
      fits = index >= 0 && index < length && value.count <= Store.valueBytesMax
    case .keep(let range, let length):
      try checkLength(length)
      fits = range.lowerBound >= 0 && range.upperBound <= length && (1..<length) ~= range.count
    case .removeEach(let indices, let length):
      try checkLength(length)
      let rises = zip(indices, indices.dropFirst()).allSatisfy { $0 < $1 }
      let (first, last) = (indices.first ?? -1, indices.last ?? -1)
      fits = rises && first >= 0 && last < length && indices.count < length
    case .put, .write, .expire, .delete, .insert, .remove, .empty:
      fits = false
    }
    guard fits else { throw .outOfBounds }
  }
}
