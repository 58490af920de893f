// What clients conclude from answers and errors.
//
// Owns nothing.

import RingstoreAPI

extension SimulatedCluster {
  /// The outcomes of a call's items; nil where the answer can't be read.
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
        context.cover(command == .reset ? .reset : .everyShard)
        return call.items.map { _ in .ok(.done) }
      case .listStream:
        return [.ok(.elements(try listStreamed(call)))]
      case .scan(let walk):
        if walk.isScan { walk.finish(self) } else { try walk.addAnswer(response, self) }
        return []
      }
    } catch {
      return nil
    }
  }

  /// The list that the messages of a stream make up; nil where there is none.
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
      case .mapConflict: context.configuration.hasStranger
      default: true
      }
    guard isExpected, let outcome = Outcome(error) else {
      context.found(
        .unexpectedError, "\(error.code.name) \(error.message) in answer to \(call.text)")
      return .unknown
    }
    return outcome
  }

  func cover(_ outcome: Outcome) {
    switch outcome {
    case .ok(.refused): context.cover(.refusedForState)
    case .notExecuted: context.cover(.notExecuted)
    case .unknown: context.cover(.outcomeUnknown)
    case .ok, .executed, .pending: break
    }
  }
}
