// What must hold at the end of a run, and the report.
//
// Owns nothing.

import RingstoreAPI

extension SimulatedCluster {
  /// Steps after which the checker of a key's history gives up.
  private static let checkerStepsMax = 1_000_000

  func check() {
    checkEnds()
    probe.check(calls)
    checkPushOrder()
    checkLinearizability()
  }

  /// Promise 1. Histories with many unknown outcomes are hard to check; with the outcomes that the
  /// shards saw put in they are easy. An order found for these holds for what clients know as well,
  /// so only where there is none the clients' own history has to be searched.
  private func checkLinearizability() {
    leaveOutUnexecuted()
    let checker = LinearizabilityChecker(stepLimit: Self.checkerStepsMax)
    for key in generator.keys {
      let name = HistoryOperation.text(key.name)
      switch checker.check(observed.operations[key.name] ?? []) {
      case .linearizable:
        break
      case .undecided:
        context.found(.undecided, "the checker gave up on key \(name)")
      case .violation(let seenByShards):
        if case .violation(let explanation) = checker.check(history.operations[key.name] ?? []) {
          context.found(.notLinearizable, "key \(name): \(explanation)")
        } else {
          context.found(.notLinearizable, "key \(name), as shards saw it: \(seenByShards)")
        }
      }
    }
  }

  /// Every call has ended, and nothing is left of it anywhere.
  private func checkEnds() {
    for call in calls where !call.hasEnded {
      context.found(.neverEnded, "no outcome, long after the last fault: \(call.text)")
    }
    for router in routers {
      for shard in shards {
        guard let detail = router.core.unreachableDetail(shard: shard.number) else { continue }
        context.found(
          .notRecovered, "router \(router.number) has no link to shard \(shard.id): \(detail)")
      }
      guard router.core.callsUnderWay > 0 else { continue }
      context.found(
        .leak, "router \(router.number) keeps \(router.core.callsUnderWay) calls nobody waits for")
    }
    for connection in connections where !connection.isIdle {
      context.found(
        .pausesUnbalanced, "a connection is held \(connection.holds) times and no call waits")
    }
  }

  /// Promise 4 as clients see it: what one pipeline pushed to a list's tail stands there in the
  /// order sent, what it pushed to the head in the reverse order, and the former behind the latter.
  private func checkPushOrder() {
    for call in calls {
      guard case .oneKey = call.kind, case .ok(.elements(let elements?)) = call.items[0].outcome
      else { continue }
      var newest: [Int: (place: Int, value: [UInt8])] = [:]
      for value in elements {
        guard let writer = CallGenerator.writer(of: value), clients[writer.client].isPipeline else {
          continue
        }
        let order = writer.sequence * 10 + writer.place
        // Heads, the latest first, count as standing at negative places.
        let place = writer.letter == UInt8(ascii: "h") ? -order - 1 : order
        if let before = newest[writer.client], before.place >= place {
          context.found(
            .outOfOrder,
            "\(HistoryOperation.text(before.value)) stands before \(HistoryOperation.text(value)) "
              + "in the answer to \(call.text)")
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
