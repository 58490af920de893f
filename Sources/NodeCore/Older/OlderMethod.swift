// The calls of the services from before ringstore.v1, KVStore and KeyStore (Protos/older): their
// paths, and the ids under which a node's gRPC dispatch knows them.

package enum OlderMethod: Int, CaseIterable, Sendable {
  case setVal = 20_000
  case getVal, set, get, delete, lPush, lRange, lPop

  /// Whether a node's method id names a call of these services.
  package static func contains(_ methodID: Int) -> Bool { methodID >= Self.setVal.rawValue }

  /// Path of the call in HTTP/2.
  package var path: String {
    switch self {
    case .setVal: "/KVStore/SetVal"
    case .getVal: "/KVStore/GetVal"
    case .set: "/KeyStore/Set"
    case .get: "/KeyStore/Get"
    case .delete: "/KeyStore/Delete"
    case .lPush: "/KeyStore/LPush"
    case .lRange: "/KeyStore/LRange"
    case .lPop: "/KeyStore/LPop"
    }
  }

  static func method(path: UnsafeRawBufferPointer) -> OlderMethod? {
    allCases.first { path.elementsEqual($0.path.utf8) }
  }
}
