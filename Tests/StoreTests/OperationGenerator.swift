// Random calls that meet the edges: empty, binary and huge keys and values, numbers at the limits.

import TestSeeds

@testable import Store

struct OperationGenerator {
  static let slotCount = 3
  static let databaseCount = 2

  private static let edges = [
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
    "-0", "0", "-1", "+1", "01", " 1", "1 ", "", "-", "--1", "1e3", "00", "18446744073709551616",
  ]

  private var random: SeededRandom
  private let keys: [Bytes]
  private var nowMillis: Int64 = 1
  /// Where a large value was set last; most holds are asked for there.
  private var lastLarge: Place?

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    var keys: [Bytes] = [[], [0], Bytes("k"), Bytes(repeating: 7, count: Store.keyBytesMax)]
    for length in 2...24 { keys.append(random.bytes(length)) }
    self.keys = keys
  }

  private mutating func place() -> Place {
    // A few keys get most of the calls, so that lists grow and values are replaced.
    let isFavourite = Bool.random(using: &random)
    let index = Int.random(in: 0..<(isFavourite ? 4 : keys.count), using: &random)
    return Place(
      database: isFavourite ? 0 : Int.random(in: 0..<Self.databaseCount, using: &random),
      slot: index % Self.slotCount, key: keys[index])
  }

  private mutating func value() -> Bytes {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<15: return Bytes(Self.edges.randomElement(using: &random) ?? "")
    case 15..<30: return Bytes(String(Int64.random(in: .min ... .max, using: &random)))
    case 30..<40: return Bytes(String(Int.random(in: -20...20, using: &random)))
    case 40..<80: return random.bytes(Int.random(in: 0...24, using: &random))
    case 80..<93: return random.bytes(Int.random(in: 25...400, using: &random))
    case 93..<97:
      return random.bytes(Entry.inlineMax + Int.random(in: -1...1, using: &random))
    case 97..<99:
      let byte = UInt8.random(in: 0...255, using: &random)
      return Bytes(repeating: byte, count: Chunk.roomMax + Int.random(in: -4...4, using: &random))
    default: return Bytes(repeating: UInt8.random(in: 0...255, using: &random), count: 70_000)
    }
  }

  private mutating func expiry() -> Expiry {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: Expiry(unixMillis: max(1, nowMillis + Int64.random(in: -2...60, using: &random)))
    case 1: Expiry(unixMillis: .max - 1)
    default: .never
    }
  }

  private mutating func bound() -> Int64 {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: [Int64.min, .max, .min + 1].randomElement(using: &random) ?? 0
    case 1: Int64.random(in: -1000...1000, using: &random)
    default: Int64.random(in: -12...12, using: &random)
    }
  }

  private mutating func delta() -> Int64 {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: [Int64.min, .max, 0, 1, -1].randomElement(using: &random) ?? 0
    default: Int64.random(in: -1000...1000, using: &random)
    }
  }

  mutating func next() -> Operation {
    let end: Store.ListEnd = Bool.random(using: &random) ? .head : .tail
    switch Int.random(in: 0..<1000, using: &random) {
    case 0..<110:
      let (at, value) = (place(), value())
      if value.count > Entry.inlineMax { lastLarge = at }
      guard Bool.random(using: &random) else { return .set(at, value, expiry()) }
      // Around where a value is adopted: a quarter of the block may be something else.
      let others = value.count / 3 + Int.random(in: -2...2, using: &random)
      let before = Int.random(in: 0...max(0, others), using: &random)
      return .setInBlock(at, value, before: before, after: max(0, others - before))
    case 110..<210: return .get(place())
    case 210..<230: return .delete(place())
    case 230..<260: return .expire(place(), expiry())
    case 260..<340: return .incrBy(place(), delta())
    case 340..<520:
      let count = Int.random(in: 0...4, using: &random)
      return .push(place(), end, (0..<count).map { _ in value() })
    case 520..<540:
      // Many at once, so that lists get several chunks.
      let count = Int.random(in: 50...400, using: &random)
      let size = Int.random(in: 0...100, using: &random)
      return .push(place(), end, (0..<count).map { _ in random.bytes(size) })
    case 540..<600: return .pop(place(), end)
    case 600..<645: return withinList(end)
    case 645..<660: return move(end)
    case 660..<680: return .length(place())
    case 680..<690:
      nowMillis = max(1, nowMillis + Int64.random(in: -5...20, using: &random))
      return .setClock(nowMillis)
    case 690..<725: return .takeView(place(), bound(), bound())
    case 725..<760: return .pinList(place())
    case 760..<795: return .dropView(Int.random(in: 0..<8, using: &random))
    case 795..<830: return .dropList(Int.random(in: 0..<4, using: &random))
    case 830..<870: return .pin(lastLarge ?? place())
    case 870..<920:
      let lengths = [-1, 0, 10, 300, Entry.inlineMax, Chunk.roomMax]
      return .popPinned(place(), end, longerThan: lengths.randomElement(using: &random) ?? 0)
    case 920..<940: return .peekLength(place(), end)
    case 940..<975: return .dropPinned(Int.random(in: 0..<8, using: &random))
    case 975..<985: return .collect(Int.random(in: 0...20, using: &random))
    case 985..<997: return .walk(Int.random(in: 1...20, using: &random))
    default:
      return .reset(
        slot: Int.random(in: 0..<Self.slotCount, using: &random),
        database: Int.random(in: 0..<Self.databaseCount, using: &random))
    }
  }

  private mutating func move(_ end: Store.ListEnd) -> Operation {
    let source = place()
    // Often the same key.
    let others = keys.indices.filter { $0 % Self.slotCount == source.slot }
    let index = others.randomElement(using: &random) ?? 0
    let key = Bool.random(using: &random) ? source.key : keys[index]
    let destination = Place(database: source.database, slot: source.slot, key: key)
    let to: Store.ListEnd = Bool.random(using: &random) ? .head : .tail
    return .move(source, end, to: destination, to, isPinned: Bool.random(using: &random))
  }

  private mutating func withinList(_ end: Store.ListEnd) -> Operation {
    switch Int.random(in: 0..<12, using: &random) {
    case 0..<2:
      return .popMany(place(), end, [0, 1, 2, 5, 60, 500].randomElement(using: &random) ?? 0)
    case 2..<4: return .element(place(), bound())
    case 4..<6: return .setElement(place(), bound(), value())
    case 6: return .trim(place(), bound(), bound())
    case 7: return .trim(place(), Int64.random(in: 0...2, using: &random), -1)
    case 8..<10: return .insertElement(place(), Int.random(in: 0...300, using: &random), value())
    default:
      let divisor = [2, 3, 10, 100].randomElement(using: &random) ?? 2
      return .removeElements(
        place(), by: divisor, rest: Int.random(in: 0..<divisor, using: &random))
    }
  }
}
