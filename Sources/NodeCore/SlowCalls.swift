// The slow and the large calls that a node has kept, of all its event loops: what /slowlog of the
// admin port, the dashboard and the call SlowLog show. Values; any thread.

import Commands
import MetricTypes
import NIOCore
import RingstoreAPI
import Users

package struct SlowCalls: Sendable {
  /// The slowest first.
  package private(set) var slow: [SlowCall] = []
  /// The largest first.
  package private(set) var large: [SlowCall] = []
  /// From what duration and size on calls are kept; `.max`: none are for that.
  package private(set) var slowNanos: UInt64 = .max
  package private(set) var largeBytes = Int.max

  package init() {}

  package init(_ log: SlowLog) {
    slow = log.slow.latest.sorted { $0.durationNanos > $1.durationNanos }
    large = log.large.latest.sorted { $0.bytes > $1.bytes }
    slowNanos = log.slowNanos
    largeBytes = log.largeBytes
  }

  package static func + (one: SlowCalls, other: SlowCalls) -> SlowCalls {
    var sum = one
    sum.slow = (one.slow + other.slow).sorted { $0.durationNanos > $1.durationNanos }
    sum.large = (one.large + other.large).sorted { $0.bytes > $1.bytes }
    sum.slowNanos = min(one.slowNanos, other.slowNanos)
    sum.largeBytes = min(one.largeBytes, other.largeBytes)
    return sum
  }

  /// From what duration on calls are kept, in milliseconds; nil: none are for that.
  package var slowMillis: UInt64? { slowNanos == .max ? nil : slowNanos / 1_000_000 }

  /// From what size on; nil: none are for that.
  package var largeBytesMin: Int? { largeBytes == .max ? nil : largeBytes }

  // MARK: - What a caller may see

  /// The calls as a caller may see them: without the keys that it may not access. Digests stay:
  /// they reveal a key only to those who can guess it.
  ///
  /// - Parameter rules: which keys the caller may access; nil: all.
  package func shown(to rules: KeyRules?) -> SlowCalls {
    guard let rules else { return self }
    var shown = self
    shown.slow = slow.map { $0.shown(to: rules) }
    shown.large = large.map { $0.shown(to: rules) }
    return shown
  }

  // MARK: - The reply of SlowLog

  /// Calls of each list where the caller has no wish.
  package static let countDefault = 10

  /// - Parameter most: calls of each list; the others are left out.
  package func message(most: Int) -> ByteBuffer {
    typealias Field = V1.SlowLogResponse.Field
    var message = ByteBuffer()
    for (field, calls) in [(Field.slowest, slow), (Field.largest, large)] {
      for call in calls.prefix(most) {
        let entry = message.beginLengthDelimited(field, sizeHint: 64)
        call.write(into: &message)
        message.endLengthDelimited(entry)
      }
    }
    message.write(Field.slowMillis, Int64(clamping: slowMillis ?? 0))
    message.write(Field.largeBytes, Int64(largeBytesMin ?? 0))
    return message
  }
}

extension SlowCall {
  /// By which large calls are ordered.
  package var bytes: Int { max(requestBytes, replyBytes) }

  /// The command in lower case; nil: it isn't known.
  package var commandName: String? { CommandName.of(place: place) }

  fileprivate func shown(to rules: KeyRules) -> SlowCall {
    guard case .bytes(let key) = key else { return self }
    // A key of that length may be the beginning of a longer one.
    let isAllowed =
      database.map { rules.allows(database: UInt32(clamping: $0)) } == true
      && (key.count < SlowKeyForm.keyBytesMax
        ? key.withUnsafeBytes { rules.allows(key: $0) } : rules.allows(allKeysBeginning: key))
    if isAllowed { return self }
    var hidden = self
    hidden.key = nil
    return hidden
  }

  fileprivate func write(into buffer: inout ByteBuffer) {
    typealias Field = V1.SlowCall.Field
    buffer.write(Field.kind, kind.rawValue)
    buffer.write(Field.command, commandName ?? "")
    buffer.write(Field.unixMillis, unixMillis)
    buffer.write(Field.durationMicros, Int64(clamping: durationNanos / 1_000))
    buffer.write(Field.failed, isError)
    if kind == .tick {
      buffer.write(Field.calls, UInt64(calls))
    } else {
      buffer.write(Field.requestBytes, Int64(requestBytes))
      buffer.write(Field.replyBytes, Int64(replyBytes))
    }
    buffer.write(Field.shard, shard ?? "")
    if let slot { buffer.append(Field.slot, UInt64(slot)) }
    if let database { buffer.append(Field.database, UInt64(database)) }
    switch key {
    case .digest(let digest): buffer.append(Field.keyDigest, digest)
    case .bytes(let key): key.withUnsafeBytes { buffer.append(Field.keyStart, $0) }
    case nil: break
    }
  }
}

/// Names of commands by their place in tables of calls.
private enum CommandName {
  private static let names: [Int: String] = {
    var names: [Int: String] = [:]
    for command in CommandTable.all {
      guard let place = CallNumbers.place(of: command.id.rawValue) else { continue }
      names[place] = command.name.lowercased()
    }
    return names
  }()

  static func of(place: Int) -> String? { names[place] }
}
