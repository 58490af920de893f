// The users of a node, for all its loops: the contents of the users file when it was last valid.
// Any thread.

import Synchronization

package final class UserDirectory: Sendable {
  package let ledger: AccessLedger
  /// Users that no file names: the router within the process of `ringstore local`.
  private let builtIn: [UserDefinition]
  private let state: Mutex<State>

  private struct State {
    var table: UserTable
    var observers: [Int: @Sendable (UserTable) -> Void] = [:]
    var lastID = 0
  }

  package init(_ table: UserTable, _ ledger: AccessLedger, builtIn: [UserDefinition] = []) {
    self.ledger = ledger
    self.builtIn = builtIn
    state = Mutex(State(table: UserTable(table.users + builtIn)))
  }

  package var table: UserTable { state.withLock { $0.table } }

  /// Tells all loops of another table.
  package func replace(with table: UserTable) {
    let table = UserTable(table.users + builtIn)
    let observers = state.withLock { state in
      state.table = table
      return Array(state.observers.values)
    }
    for observer in observers { observer(table) }
  }

  /// - Parameter observer: called with the current table, and with each that replaces it, on any
  ///   thread.
  /// - Returns: what `stopObserving` takes.
  package func observe(_ observer: @escaping @Sendable (UserTable) -> Void) -> Int {
    let (id, table) = state.withLock { state in
      state.lastID += 1
      state.observers[state.lastID] = observer
      return (state.lastID, state.table)
    }
    observer(table)
    return id
  }

  package func stopObserving(_ id: Int) {
    state.withLock { $0.observers[id] = nil }
  }
}
