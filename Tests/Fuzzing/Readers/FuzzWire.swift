// The codec of messages and frames: the first byte chooses a message, the rest is read as that by
// our reader and by SwiftProtobuf, who must take it for the same or refuse it both; what was read is
// written and read again. And every reader reads the rest, whatever it is: AddressSanitizer tells
// where one reaches past its end.

import CodecReadings
import NIOCore
import NodeCore
import RingstoreAPI

extension FuzzReader {
  package static let wire = FuzzReader(name: "wire", seeds: wireSeeds) { input in
    guard let first = input.first else { return }
    // A copy of its own: exactly these bytes, with nothing readable behind them.
    let message = Array(input.dropFirst())
    let choice = Int(first) % (TwoReaders.all.count + PartReader.all.count)
    let contradiction =
      choice < TwoReaders.all.count
      ? TwoReaders.all[choice].contradiction(in: message)
      : PartReader.all[choice - TwoReaders.all.count].contradiction(in: message)
    if let contradiction { throw Finding(contradiction) }
    try message.withUnsafeBytes { try checkKeys($0) }
  }

  /// A router's look at the key sees what the shard's reader sees, or both see no message.
  private static func checkKeys(_ message: UnsafeRawBufferPointer) throws {
    for shape in RequestShape.allCases where shape != .other {
      let peeked = try? KeyPeek.peek(message, shape: shape)
      let read: (key: UnsafeRawBufferPointer, database: UInt32)? =
        switch shape {
        case .key: (try? KeyView(message)).map { ($0.key, $0.database) }
        case .keyValue: (try? KeyValueView(message)).map { ($0.key, $0.database) }
        case .listInsert: (try? ListInsertView(message)).map { ($0.key, $0.database) }
        case .listRange: (try? ListRangeView(message)).map { ($0.key, $0.database) }
        case .incrBy: (try? IncrByView(message)).map { ($0.key, $0.database) }
        case .other: nil
        }
      let isSame =
        switch (peeked, read) {
        case (nil, nil): true
        case (let peeked?, let read?):
          peeked.key.elementsEqual(read.key) && peeked.database == read.database
        default: false
        }
      if !isSame { throw Finding("a router sees another key than a shard, as \(shape)") }
    }
  }

  /// Messages of every kind, as a peer might write them.
  private static let wireSeeds: [[UInt8]] = {
    var soup = MessageSoup(random: SplitMix64(seed: 4))
    var seeds: [[UInt8]] = []
    for (index, pair) in TwoReaders.all.enumerated() {
      for _ in 0..<6 { seeds.append([UInt8(index)] + soup.message(pair.schema)) }
    }
    for index in PartReader.all.indices {
      let choice = UInt8(TwoReaders.all.count + index)
      for _ in 0..<6 {
        seeds.append([choice] + soup.message(PartReader.schema))
      }
    }
    return seeds + detailSeeds
  }()

  /// Details of errors: types in text, which nobody finds by chance.
  private static var detailSeeds: [[UInt8]] {
    guard let choice = TwoReaders.all.firstIndex(where: { $0.name == "google.rpc.Status" }) else {
      return []
    }
    let errors = [
      CallError(.overloaded, "Wait.", retryDelayMillis: 1_500),
      CallError(.shardUnavailable, "It is away.", shard: "s1", retryDelayMillis: 100),
      CallError(.outcomeUnknown, "Who knows.", shard: "s2"), CallError(.wrongType, "It is a list."),
    ]
    return errors.map { [UInt8(choice)] + $0.details() }
  }
}
