// One file of a backup, read from front to end: batch by batch, with its checksum computed
// meanwhile and compared with the manifest's at the end. One thread; its calls block.

internal import Log
internal import LogFiles

final class BackupFileReader {
  private static let stepBytes = 1 << 20

  let path: String
  private let file: BackupManifest.File
  private let kind: CopyFile
  private let handle: FileHandle
  private let files: any FileSystem
  private var reader: BatchReader?
  private var buffer = [UInt8](repeating: 0, count: BackupFileReader.stepBytes)
  private var offset: UInt64 = 0
  private var checksum: UInt32 = 0
  private(set) var bytesRead: UInt64 = 0

  init(
    _ file: BackupManifest.File, _ kind: CopyFile, in directory: String, _ files: any FileSystem
  ) throws(BackupFault) {
    self.file = file
    self.kind = kind
    self.files = files
    path = BackupFiles.path(directory, file.name)
    do throws(FileError) {
      handle = try files.open(path, for: .reading)
    } catch {
      throw BackupFault(path, .failed(error))
    }
    let size: UInt64
    do throws(FileError) {
      size = try files.size(handle)
    } catch {
      throw BackupFault(path, .failed(error))
    }
    guard size == file.size else {
      throw BackupFault(path, .otherSize(found: size, wanted: file.size))
    }
  }

  deinit { files.close(handle) }

  /// The next batch, valid until the next call; nil: the file ends here, and matches the manifest.
  func next() throws(BackupFault) -> Batch? {
    if reader == nil { reader = try begin() }
    guard let reader else { return nil }
    while true {
      switch reader.next() {
      case .batch(let batch): return batch
      case .needsMore:
        let count = try read()
        if count == 0 { reader.finish() }
      case .endOfLog:
        // What was not read yet counts for the checksum.
        while try read() > 0 {}
        guard reader.unread.isEmpty, reader.position == end else {
          throw BackupFault(path, .damaged)
        }
        guard checksum == file.checksum else { throw BackupFault(path, .otherChecksum) }
        return nil
      case .bad: throw BackupFault(path, .damaged)
      }
    }
  }

  /// Begins again.
  func rewind() throws(BackupFault) {
    reader = nil
    (offset, checksum) = (0, 0)
  }

  /// The end of the last batch, if the file holds nothing else.
  private var end: UInt64 {
    (kind == .pass ? 1 << 63 : 0) + file.size - UInt64(FileHeader.byteCount)
  }

  private func begin() throws(BackupFault) -> BatchReader {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try files.read(handle, count: FileHeader.byteCount, at: 0)
    } catch {
      throw BackupFault(path, .failed(error))
    }
    let decoded = bytes.withUnsafeBytes { bytes in
      Result { () throws(FileHeader.Defect) in try FileHeader(decoding: bytes) }
    }
    let header: FileHeader
    switch decoded {
    case .success(let found): header = found
    case .failure(.newerFormat): throw BackupFault(path, .newerFormat)
    case .failure: throw BackupFault(path, .damaged)
    }
    guard header.kind == (kind == .pass ? .pass : .log), header.position == 0 else {
      throw BackupFault(path, .damaged)
    }
    checksum = bytes.withUnsafeBytes { Checksum.extend(0, $0) }
    offset = UInt64(bytes.count)
    bytesRead += offset
    return BatchReader(
      identity: header.identity, position: header.firstPosition, bytesMax: file.size - offset)
  }

  /// Feeds the next bytes. Returns how many there were.
  private func read() throws(BackupFault) -> Int {
    let read = buffer.withUnsafeMutableBytes { buffer in
      Result { () throws(FileError) in try files.read(handle, into: buffer, at: offset) }
    }
    let count: Int
    do throws(FileError) {
      count = try read.get()
    } catch {
      throw BackupFault(path, .failed(error))
    }
    buffer.withUnsafeBytes { buffer in
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      checksum = Checksum.extend(checksum, bytes)
      reader?.feed(bytes)
    }
    offset += UInt64(count)
    bytesRead += UInt64(count)
    return count
  }
}
