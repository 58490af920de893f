// Carrying a call out, and what of the answer is shown.

import RingstoreAPI
import RingstoreClient

extension CommandLineCall {
  package func run(
    on client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws(RingstoreError) -> ShownReply {
    switch self {
    case .oneKey(let command):
      return Self.shown(try await client.run(command, options: options), to: command)
    case .mGet(let keys):
      return .list(
        try await client.mGet(keys, options: options).map { Self.shown($0) { .value($0) } })
    case .mSet(let items):
      let outcomes = try await client.mSet(items, options: options)
      return Self.summed(outcomes.map { Self.shown($0) { _ in .ok } }, .ok)
    case .mDelete(let keys):
      let outcomes = try await client.mDelete(keys, options: options)
      let removed = outcomes.count { if case .success(true) = $0 { true } else { false } }
      return Self.summed(
        outcomes.map { Self.shown($0) { .integer($0 ? 1 : 0) } }, .integer(Int64(removed)))
    case .keys(let pattern):
      let keys = try await client.keys(matching: pattern, options: options)
      return .list(keys.sorted { $0.lexicographicallyPrecedes($1) }.map { .value($0) })
    case .dbSize(let scope):
      return .integer(Int64(try await client.dbSize(scope, options: options)))
    case .reset(let scope):
      return .integer(Int64(try await client.reset(scope, options: options)))
    case .describe:
      return .text(ClusterTable.text(try await client.describe(options: options)))
    case .help(let name):
      return .text(HelpText.text(name))
    }
  }

  private static func shown(
    _ reply: RingstoreReply, to command: RingstoreCommand
  ) -> ShownReply {
    switch reply {
    case .value(let value): return .value(value)
    case .integer(let number): return .integer(number)
    case .list(let list): return .list(list.values.map { .value($0) })
    case .type(let type): return .word(name(of: type))
    case .status(let status): return command.id == .set ? .ok : .integer(Int64(status.count))
    }
  }

  private static func name(of type: RingstoreType) -> String {
    switch type {
    case .none: "none"
    case .string: "string"
    case .list: "list"
    case .other(let number): "type-\(number)"
    }
  }

  private static func shown<Value>(
    _ outcome: Result<Value, RingstoreError>, _ show: (Value) -> ShownReply
  ) -> ShownReply {
    switch outcome {
    case .success(let value): show(value)
    case .failure(let error): .error(error)
    }
  }

  /// One line where all items went well; else each item with its own outcome.
  private static func summed(_ items: [ShownReply], _ sum: ShownReply) -> ShownReply {
    items.contains(where: \.hasError) ? .list(items) : sum
  }
}
