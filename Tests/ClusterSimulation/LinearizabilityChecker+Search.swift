// The search for an order: Wing & Gong's (1993), with Lowe's memory of configurations seen
// (2017): what can follow depends only on the set of operations placed and the key's state.
//
// Owns the stack and the memory of one search. One thread.
//
// An operation may be placed next if no other one still to be placed returned before it was
// invoked. Required are operations with a reply, or known to have been executed; those of unknown
// outcome are optional. The
// order is found when all required ones are placed. What keeps the search small:
//  - An operation that changes nothing and whose reply fits is placed at once, without trying
//    anything else there: in any order that has it later it may as well stand here.
//  - Required operations are tried before optional ones.
//  - An optional operation that would change nothing is left out; reads are always such.
//  - Of optional operations with the same call only the earliest is tried: it can stand wherever a
//    later one can.
//  - One of a connection isn't tried before those that were invoked earlier on it.
//  - One that has happened by a certain moment, if at all, doesn't follow what was invoked later.
//  - What overwrites the key whatever it holds doesn't directly follow an optional operation, which
//    would have been for nothing.
//  - A configuration is given up if one was met with the same required operations placed, the same
//    state and fewer optional ones used: that one could do all that this one can.

extension LinearizabilityChecker {
  struct Search {
    enum Result {
      case found
      case exhausted
      case gaveUp
    }

    struct Required {
      let call: KeyCall
      /// Nil: any.
      let reply: KeyReply?
      let invoked: UInt64
      let returned: UInt64
      let changesNothing: Bool
      /// The operation that must stand before it, because it came earlier over its connection.
      var predecessor: Int?
    }

    /// Optional operations with one call: when each was invoked, ascending.
    struct Optionals {
      let call: KeyCall
      /// When they had happened, if they have; `.max`: that isn't known.
      let returned: UInt64
      var invoked: [UInt64]
      var used = 0
      /// The bit of its first operation in the set of used ones.
      var firstBit = 0
    }

    /// A place in the order that is being filled, and how far the choices for it have been tried.
    struct Frame {
      let state: ObjectState
      /// The next required operation to try.
      var cursor: Int
      /// The earliest return among those passed by the cursor; nothing invoked later may stand
      /// here.
      var earliestReturn: UInt64 = .max
      /// The next group of optional operations to try, once the cursor is through.
      var group = 0
      /// A choice that needs no alternative was made.
      var isSettled = false
      /// The latest invocation among the operations before this place.
      let latestInvoked: UInt64
      /// The group of the operation before this place, if that is optional.
      let groupBefore: Int?
      var placed: Placed?
    }

    struct OptionalKey: Hashable {
      let call: KeyCall
      let returned: UInt64
    }

    enum Placed {
      case required(Int)
      case optional(group: Int)
    }

    /// A configuration but for the optional operations used. The set of required ones placed enters
    /// as a 128-bit fingerprint: a mistake by collision is less likely than one by the machine.
    struct Configuration: Hashable {
      var low: UInt64 = 0
      var high: UInt64 = 0
      var state = 0

      mutating func toggle(_ number: UInt64) {
        low ^= Self.scattered(number &* 2 &+ 1)
        high ^= Self.scattered(number &* 2 &+ 2)
      }

      /// SplitMix64's output function.
      private static func scattered(_ number: UInt64) -> UInt64 {
        var bits = number &* 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
      }
    }

    let required: [Required]
    var groups: [Optionals]
    /// The required operations still to be placed, by invocation: a ring through `end`, so that one
    /// is taken out and put back in constant time.
    private var next: [Int]
    private var previous: [Int]
    private let end: Int
    private var isPlaced: [Bool]
    private var placedCount = 0
    private var configuration = Configuration()
    /// For each configuration met the sets of optional operations that had been used.
    private var seen: [Configuration: [[UInt64]]] = [:]
    private var used: [UInt64]
    private var stateNumbers: [ObjectState: Int] = [:]
    private var frames: [Frame] = []
    private var stepsLeft: Int

