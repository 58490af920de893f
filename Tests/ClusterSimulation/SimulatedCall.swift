// One call of a simulated client, from its invocation to its one end.
//
// Owns what is known about the call. One thread. It is also the router core's name for who waits.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

final class SimulatedCall {
  enum Kind {
    case oneKey
    case manyKeys(ManyKeyCalls)
    /// DbSize, Keys, Reset, Describe.
    case everyShard(CommandID)
    /// LRangeStream of one key.
    case listStream
    /// Scan, or a page of Keys with a limit.
    case scan(ScanRecord)
    case backup(BackupRecord)
  }

  /// What the call asks of one key, and its line in the history.
  struct Item {
    let key: [UInt8]
    /// What is checked together with the key.
    let object: [UInt8]
    let call: KeyCall
    /// The call as histories have it: with moments for times to live.
    var checked: KeyCall
    let record: History.CallID
    /// When it began, by the clock of the observed history.
    let invoked: UInt64
    var outcome: Outcome = .pending
    /// The reply of its shard when it executed it, where that is known.
    var seen: KeyReply?
    /// Whether the observed history has its execution, though not the reply.
    var isRecorded = false

    /// Whether its shard's reply tells of a change. What waits and ends without one may wait
    /// again.
    var changedSomething: Bool {
      switch seen {
      case nil: false
      case .value(nil), .refused: !call.isRead && !call.model.waits
      default: !call.isRead
      }
    }

    /// All its keys.
    var keys: [[UInt8]] { [key] + call.otherKeys.filter { $0 != key } }

    /// The value of a Set.
    var valueSet: [UInt8]? { call.isCall(of: .set) ? call.words.first : nil }
  }

  let number: Int
  let client: SimulatedClient
  let kind: Kind
  /// Grows with each call of a client.
  let sequence: Int
  var items: [Item]
  /// Nil: no deadline.
  let timeoutNanos: UInt64?
  let deadlineNanos: UInt64?
  let beganNanos: UInt64

  /// The call of a line session that it is.
  var local: LocalCall?
  /// What the router's core calls it, while it is in progress there.
  var id: UInt64?
  /// Its place among all calls that were submitted to cores.
  var order = 0
  private(set) var hasEnded = false
  /// When its client was told its outcome, or gave it up; 0: not yet.
  private(set) var endedNanos: UInt64 = 0
  /// How often the core has asked not to read its connection until the call, or one of its parts,
  /// has room.
  var holds = 0
  /// A reply in pieces: its length, and what has come.
  var announcedBytes: Int?
  var pieces = ByteBuffer()
  /// The messages of a reply that is a stream.
  var messages: [ByteBuffer] = []
  /// Whether its client reads its reply at the moment.
  var isReading = true
  /// Its shard has given up the view that the reply came from.
  var hasExpired = false
  /// Bytes that the core expects for it.
  var expectedBytes = 0
  /// Whether its router counts it as one that waits for a value.
  var isParked = false
  /// When its router ceased to do so, as the number of the event.
  var unparkedEvent: UInt64?
  /// When its router began to do so.
  var parkedNanos: UInt64 = 0
  /// Whether a shard has ever parked it.
  var wasParked = false
  /// Of a RandomKey, when it began, as the presence of keys counts.
  let presenceSince: UInt64?
  /// Whether its outcome must be a reply: faults are over.
  let mustSucceed: Bool

  init(
    number: Int, client: SimulatedClient, kind: Kind, sequence: Int, items: [Item],
    timeoutNanos: UInt64?, nowNanos: UInt64, presenceSince: UInt64? = nil, mustSucceed: Bool
  ) {
    self.number = number
    self.client = client
    self.kind = kind
    self.sequence = sequence
    self.items = items
    self.timeoutNanos = timeoutNanos
    deadlineNanos = timeoutNanos.map { nowNanos + $0 }
    beganNanos = nowNanos
    self.presenceSince = presenceSince
    self.mustSucceed = mustSucceed
  }

  /// Whether its reply may be a list.
  var isListRead: Bool {
    switch kind {
    case .oneKey, .listStream: true
    case .manyKeys, .everyShard, .scan, .backup: false
    }
  }

  /// Returns false if it had ended before.
  func end(nowNanos: UInt64) -> Bool {
    guard !hasEnded else { return false }
    hasEnded = true
    endedNanos = nowNanos
    return true
  }

  /// The request's message.
  func request() -> ByteBuffer {
    var request = ByteBuffer()
    switch kind {
    case .oneKey, .listStream:
      for item in items { item.call.write(key: item.key, into: &request) }
    case .scan(let scan):
      scan.write(into: &request)
    case .manyKeys(let calls):
      calls.write(items, into: &request)
    case .everyShard, .backup:
      break
    }
    return request
  }

  /// One line for a person.
  var text: String {
    let who = client.isPipeline ? "pipeline \(client.number)" : "client \(client.number)"
    let what =
      switch kind {
      case .oneKey: "call"
      case .manyKeys(let calls): calls.command.name
      case .everyShard(let id): "\(id)"
      case .listStream: "stream of a list"
      case .scan(let walk): walk.isScan ? "scan" : "page of keys"
      case .backup: "backup"
      }
    let shown: [String] = items.prefix(6).map { item in
      let key = HistoryOperation.text(item.key)
      let operation = HistoryOperation(
        client: client.number, call: item.call, invoked: 0, returned: 0, outcome: item.outcome)
      let text = operation.description.split(separator: "] ", maxSplits: 1).last ?? ""
      return "\(key) \(text)"
    }
    return "\(who) #\(sequence) \(what) over router \(client.router.number): "
      + shown.joined(separator: "; ")
  }
}
