// All commands, and the ways to find one. Immutable, and shared by all threads.

import NIOCore
import RingstoreAPI

package enum CommandTable {
  /// Every call of the contract, in the order of the documentation.
  package static let all: [Command] =
    Command.onStrings + Command.onAnyType + Command.onExpiry + Command.onLists + Command.madeOfParts

  /// The call with this path, or nil. Linear: callers look up a path once and keep the result.
  package static func command(path: UnsafeRawBufferPointer) -> Command? {
    all.first { path.elementsEqual($0.rpc.path.utf8) }
  }

  package static func command(_ id: CommandID) -> Command? {
    all.first { $0.id == id }
  }

  private static func command(method: UInt32) -> Command? {
    all.first { $0.method == method }
  }

  /// The call and the form whose words begin with this one, case-insensitive.
  package static func form(
    called word: UnsafeRawBufferPointer
  ) -> (command: Command, form: CommandForm)? {
    for command in all {
      for form in command.forms where form.syntax.isCalled(word) { return (command, form) }
    }
    return nil
  }

  // MARK: - Calls of batches, O(1) by their number

  /// The key field in the request of a batched call, nil for a number that may not be batched.
  package static func keyFields(ofMethod method: UInt32) -> KeyFields? {
    routes[method]?.keyFields
  }

  /// Whether a batched call changes anything, false for a number that may not be batched.
  package static func isWrite(method: UInt32) -> Bool { routes[method]?.isWrite ?? false }

  /// See `Command.needsMemory`; false for a number that may not be batched.
  package static func needsMemory(method: UInt32) -> Bool { routes[method]?.needsMemory ?? false }

  /// The keys besides the first in the request of a batched call. Linear, as few calls have any.
  @inline(never)
  package static func otherKeys(
    method: UInt32, in request: UnsafeRawBufferPointer
  ) -> [UnsafeRawBufferPointer] {
    command(method: method)?.otherKeys?(request) ?? []
  }

  /// The wait field in the request of a batched call, nil if it never waits. Linear.
  package static func waitField(ofMethod method: UInt32) -> WaitField? {
    command(method: method)?.waitField
  }

  /// How a router routes batched calls. Routers keep it, so that a call costs one look-up.
  package static let routes = RouteTable(
    byMethod { command in
      command.rpc.keyFields.map {
        Route(
          keyFields: $0, access: command.access, isWrite: command.access == .write,
          hasOtherKeys: command.otherKeys != nil, needsMemory: command.needsMemory)
      }
    })

  /// How a shard executes batched calls. Shards keep it, so that a call costs one look-up.
  package static let executions = ExecutionTable(
    byMethod { command -> Execution? in
      if case .onKey(let execution) = command.work { execution } else { nil }
    })

  private static func byMethod<Fact>(_ fact: (Command) -> Fact?) -> [Fact?] {
    let last = all.compactMap(\.method).max() ?? 0
    return (0...last).map { command(method: $0).flatMap(fact) }
  }
}

/// What a node needs about a batched call before it decodes its request.
package struct Route: Sendable {
  package let keyFields: KeyFields
  package let access: Command.Access
  package let isWrite: Bool
  /// Whether its calls can have further keys (`CommandTable.otherKeys`).
  package let hasOtherKeys: Bool
  /// See `Command.needsMemory`.
  package let needsMemory: Bool
}

/// The routes of batched calls by their numbers. Sendable although it is a pointer: its memory is
/// filled once and never freed.
package struct RouteTable: @unchecked Sendable {
  private let first: UnsafePointer<Route?>
  private let count: UInt32

  init(_ routes: [Route?]) {
    let memory = UnsafeMutablePointer<Route?>.allocate(capacity: routes.count)
    memory.initialize(from: routes, count: routes.count)
    first = UnsafePointer(memory)
    count = UInt32(routes.count)
  }

  package subscript(method: UInt32) -> Route? { method < count ? first[Int(method)] : nil }
}

/// The executions of batched calls, in the order of their numbers, which begin with 1; a number
/// without a call is refused. Sendable although it is a pointer: its memory is filled once and
/// never freed.
/// Its members are public so that a shard can read them without a call into this room.
package struct ExecutionTable: @unchecked Sendable {
  package let first: UnsafePointer<Execution>
  package let count: UInt32

  init(_ byMethod: [Execution?]) {
    let executions = byMethod.dropFirst()
    let memory = UnsafeMutablePointer<Execution>.allocate(capacity: executions.count)
    for (place, execution) in executions.enumerated() {
      (memory + place).initialize(to: execution ?? .refusal(ofMethod: UInt32(place + 1)))
    }
    first = UnsafePointer(memory)
    count = UInt32(executions.count)
  }
}
