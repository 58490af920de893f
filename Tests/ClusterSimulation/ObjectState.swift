// The keys whose calls are checked together: one key, or the keys of a slot between which values
// move. Each has a place in its object.
//
// Owns the keys' states. A value; any thread.

package struct ObjectState: Sendable, Hashable {
  private var first: KeyState
  /// Of places 1 and up; most objects have none.
  private var others: [KeyState]

  /// - Parameter count: how many keys there are.
  package init(_ first: KeyState = .absent, count: Int = 1) {
    self.first = first
    others = Array(repeating: .absent, count: count - 1)
  }

  var places: Range<Int> { 0..<others.count + 1 }

  package subscript(place: Int) -> KeyState {
    get { place == 0 ? first : others[place - 1] }
    set { if place == 0 { first = newValue } else { others[place - 1] = newValue } }
    _modify {
      if place == 0 { yield &first } else { yield &others[place - 1] }
    }
  }

  /// Whether both hold the same. What replies have told of versions may differ.
  package func isSame(as other: ObjectState) -> Bool {
    places.allSatisfy {
      self[$0].value == other[$0].value && self[$0].expiresAt == other[$0].expiresAt
    }
  }

  /// Executes `call` and returns the reply.
  package mutating func apply(_ call: KeyCall) -> KeyReply { call.model.apply(call, to: &self) }

  /// Executes `call`, unless its reply would be another.
  package mutating func apply(_ call: KeyCall, replying reply: KeyReply) -> Bool {
    // The time of a call that waits ends where none of its lists has a value. They may hold
    // something else by then.
    if call.model.waits, reply == .value(nil) {
      return call.lists.allSatisfy { self[$0].kind != .list }
    }
    if case .versioned(let told, let version) = reply, let meaning = call.model.versionedMeaning {
      return meaning(&self[call.place], call.words, told, version)
    }
    return apply(call) == reply
  }
}

extension ObjectState: CustomStringConvertible {
  package var description: String {
    ([first] + others).map(\.description).joined(separator: " | ")
  }
}
