// The names of a backup's files.

package enum BackupFiles {
  /// Of a cluster.
  package static let slotCount = 16_384
  /// What a manifest is called until it is whole.
  static let unfinishedManifest = BackupManifest.name + ".part"

  /// Numbers, because a shard's id may contain any characters.
  static func name(_ shard: Int, _ kind: String) -> String {
    let digits = String(shard)
    return "shard-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "." + kind
  }

  /// Whether it names a file in the directory itself.
  static func isName(_ text: Substring) -> Bool {
    text.hasPrefix("shard-") && text.utf8.count <= 64 && !text.contains("/")
  }

  package static func path(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
  }
}
