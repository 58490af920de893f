// The stable names of errors, for programs: `reason` of google.rpc.ErrorInfo, domain "ringstore".
// Names never change; docs/PROTOCOL.md explains each one.

import StatusCodes

package enum ErrorReason: String, CaseIterable, Sendable {
  case invalidKey = "INVALID_KEY"
  case wrongType = "WRONG_TYPE"
  case notAnInteger = "NOT_AN_INTEGER"
  case integerOverflow = "INTEGER_OVERFLOW"
  case invalidExpiry = "INVALID_EXPIRY"
  case invalidCondition = "INVALID_CONDITION"
  case invalidWait = "INVALID_WAIT"
  case noSuchKey = "NO_SUCH_KEY"
  case indexOutOfRange = "INDEX_OUT_OF_RANGE"
  case crossSlot = "CROSS_SLOT"
  case badPattern = "BAD_PATTERN"
  case badPageToken = "BAD_PAGE_TOKEN"
  case noSuchDatabase = "NO_SUCH_DATABASE"
  case tooManyItems = "TOO_MANY_ITEMS"
  case shardUnavailable = "SHARD_UNAVAILABLE"
  case outcomeUnknown = "OUTCOME_UNKNOWN"
  case wrongShard = "WRONG_SHARD"
  case mapConflict = "MAP_CONFLICT"
  case responseTooLarge = "RESPONSE_TOO_LARGE"
  case unknownField = "UNKNOWN_FIELD"
  case notUTF8 = "NOT_UTF8"
  case memoryLimit = "MEMORY_LIMIT"
  case diskFull = "DISK_FULL"
  case logStalled = "LOG_STALLED"
  case overloaded = "OVERLOADED"
  case viewExpired = "VIEW_EXPIRED"
  case unauthenticated = "UNAUTHENTICATED"
  case permissionDenied = "PERMISSION_DENIED"
  case rateLimited = "RATE_LIMITED"
  case tooManyConnections = "TOO_MANY_CONNECTIONS"

  /// The status that this reason always comes with.
  package var code: StatusCode {
    switch self {
    case .invalidKey, .badPattern, .badPageToken, .noSuchDatabase, .tooManyItems, .invalidExpiry,
      .invalidCondition, .invalidWait, .crossSlot:
      .invalidArgument
    case .wrongType, .notAnInteger, .wrongShard, .mapConflict, .notUTF8: .failedPrecondition
    case .integerOverflow, .indexOutOfRange: .outOfRange
    case .noSuchKey: .notFound
    case .shardUnavailable, .outcomeUnknown, .logStalled: .unavailable
    case .responseTooLarge, .memoryLimit, .diskFull, .overloaded, .rateLimited,
      .tooManyConnections:
      .resourceExhausted
    case .unknownField: .unimplemented
    case .viewExpired: .aborted
    case .unauthenticated: .unauthenticated
    case .permissionDenied: .permissionDenied
    }
  }
}

/// Why a shard refused a router's Hello: `refusal` of HelloReply.
package enum LinkRefusal: String, Error, CaseIterable, Sendable {
  case wrongCluster = "WRONG_CLUSTER"
  case wrongShard = "WRONG_SHARD"
  /// The shard's map is newer; it is in the reply.
  case staleMap = "STALE_MAP"
  /// Same epoch, other content; or the shard holds keys that the router's map assigns to another
  /// shard.
  case mapConflict = "MAP_CONFLICT"
  case unauthenticated = "UNAUTHENTICATED"
  /// A newer connection of the same router loop has already sent Hello.
  case staleGeneration = "STALE_GENERATION"
  /// The router uses another version of the link's protocol.
  case protocolVersion = "PROTOCOL_VERSION"
  /// The router was given another hash seed than the shard.
  case wrongHashSeed = "WRONG_HASH_SEED"
  /// The shard reads its data from disk and serves when it has.
  case loading = "LOADING"
  /// The shard has other data than the cluster has on record, or none.
  case dataLost = "DATA_LOST"
}
