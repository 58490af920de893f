// Executing a call, and printing its reply.

import Commands
import RingstoreAPI
import RingstoreClient

extension CommandLineCall {
  /// How a call that has printed its reply went.
  package enum Ending: Sendable, Hashable {
    case good
    /// The call went well, an item of its reply is an error.
    case itemFailed
    /// It failed, and the error is part of what was printed.
    case failedAndTold(RingstoreError)
  }

  /// Executes the call and prints its reply, streamed replies while they arrive. Errors that are
  /// thrown are not printed yet.
  package func run(
    on client: RingstoreClient, _ options: RingstoreCallOptions, printer: Printer
  ) async throws(RingstoreError) -> Ending {
    let reply: ShownReply
    switch self {
    case .oneKey(let command, let form):
      reply = Self.shown(try await client.run(command, options: options), as: form)
    case .mGet(let keys):
      let outcomes = try await client.mGet(keys, options: options)
      reply = .list(outcomes.map { Self.shown($0) { .value($0) } })
    case .mSet(let items):
      let outcomes = try await client.mSet(items, options: options)
      reply = Self.summed(outcomes.map { Self.shown($0) { _ in .ok } }, .ok)
    case .mDelete(let keys):
      reply = Self.counted(try await client.mDelete(keys, options: options))
    case .mExists(let keys):
      reply = Self.counted(try await client.mExists(keys, options: options))
    case .mTouch(let keys):
      reply = Self.counted(try await client.mTouch(keys, options: options))
    case .mLRange(let ranges):
      let outcomes = try await client.multiRange(ranges, options: options)
      reply = .list(outcomes.map { Self.shown($0) { .list($0.values.map { .value($0) }) } })
    case .listStream(let range):
      return try await Self.listStream(range, client, options, printer)
    case .keys(let search): return try await Self.keys(search, client, options, printer)
    case .scan(let search): return try await Self.scan(search, client, options, printer)
    case .dbSize(let scope):
      reply = .integer(Int64(try await client.dbSize(scope, options: options)))
    case .randomKey: reply = .value(try await client.randomKey(options: options))
    case .reset(let scope, _):
      reply = .integer(Int64(try await client.reset(scope, options: options)))
    case .describe:
      let cluster = try await client.describe(options: options)
      let table = ClusterTable.text(cluster, columns: printer.columns)
      printer.show(.text(table), json: ClusterTable.json(cluster))
      return .good
    case .stats:
      let counters = try await client.stats(options: options).sorted { $0.key < $1.key }
      let lines = ClusterTable.aligned(counters.map { [$0.key, "\($0.value)"] })
      printer.show(
        .text(lines.joined(separator: "\n")),
        json: .object(counters.map { .init($0.key, .integer(Int64($0.value))) }))
      return .good
    case .hotKeys(let count):
      let report = try await client.hotKeys(count, options: options)
      printer.show(.text(KeyReportText.text(report)), json: KeyReportText.json(report))
      return report.unreachable.isEmpty ? .good : .itemFailed
    case .bigKeys(let count, let scope):
      let report = try await client.bigKeys(count, scope, options: options)
      printer.show(.text(KeyReportText.text(report)), json: KeyReportText.json(report))
      return report.unreachable.isEmpty ? .good : .itemFailed
    case .shutdown(let wholeCluster):
      try await client.shutdown(wholeCluster: wholeCluster, options: options)
      reply = .ok
    case .reload(let isPlan):
      let reload = try await client.reload(planOnly: isPlan, options: options)
      printer.show(
        .text(ReloadText.text(reload, isPlan: isPlan)), json: ReloadText.json(reload))
      return .good
    case .ping(let text):
      try await Self.ping(client, options)
      reply = text.map { .value($0) } ?? .word("PONG")
    case .help(let name):
      reply = .text(HelpText.text(name, columns: printer.columns))
    }
    printer.show(reply)
    return reply.hasError ? .itemFailed : .good
  }

  /// Whether the node replies: the cheapest call that every node has. It doesn't matter if the
  /// key's shard is unreachable.
  static func ping(
    _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws(RingstoreError) {
    do throws(RingstoreError) {
      _ = try await client.run(.exists("probe"), options: options)
    } catch {
      guard error.reason == .shardUnavailable else { throw error }
    }
  }

  private static func shown(
    _ reply: RingstoreReply, as form: ReplyForm
  ) -> ShownReply {
    switch reply {
    case .value(let value?) where form == .popped:
      return .list([.value(value.key), .value(value.bytes)])
    case .value(let value): return .value(value?.bytes ?? (form == .part ? [] : nil))
    case .integer(let number): return .integer(number)
    case .list(let list) where form == .taken && !list.found: return .value(nil)
    case .list(let list): return .list(list.values.map { .value($0) })
    case .type(let type): return .word(type.name)
    case .positions(let list) where form == .positions(isMany: true):
      return .list(list.indices.map { .integer(Int64($0)) })
    case .positions(let list): return list.indices.first.map { .integer(Int64($0)) } ?? .value(nil)
    case .status(let status) where form == .inserted:
      return .integer(status.ok || status.count == 0 ? Int64(status.count) : -1)
    case .timeToLive(let time): return .integer(number(of: time, as: form))
    case .inspection(let inspection): return inspection.map { shown($0, as: form) } ?? .value(nil)
    case .status(let status): return shown(status, as: form)
    }
  }

  private static func shown(_ status: RingstoreStatus, as form: ReplyForm) -> ShownReply {
    switch form {
    case .ok where status.tellsPrevious: .value(status.previous?.bytes)
    case .ok: status.ok ? .ok : .value(nil)
    case .isDone: .integer(status.ok ? 1 : 0)
    default: .integer(Int64(status.count))
    }
  }

  private static func number(of time: RingstoreTimeToLive?, as form: ReplyForm) -> Int64 {
    guard case .ttl(let form) = form else { return 0 }
    return form.number(
      found: time != nil, ttlMillis: time?.remainingMillis,
      unixMillis: time?.expiresAtUnixMillis)
  }

  private static func shown<Value>(
    _ outcome: Result<Value, RingstoreError>, _ show: (Value) -> ShownReply
  ) -> ShownReply {
    switch outcome {
    case .success(let value): show(value)
    case .failure(let error): .error(error)
    }
  }

  private static func counted(_ outcomes: [Result<Bool, RingstoreError>]) -> ShownReply {
    let count = outcomes.count { if case .success(true) = $0 { true } else { false } }
    return summed(outcomes.map { shown($0) { .integer($0 ? 1 : 0) } }, .integer(Int64(count)))
  }

  /// One line if all items succeeded; else each item with its own outcome.
  private static func summed(_ items: [ShownReply], _ sum: ShownReply) -> ShownReply {
    items.contains(where: \.hasError) ? .list(items) : sum
  }
}
