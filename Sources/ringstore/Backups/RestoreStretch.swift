// A stretch of a backup's keys as commands. A key is one command if that is enough; else several,
// each sent after the reply to the previous one, so that any of them can be sent again if it was
// refused. A value; one task.

import RingstoreClient
import Store

struct RestoreStretch {
  /// Keys, and bytes that are copied, of a stretch.
  private static let keysMax = 4_000
  private static let bytesMax = 4 << 20
  /// Of one command: of a string, and of a list's values.
  private static let stringBytes = 1 << 20
  private static let valuesBytes = 512 << 10
  private static let valuesMax = 1_000
  /// How often a command that is refused for a while is sent.
  private static let attemptsMax = 60
  private static let reasonsToWait = ["OVERLOADED", "LOG_STALLED", "SHARD_UNAVAILABLE"]

  /// A command, and the count that its reply must have.
  private struct Step {
    let command: RingstoreCommand
    /// nil: no meaningful count.
    var count: Int?
    /// The reply must be `ok`.
    var isConditional = false
  }

  private struct Key {
    let database: Int
    var steps: [Step] = []
  }

  private let merges: Bool
  private let nowMillis: Int64
  private var keys: [Key] = []
  /// Keys that have expired, and are left out.
  private(set) var expired = 0

  init(merges: Bool, nowMillis: Int64) {
    self.merges = merges
    self.nowMillis = nowMillis
  }

  var count: Int { keys.count }

  // MARK: - Reading

  /// - Returns: the start of the next stretch.
  mutating func take(from store: Store, at cursor: ImageCursor) -> ImageCursor {
    store.image(from: cursor, keys: Self.keysMax, bytes: Self.bytesMax) { entry in
      if entry.expiry != .never, entry.expiry.unixMillis <= nowMillis {
        expired += 1
        return true
      }
      add(entry)
      switch entry.value {
      case .pinnedBytes, .pinnedList: return false
      case .bytes, .integer, .list: return true
      }
    }
  }

  private mutating func add(_ entry: ImageEntry) {
    let name = Array(entry.key)
    var key = Key(database: entry.database)
    switch entry.value {
    case .bytes(let bytes): addString(Array(bytes), name, entry.expiry, to: &key)
    case .integer(let number): addString(Array("\(number)".utf8), name, entry.expiry, to: &key)
    case .pinnedBytes(let pinned):
      addString(pinned.withBytes(0..<pinned.count) { Array($0) }, name, entry.expiry, to: &key)
    case .list(let elements):
      var values = Values(name, merges: merges)
      elements.forEach { values.add($0) }
      addList(values, name, entry.expiry, to: &key)
    case .pinnedList(let list):
      var values = Values(name, merges: merges)
      list.forEach { element in
        values.add(element)
        return true
      }
      addList(values, name, entry.expiry, to: &key)
    }
    keys.append(key)
  }

  private func addString(_ value: [UInt8], _ name: [UInt8], _ expiry: Expiry, to key: inout Key) {
    let condition = merges ? RingstoreCondition.always : .absent
    guard value.count > Self.stringBytes else {
      let expiring: RingstoreExpiry =
        expiry == .never ? .never : .at(unixMillis: expiry.unixMillis)
      key.steps = [
        Step(
          command: .set(name, to: value, if: condition, expiring: expiring),
          isConditional: !merges)
      ]
      return
    }
    var end = Self.stringBytes
    key.steps = [
      Step(command: .set(name, to: value[..<end], if: condition), isConditional: !merges)
    ]
    while end < value.count {
      let next = min(end + Self.stringBytes, value.count)
      key.steps.append(Step(command: .append(name, value[end..<next]), count: next))
      end = next
    }
    addExpiry(expiry, name, to: &key)
  }

  private func addList(_ values: Values, _ name: [UInt8], _ expiry: Expiry, to key: inout Key) {
    key.steps = values.finished
    addExpiry(expiry, name, to: &key)
  }

  /// Last, because a key that expires while it is written would be created again, without an
  /// expiry.
  private func addExpiry(_ expiry: Expiry, _ name: [UInt8], to key: inout Key) {
    guard expiry != .never else { return }
    key.steps.append(Step(command: .expire(name, atUnixMillis: expiry.unixMillis)))
  }

  /// A list's values, collected into pushes.
  private struct Values {
    private let name: [UInt8]
    private var steps: [Step] = []
    private var values: [[UInt8]] = []
    private var bytes = 0
    private var pushed = 0

    init(_ name: [UInt8], merges: Bool) {
      self.name = name
      if merges { steps.append(Step(command: .delete(name))) }
    }

    mutating func add(_ value: UnsafeRawBufferPointer) {
      values.append(Array(value))
      bytes += value.count
      if values.count >= RestoreStretch.valuesMax || bytes >= RestoreStretch.valuesBytes { push() }
    }

    private mutating func push() {
      guard !values.isEmpty else { return }
      pushed += values.count
      steps.append(Step(command: .rPush(name, values), count: pushed))
      (values, bytes) = ([], 0)
    }

    var finished: [Step] {
      var copy = self
      copy.push()
      return copy.steps
    }
  }

  // MARK: - Writing

  /// - Throws: RingstoreError if a key can't be written, RestoreRun.Refusal if one existed.
  func write(to client: RingstoreClient, _ options: RingstoreCallOptions) async throws {
    for (database, keys) in Dictionary(grouping: keys, by: \.database) {
      var options = options
      options.database = UInt32(database)
      for step in 0..<(keys.map(\.steps.count).max() ?? 0) {
        let steps = keys.compactMap { step < $0.steps.count ? $0.steps[step] : nil }
        try await Self.write(steps, to: client, options)
      }
    }
  }

  private static func write(
    _ steps: [Step], to client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    var left = steps
    for attempt in 1... {
      let outcomes = await client.pipeline(left.map(\.command), options: options)
      var refused: [Step] = []
      var pause = Duration.milliseconds(500)
      for (step, outcome) in zip(left, outcomes) {
        switch outcome {
        case .success(let reply): try check(reply, step)
        case .failure(let error):
          let mayWait =
            !error.isOutcomeUnknown && reasonsToWait.contains(error.reason?.rawValue ?? "")
          guard mayWait, attempt < attemptsMax else { throw error }
          pause = max(pause, error.retryDelay ?? pause)
          refused.append(step)
        }
      }
      if refused.isEmpty { return }
      left = refused
      try await Task.sleep(for: pause)
    }
  }

  private static func check(_ reply: RingstoreReply, _ step: Step) throws {
    guard case .status(let status) = reply else { return }
    let isThere = step.isConditional && !status.ok
    if isThere || step.count.map({ $0 != status.count }) == true {
      throw RestoreRun.Refusal(
        sentence: "Another client writes to the cluster: a key of the backup already exists or was "
          + "changed while it was written. The restore stopped; keys that were written stay.")
    }
  }
}
