// What must hold at the end of a run, and the report.
//
// Owns nothing.

import RingstoreAPI

extension SimulatedCluster {
  /// Steps after which the checker of a key's history gives up: half a minute, and 200 MB. Some
  /// runs have keys with thirty writes of which nothing shows whether they were executed.
  private static let checkerStepsMax = 16_000_000
  private static let readableStepsMax = 200_000

  func check() {
    checkEnds()
    probe.check(calls)
    checkPushOrder()
    checkLinearizability()
  }

  /// Promise 1. Keys between which values move are checked as one object. An order of the observed
  /// history is one of the clients' history as well, so only where there is none has the latter to
  /// be searched, which unknown outcomes make hard.
  private func checkLinearizability() {
    noteUntold()
    let checker = LinearizabilityChecker(stepLimit: Self.checkerStepsMax)
    for key in generator.objects {
      let name = HistoryOperation.text(key)
      let told = history.operations[key] ?? []
      let seen = checker.check(observed.operations[key] ?? [])
      if seen == .linearizable, !observed.doubtful.contains(key) { continue }
      // What clients saw is easier to read, where it shows the same soon.
      let isFound = if case .violation = seen { true } else { false }
      let clients = isFound ? LinearizabilityChecker(stepLimit: Self.readableStepsMax) : checker
      switch (clients.check(told), seen) {
      case (.violation(let explanation), _):
        context.found(.notLinearizable, "key \(name): \(explanation)")
      case (_, .violation(let explanation)):
        context.found(.notLinearizable, "key \(name), as shards saw it: \(explanation)")
      case (.undecided, _):
        let unknown = told.count { $0.outcome == .unknown || $0.outcome == .pending }
        let open = (observed.operations[key] ?? []).filter {
          !$0.call.isRead && [.unknown, .perhaps].contains($0.outcome)
        }
        context.found(
          .undecided,
          "the checker gave up on key \(name): \(told.count) calls, \(unknown) of unknown outcome, "
            + "\(open.count) of which shards show nothing:\n"
            + open.map(\.description).joined(separator: "\n"))
      case (.linearizable, _): break
      }
    }
  }

  /// Every call has ended, and nothing is left of it anywhere.
  private func checkEnds() {
    for call in calls where !call.hasEnded {
      context.found(.neverEnded, "no outcome, long after the last fault: \(call.text)")
    }
    for router in routers {
      // Where there are two maps, the routers of one of them are left alone.
      let mayBeAlone = context.configuration.hasStranger && routers.contains(where: serves)
      for shard in shards where !mayBeAlone && router.members.contains(shard.number) {
        guard let detail = router.core.unreachableDetail(shard: shard.number) else { continue }
        context.found(
          .notRecovered, "router \(router.number) has no link to shard \(shard.id): \(detail)")
      }
      if router.core.callsParked > 0 {
        context.found(.leak, "router \(router.number) has \(router.core.callsParked) calls wait")
      }
      guard router.core.callsUnderWay > 0 else { continue }
      context.found(
        .leak, "router \(router.number) keeps \(router.core.callsUnderWay) calls without a caller")
    }
    for shard in shards where shard.state != .down && shard.core.parkedCount > 0 {
      context.found(.leak, "\(shard.core.parkedCount) calls wait at shard \(shard.id)")
    }
    for client in clients where client.parked != 0 {
      context.found(.leak, "client \(client.number) counts \(client.parked) calls that wait")
    }
    for connection in connections where !connection.isIdle {
      context.found(
        .pausesUnbalanced, "a connection is held \(connection.holds) times and no call waits")
    }
  }

  /// Promise 4 as clients see it: what one pipeline pushed to a list's tail stands there in the
  /// order sent, what it pushed to the head in the reverse order, and the former behind the latter.
  /// Values that were moved, and those written by other calls than pushes, may stand anywhere.
  private func checkPushOrder() {
    let moves = calls.filter { $0.items.first?.call.isCall(of: .lMove) == true }
    let moved = Set(moves.flatMap { $0.items[0].keys })
    for call in calls {
      guard call.isListRead, !moved.contains(call.items[0].key),
        case .ok(.elements(let elements?)) = call.items[0].outcome
      else { continue }
      var newest: [Int: (place: Int, value: [UInt8])] = [:]
      let isFromTail = call.items[0].call.isCall(of: .rPopMany)
      for value in isFromTail ? elements.reversed() : elements {
        guard let writer = ValueName(value), clients[writer.client].isPipeline else {
          continue
        }
        let order = writer.sequence * 10 + writer.place
        // Heads, the latest first, count as standing at negative places.
        let place: Int
        switch writer.letter {
        case ValueName.letter(of: .lPush): place = -order - 1
        case ValueName.letter(of: .rPush): place = order
        default: continue
        }
        if let before = newest[writer.client], before.place >= place {
          context.found(
            .outOfOrder,
            "\(HistoryOperation.text(before.value)) stands before \(HistoryOperation.text(value)) "
              + "in the reply to \(call.text)")
        }
        newest[writer.client] = (place, value)
      }
    }
  }

  func report() -> SimulationReport {
    SimulationReport(
      seed: seed, configuration: context.configuration.name, digest: context.trace.digest,
      findings: context.findings, coverage: context.coverage, calls: calls.count,
      events: context.trace.count,
      traceTail: context.findings.isEmpty
        ? []
        : context.trace.tail { [calls] in calls.indices.contains($0) ? calls[$0].text : "" })
  }
}
