// All files of a directory, including faulty ones: for tools. A start reads LogContents, which
// stops at the first fault. Reads headers only, changes nothing.

internal import Log

package struct LogSurvey: Sendable {
  /// A segment or a pass whose header can't be read, or belongs to another file.
  package struct Unreadable: Sendable, Equatable {
    package let name: LogFileName
    package let refusal: LogRefusal
  }

  /// Those with a sound header, ascending.
  package private(set) var segments: [LogFile] = []
  package private(set) var passes: [LogFile] = []
  package private(set) var unreadable: [Unreadable] = []
  /// Unfinished passes and prepared segments, which a start throws away.
  package let leftovers: [LogFileName]
  /// What cuts have laid aside.
  package let aside: [LogFileName]

  package init(of directory: LogDirectory) throws(LogRefusal) {
    let listing = try directory.list()
    leftovers = listing.leftovers
    aside = listing.aside
    for position in listing.segments {
      if let file = try read(.segment(position), .log, directory) { segments.append(file) }
    }
    for position in listing.passes {
      if let file = try read(.pass(position), .pass, directory) { passes.append(file) }
    }
  }

  package var isEmpty: Bool { segments.isEmpty && passes.isEmpty && unreadable.isEmpty }

  private mutating func read(
    _ name: LogFileName, _ kind: FileHeader.Kind, _ directory: LogDirectory
  ) throws(LogRefusal) -> LogFile? {
    do throws(LogRefusal) {
      return try directory.readHeader(name, kind: kind)
    } catch {
      if case .failed(let failure) = error {
        // A shard that runs has removed it meanwhile.
        if failure.isMissing { return nil }
        throw error
      }
      unreadable.append(Unreadable(name: name, refusal: error))
      return nil
    }
  }
}

extension LogDirectory {
  /// Bytes of a file without a header; 0 if it was removed.
  package func size(of name: LogFileName) throws(LogRefusal) -> UInt64 {
    do throws(FileError) {
      let file = OpenFile(try files.open(filePath(name), for: .reading), files)
      return try files.size(file.handle)
    } catch {
      if error.isMissing { return 0 }
      throw .failed(error)
    }
  }
}
