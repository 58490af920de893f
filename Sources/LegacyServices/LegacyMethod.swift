// The calls of the services from before ringstore.v1, KVStore and KeyStore (Protos/legacy): their
// paths, and their ids in a node's gRPC dispatch.

import Commands
import NodeCore
import RingstoreAPI
import Users

package enum LegacyMethod: Int, CaseIterable, Sendable {
  case setVal = 20_000
  case getVal, set, get, delete, lPush, lRange, lPop

  /// Whether a node's method id names a call of these services.
  package static func contains(_ methodID: Int) -> Bool {
    CallNumbers.legacy.contains(methodID)
  }

  /// Its data from the .proto file.
  package var rpc: RPC {
    switch self {
    case .setVal: Legacy.KVStore.setVal
    case .getVal: Legacy.KVStore.getVal
    case .set: Legacy.KeyStore.set
    case .get: Legacy.KeyStore.get
    case .delete: Legacy.KeyStore.delete
    case .lPush: Legacy.KeyStore.lPush
    case .lRange: Legacy.KeyStore.lRange
    case .lPop: Legacy.KeyStore.lPop
    }
  }

  /// The permission that its caller needs. (LPop reads the value before it removes it, because a
  /// text that isn't UTF-8 can't be sent.)
  package var needs: Permissions {
    switch self {
    case .getVal, .get, .lRange: .read
    case .setVal, .set, .delete, .lPush: .write
    case .lPop: [.read, .write]
    }
  }

  /// - Throws: PERMISSION_DENIED.
  package func check(_ principal: Principal) throws(CallError) {
    guard !principal.permissions.isSuperset(of: needs) else { return }
    throw principal.mayNotCall(rpc.name, needs: needs.subtracting(principal.permissions))
  }

  /// Path of the call in HTTP/2.
  package var path: String { rpc.path }

  package static func method(path: UnsafeRawBufferPointer) -> LegacyMethod? {
    allCases.first { path.elementsEqual($0.path.utf8) }
  }
}
