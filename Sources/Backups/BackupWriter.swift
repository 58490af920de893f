// Writes a backup's directory: the shards' files as their pieces come, and the manifest when all is
// there, checked and synced. A directory that has the manifest is whole.
//
//   open --pieces--> finish (all files are synced) --the caller checks them--> publish
//     '--discard: what was written is removed
//
// One thread; its calls block.

package import Log
package import LogFiles

package final class BackupWriter {
  package let directory: String
  private let files: any FileSystem
  private var shards: [String: [CopyFile: Output]] = [:]
  private var order: [String] = []

  private struct Output {
    let handle: FileHandle
    let name: String
    var size: UInt64 = 0
    var checksum: UInt32 = 0
    /// The first bytes, as far as they are the header's.
    var head: [UInt8] = []
  }

  /// Makes the directory, or takes one that is empty.
  package init(_ directory: String, over files: any FileSystem) throws(BackupFault) {
    self.directory = directory
    self.files = files
    try Self.doing(directory) { () throws(FileError) in
      try LogDirectory.make(directory, files)
    }
    let names = try Self.doing(directory) { () throws(FileError) in try files.list(directory) }
    guard names.isEmpty else { throw BackupFault(directory, .notEmpty) }
  }

  private static func doing<Result>(
    _ path: String, _ body: () throws(FileError) -> Result
  ) throws(BackupFault) -> Result {
    do throws(FileError) {
      return try body()
    } catch {
      throw BackupFault(path, .failed(error))
    }
  }

  package var byteCount: UInt64 {
    shards.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.size } }
  }

  /// Writes what comes next in a file.
  package func write(
    _ bytes: UnsafeRawBufferPointer, to file: CopyFile, of shard: String
  ) throws(BackupFault) {
    if shards[shard] == nil {
      shards[shard] = [:]
      order.append(shard)
    }
    var output: Output
    if let open = shards[shard]?[file] {
      output = open
    } else {
      output = try open(file, shard: order.firstIndex(of: shard) ?? 0)
    }
    try Self.doing(output.name) { () throws(FileError) in
      try files.write(output.handle, [bytes], at: output.size)
    }
    output.size += UInt64(bytes.count)
    output.checksum = Checksum.extend(output.checksum, bytes)
    let missing = FileHeader.byteCount - output.head.count
    if missing > 0 { output.head += bytes.prefix(missing) }
    shards[shard]?[file] = output
  }

  private func open(_ file: CopyFile, shard: Int) throws(BackupFault) -> Output {
    let name = BackupFiles.name(shard, file == .pass ? "pass" : "log")
    let path = BackupFiles.path(directory, name)
    let handle = try Self.doing(path) { () throws(FileError) in
      try files.open(path, for: .creating)
    }
    return Output(handle: handle, name: name)
  }

  /// Syncs all files.
  ///
  /// - Parameter taken: for each shard, the moment of its copy.
  /// - Returns: the manifest except for the contents.
  package func finish(
    version: String, cluster: String, databases: Int, taken: [String: Int64]
  ) throws(BackupFault) -> BackupManifest {
    var manifest = BackupManifest(
      version: version, cluster: Self.oneLine(cluster), databases: databases)
    for id in order {
      guard let pass = shards[id]?[.pass], let log = shards[id]?[.log],
        let header = pass.head.withUnsafeBytes({ try? FileHeader(decoding: $0) })
      else { throw BackupFault(directory, .unreadable("shard \(id) has not sent a complete file")) }
      for output in [pass, log] {
        try Self.doing(output.name) { () throws(FileError) in try files.sync(output.handle) }
        files.close(output.handle)
      }
      manifest.shards.append(
        .init(
          id: Self.oneLine(id), seedDigest: header.seedDigest, takenUnixMillis: taken[id] ?? 0,
          pass: .init(name: pass.name, size: pass.size, checksum: pass.checksum),
          log: .init(name: log.name, size: log.size, checksum: log.checksum)))
    }
    shards = [:]
    return manifest
  }

  private static func oneLine(_ text: String) -> String {
    text.replacing("\n", with: " ")
  }

  /// Writes the manifest, whose name is durable when this returns.
  package func publish(_ manifest: BackupManifest) throws(BackupFault) {
    let path = BackupFiles.path(directory, BackupFiles.unfinishedManifest)
    try Self.doing(path) { () throws(FileError) in
      let handle = try files.open(path, for: .creating)
      defer { files.close(handle) }
      try files.write(handle, manifest.encode(), at: 0)
      try files.sync(handle)
      try files.syncDirectory(directory)
      try files.rename(path, to: BackupFiles.path(directory, BackupManifest.name))
      try files.syncDirectory(directory)
    }
  }

  /// Removes what was written, as far as that goes. The manifest first and durably, if it has got
  /// its name: a power loss must not bring back a directory that seems to be whole.
  package func discard() {
    for output in shards.values.flatMap(\.values) { files.close(output.handle) }
    shards = [:]
    if (try? files.remove(BackupFiles.path(directory, BackupManifest.name))) != nil {
      try? files.syncDirectory(directory)
    }
    let names = order.indices.flatMap { shard in
      ["pass", "log"].map { BackupFiles.name(shard, $0) }
    }
    for name in names + [BackupFiles.unfinishedManifest] {
      try? files.remove(BackupFiles.path(directory, name))
    }
  }
}
