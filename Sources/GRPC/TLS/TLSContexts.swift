// The TLS context in force, and the way to a newer one when its files have changed. A connection
// keeps the context that it began with, so to change it disturbs no call. Any thread.
//
// A certificate and its key are two files, and are seldom replaced at one moment. Files that have
// changed are therefore read only when they were found the same twice. Files that can't be used
// leave the context as it is, and are told of once.

import Logging
import NIOConcurrencyHelpers
import NIOSSL

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

package final class TLSContexts: Sendable {
  /// By what a changed file is told: whatever replaces it, a rename, another link or new contents,
  /// one of these differs.
  private struct FileMark: Hashable {
    var device: UInt64 = 0
    var inode: UInt64 = 0
    var size: Int64 = 0
    var seconds = 0
    var nanoseconds = 0
  }

  private struct State {
    var context: NIOSSLContext
    /// When the certificate ends, in seconds since 1970; nil: there is none.
    var endSeconds: Int?
    /// The files that were read last, well or not, and as they were found at the last look.
    var read: [FileMark]
    var found: [FileMark]
  }

  /// What a look at the files has come to.
  package enum Refresh: Sendable, Hashable {
    case unchanged
    /// They have changed, and may go on changing.
    case changing
    case renewed
    case refused(TLSFileFailure)
  }

  package let files: TLSFiles
  private let state: NIOLockedValueBox<State>

  /// Reads the files.
  package init(_ files: TLSFiles) throws(TLSFileFailure) {
    self.files = files
    let marks = Self.marks(of: files)
    let loaded = try files.loadWithEnd()
    state = NIOLockedValueBox(
      State(context: loaded.context, endSeconds: loaded.endSeconds, read: marks, found: marks))
  }

  /// With a context that was made otherwise, until the files change.
  init(_ files: TLSFiles, context: NIOSSLContext) {
    self.files = files
    let marks = Self.marks(of: files)
    state = NIOLockedValueBox(State(context: context, read: marks, found: marks))
  }

  /// What connections that begin now are to use.
  var context: NIOSSLContext { state.withLockedValue { $0.context } }

  /// When the certificate in use ends, in seconds since 1970; nil: there is none.
  package var certificateEndSeconds: Int? { state.withLockedValue { $0.endSeconds } }

  /// Looks whether the files have changed, and reads them if they have and are at rest.
  package func refresh() -> Refresh {
    let marks = Self.marks(of: files)
    let wasRead = state.withLockedValue { state -> Refresh? in
      defer { state.found = marks }
      if marks == state.read { return .unchanged }
      return marks == state.found ? nil : .changing
    }
    if let wasRead { return wasRead }
    do throws(TLSFileFailure) {
      let loaded = try files.loadWithEnd()
      state.withLockedValue { state in
        state.context = loaded.context
        state.endSeconds = loaded.endSeconds
        state.read = marks
      }
      return .renewed
    } catch {
      state.withLockedValue { $0.read = marks }
      return .refused(error)
    }
  }

  private static func marks(of files: TLSFiles) -> [FileMark] {
    files.paths.map { path in
      var found = stat()
      guard stat(path, &found) == 0 else { return FileMark() }
      #if canImport(Darwin)
        let changed = found.st_mtimespec
      #else
        let changed = found.st_mtim
      #endif
      return FileMark(
        device: UInt64(truncatingIfNeeded: found.st_dev), inode: UInt64(found.st_ino),
        size: Int64(found.st_size), seconds: Int(changed.tv_sec), nanoseconds: Int(changed.tv_nsec))
    }
  }
}

/// Looks at the files of a node every few seconds, for as long as the node runs.
package final class CertificateWatch: Sendable {
  /// The time between two looks.
  package static let interval = Duration.seconds(2)

  private let task: Task<Void, Never>

  /// - Parameter contexts: those without files are left out.
  package init(_ contexts: [TLSContexts], logger: Logger) {
    task = Task {
      guard !contexts.isEmpty else { return }
      while (try? await Task.sleep(for: Self.interval)) != nil {
        for each in contexts { Self.look(each, logger) }
      }
    }
  }

  /// One look at the files, which is told if it came to anything.
  package static func look(_ contexts: TLSContexts, _ logger: Logger) {
    let files = contexts.files.paths.joined(separator: ", ")
    switch contexts.refresh() {
    case .unchanged, .changing: break
    case .renewed:
      logger.notice("new connections use the new certificates", metadata: ["files": "\(files)"])
    case .refused(let failure):
      logger.error(
        "the new certificates can't be used, the old ones stay",
        metadata: ["reason": "\(failure.sentence)", "files": "\(files)"])
    }
  }

  package func stop() { task.cancel() }
}
