// One file of a log, read separately from its first batch to the last complete one: its content in
// numbers, and its end. Nothing is replayed.

package import Log

package struct FileScan: Sendable {
  /// Records of one type.
  package struct Count: Sendable, Equatable {
    package var records = 0
    /// Of their payloads.
    package var bytes: UInt64 = 0
  }

  /// The end record of a complete pass.
  package struct PassEnd: Sendable, Equatable {
    package let lastAsOf: LogPosition
    package let images: UInt64
    package let keys: UInt64
  }

  /// A record that can't be read, in a batch with a right checksum.
  package struct Defect: Sendable, Equatable {
    package let offset: UInt64
    package let defect: LogDefect
  }

  package let file: LogFile
  package private(set) var batches = 0
  package private(set) var effects = 0
  /// By type.
  package private(set) var records: [UInt8: Count] = [:]
  /// Of heads of batches and of records.
  package private(set) var headBytes: UInt64 = 0
  /// The position after the last complete batch; without one, the first position of the file.
  package private(set) var end: LogPosition
  /// The greatest durable position in the header and the batches.
  package private(set) var committed: LogPosition
  /// Why no batch follows; nil: nothing was written from there on.
  package private(set) var fault: BatchFault?
  /// The first one.
  package private(set) var defect: Defect?
  package private(set) var passEnd: PassEnd?

  /// - Parameter onBatch: gets each batch, valid until it returns.
  package init(
    _ file: LogFile, in directory: LogDirectory, onBatch: (Batch) -> Void = { _ in }
  ) throws(LogRefusal) {
    self.file = file
    end = file.header.firstPosition
    committed = file.header.committed
    let batches = try refusing { () throws(FileError) in
      try FileBatches(file, in: directory, step: 1 << 20)
    }
    let reader = RecordReader()
    reading: while true {
      switch try refusing({ () throws(FileError) in try batches.next() }) {
      case .read: continue
      case .end(let fault):
        self.fault = fault
        break reading
      case .batch(let batch):
        add(batch, reader)
        onBatch(batch)
      }
    }
  }

  /// The offset of the end of the last complete batch.
  package var offset: UInt64 { file.offset(of: end) }

  /// Of its batches.
  package var batchBytes: UInt64 { end - file.header.firstPosition }

  private mutating func add(_ batch: Batch, _ reader: RecordReader) {
    batches += 1
    committed = max(committed, batch.committed)
    headBytes += UInt64(BatchFormat.headerBytes)
    for record in batch.records {
      headBytes += UInt64(BatchFormat.recordHeaderBytes)
      records[record.type, default: Count()].records += 1
      records[record.type, default: Count()].bytes += UInt64(record.payload.count)
      do throws(LogDefect) {
        try reader.forEach(in: record) { part in
          switch part {
          case .effect: effects += 1
          case .passEnd(let lastAsOf, let images, let keys):
            passEnd = PassEnd(lastAsOf: lastAsOf, images: images, keys: keys)
          default: break
          }
        }
      } catch {
        if defect == nil { defect = Defect(offset: file.offset(of: batch.position), defect: error) }
      }
    }
    end = batch.end
  }
}