    /// The most required operations that could be placed, and the states the key was in then.
    private(set) var placedMost = -1
    private(set) var furthestStates: Set<ObjectState> = []

    init(_ operations: [HistoryOperation], initial: ObjectState, stepLimit: Int) {
      var required: [Required] = []
      // Places of required operations, with their connections.
      var connected: [(Int, Int)] = []
      var groups: [OptionalKey: Optionals] = [:]
      for operation in operations.sorted(by: { $0.invoked < $1.invoked }) {
        if operation.isRequired, let connection = operation.connection {
          connected.append((required.count, connection))
        }
        switch operation.outcome {
        case .ok(let reply):
          required.append(Required(operation, reply))
        // A condition on a version that isn't known is met or not: two choices, as with an outcome
        // that is unknown.
        case .executed where !operation.call.model.dependsOnVersion:
          required.append(Required(operation, nil))
        case .executed, .perhaps, .unknown, .pending:
          if operation.call.isRead { continue }
          let isOpen = operation.outcome == .unknown || operation.outcome == .pending
          let key = OptionalKey(
            call: operation.call, returned: isOpen ? .max : operation.returned ?? .max)
          groups[key, default: Optionals(call: key.call, returned: key.returned, invoked: [])]
            .invoked.append(operation.invoked)
        case .notExecuted:
          continue
        }
      }
      var newest: [Int: Int] = [:]
      for (index, connection) in connected {
        required[index].predecessor = newest.updateValue(index, forKey: connection)
      }
      self.required = required
      isPlaced = Array(repeating: false, count: required.count)
      self.groups = groups.values.sorted {
        ($0.invoked[0], $0.returned) < ($1.invoked[0], $1.returned)
      }
      var bits = 0
      for group in self.groups.indices {
        self.groups[group].firstBit = bits
        bits += self.groups[group].invoked.count
      }
      used = [UInt64](repeating: 0, count: (bits + 63) / 64)
      end = required.count
      next = (0...required.count).map { ($0 + 1) % (required.count + 1) }
      previous = (0...required.count).map { ($0 + required.count) % (required.count + 1) }
      stepsLeft = stepLimit
      frames.append(Frame(state: initial, cursor: next[end], latestInvoked: 0, groupBefore: nil))
    }

    mutating func run() -> Result {
      note(frames[0].state)
      while placedCount < required.count {
        guard stepsLeft > 0 else { return .gaveUp }
        stepsLeft -= 1
        switch tryNext() {
        case .advanced, .rejected: continue
        case .noneLeft:
          frames.removeLast()
          guard !frames.isEmpty else { return .exhausted }
          takeBack()
        }
      }
      return .found
    }

    private enum Attempt {
      case advanced
      case rejected
      case noneLeft
    }

    /// Tries the top frame's next choice.
    private mutating func tryNext() -> Attempt {
      let top = frames.count - 1
      if frames[top].isSettled { return .noneLeft }
      let index = frames[top].cursor
      if index != end, required[index].invoked <= frames[top].earliestReturn {
        frames[top].cursor = next[index]
        frames[top].earliestReturn = min(frames[top].earliestReturn, required[index].returned)
        return tryRequired(index, top)
      }
      frames[top].cursor = end
      guard frames[top].group < groups.count else { return .noneLeft }
      frames[top].group += 1
      return tryOptional(frames[top].group - 1, top)
    }

    private mutating func tryRequired(_ index: Int, _ top: Int) -> Attempt {
      let operation = required[index]
      if let predecessor = operation.predecessor, !isPlaced[predecessor] { return .rejected }
      if operation.call.overwrites == .stateAndReply, let group = frames[top].groupBefore,
        operation.call.undoes(groups[group].call)
      {
        return .rejected
      }
      var state = frames[top].state
      if let reply = operation.reply {
        guard state.apply(operation.call, replying: reply) else { return .rejected }
      } else {
        _ = state.apply(operation.call)
      }
      // Nor may it have told a version.
      if operation.changesNothing, state == frames[top].state, !ends(operation.invoked, top) {
        frames[top].isSettled = true
      }
      place(.required(index))
      return enter(state, after: operation.invoked, groupBefore: nil)
    }

