// The result of a snapshot, for people and as JSON. Pure, any thread.

import RingstoreClient
import TextForms

package enum SnapshotText {
  package static func text(_ shards: [RingstoreShardSnapshot]) -> String {
    let rows = shards.map { shard in
      [
        shard.shard, "\(shard.keys)", ClusterTable.memory(shard.bytes),
        "\(millis(shard.elapsed)) ms",
      ]
    }
    return ClusterTable.aligned([["SHARD", "KEYS", "BYTES", "TOOK"]] + rows)
      .joined(separator: "\n")
  }

  package static func json(_ shards: [RingstoreShardSnapshot]) -> JSONValue {
    .object([
      .init(
        "shards",
        .array(
          shards.map { shard in
            .object([
              .init("shard", .string(shard.shard)), .init("keys", .integer(Int64(shard.keys))),
              .init("bytes", .integer(Int64(shard.bytes))),
              .init("elapsed_millis", .integer(millis(shard.elapsed))),
            ])
          }))
    ])
  }

  private static func millis(_ time: Duration) -> Int64 {
    time.components.seconds * 1_000 + time.components.attoseconds / 1_000_000_000_000_000
  }
}
