// The query of a Keys or Scan call: checked once, turned into the requests of its slices and into
// tokens that only the same query accepts. A value; any thread.

import Commands
import NIOCore
import Placement
import RingstoreAPI

package struct KeyQuery: Sendable {
  /// The limit of one slice on a shard, besides the shard's time limit: visited keys.
  package static let visitsPerSlice: UInt32 = 4_096

  private let pattern: KeyPattern
  private let database: UInt32
  private let type: V1.ValueType
  private let seed: UInt32
  /// Whether the caller may see only some keys: then tokens must reveal nothing about the others.
  let hidesKeys: Bool

  /// - Throws: BAD_PATTERN for a pattern of no known kind, NO_SUCH_DATABASE.
  package init(
    _ pattern: V1.Pattern?, database: UInt32, type: V1.ValueType, _ context: CallContext,
    _ limits: Limits
  ) throws(CallError) {
    let pattern = KeyPattern(pattern)
    guard pattern.kind != .unset else {
      throw .badPattern("it is neither a glob, a regular expression nor a prefix.")
    }
    try KeyAccess.check(database: database, context, KeyLimits(limits))
    self.pattern = pattern
    self.database = database
    self.type = type
    seed = limits.hashSeed.fingerprint
    hidesKeys = context.rules != nil
  }

  /// The request of a slice that begins at `position` and ends before slot `endSlot` at the latest.
  ///
  /// - Parameters:
  ///   - maxKeys: the maximum number of returned keys; 0: no limit.
  ///   - maxBytes: the maximum of returned bytes of keys; the key that exceeds it is included.
  func request(
    from position: ScanPosition, endSlot: UInt32, maxKeys: UInt32, maxBytes: UInt32,
    wantsPositions: Bool
  ) -> ByteBuffer {
    var request = ByteBuffer()
    pattern.withMessage { pattern in
      LinkV1.KeysPartRequest(
        pattern: pattern, database: database, startSlot: position.slot, cursor: position.cursor,
        maxKeys: maxKeys, maxBytes: maxBytes, maxVisits: Self.visitsPerSlice, type: type,
        endSlot: endSlot, wantsPositions: wantsPositions
      ).write(into: &request)
    }
    return request
  }

  // MARK: - Tokens

  /// The token of a position. It contains no secrets, and a forged token only changes the position
  /// of the caller's own walk.
  package func token(of position: ScanPosition) -> [UInt8] {
    ScanToken(position: position, seed: seed).encoded(seal: seal)
  }

  /// The position of a token of the same query, from any node; the start for an empty one.
  ///
  /// - Throws: BAD_PAGE_TOKEN.
  package func position(of token: UnsafeRawBufferPointer) throws(CallError) -> ScanPosition {
    if token.isEmpty { return .start }
    guard let token = ScanToken(token, seal: seal) else { throw .badPageToken }
    guard token.seed == seed else { throw .otherHashSeed }
    return token.position
  }

  /// What ties tokens to the query.
  private var seal: ScanToken.Seal {
    var seal = ScanToken.Seal()
    seal.add(UInt64(database), bytes: 4)
    seal.add(UInt64(UInt32(bitPattern: type.rawValue)), bytes: 4)
    seal.add(pattern.kind.rawValue, bytes: 1)
    seal.add(pattern.text)
    return seal
  }
}
