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
        return [.ok(try CallCodec.reply(to: call.items[0].call, response))]
      case .manyKeys:
        context.cover(.manyKeys)
        let view = try ItemsReplyView(response)
        guard view.count == call.items.count else { return nil }
        var outcomes: [Outcome] = []
        for (item, bytes) in zip(call.items, view.encodedItems) {
          switch try ItemReplyView(bytes).outcome {
          case .done(let reply): outcomes.append(.ok(try CallCodec.reply(to: item.call, reply)))
          case .failed(let error):
            outcomes.append(outcome(of: try CallError(item: error), to: call))
          case .unset: return nil
          }
        }
        return outcomes
      case .everyShard(let command):
        context.cover(command == .reset ? .reset : .everyShard)
        return call.items.map { _ in .ok(.done) }
      }
    } catch {
      return nil
    }
  }

  func outcome(of error: CallError, to call: SimulatedCall) -> Outcome {
    if error.reason == .overloaded { context.cover(.overloaded) }
    guard let outcome = CallCodec.outcome(of: error) else {
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
    case .ok, .pending: break
    }
  }
}
