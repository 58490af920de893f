// Digests as a table for people, and as JSON for programs that compare them. Pure, any thread.

import RingstoreClient
import TextForms

package enum DigestText {
  package static func text(_ report: RingstoreKeyReport<[RingstoreShardDigest]>) -> String {
    var rows = [["SHARD", "KEYS", "EXPIRING", "DIGEST", "OF LASTING KEYS"]]
    for shard in report.found { rows.append(row(shard.shard, shard.whole)) }
    if report.found.count > 1 { rows.append(row("all", whole(report.found))) }
    var lines = ClusterTable.aligned(rows)
    for shard in report.found where shard.slotsChanged > 0 {
      let name = VisibleText.line(shard.shard)
      lines.append(
        "keys of \(shard.slotsChanged) slots of \(name) changed meanwhile and are left out")
    }
    return (lines + KeyReportText.missing(report.unreachable)).joined(separator: "\n")
  }

  package static func json(_ report: RingstoreKeyReport<[RingstoreShardDigest]>) -> JSONValue {
    let shards = report.found.map { shard in
      JSONValue.object(
        [.init("shard", .string(shard.shard))] + members(shard.whole) + [
          .init("slots_changed", .integer(Int64(shard.slotsChanged)))
        ])
    }
    let slots = report.found.flatMap(\.slots).sorted { $0.key < $1.key }.map { slot in
      JSONValue.object(
        [.init("slot", .integer(Int64(slot.key)))]
          + (slot.value.map(members) ?? [.init("changed", .bool(true))]))
    }
    return .object(
      members(whole(report.found)) + [
        .init("shards", .array(shards)), .init("slots", .array(slots)),
        KeyReportText.unreachable(report.unreachable),
      ])
  }

  private static func whole(_ shards: [RingstoreShardDigest]) -> RingstoreDigest {
    shards.reduce(RingstoreDigest()) { $0 + $1.whole }
  }

  private static func row(_ name: String, _ digest: RingstoreDigest) -> [String] {
    [
      name, "\(digest.keys)", "\(digest.expiringKeys)", Hexadecimal.text(digest.digest),
      Hexadecimal.text(digest.lastingDigest),
    ]
  }

  private static func members(_ digest: RingstoreDigest) -> [JSONValue.Member] {
    [
      .init("keys", .integer(Int64(digest.keys))),
      .init("expiring_keys", .integer(Int64(digest.expiringKeys))),
      .init("digest", .string(Hexadecimal.text(digest.digest))),
      .init("lasting_digest", .string(Hexadecimal.text(digest.lastingDigest))),
    ]
  }
}
