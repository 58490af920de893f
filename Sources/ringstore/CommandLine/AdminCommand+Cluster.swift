// `ringstore admin` about the whole cluster: its shards, their snapshots, the loss of data of one.

import Glibc
import RingstoreClient

extension AdminCommand {
  func reload(_ client: RingstoreClient, _ options: RingstoreCallOptions) async throws {
    let reload = try await client.reload(planOnly: action == .plan, options: options)
    Terminal.show(ReloadText.text(reload, isPlan: action == .plan) + "\n")
    if reload.obstacle != nil { throw Unhealthy("the change would be refused") }
  }

  func snapshot(
    _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    var bar = Terminal.bar
    defer { bar?.clear() }
    let shards = try await client.snapshot(options: options) { shards in
      let done = shards.count(where: \.isComplete)
      let keys = shards.reduce(0) { $0 + $1.keysDone }
      bar?.show(
        done: keys, of: shards.reduce(0) { $0 + $1.keys },
        "\(done) of \(shards.count) shards, \(keys) keys")
    }
    bar?.clear()
    try show(SnapshotText.text(shards), SnapshotText.json(shards), missing: [])
  }

  func acceptLoss(
    of shard: String, _ client: RingstoreClient, _ options: RingstoreCallOptions
  ) async throws {
    if !yes {
      guard Terminal.isTerminal(STDIN_FILENO) else {
        throw ConfigurationError(LossText.needsYes(shard))
      }
      Terminal.show(LossText.question(shard))
      guard let typed = readLine(), LossText.isMeant(typed, shard) else {
        throw Unhealthy("nothing was accepted")
      }
    }
    let accepted = try await client.acceptLoss(ofShard: shard, options: options)
    Terminal.show(LossText.text(accepted, shard) + "\n")
  }
}
