// The file with further header fields for the collector of spans, mostly a token. It is a file,
// not the value of a setting, because a setting is shown: in `ps`, or by the node's administration.
// Read at the start, and before a request if it has changed. Any thread; it blocks as long as the
// disk does.

import Logging
import SmallFiles
import Synchronization
import TraceExport

package final class TraceHeadersFile: Sendable {
  /// Why the file can't be used. It shows nothing of the contents.
  package struct Failure: Error, Sendable, Hashable {
    /// Behind the file's name.
    package let sentence: String
  }

  private struct State {
    var file: WatchedFiles
    var headers: TraceHeaders
  }

  private let path: String
  private let state: Mutex<State>

  /// - Throws: if the file can't be read, or contains anything else.
  package init(_ path: String) throws(Failure) {
    self.path = path
    // Looked at first: a change while it is read is noticed then.
    let file = WatchedFiles([path])
    state = Mutex(State(file: file, headers: try Self.read(path)))
  }

  /// The fields that the file contains now. If it can't be used any more, those from before stay in
  /// force.
  package func current(_ logger: Logger) -> TraceHeaders {
    state.withLock { state in
      guard state.file.look() == .changed else { return state.headers }
      do throws(Failure) {
        state.headers = try Self.read(path)
        logger.notice("the collector's headers were read again", metadata: ["file": "\(path)"])
      } catch {
        logger.error(
          "the collector's headers stay as they are",
          metadata: ["file": "\(path)", "reason": "it \(error.sentence)"])
      }
      return state.headers
    }
  }

  private static func read(_ path: String) throws(Failure) -> TraceHeaders {
    let bytes: [UInt8]
    do throws(SmallFile.Failure) {
      bytes = try SmallFile.read(path, bytesMax: TraceHeaders.textBytesMax)
    } catch {
      throw Failure(sentence: "can't be read: \(error.reason)")
    }
    do throws(TraceHeaders.Malformed) {
      return try TraceHeaders(bytes)
    } catch {
      throw Failure(sentence: "can't be used: \(error.reason)")
    }
  }
}