    /// Whether some optional operation that may stand here may not stand behind one that was
    /// invoked then.
    private func ends(_ invoked: UInt64, _ top: Int) -> Bool {
      groups.contains {
        $0.returned < invoked && $0.returned >= frames[top].latestInvoked
          && $0.used < $0.invoked.count
      }
    }

    private mutating func tryOptional(_ group: Int, _ top: Int) -> Attempt {
      let optionals = groups[group]
      guard optionals.used < optionals.invoked.count,
        optionals.invoked[optionals.used] <= frames[top].earliestReturn,
        frames[top].latestInvoked <= optionals.returned
      else { return .rejected }
      if let before = frames[top].groupBefore, optionals.call.undoes(groups[before].call) {
        return .rejected
      }
      var state = frames[top].state
      _ = state.apply(optionals.call)
      guard state != frames[top].state else { return .rejected }
      place(.optional(group: group))
      return enter(state, after: optionals.invoked[optionals.used], groupBefore: group)
    }

    /// Continues from the configuration just made, unless one as good was met before.
    private mutating func enter(
      _ state: ObjectState, after invoked: UInt64, groupBefore: Int?
    ) -> Attempt {
      let latest = max(frames[frames.count - 1].latestInvoked, invoked)
      configuration.state = stateNumbers[state] ?? stateNumbers.count
      stateNumbers[state] = configuration.state
      let isNoBetter = seen[configuration]?.contains { earlier in
        zip(earlier, used).allSatisfy { $0 & ~$1 == 0 }
      }
      if isNoBetter ?? false {
        takeBack()
        return .rejected
      }
      seen[configuration, default: []].append(used)
      note(state)
      frames.append(
        Frame(state: state, cursor: next[end], latestInvoked: latest, groupBefore: groupBefore))
      return .advanced
    }

    private mutating func place(_ placed: Placed) {
      frames[frames.count - 1].placed = placed
      switch placed {
      case .required(let index):
        next[previous[index]] = next[index]
        previous[next[index]] = previous[index]
        isPlaced[index] = true
        placedCount += 1
        configuration.toggle(UInt64(index))
      case .optional(let group):
        toggleNext(group)
        groups[group].used += 1
      }
    }

    /// Undoes the top frame's choice.
    private mutating func takeBack() {
      let top = frames.count - 1
      switch frames[top].placed {
      case .required(let index):
        next[previous[index]] = index
        previous[next[index]] = index
        isPlaced[index] = false
        placedCount -= 1
        configuration.toggle(UInt64(index))
      case .optional(let group):
        groups[group].used -= 1
        toggleNext(group)
      case nil: break
      }
      frames[top].placed = nil
    }

    /// Marks the group's next operation as used, or its last one as free again.
    private mutating func toggleNext(_ group: Int) {
      let bit = groups[group].firstBit + groups[group].used
      used[bit / 64] ^= 1 << UInt64(bit % 64)
    }

    private mutating func note(_ state: ObjectState) {
      if placedCount > placedMost {
        placedMost = placedCount
        furthestStates = []
      }
      if placedCount == placedMost { furthestStates.insert(state) }
    }
  }
}

extension LinearizabilityChecker.Search.Required {
  init(_ operation: HistoryOperation, _ reply: KeyReply?) {
    call = operation.call
    self.reply = reply
    invoked = operation.invoked
    returned = operation.returned ?? .max
    let isRefusal = if case .refused = reply { true } else { false }
    changesNothing =
      isRefusal || operation.call.isRead
      || reply != nil && reply == operation.call.model.idleReply
  }
}
