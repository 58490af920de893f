// A walk over the keys: a Scan, or Keys page by page, through failures and over several routers,
// from its first call to its end.
//
// Owns what it has been given so far. One thread. At most one call of a walk is in progress.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

final class ScanRecord {
  enum Filter: CaseIterable {
    case none, prefix, type
  }

  /// Scan; otherwise Keys with a limit.
  let isScan: Bool
  private let filter: Filter
  private let pageSize: Int
  private let began: UInt64
  private var token: [UInt8] = []
  private var slotsDone: UInt32 = 0
  private var counts: [[UInt8]: Int] = [:]
  /// Whether the walk continues behind a failure.
  var isResumed = false
  private(set) var isOver = false

  init(isScan: Bool, _ cluster: SimulatedCluster) {
    self.isScan = isScan
    let context = cluster.context
    filter = context.chance(0.6) ? .none : isScan && context.chance(0.5) ? .type : .prefix
    pageSize = context.number(isScan ? 0...4 : 1...5)
    began = cluster.presence.begin()
  }

  /// Appends the request of the next call.
  func write(into request: inout ByteBuffer) {
    Array("list-".utf8).withUnsafeBytes { prefix in
      token.withUnsafeBytes { token in
        let pattern = filter == .prefix ? V1.Pattern(kind: .prefix(prefix)) : nil
        if isScan {
          V1.ScanRequest(
            pattern: pattern, pageSize: UInt32(pageSize), resumeToken: token,
            type: filter == .type ? .list : .none
          ).write(into: &request)
        } else {
          V1.KeysRequest(pattern: pattern, limit: UInt32(pageSize), pageToken: token)
            .write(into: &request)
        }
      }
    }
  }

  // MARK: - What comes

  /// A page of a Scan.
  func addPage(_ message: UnsafeRawBufferPointer, _ cluster: SimulatedCluster) {
    guard let page = try? V1.ScanPage(message) else {
      wrong("a page can't be read", cluster)
      return
    }
    if page.keys.count == 0 { cluster.context.cover(.pageEmpty) }
    for key in page.keys { counts[Array(key), default: 0] += 1 }
    if page.slotsDone < slotsDone { wrong("slots_done goes back", cluster) }
    if page.unreachable.count > 0 {
      wrong("a page misses shards, and the call didn't allow that", cluster)
    }
    slotsDone = page.slotsDone
    token = Array(page.resumeToken)
  }

  /// The stream has ended well.
  func finish(_ cluster: SimulatedCluster) {
    cluster.context.cover(isResumed ? .scanResumed : .scanned)
    if slotsDone != UInt32(Slots.count) { wrong("the last page has \(slotsDone) slots", cluster) }
    checkKeys(cluster)
  }

  /// The reply to a call of Keys. The walk is over where no token came with it.
  func addReply(
    _ message: UnsafeRawBufferPointer, _ cluster: SimulatedCluster
  ) throws(WireError) {
    let reply = try V1.KeysResponse(message)
    for key in reply.keys { counts[Array(key), default: 0] += 1 }
    token = Array(reply.nextPageToken)
    guard token.isEmpty else {
      if reply.keys.count < pageSize { wrong("fewer keys than asked for, and a token", cluster) }
      return
    }
    cluster.context.cover(.keysWalked)
    checkKeys(cluster)
  }

  /// The walk is abandoned.
  func giveUp(_ cluster: SimulatedCluster) {
    guard !isOver else { return }
    isOver = true
    cluster.presence.end()
  }

  // MARK: - What must hold

  private func checkKeys(_ cluster: SimulatedCluster) {
    if filter != .none { cluster.context.cover(.walkFiltered) }
    let group = cluster.generator.group
    for (name, use) in cluster.generator.keys where mustHave(use) {
      // One that is a list most of the time.
      if filter == .type, group.contains(name) { continue }
      guard cluster.presence.stayed(name, since: began) else { continue }
      if counts[name] == nil {
        wrong("\(HistoryOperation.text(name)) is missing, and was there", cluster)
      }
    }
    for (name, count) in counts.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let known = cluster.generator.keys.first { $0.name == name }
      if known.map({ mayHave($0.use) }) != true {
        wrong("\(HistoryOperation.text(name)) does not belong there", cluster)
      }
      if count > 1 { wrong("\(HistoryOperation.text(name)) comes \(count) times", cluster) }
    }
    giveUp(cluster)
  }

  private func mustHave(_ use: CallGenerator.Use) -> Bool {
    filter == .none || use == .list
  }

  private func mayHave(_ use: CallGenerator.Use) -> Bool {
    filter == .none || use == .list || (filter == .type && use == .anything)
  }

  private func wrong(_ text: String, _ cluster: SimulatedCluster) {
    cluster.context.found(
      .walkWrong,
      "\(isScan ? "Scan" : "Keys") (\(filter), pages of \(pageSize)\(isResumed ? ", resumed" : ""))"
        + ": \(text)")
  }
}
