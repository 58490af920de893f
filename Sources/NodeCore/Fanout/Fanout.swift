// An operation in progress: passes events to it, performs its actions, and counts its memory.
//
//   start --> in progress --the operation ends--> over: the caller gets the reply
//                |  '-----too much is held----->
//                '--drop: its caller is gone---> over, without a reply
//
// One event loop, the node's.

import Commands
import NIOCore
import RingstoreAPI

/// What differs between a router and a shard: how sub-requests are sent, and the reply is
/// delivered. One for each operation in progress.
package protocol FanoutTransport: AnyObject {
  /// Sends a sub-request. Its outcome comes later, never from inside this call.
  func send(_ request: SubRequest)
  /// Whether the caller accepts another message; if not, `callerTakesMore` is called when it does.
  var takesMore: Bool { get }
  /// Sends one message of a reply that is a stream.
  func emit(_ message: ByteBuffer)
  /// Stops the node, after the reply to the call that requested it.
  func endNode()
  /// Cancels the sub-requests in progress: the operation has ended, and its reply was not delivered
  /// yet.
  func released()
  /// Tells the caller.
  ///
  /// - Parameter isRefused: the node ends it for lack of memory.
  func ended(_ end: ReplyEnd, isRefused: Bool)
  /// A sub-request begins to wait for space or for order, or stops waiting: the caller must send no
  /// further calls meanwhile.
  func requestWaits()
  func requestWaitsNoMore()
}

package final class Fanout {
  /// The call's; its sub-requests are executed in it.
  package private(set) var context: CallContext
  private let operation: any FanoutOperation
  private let memory: MemoryBudget
  private let limits: Limits
  package private(set) var isOver = false
  /// See `FanoutOperation.followsMap`.
  package var followsMap: Bool { operation.followsMap }
  /// Nil before it has started, and once it is over.
  package private(set) var transport: (any FanoutTransport)?
  /// How many sub-requests have failed, and why the first did.
  package private(set) var failures = 0
  package private(set) var firstFailure: CallError?
  /// What `memory` counts for it.
  private var heldBytes = 0

  /// - Parameter memory: the account of operations' memory.
  package init(
    _ operation: any FanoutOperation, _ context: CallContext, memory: MemoryBudget, _ limits: Limits
  ) {
    self.operation = operation
    self.context = context
    self.memory = memory
    self.limits = limits
  }

  // MARK: - Events

  /// It may end inside this call.
  package func start(on cluster: any FanoutCluster, over transport: any FanoutTransport) {
    self.transport = transport
    if account() { run(operation.start(on: cluster)) }
  }

  /// A sub-request was executed; `response` is valid during the call only.
  package func received(_ tag: Int, _ response: UnsafeRawBufferPointer) {
    guard !isOver else { return }
    run(operation.received(tag, response))
    if !isOver { account() }
  }

  package func failed(_ tag: Int, _ error: CallError) {
    guard !isOver else { return }
    failures += 1
    if firstFailure == nil { firstFailure = error }
    run(operation.failed(tag, error))
  }

  /// The caller of a stream accepts more messages again.
  package func callerTakesMore() {
    run([])
  }

  /// Ends it: no further sub-requests are sent.
  package func finish(_ end: ReplyEnd, isRefused: Bool = false) {
    guard !isOver, let transport else { return }
    drop()
    transport.ended(end, isRefused: isRefused)
  }

  /// Ends it without notice.
  package func drop() {
    guard !isOver, let transport else { return }
    isOver = true
    _ = memory.change(from: heldBytes, to: 0)
    transport.released()
    self.transport = nil
  }

  /// Ends it if its caller no longer has the permission.
  package func checkCaller() {
    guard let principal = context.principal, principal.isRevoked else { return }
    do throws(CallError) {
      context.principal = try principal.standing()
    } catch {
      finish(.failed(error))
    }
  }

  // MARK: - Actions of the operation

  private func run(_ actions: [FanoutAction]) {
    checkCaller()
    perform(actions)
    guard operation.isStream else { return }
    while !isOver, let transport, transport.takesMore {
      let actions = operation.advance()
      if actions.isEmpty { return }
      perform(actions)
    }
  }

  private func perform(_ actions: [FanoutAction]) {
    guard let transport else { return }
    for action in actions {
      switch action {
      case .send(let request): transport.send(request)
      case .emit(let message): transport.emit(message)
      case .endNode: transport.endNode()
      case .end(let end): finish(end)
      }
    }
  }

  /// Updates the operation's memory, or ends it if that is too much. Returns whether it continues.
  @discardableResult
  private func account() -> Bool {
    let held = operation.heldBytes
    guard memory.change(from: heldBytes, to: held) else {
      finish(.failed(.repliesHoldTooMuch(limits)), isRefused: true)
      return false
    }
    heldBytes = held
    return true
  }
}
