// Lists: order, ranges, and views that stay as they were.

import TestSeeds
import Testing

@testable import Store

@Suite struct ListTests {
  private let key = Bytes("list")

  private func numbers(_ range: Range<Int>) -> [Bytes] { range.map { Bytes(String($0)) } }

  @Test func aPushAtTheHeadLeavesTheLastValueFirst() throws {
    let fixture = Fixture()
    #expect(try fixture.push(key, .head, numbers(1..<4)).length == 3)
    #expect(try fixture.range(key, 0, -1)?.elements == [Bytes("3"), Bytes("2"), Bytes("1")])
    #expect(try fixture.push(key, .tail, numbers(4..<6)).length == 5)
    #expect(
      try fixture.range(key, 0, -1)?.elements == ["3", "2", "1", "4", "5"].map { Bytes($0) })
  }

  @Test func aPushOfNothingMakesNoKeyAndNoVersion() throws {
    let fixture = Fixture()
    #expect(try fixture.push(key, .head, []) == (0, 0))
    #expect(fixture.type(key) == .none)
    let version = try fixture.push(key, .head, numbers(0..<2)).version
    #expect(try fixture.push(key, .head, []) == (2, version))
  }

  @Test func theKeyGoesWithTheLastElement() throws {
    let fixture = Fixture()
    try fixture.push(key, .head, numbers(0..<2))
    #expect(try fixture.pop(key, .head)?.bytes == Bytes("1"))
    #expect(try fixture.pop(key, .head)?.bytes == Bytes("0"))
    #expect(try fixture.pop(key, .head) == nil)
    #expect(try fixture.length(key) == nil)
    #expect(fixture.store.totalKeyCount == 0)
  }

  @Test func rangesAreClampedAsInRedis() throws {
    let fixture = Fixture()
    let far: [Int64] = [.min, .min + 1, .max - 1, .max]
    for length in 1...5 {
      let all = numbers(0..<length)
      // Both directions of chunks, and a list of two.
      for heads in [0, length / 2, length] {
        fixture.delete(key)
        try fixture.push(key, .head, all[..<heads].reversed())
        try fixture.push(key, .tail, Array(all[heads...]))
        for start in Array(-7...7) + far {
          for stop in Array(-7...7) + far {
            let view = try #require(try fixture.range(key, start, stop))
            let expected = StoreModel.redisRange(start, stop, length)
            #expect(view.elements == Array(all[expected]), "\(start) \(stop) of \(length)")
            #expect(view.firstIndex == expected.lowerBound)
            #expect(view.count == expected.count && view.length == length)
          }
        }
      }
    }
    #expect(try fixture.range(Bytes("missing"), 0, -1) == nil)
  }

  @Test func anyIndexOfALongListIsFound() throws {
    let fixture = Fixture()
    let all = numbers(0..<20_000)
    try fixture.push(key, .head, all[..<9_000].reversed())
    try fixture.push(key, .tail, Array(all[9_000...]))
    let view = try #require(try fixture.range(key, 0, -1))
    #expect(view.elements == all)
    #expect(view.byteCount == all.joined().count)
    for index in stride(from: 0, to: 20_000, by: 97) {
      let one = try #require(try fixture.range(key, Int64(index), Int64(index)))
      #expect(one.elements == [all[index]])
      #expect(Bytes(view.element(at: index)) == all[index])
    }
  }

  @Test func aViewIsHandedOverInSlices() throws {
    let fixture = Fixture()
    let all = numbers(0..<5_000)
    try fixture.push(key, .tail, all)
    let view = try #require(try fixture.range(key, 10, -11))
    var seen: [Bytes] = []
    var offset = 0
    while offset < view.count {
      var left = 333
      offset = view.forEach(from: offset) {
        seen.append(Bytes($0))
        left -= 1
        return left > 0
      }
    }
    #expect(seen == Array(all[10..<4_990]))
    #expect(view.forEach(from: view.count) { _ in true } == view.count)
  }

  @Test(arguments: [Store.ListEnd.head, .tail])
  func aViewDoesNotSeeWhatTakesThePlaceOfItsElements(end: Store.ListEnd) throws {
    // Chunks of many sizes, so that some have room left and some have not.
    for count in 2..<60 {
      let fixture = Fixture()
      try fixture.push(key, end, numbers(0..<count))
      var now = try #require(try fixture.range(key, 0, -1)).elements
      for round in 0..<4 {
        let view = try #require(try fixture.range(key, 0, -1))
        let expected = now
        _ = try fixture.pop(key, end)
        try fixture.push(key, end, [Bytes("\(round)")])
        now[end == .head ? 0 : count - 1] = Bytes("\(round)")
        #expect(view.elements == expected)
        #expect(try fixture.range(key, 0, -1)?.elements == now)
      }
    }
  }

  @Test func aViewOutlivesItsKeyAndTheStore() throws {
    var view: Store.ListView?
    do {
      let fixture = Fixture()
      try fixture.push(key, .tail, numbers(0..<3_000))
      view = try fixture.range(key, 0, -1)
      #expect(fixture.store.pinnedBytes == 0)
      fixture.delete(key)
      #expect(fixture.store.pinnedBytes >= numbers(0..<3_000).joined().count)
    }
    #expect(view?.elements == numbers(0..<3_000))
  }

  @Test func aViewCopiesNoElement() throws {
    let fixture = Fixture()
    let megabyte = Bytes(repeating: 1, count: 1 << 20)
    try fixture.push(key, .tail, [megabyte, megabyte])
    let before = fixture.store.usedBytes
    let small = 20_000
    let views = try (0..<100).map { _ in try fixture.range(key, 0, -1) }
    #expect(fixture.store.usedBytes - before < small)
    // Nor does a write: the chunks are full, so the list continues in another.
    try fixture.push(key, .tail, [Bytes("x")])
    _ = try fixture.pop(key, .head)
    #expect(fixture.store.pinnedBytes >= 1 << 20)
    #expect(fixture.store.usedBytes - before < small)
    withExtendedLifetime(views) {}
  }

  @Test func aListThatWasLongGivesItsMemoryBack() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, numbers(0..<50_000))
    let large = fixture.store.usedBytes
    for _ in 0..<49_995 { _ = try fixture.pop(key, .head) }
    #expect(try fixture.range(key, 0, -1)?.elements == numbers(49_995..<50_000))
    #expect(large - fixture.store.usedBytes > 300_000)
    let fresh = Fixture()
    try fresh.push(key, .tail, numbers(49_995..<50_000))
    #expect(fixture.store.usedBytes <= fresh.store.usedBytes + 500)
  }

  @Test func aQueueThatStaysShortStaysSmall() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, numbers(0..<3))
    let start = fixture.store.usedBytes
    for round in 3..<5_000 {
      try fixture.push(key, .tail, [Bytes(String(round))])
      #expect(try fixture.pop(key, .head)?.bytes == Bytes(String(round - 3)))
      #expect(fixture.store.usedBytes < start + 500)
    }
  }

  @Test func changesWithinALongListAreThoseOfAnArray() throws {
    let fixture = Fixture()
    var random = SeededRandom(seed: TestSeed.value)
    var all = numbers(0..<12_000)
    try fixture.push(key, .head, all[..<6_000].reversed())
    try fixture.push(key, .tail, Array(all[6_000...]))
    let before = try #require(try fixture.range(key, 0, -1))
    let expected = all
    for round in 0..<300 {
      let index = Int.random(in: 0..<all.count, using: &random)
      switch round % 4 {
      case 0:
        let long = random.bytes(round % 20 == 0 ? Chunk.roomMax + 5 : Int(round))
        all[index] = long
        #expect(try fixture.setElement(key, Int64(index - all.count), long)?.length == all.count)
      case 1:
        all.insert(Bytes("new \(round)"), at: index)
        let result = try fixture.insertElement(key, index, Bytes("new \(round)"))
        #expect(result?.length == all.count)
      case 2:
        let divisor = 50 + round
        all = all.enumerated().filter { $0.offset % divisor != 7 }.map(\.element)
        #expect(try fixture.removeElements(key, by: divisor, rest: 7)?.length == all.count)
      default:
        let (end, count) = (round % 8 == 3 ? Store.ListEnd.head : .tail, round / 10)
        let part = end == .head ? Array(all.prefix(count)) : all.suffix(count).reversed()
        #expect(try fixture.popMany(key, end, count)?.view.elements ?? [] == part)
        if end == .head { all.removeFirst(count) } else { all.removeLast(count) }
      }
    }
    #expect(try fixture.range(key, 0, -1)?.elements == all)
    #expect(before.elements == expected)
  }

  @Test func insertionsInTheMiddleFillTheirChunks() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, numbers(0..<10))
    for round in 0..<6_000 { try fixture.insertElement(key, 5 + round / 2, Bytes("\(round)")) }
    let inOrder = Fixture()
    try inOrder.push(key, .tail, numbers(0..<6_010))
    #expect(fixture.store.usedBytes < inOrder.store.usedBytes * 5 / 2)
  }

  @Test func aListOfWhichLittleIsLeftGivesItsMemoryBack() throws {
    for ways in 0..<3 {
      let fixture = Fixture()
      try fixture.push(key, .tail, numbers(0..<50_000))
      let large = fixture.store.usedBytes
      switch ways {
      case 0: try fixture.trim(key, 20_000, 20_005)
      case 1:
        for divisor in [2, 2, 3, 5, 7, 10] {
          for rest in stride(from: divisor - 1, to: 0, by: -1) {
            try fixture.removeElements(key, by: rest + 1, rest: rest)
          }
        }
      default: _ = try fixture.popMany(key, .head, 49_995)
      }
      while fixture.store.collectGarbage(entries: 100) {}
      let left = try #require(try fixture.length(key))
      #expect(left < 100 && large - fixture.store.usedBytes > 300_000, "\(left)")
      let fresh = Fixture()
      try fresh.push(key, .tail, try #require(try fixture.range(key, 0, -1)).elements)
      #expect(fixture.store.usedBytes <= fresh.store.usedBytes + 500, "\(ways)")
    }
  }

  @Test func aTrimOfALongListOnlyDetaches() throws {
    let fixture = Fixture()
    let values = [Bytes](repeating: Bytes(repeating: 1, count: 1_000), count: 20)
    for _ in 0..<200 { try fixture.push(key, .tail, values) }
    #expect(try fixture.trim(key, 0, 0).length == 1)
    #expect(fixture.store.hasGarbage)
    while fixture.store.collectGarbage(entries: 100) {}
    #expect(fixture.store.usedBytes < 25_000 + fixture.usedAtStart)
  }

  @Test func indicesAtTheEndsOfInt64MeanNothing() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, numbers(0..<3))
    for index in [Int64.min, .min + 1, -4, 3, .max - 1, .max] {
      #expect(try fixture.element(key, index) == nil)
      #expect(try fixture.setElement(key, index, Bytes("x")) == nil)
    }
    #expect(try fixture.trim(key, .min, .max).length == 3)
    #expect(try fixture.trim(key, .max, .min).length == 0)
    #expect(fixture.type(key) == .none)
    #expect(try fixture.trim(key, 0, 0) == (0, 0))
  }

  @Test func aTrimToNothingNewChangesNothing() throws {
    let fixture = Fixture()
    let version = try fixture.push(key, .tail, numbers(0..<3)).version
    #expect(try fixture.trim(key, 0, -1) == (3, version))
    #expect(try fixture.popMany(key, .head, 0) == nil)
  }

  /// Every way to search, in one piece and in many, against a plain array.
  @Test func aSearchFindsWhatIsThereHoweverItIsCut() throws {
    let fixture = Fixture()
    let all = (0..<3_000).map { Bytes(String($0 % 7)) }
    try fixture.push(key, .tail, all)
    let value = Bytes("3")
    let places = all.indices.filter { all[$0] == value }
    for end in [Store.ListEnd.head, .tail] {
      let order = end == .head ? places : places.reversed()
      for (skips, wanted, most) in [
        (0, Int.max, Int.max), (0, 1, .max), (5, 3, .max), (0, .max, 100), (500, 1, .max),
        (2, 9, 40),
      ] {
        for steps in [1, 7, 1_000, Int.max] {
          var search = ListSearch(
            from: end, passingOver: skips, foundMax: wanted, elementsMax: most)
          var pieces = 1
          while try !fixture.advance(&search, for: value, steps: steps, key) { pieces += 1 }
          let looked = order.filter { end == .head ? $0 < most : 3_000 - $0 <= most }
          #expect(search.found == Array(looked.dropFirst(skips).prefix(wanted)))
          #expect(search.rising == search.found.sorted())
          if steps == .max { #expect(pieces == 1) }
        }
      }
    }
  }

  @Test func aSearchBeginsAgainWhenTheListHasChanged() throws {
    let fixture = Fixture()
    try fixture.push(key, .tail, numbers(0..<1_000))
    var search = ListSearch(from: .head)
    #expect(try !fixture.advance(&search, for: Bytes("5"), steps: 500, key))
    #expect(search.found == [5])
    try fixture.push(key, .head, [Bytes("5")])
    while try !fixture.advance(&search, for: Bytes("5"), steps: 500, key) {}
    #expect(search.found == [0, 6])
  }
}
