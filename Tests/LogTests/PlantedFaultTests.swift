// The tests of the cursor rule can fail: each of these faults in it is caught.

import Store
import Testing

@testable import Log

@Suite struct PlantedFaultTests {
  enum Fault: CaseIterable {
    case appliesWhatIsBehindTheCursor
    case skipsWhatIsBeforeIt
    case leavesAPartThatIsEmptied
    case ordersKeysOtherwise
    case forgetsAnElement
    case takesTheNextVersion
    /// The image is said to be older than it is.
    case asOfIsEarly
  }

  @Test(arguments: Fault.allCases)
  func aFaultInTheRuleIsCaught(fault: Fault) throws {
    var caught = 0
    for seed in 1...20 as ClosedRange<UInt64> where caught < 2 {
      if try isCaught(fault, seed: seed) { caught += 1 }
    }
    #expect(caught == 2)
  }

  private func isCaught(_ fault: Fault, seed: UInt64) throws -> Bool {
    let run = LoggedStore(seed: seed)
    run.keepsPictures = false
    if fault == .asOfIsEarly {
      var last: LogPosition = 0
      run.asOfLag = { run in
        defer { last = run.appender.position }
        return max(last, run.passes.last?.begin ?? 0)
      }
    }
    try run.run(calls: 800)
    run.finishPass()
    let picture = StorePicture(run.store)
    for pass in run.passes {
      let store = LoggedStore.makeStore()
      let target = FaultyTarget(StoreReplay(into: store), fault)
      do {
        var recovery = Recovery(into: target, pass: pass, log: run.log, seed: 1)
        try recovery.run()
      } catch is ReplayFault {
        return true
      }
      if StorePicture(store) != picture { return true }
    }
    return false
  }

  private final class FaultyTarget: ReplayTarget {
    func prefetch(_ keys: UnsafeBufferPointer<KeyAhead>) {}

    private let target: StoreReplay
    private let fault: Fault
    private var elements = 0
    private var applied = 0

    init(_ target: StoreReplay, _ fault: Fault) {
      self.target = target
      self.fault = fault
    }

    var end: ImageCursor { target.end }

    func hash(of key: UnsafeRawBufferPointer) -> UInt64 {
      fault == .ordersKeysOtherwise ? target.hash(of: key) &* 3 : target.hash(of: key)
    }

    func apply(_ effect: Effect) throws(Effect.Corruption) {
      applied += 1
      if fault == .skipsWhatIsBeforeIt, applied % 50 == 0 { return try target.skip(effect) }
      try target.apply(effect)
    }

    func emptyPart(_ effect: Effect) throws(Effect.Corruption) {
      if fault == .leavesAPartThatIsEmptied { return try target.skip(effect) }
      try target.emptyPart(effect)
    }

    func skip(_ effect: Effect) throws(Effect.Corruption) {
      if fault == .appliesWhatIsBehindTheCursor { return try target.apply(effect) }
      try target.skip(effect)
    }

    func reserve(keys: Int, slot: Int, database: Int) {
      target.reserve(keys: keys, slot: slot, database: database)
    }

    func install(_ value: ReplayValue, _ key: ReplayKey) throws(Effect.Corruption) {
      var key = key
      if fault == .takesTheNextVersion { key.version += 1 }
      try target.install(value, key)
    }

    func addElement(
      _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
    ) throws(Effect.Corruption) {
      elements += 1
      if fault == .forgetsAnElement, elements % 20 == 0 { return }
      try target.addElement(element, of: key, form)
    }

    func adopt(_ state: StateRecord) { target.adopt(state) }

    func compareElement(
      _ element: UnsafeRawBufferPointer, of key: ReplayKey, _ form: ListForm
    ) {
      target.compareElement(element, of: key, form)
    }

    func matches(_ value: ReplayValue, _ key: ReplayKey) -> Bool { target.matches(value, key) }

    func keyCount(from: ImageCursor, to: ImageCursor) -> Int {
      target.keyCount(from: from, to: to)
    }
  }
}
