// The keys that a caller may access, sent from a router to a shard (message Restriction) with the
// parts of calls on many keys. Calls on one key are checked by the router only.
//
// The rules themselves travel and not the user's name: so a shard needs no users file to follow
// them, and it doesn't matter which version of it a shard has read. Pure; any thread.

import Commands
import NIOCore
import Patterns
import RingstoreAPI
import Users

package enum RestrictionMessage {
  /// The restriction for a shard; nil: the caller may access everything.
  package static func encoded(_ context: CallContext) -> ByteBuffer? {
    guard let rules = context.rules else { return nil }
    typealias Field = LinkV1.Restriction.Field
    var message = ByteBuffer()
    message.write(Field.everyDatabase, rules.databases == nil)
    for range in rules.databases ?? [] {
      let entry = message.beginLengthDelimited(Field.databases)
      message.write(LinkV1.DatabaseRange.Field.first, UInt64(range.lowerBound))
      message.write(LinkV1.DatabaseRange.Field.last, UInt64(range.upperBound))
      message.endLengthDelimited(entry)
    }
    message.write(Field.everyKey, rules.keys == nil)
    for key in rules.keys ?? [] {
      let entry = message.beginLengthDelimited(Field.keys)
      switch key {
      case .prefix(let bytes): bytes.withUnsafeBytes { write(.prefix($0), into: &message) }
      case .glob(let bytes): bytes.withUnsafeBytes { write(.glob($0), into: &message) }
      // The users file has no others.
      case .all, .regex: break
      }
      message.endLengthDelimited(entry)
    }
    return message
  }

  private static func write(_ kind: V1.Pattern.Kind, into message: inout ByteBuffer) {
    V1.Pattern(kind: kind).write(into: &message)
  }

  /// The caller that a router has authenticated, with its restriction.
  ///
  /// - Throws: INTERNAL if it can't be decoded: then the call is refused.
  package static func principal(_ message: LinkV1.Restriction) throws(CallError) -> Principal {
    if message.hasUnknownField { throw malformed }
    var databases: [ClosedRange<UInt32>] = []
    for range in message.databases {
      guard range.first <= range.last, databases.count < UsersFile.databaseRangesMax else {
        throw malformed
      }
      databases.append(range.first...range.last)
    }
    var keys: [Pattern.Source] = []
    for pattern in message.keys {
      guard keys.count < UsersFile.patternsMax else { throw malformed }
      switch pattern.kind {
      case .prefix(let bytes): keys.append(.prefix(Array(bytes)))
      case .glob(let bytes): keys.append(.glob(Array(bytes)))
      case .regex, nil: throw malformed
      }
    }
    do throws(PatternError) {
      return Principal(
        restrictedTo: try KeyRules(
          databases: message.everyDatabase ? nil : databases,
          keys: message.everyKey ? nil : keys))
    } catch {
      throw malformed
    }
  }

  private static let malformed = CallError.internalError(
    "The router's restriction of the caller can't be decoded.")
}
