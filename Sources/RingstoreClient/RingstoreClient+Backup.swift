// Backup, for the command line: the pieces of the shards' files, as they arrive.

internal import NIOCore
internal import RingstoreAPI

/// The next piece of one file of a shard.
package struct BackupPiece {
  package enum File { case pass, log }

  package let shard: String
  package let file: File?
  /// Nothing follows of the shard.
  package let isComplete: Bool
  package let keysDone: Int
  package let keys: Int
  /// With `isComplete`: the time of the files' contents.
  package let takenUnixMillis: Int64
  package let databases: Int
}

extension RingstoreClient {
  /// Reads a backup of all shards, or of the shard that the client is connected to. Pieces are
  /// requested as fast as `body` takes them.
  ///
  /// - Parameters:
  ///   - options: its timeout is for each piece.
  ///   - body: gets each piece and its bytes, which are valid during the call. An error that it
  ///     throws ends the backup.
  package func backup<Failure: Error>(
    options: RingstoreCallOptions = .standard,
    _ body: (BackupPiece, UnsafeRawBufferPointer) throws(Failure) -> Void
  ) async throws {
    let rpc = V1.Cluster.backup
    var replies = replies(to: rpc, options)
    // An interrupted backup is not continued: the rest would be of another time.
    while let message = try await replies.next(request: { nil }) {
      do {
        try message.withUnsafeReadableBytes { bytes in
          let piece = try V1.BackupPiece(bytes)
          try body(BackupPiece(piece), piece.data)
        }
      } catch is WireError {
        replies.cancel()
        throw RingstoreError.undecodable(rpc)
      } catch {
        replies.cancel()
        throw error
      }
    }
  }
}

extension BackupPiece {
  fileprivate init(_ piece: V1.BackupPiece) {
    shard = String(decoding: piece.shard, as: UTF8.self)
    file =
      switch piece.file {
      case .pass: .pass
      case .log: .log
      default: nil
      }
    isComplete = piece.complete
    keysDone = Int(piece.keysDone)
    keys = Int(piece.keys)
    takenUnixMillis = piece.takenUnixMillis
    databases = Int(piece.databases)
  }
}
