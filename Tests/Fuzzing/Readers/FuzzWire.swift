// The codec of messages and frames: the first byte chooses a message, the rest is read as that by
// our reader and by SwiftProtobuf, who must take it for the same or refuse it both; what was read
// is written and read again. And every reader reads the rest, whatever it is: AddressSanitizer
// tells where one reaches past its end.

import CodecReadings
import NIOCore
import NodeCore
import RingstoreAPI

extension FuzzReader {
  package static let wire = FuzzReader(name: "wire", seeds: wireSeeds) { input in
    guard let first = input.first else { return }
    // A copy of its own: exactly these bytes, with nothing readable behind them.
    let message = Array(input.dropFirst())
    let pair = TwoReaders.all[Int(first) % TwoReaders.all.count]
    if let contradiction = pair.contradiction(in: message) { throw Finding(contradiction) }
    // Details of errors are read out of two messages within others.
    _ = message.withUnsafeBytes { CallError(code: .unknown, message: "", details: $0) }
  }

  /// Messages of every kind, as a peer might write them.
  private static let wireSeeds: [[UInt8]] = {
    var soup = MessageSoup(random: SplitMix64(seed: 4))
    var seeds: [[UInt8]] = []
    for (index, pair) in TwoReaders.all.enumerated() {
      for _ in 0..<6 { seeds.append([UInt8(index)] + soup.message(pair.schema)) }
    }
    return seeds + detailSeeds
  }()

  /// Details of errors: types in text, which random input doesn't find.
  private static var detailSeeds: [[UInt8]] {
    guard let choice = TwoReaders.all.firstIndex(where: { $0.name == GoogleRPC.Status.name }) else {
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
