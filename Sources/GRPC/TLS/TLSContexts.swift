// The TLS context in force, and its replacement when its files have changed. A connection keeps the
// context that it began with, so a change disturbs no call. Any thread.
//
// A certificate and its key are two files, and are seldom replaced at one moment. Changed files are
// therefore read only when two checks in a row found the same state. Files that can't be used leave
// the context as it is, and are reported once.

import Logging
import NIOConcurrencyHelpers
import NIOSSL
import SmallFiles

package final class TLSContexts: Sendable {
  private struct State {
    var context: NIOSSLContext
    /// When the certificate ends, in seconds since 1970; nil: there is none.
    var endSeconds: Int?
    var watched: WatchedFiles
    /// How often files that have changed could be used, and could not.
    var reloads = (usable: UInt64(0), failed: UInt64(0))
  }

  /// The result of a check of the files.
  package enum Refresh: Sendable, Hashable {
    case unchanged
    /// They have changed, and may continue changing.
    case changing
    case renewed
    case refused(TLSFileFailure)
  }

  package let files: TLSFiles
  private let state: NIOLockedValueBox<State>

  /// Reads the files.
  package init(_ files: TLSFiles) throws(TLSFileFailure) {
    self.files = files
    let watched = WatchedFiles(files.paths, waitsForRest: true)
    let loaded = try files.loadWithEnd()
    state = NIOLockedValueBox(
      State(context: loaded.context, endSeconds: loaded.endSeconds, watched: watched))
  }

  /// With a context that was made otherwise, until the files change.
  init(_ files: TLSFiles, context: NIOSSLContext) {
    self.files = files
    let watched = WatchedFiles(files.paths, waitsForRest: true)
    state = NIOLockedValueBox(State(context: context, watched: watched))
  }

  /// The context for connections that begin now.
  var context: NIOSSLContext { state.withLockedValue { $0.context } }

  /// When the certificate in use ends, in seconds since 1970; nil: there is none.
  package var certificateEndSeconds: Int? { state.withLockedValue { $0.endSeconds } }

  /// How often files that have changed could be used, and could not.
  package var reloadCounts: (usable: UInt64, failed: UInt64) {
    state.withLockedValue { $0.reloads }
  }

  /// Looks whether the files have changed, and reads them if they have and are at rest.
  package func refresh() -> Refresh {
    switch state.withLockedValue({ $0.watched.look() }) {
    case .unchanged: return .unchanged
    case .changing: return .changing
    case .changed: break
    }
    do throws(TLSFileFailure) {
      let loaded = try files.loadWithEnd()
      state.withLockedValue { state in
        state.context = loaded.context
        state.endSeconds = loaded.endSeconds
        state.reloads.usable += 1
      }
      return .renewed
    } catch {
      state.withLockedValue { $0.reloads.failed += 1 }
      return .refused(error)
    }
  }
}

/// Looks at the files of a node for as long as the node runs.
package final class CertificateWatch: Sendable {
  private let task: Task<Void, Never>

  /// - Parameter contexts: those without files are skipped.
  package init(_ contexts: [TLSContexts], logger: Logger) {
    task = Task {
      guard !contexts.isEmpty else { return }
      await FileWatch.run { for each in contexts { Self.look(each, logger) } }
    }
  }

  /// One check of the files, which reports its result if there is one.
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
