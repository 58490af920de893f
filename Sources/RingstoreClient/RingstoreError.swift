// The one error type of the client. Made from a node's reply, or from the connection's error if
// there was no reply. A value; any thread.

internal import GRPC
internal import RingstoreAPI

/// Why a call failed.
public struct RingstoreError: Error, Sendable, Hashable {
  /// What kind of failure it is, in gRPC's terms.
  public let code: Code
  /// The stable name of the failure, for programs; nil if the code is enough.
  public let reason: Reason?
  /// One sentence for a person.
  public let message: String
  /// The shard concerned, if any.
  public let shard: String?
  /// The call may have been executed: a write was sent and its reply is missing. Read before
  /// you repeat it. Where this is false, a failed call changed nothing.
  public let isOutcomeUnknown: Bool
  /// How long to wait before another attempt, if the node sent it.
  public let retryDelay: Duration?

  init(
    code: Code, reason: Reason? = nil, message: String, shard: String? = nil,
    isOutcomeUnknown: Bool = false, retryDelay: Duration? = nil
  ) {
    self.code = code
    self.reason = reason
    self.message = message
    self.shard = shard
    self.isOutcomeUnknown = isOutcomeUnknown
    self.retryDelay = retryDelay
  }
}

extension RingstoreError: CustomStringConvertible {
  /// "WRONG_TYPE: The key holds a list, and this call works on a string."
  public var description: String { "\(reason?.rawValue ?? code.name): \(message)" }
}

extension RingstoreError {
  /// The status codes of gRPC; the raw value is the number on the wire.
  public enum Code: Int32, Sendable, Hashable, CaseIterable {
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16

    /// The name in gRPC's documentation: "UNAVAILABLE".
    public var name: String { StatusCode(rawValue: rawValue)?.name ?? "UNKNOWN" }

    init(_ code: StatusCode) {
      self = Code(rawValue: code.rawValue) ?? .unknown
    }
  }

  /// The name of a failure, as docs/PROTOCOL.md lists them. Newer nodes may have further ones.
  public struct Reason: RawRepresentable, Sendable, Hashable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    public static let invalidKey = Reason(rawValue: "INVALID_KEY")
    public static let wrongType = Reason(rawValue: "WRONG_TYPE")
    public static let notAnInteger = Reason(rawValue: "NOT_AN_INTEGER")
    public static let integerOverflow = Reason(rawValue: "INTEGER_OVERFLOW")
    public static let noSuchKey = Reason(rawValue: "NO_SUCH_KEY")
    public static let indexOutOfRange = Reason(rawValue: "INDEX_OUT_OF_RANGE")
    public static let crossSlot = Reason(rawValue: "CROSS_SLOT")
    public static let badPattern = Reason(rawValue: "BAD_PATTERN")
    public static let badPageToken = Reason(rawValue: "BAD_PAGE_TOKEN")
    public static let noSuchDatabase = Reason(rawValue: "NO_SUCH_DATABASE")
    public static let tooManyItems = Reason(rawValue: "TOO_MANY_ITEMS")
    public static let shardUnavailable = Reason(rawValue: "SHARD_UNAVAILABLE")
    public static let outcomeUnknown = Reason(rawValue: "OUTCOME_UNKNOWN")
    public static let wrongShard = Reason(rawValue: "WRONG_SHARD")
    public static let mapConflict = Reason(rawValue: "MAP_CONFLICT")
    public static let responseTooLarge = Reason(rawValue: "RESPONSE_TOO_LARGE")
    public static let unknownField = Reason(rawValue: "UNKNOWN_FIELD")
    /// Made by this client: a value was requested as text and is not UTF-8.
    public static let notUTF8 = Reason(rawValue: "NOT_UTF8")
    public static let memoryLimit = Reason(rawValue: "MEMORY_LIMIT")
    public static let diskFull = Reason(rawValue: "DISK_FULL")
    public static let logStalled = Reason(rawValue: "LOG_STALLED")
    public static let overloaded = Reason(rawValue: "OVERLOADED")
    public static let viewExpired = Reason(rawValue: "VIEW_EXPIRED")
  }
}

extension RingstoreError {
  /// The failure of a call.
  ///
  /// - Parameter wasExecutable: whether a node may have seen the call at all.
  init(_ error: CallError, of rpc: RPC, wasExecutable: Bool = true) {
    self.init(
      code: Code(error.code), reason: error.reason.map { Reason(rawValue: $0.rawValue) },
      message: error.message, shard: error.shard,
      isOutcomeUnknown: wasExecutable && Self.leavesDoubt(error, rpc),
      retryDelay: error.retryDelayMillis.map { .milliseconds($0) })
  }

  /// Whether a call that ended with this error may have taken effect.
  private static func leavesDoubt(_ error: CallError, _ rpc: RPC) -> Bool {
    guard !rpc.isReadOnly else { return false }
    if error.doNotRetry { return true }
    // One shard was not reached, the others may have executed their part.
    let concernsShards = rpc === V1.KeyStore.reset || rpc === V1.Cluster.shutdown
    if concernsShards, error.code == .unavailable, error.reason != nil { return true }
    // A node that refuses a call gives a reason or one of these codes. Other errors may have other
    // causes: the deadline passed, the stream was reset, the reply was too long for us.
    return error.reason == nil && !refusals.contains(error.code)
  }

  private static let refusals: Set<StatusCode> = [
    .invalidArgument, .unimplemented, .permissionDenied, .unauthenticated, .unavailable,
  ]

  static func undecodable(_ rpc: RPC) -> RingstoreError {
    RingstoreError(
      code: .internal, message: "The reply to \(rpc.name) can't be decoded.",
      isOutcomeUnknown: !rpc.isReadOnly)
  }

  static func notUTF8(_ what: String) -> RingstoreError {
    RingstoreError(
      code: .failedPrecondition, reason: .notUTF8,
      message: "\(what) is not UTF-8; read it as bytes.")
  }

  static let cancelled = RingstoreError(code: .cancelled, message: "The call was cancelled.")

  static func requestTooLong(_ bytes: Int, max: Int) -> RingstoreError {
    RingstoreError(
      code: .resourceExhausted,
      message:
        "The request has \(bytes) bytes, and this client sends \(max) at most (maxMessageBytes, "
        + "--max-message-bytes).")
  }
}
