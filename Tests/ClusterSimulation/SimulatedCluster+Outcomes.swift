// What clients conclude from replies and errors.
//
// Owns nothing.

import Commands
import RingstoreAPI

extension SimulatedCluster {
  /// The outcomes of a call's items; nil if the reply can't be read.
  func outcomes(of call: SimulatedCall, _ response: UnsafeRawBufferPointer) -> [Outcome]? {
    do throws(WireError) {
      switch call.kind {
      case .oneKey:
        return [
          .ok(try KeyReply(response, to: call.items[0].call))
        ]
      case .manyKeys(let calls):
        context.cover(.manyKeys)
        let replies = try calls.outcomes(response)
        guard replies.count == call.items.count else { return nil }
        var outcomes: [Outcome] = []
        for reply in replies {
          switch reply {
          case .success(let reply): outcomes.append(.ok(reply))
          case .failure(let error): outcomes.append(outcome(of: error, to: call))
          case nil: return nil
          }
        }
        return outcomes
      case .everyShard(let command):
        context.cover(
          command == .reset ? .reset : command == .randomKey ? .keyDrawn : .everyShard)
        if command == .randomKey { try checkDrawn(V1.RandomKeyResponse(response), call) }
        return call.items.map { _ in .ok(.done) }
      case .listStream:
        return [.ok(.elements(try listStreamed(call)))]
      case .scan(let walk):
        if walk.isScan { walk.finish(self) } else { try walk.addReply(response, self) }
        return []
      case .backup(let backup):
        backup.finish()
        return []
      }
    } catch {
      return nil
    }
  }

  /// The list that the messages of a stream make up; nil if there is none.
  private func listStreamed(_ call: SimulatedCall) throws(WireError) -> [[UInt8]]? {
    var elements: [[UInt8]] = []
    var first: (index: Int64, length: Int64)?
    for message in call.messages {
      // The message lives as long as the call.
      let part = try message.withUnsafeReadableBytes { bytes throws(WireError) in
        let view = try V1.ListValues(bytes)
        return (
          found: view.found, index: view.firstIndex, length: view.length,
          values: view.values.map { Array($0) }
        )
      }
      guard part.found else {
        if call.messages.count > 1 { partsDisagree(call) }
        return nil
      }
      let start = first ?? (part.index, part.length)
      first = start
      if part.length != start.length || part.index != start.index + Int64(elements.count) {
        partsDisagree(call)
      }
      elements += part.values
    }
    guard let first else {
      context.found(.wrongOutcome, "a stream without a message: \(call.text)")
      return nil
    }
    if call.messages.count > 1 { context.cover(.streamedInParts) }
    if call.items[0].call == .wholeList, first.length != Int64(elements.count) {
      partsDisagree(call)
    }
    return elements
  }

  /// A key that was drawn has been there at some moment of the call. That there is none means that
  /// no key was there all the time.
  private func checkDrawn(_ reply: V1.RandomKeyResponse, _ call: SimulatedCall) {
    guard let since = call.presenceSince else { return }
    guard reply.found else {
      for key in generator.keys where presence.stayed(key.name, since: since) {
        context.found(
          .walkWrong, "no key was drawn, and \(HistoryOperation.text(key.name)) was there")
      }
      return
    }
    let key = Array(reply.key)
    let isKnown = generator.keys.contains { $0.name == key }
    guard !isKnown || !presence.wasThere(key, since: since) && !mayHaveComeAndGone(key, call)
    else { return }
    context.found(
      .walkWrong, "\(HistoryOperation.text(key)) was drawn, and was not there: \(call.text)")
  }

  /// Whether a key may have been there for less than one event, while a call was in progress.
  private func mayHaveComeAndGone(_ key: [UInt8], _ call: SimulatedCall) -> Bool {
    calls.contains { other in
      (!other.hasEnded || other.endedNanos >= call.beganNanos
        || other.items.contains { $0.outcome == .unknown })
        && other.items.contains { !$0.call.isRead && $0.keys.contains(key) }
    }
  }

  private func partsDisagree(_ call: SimulatedCall) {
    context.found(.wrongOutcome, "parts of a list that don't fit together: \(call.text)")
  }

  func outcome(of error: CallError, to call: SimulatedCall) -> Outcome {
    if error.reason == .overloaded { context.cover(.overloaded) }
    if error.reason == .viewExpired {
      context.cover(.viewExpired)
      call.hasExpired = true
    }
    let isExpected =
      switch error.reason {
      case .viewExpired: call.items.allSatisfy(\.call.isRead)
      // A shard without keys that has lost its routers may take the stranger's map for a while.
      case .mapConflict:
        if case .backup = call.kind { true } else { context.configuration.hasStranger }
      default: true
      }
    guard isExpected, let outcome = Outcome(error) else {
      context.found(
        .unexpectedError, "\(error.code.name) \(error.message) in reply to \(call.text)")
      return .unknown
    }
    return outcome
  }

  /// A reply to a call has come.
  func cover(_ reply: KeyReply, to call: KeyCall) {
    switch reply {
    case .versioned(.done, _): context.cover(.conditionMet)
    case .versioned(.notDone, _): context.cover(.conditionUnmet)
    case .previous(_, .some): context.cover(.previousTold)
    case .done where call.isCall(of: Command.mSetIfAbsent) && !call.otherKeys.isEmpty:
      context.cover(.severalSet)
    default: break
    }
  }

  func cover(_ outcome: Outcome) {
    switch outcome {
    case .ok(.refused): context.cover(.refusedForState)
    case .notExecuted: context.cover(.notExecuted)
    case .unknown: context.cover(.outcomeUnknown)
    case .ok, .executed, .perhaps, .pending: break
    }
  }
}
