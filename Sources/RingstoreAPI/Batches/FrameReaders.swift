// Walking the messages of a link: RouterFrame (as a shard reads it) and ShardFrame (as a router
// reads it), part by part in the order of the bytes. What a part means is the reader's business.

/// The parts of one RouterFrame.
package struct RouterFrameReader {
  package enum Part {
    /// An encoded Hello, for the generated message.
    case hello(UnsafeRawBufferPointer)
    case call(CallView)
    /// The id of a call whose caller went away.
    case cancel(UInt64)
    case credit(id: UInt64, bytes: UInt64)
    /// The newest clock of the shard that the router had heard, in milliseconds.
    case heard(UInt64)
  }

  private var reader: WireReader
  /// The rest of a packed run of cancels: the ids come as one field or as many.
  private var cancels = WireReader(noBytes)

  package init(_ message: UnsafeRawBufferPointer) {
    reader = WireReader(message)
  }

  /// The next part, or nil at the end. Fields of a newer protocol are skipped.
  package mutating func next() throws(WireError) -> Part? {
    if !cancels.isAtEnd { return .cancel(try cancels.readVarint()) }
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): return .hello(try reader.readBytes())
      case .bytes(2): return .call(try CallView(try reader.readBytes(), carrier: .link))
      case .varint(3): return .cancel(try reader.readVarint())
      case .bytes(3):
        cancels = WireReader(try reader.readBytes())
        if !cancels.isAtEnd { return .cancel(try cancels.readVarint()) }
      case .bytes(4): return try Self.credit(try reader.readBytes())
      case .varint(5): return .heard(try reader.readVarint())
      default: try reader.skip(tag)
      }
    }
    return nil
  }

  private static func credit(_ message: UnsafeRawBufferPointer) throws(WireError) -> Part {
    var (id, bytes): (UInt64, UInt64) = (0, 0)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): id = try reader.readVarint()
      case .varint(2): bytes = try reader.readVarint()
      default: try reader.skip(tag)
      }
    }
    return .credit(id: id, bytes: bytes)
  }
}

/// The parts of one ShardFrame.
package struct ShardFrameReader {
  package enum Part {
    /// An encoded HelloReply, for the generated message.
    case hello(UnsafeRawBufferPointer)
    case reply(ReplyView)
    case draining(Bool)
    /// The shard's clock, in milliseconds.
    case clock(UInt64)
  }

  private var reader: WireReader

  package init(_ message: UnsafeRawBufferPointer) {
    reader = WireReader(message)
  }

  /// The next part, or nil at the end. Fields of a newer protocol are skipped.
  package mutating func next() throws(WireError) -> Part? {
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(1): return .hello(try reader.readBytes())
      case .bytes(2): return .reply(try ReplyView(try reader.readBytes()))
      case .varint(3): return .draining(try reader.readBool())
      case .varint(4): return .clock(try reader.readVarint())
      default: try reader.skip(tag)
      }
    }
    return nil
  }
}
