// Records of the shard's own state, in addition to effects. Synced before they take effect.

package enum StateRecord: Equatable, Sendable {
  /// The slot map that the shard has adopted: a message, whose bytes are opaque to the log.
  case slotMap([UInt8])
  /// Reserved for slots that move; bytes that the log doesn't look into. No shard writes it.
  case slotState([UInt8])
  /// Above every assigned version.
  case versionCeiling(UInt64)
  /// A process has begun to write.
  case newLife(life: UInt64, incarnation: UInt64)
  /// A process has stopped, and all that it wrote is durable: the batch's `committed` is its own
  /// position. So what is damaged before it was not left by a crash.
  case cleanStop

  package var type: RecordType {
    switch self {
    case .slotMap: .slotMap
    case .slotState: .slotState
    case .versionCeiling: .versionCeiling
    case .newLife: .newLife
    case .cleanStop: .cleanStop
    }
  }

  var payloadCount: Int {
    switch self {
    case .slotMap(let bytes), .slotState(let bytes): bytes.count
    case .versionCeiling: 8
    case .newLife: 16
    case .cleanStop: 0
    }
  }

  func write(to writer: inout ByteWriter) {
    switch self {
    case .slotMap(let bytes), .slotState(let bytes):
      bytes.withUnsafeBytes { writer.writeBytes($0) }
    case .versionCeiling(let ceiling):
      writer.write(ceiling)
    case .newLife(let life, let incarnation):
      writer.write(life)
      writer.write(incarnation)
    case .cleanStop: break
    }
  }

  /// - Returns: nil if it is not a type of state.
  init?(type: RecordType, payload: UnsafeRawBufferPointer) throws(LogDefect) {
    var reader = ByteReader(payload)
    switch type {
    case .slotMap: self = .slotMap(Array(payload))
    case .slotState: self = .slotState(Array(payload))
    case .versionCeiling:
      self = .versionCeiling(try reader.read(UInt64.self))
      try reader.expectEnd()
    case .newLife:
      self = .newLife(life: try reader.read(UInt64.self), incarnation: try reader.read(UInt64.self))
      try reader.expectEnd()
    case .cleanStop:
      self = .cleanStop
      try reader.expectEnd()
    case .group, .passBegin, .image, .passEnd, .imagePart: return nil
    }
  }
}
