// The readable content of the part of a log that will be cut off: valid batches, at any place among
// damaged bytes. One thread.

internal import Log

struct CutContents {
  private(set) var batches = 0
  private(set) var effects = 0
  /// The greatest version or ceiling of versions.
  private(set) var versionMax: UInt64?

  mutating func read(
    _ file: LogFile, from offset: UInt64, _ directory: LogDirectory
  ) throws(LogRefusal) {
    let bytes = try refusing { () throws(FileError) in
      try FileBytes(file, in: directory, step: 1 << 20, from: offset)
    }
    let position = file.header.firstPosition + (offset - UInt64(FileHeader.byteCount))
    let search = TornSearch(
      identity: file.header.identity, position: position, bytesMax: bytes.bytesLeft)
    let reader = RecordReader()
    var found = CutContents()
    search.onBatch = { found.add($0, reader) }
    while try refusing({ () throws(FileError) in
      try bytes.readPiece { search.feed($0) }
    }) > 0 {}
    batches += found.batches
    effects += found.effects
    note(found.versionMax)
  }

  private mutating func note(_ version: UInt64?) {
    if let version { versionMax = max(versionMax ?? 0, version) }
  }

  private mutating func add(_ batch: Batch, _ reader: RecordReader) {
    batches += 1
    for record in batch.records {
      // An unreadable record is ignored.
      try? reader.forEach(in: record) { part in
        switch part {
        case .effect(let effect):
          effects += 1
          note(effect.version)
        case .state(.versionCeiling(let ceiling)): note(ceiling)
        default: break
        }
      }
    }
  }
}
