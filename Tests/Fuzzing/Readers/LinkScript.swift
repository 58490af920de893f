// The steps of an input for the readers of links, and the slot maps that they speak of. A byte says
// what happens, and the bytes behind it are its arguments: those that are missing are 0. So most
// changes of an input are another course of events, and few of them end it. Values; any thread.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

struct LinkScript {
  /// The most steps of an input.
  static let stepsMax = 500

  private var rest: Slice<UnsafeRawBufferPointer>
  private var stepsLeft = stepsMax

  init(_ input: UnsafeRawBufferPointer) { rest = input[...] }

  /// What happens next; nil: nothing more.
  mutating func step() -> UInt8? {
    guard stepsLeft > 0 else { return nil }
    stepsLeft -= 1
    return rest.popFirst()
  }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  /// A number that may have any size.
  mutating func number() -> UInt64 {
    let byte = byte()
    return byte < 200 ? UInt64(byte) : UInt64.max >> UInt64(byte - 200)
  }

  /// As many bytes as the first one says.
  mutating func bytes() -> [UInt8] {
    let count = Int(byte())
    let taken = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    return taken
  }
}

enum LinkMaps {
  static let ids = ["a", "b"]
  static let cluster = "fuzz"

  /// Maps of one, two or three shards, with any epoch.
  static func map(_ choice: UInt8) -> SlotMap? {
    let shards = (ids + ["c"]).prefix(1 + Int(choice & 3) % 3).map {
      ShardDescription(id: $0, address: "h:\(1 + choice >> 7)", weight: 1)
    }
    guard let first = try? SlotMap.initial(shards) else { return nil }
    let epoch = UInt64(choice >> 2 & 15)
    return try? SlotMap(epoch: epoch, shards: first.shards, ranges: first.ranges)
  }

  static func append(_ map: SlotMap?, as field: BytesField, to buffer: inout ByteBuffer) {
    guard let map else { return }
    SlotMapMessage.write(map, LineageRecords(), as: field, into: &buffer)
  }
}

/// Bytes that a step's argument can be.
extension [UInt8] {
  /// Behind their count.
  var counted: [UInt8] { [UInt8(clamping: count)] + prefix(255) }

  /// A field with bytes, as protobuf writes it.
  static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    [number << 3 | 2, UInt8(clamping: bytes.count)] + bytes.prefix(127)
  }
}
