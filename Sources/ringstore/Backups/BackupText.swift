// The result of a backup or a restore, for people and as JSON. Pure, any thread.

import Backups
import TextForms

package enum BackupText {
  package static func text(_ manifest: BackupManifest, in directory: String) -> String {
    let rows = manifest.shards.map { shard in
      [
        shard.id, ClusterTable.memory(Int(clamping: shard.pass.size)),
        ClusterTable.memory(Int(clamping: shard.log.size)),
      ]
    }
    let lines =
      ClusterTable.aligned([["SHARD", "KEYS", "CHANGES DURING THE COPY"]] + rows) + [
        "\(RestoreRun.counted(manifest.totalKeys)) of \(VisibleText.line(manifest.cluster)) "
          + "in \(directory), "
          + "\(ClusterTable.memory(Int(clamping: manifest.totalBytes)))",
        "digest: \(Hexadecimal.text(manifest.contents.digest))",
      ]
    return lines.joined(separator: "\n")
  }

  package static func json(_ manifest: BackupManifest, in directory: String) -> JSONValue {
    .object(
      [
        .init("directory", .string(directory)), .init("cluster", .string(manifest.cluster)),
        .init("bytes", .integer(Int64(clamping: manifest.totalBytes))),
      ] + members(manifest.contents) + [
        .init(
          "shards",
          .array(
            manifest.shards.map { shard in
              .object([
                .init("shard", .string(shard.id)),
                .init("taken_unix_millis", .integer(shard.takenUnixMillis)),
                .init("pass_bytes", .integer(Int64(clamping: shard.pass.size))),
                .init("log_bytes", .integer(Int64(clamping: shard.log.size))),
              ])
            }))
      ])
  }

  static func text(_ report: RestoreRun.Report) -> String {
    let name = VisibleText.line(report.manifest.cluster)
    var lines = ["\(RestoreRun.counted(report.keys)) of \(name) restored"]
    let expired = report.expired + report.expiredMeanwhile
    if expired > 0 {
      let verb = expired == 1 ? "has" : "have"
      lines.append("\(RestoreRun.counted(expired)) of the backup \(verb) expired")
    }
    lines.append(
      report.isCompared
        ? "counts and digests of all slots are those of the backup"
        : "merged into existing keys, so digests were not compared")
    return lines.joined(separator: "\n")
  }

  static func json(_ report: RestoreRun.Report) -> JSONValue {
    .object([
      .init("cluster", .string(report.manifest.cluster)),
      .init("keys", .integer(Int64(report.keys))),
      .init("expired_keys", .integer(Int64(report.expired + report.expiredMeanwhile))),
      .init("compared", .bool(report.isCompared)),
    ])
  }

  static func members(_ contents: SlotContents) -> [JSONValue.Member] {
    [
      .init("keys", .integer(Int64(contents.keys))),
      .init("expiring_keys", .integer(Int64(contents.expiringKeys))),
      .init("digest", .string(Hexadecimal.text(contents.digest))),
      .init("lasting_digest", .string(Hexadecimal.text(contents.lastingDigest))),
    ]
  }
}
