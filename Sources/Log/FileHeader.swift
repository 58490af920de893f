// The first 4096 bytes of every file of a shard's log: its owner, and the durable position when it
// was created.
//
//   header = magic:"RINGLOG\n" format:u32 kind:u32 lineage:u64,u64 directory:u64 life:u64 epoch:u64
//            position:u64 committed:u64 newestPass:u64 seedDigest:u64
//            clusterLength:u16 cluster shardLength:u16 shard zeros  crc:u32 (of the 4092 before it)
//
// newestPass is 0 if there is none, else the begin of the pass plus one. Pure; any thread.

package struct FileHeader: Equatable, Sendable {
  package enum Kind: UInt32, Sendable {
    case log = 1
    case pass = 2
  }

  package static let byteCount = 4096
  /// Longest name of a cluster or shard.
  package static let nameBytesMax = 1024
  /// The format that this version writes, and the newest one that it reads.
  package static let formatNewest: UInt32 = 1

  private static let magic: [UInt8] = Array("RINGLOG\n".utf8)
  private static let checksumOffset = 4092

  package var kind: Kind
  package var lineage: Lineage
  /// 64 random bits, made with the directory.
  package var directory: UInt64
  package var cluster: String
  package var shard: String
  /// Tells whether the cluster's hash seed is the one that passes are ordered by; the seed is
  /// secret.
  package var seedDigest: UInt64
  package var life: UInt64
  package var epoch: UInt64
  /// For a log file: of its first batch. For a pass: its begin.
  package var position: LogPosition
  /// The position that was known to be durable.
  package var committed: LogPosition
  /// Where the newest complete pass begins.
  package var newestPass: LogPosition?

  package init(
    kind: Kind, lineage: Lineage, directory: UInt64, cluster: String, shard: String,
    seedDigest: UInt64, life: UInt64, epoch: UInt64 = 0, position: LogPosition,
    committed: LogPosition, newestPass: LogPosition? = nil
  ) {
    self.kind = kind
    self.lineage = lineage
    self.directory = directory
    self.cluster = cluster
    self.shard = shard
    self.seedDigest = seedDigest
    self.life = life
    self.epoch = epoch
    self.position = position
    self.committed = committed
    self.newestPass = newestPass
  }

  /// Of the first batch in the file. Those of a pass count from 2^63 on, so that batches of a pass
  /// and of the log never pass for each other.
  package var firstPosition: LogPosition { kind == .log ? position : position | 1 << 63 }

  package var identity: LogIdentity { LogIdentity(lineage: lineage, life: life) }

  /// Names are at most `nameBytesMax` bytes long.
  package func encode() -> [UInt8] {
    precondition(cluster.utf8.count <= Self.nameBytesMax && shard.utf8.count <= Self.nameBytesMax)
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.withUnsafeMutableBytes { bytes in
      let start = bytes.baseAddress.unsafelyUnwrapped
      var writer = ByteWriter(start)
      Self.magic.withUnsafeBytes { writer.writeBytes($0) }
      writer.write(Self.formatNewest)
      writer.write(kind.rawValue)
      let numbers = [
        lineage.high, lineage.low, directory, life, epoch, position, committed,
        newestPass.map { $0 &+ 1 } ?? 0, seedDigest,
      ]
      for number in numbers { writer.write(number) }
      for name in [cluster, shard] {
        let name = Array(name.utf8)
        writer.write(UInt16(name.count))
        name.withUnsafeBytes { writer.writeBytes($0) }
      }
      let covered = UnsafeRawBufferPointer(start: start, count: Self.checksumOffset)
      var last = ByteWriter(start + Self.checksumOffset)
      last.write(Checksum.extend(0, covered))
    }
    return bytes
  }

  package enum Defect: Error, Equatable, Sendable {
    /// Fewer than 4096 bytes, or all of them 0: it was never written whole.
    case unwritten
    /// It doesn't begin as a file of ours does.
    case foreign
    case wrongChecksum
    /// Of a newer version.
    case newerFormat(UInt32)
    /// The checksum is right and a field can't be.
    case badField
  }

  /// Reads the header that `bytes` begin with.
  package init(decoding bytes: UnsafeRawBufferPointer) throws(Defect) {
    guard bytes.count >= Self.byteCount else { throw .unwritten }
    let header = UnsafeRawBufferPointer(rebasing: bytes[..<Self.byteCount])
    guard header.contains(where: { $0 != 0 }) else { throw .unwritten }
    guard header.starts(with: Self.magic) else { throw .foreign }
    let covered = UnsafeRawBufferPointer(rebasing: header[..<Self.checksumOffset])
    let checksum = UInt32(
      littleEndian: header.loadUnaligned(fromByteOffset: Self.checksumOffset, as: UInt32.self))
    guard checksum == Checksum.extend(0, covered) else { throw .wrongChecksum }
    let format = UInt32(
      littleEndian: header.loadUnaligned(fromByteOffset: Self.magic.count, as: UInt32.self))
    guard format <= Self.formatNewest else { throw .newerFormat(format) }
    let fields = UnsafeRawBufferPointer(rebasing: covered[(Self.magic.count + 4)...])
    do throws(LogDefect) {
      self = try Self.read(ByteReader(fields))
    } catch {
      throw .badField
    }
    guard format >= 1 else { throw .badField }
  }

  private static func read(_ fields: ByteReader) throws(LogDefect) -> FileHeader {
    var reader = fields
    guard let kind = Kind(rawValue: try reader.read(UInt32.self)) else { throw .badField }
    let lineage = Lineage(high: try reader.read(UInt64.self), low: try reader.read(UInt64.self))
    let directory = try reader.read(UInt64.self)
    let life = try reader.read(UInt64.self)
    let epoch = try reader.read(UInt64.self)
    let position = try reader.read(UInt64.self)
    let committed = try reader.read(UInt64.self)
    let newestPass = try reader.read(UInt64.self)
    let seedDigest = try reader.read(UInt64.self)
    let cluster = try name(&reader)
    let shard = try name(&reader)
    return FileHeader(
      kind: kind, lineage: lineage, directory: directory, cluster: cluster, shard: shard,
      seedDigest: seedDigest, life: life, epoch: epoch, position: position, committed: committed,
      newestPass: newestPass == 0 ? nil : newestPass - 1)
  }

  private static func name(_ reader: inout ByteReader) throws(LogDefect) -> String {
    let count = Int(try reader.read(UInt16.self))
    guard count <= nameBytesMax else { throw .badField }
    return String(decoding: try reader.readBytes(count), as: UTF8.self)
  }
}
