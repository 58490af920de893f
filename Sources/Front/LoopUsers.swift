// The users on each event loop of a node, and how the loops get a new users file. Any thread; the
// returned objects belong to the loop.

import NIOCore
import Users

package final class LoopUsers: Sendable {
  private let directory: UserDirectory
  private let authorizers: [ObjectIdentifier: NIOLoopBound<Authorizer>]
  private let observers: [Int]

  /// - Returns: nil if the node has no users.
  package static func make(
    _ directory: UserDirectory?, _ group: any EventLoopGroup
  ) async throws -> LoopUsers? {
    guard let directory else { return nil }
    var authorizers: [ObjectIdentifier: NIOLoopBound<Authorizer>] = [:]
    for loop in group.makeIterator() {
      authorizers[ObjectIdentifier(loop)] = try await loop.submit {
        NIOLoopBound(Authorizer(directory.table, directory.ledger), eventLoop: loop)
      }.get()
    }
    return LoopUsers(directory, authorizers)
  }

  private init(
    _ directory: UserDirectory, _ authorizers: [ObjectIdentifier: NIOLoopBound<Authorizer>]
  ) {
    self.directory = directory
    self.authorizers = authorizers
    observers = authorizers.values.map { authorizer in
      directory.observe { table in
        authorizer.eventLoop.execute { authorizer.value.replace(with: table) }
      }
    }
  }

  /// On the loop.
  package func authorizer(of loop: any EventLoop) -> Authorizer? {
    authorizers[ObjectIdentifier(loop)]?.value
  }

  /// Returns when all loops use the newest table.
  package func applied() async throws {
    for authorizer in authorizers.values { try await authorizer.eventLoop.submit {}.get() }
  }

  /// The loops are about to stop.
  package func stop() {
    for observer in observers { directory.stopObserving(observer) }
  }
}
