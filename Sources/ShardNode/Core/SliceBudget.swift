// The budget of one slice of a call on every shard, and the data that it collects. Both exist for
// one slice, on the core's event loop.

import NIOCore
import Patterns
import RingstoreAPI
import Store

/// What a slice may still spend, in keys looked at and in time.
struct SliceBudget {
  /// A slot without keys counts as a fraction of a key, so that walking an empty store ends in few
  /// slices.
  private static let emptySlotsPerVisit = 16
  /// The clock is read after this many keys, or after this many steps of matching their pattern,
  /// whichever comes first: after a slow match the slice must not continue with fifteen other keys.
  private static let visitsPerLook = 16
  private static let stepsPerLook = 16_384

  private var visits: Int
  private var emptySlots = 0
  private var visitsToLook = visitsPerLook
  private var stepsToLook = stepsPerLook
  private var isOverdue = false
  private let endNanos: UInt64
  private let clock: () -> UInt64

  init(visits: UInt32, _ clock: @escaping () -> UInt64) {
    self.visits = max(Int(visits), 1)
    self.clock = clock
    endNanos = clock() &+ ShardCore.sliceNanosMax
  }

  var isSpent: Bool { visits <= 0 || isOverdue }
  var visitsLeft: Int { max(visits, 1) }

  /// - Parameters:
  ///   - count: how many keys.
  ///   - steps: the maximum that matching them can have taken.
  mutating func visit(count: Int = 1, steps: Int = 0) {
    visits -= count
    visitsToLook -= count
    stepsToLook -= steps
    if visitsToLook <= 0 || stepsToLook <= 0 { look() }
  }

  mutating func passEmptySlot() {
    emptySlots += 1
    if emptySlots.isMultiple(of: Self.emptySlotsPerVisit) { visit() }
  }

  private mutating func look() {
    visitsToLook = Self.visitsPerLook
    stepsToLook = Self.stepsPerLook
    if clock() > endNanos { isOverdue = true }
  }
}

/// The keys that a slice finds.
struct KeySlice {
  private(set) var positions: [UInt64] = []
  /// The pattern can't be matched within its limits; the slice, and its call, fail.
  private(set) var failure: PatternError?

  private let pattern: Pattern
  private let type: Store.ValueType?
  private let wantsPositions: Bool
  private var keysLeft: Int
  private var bytesLeft: Int

  init(_ request: LinkV1.KeysPartRequest, _ pattern: Pattern) {
    self.pattern = pattern
    type = request.type == .none ? nil : Store.ValueType(rawValue: UInt8(request.type.rawValue))
    wantsPositions = request.wantsPositions
    keysLeft = request.maxKeys == 0 ? .max : Int(request.maxKeys)
    bytesLeft = max(Int(request.maxBytes), 1)
  }

  var isFull: Bool { keysLeft <= 0 || bytesLeft <= 0 || failure != nil }

  func stepsMax(of key: UnsafeRawBufferPointer) -> Int {
    pattern.stepsMax(keyBytes: key.count)
  }

  mutating func look(
    at key: UnsafeRawBufferPointer, _ type: Store.ValueType, _ cursorAfter: UInt64,
    into response: inout ByteBuffer
  ) {
    if let wanted = self.type, wanted != type { return }
    do throws(PatternError) {
      guard try pattern.matches(key) else { return }
    } catch {
      failure = error
      return
    }
    response.append(LinkV1.KeysPartReply.Field.keys, key)
    if wantsPositions { positions.append(cursorAfter) }
    keysLeft -= 1
    bytesLeft -= key.count
  }
}
