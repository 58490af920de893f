// What is fuzzed: the readers of what peers send and of what lies in files, each with a check of
// one input and with inputs to begin from. libFuzzer runs them (Tests/Fuzzing/Program), and the
// suite does with the seeds, the kept inputs and what was found once (Tests/FuzzingTests). Values;
// any thread.

import NodeCore

package struct FuzzReader: Sendable {
  package let name: String
  /// Inputs that are worth changing: a beginning for libFuzzer, which would have to find the
  /// grammar by itself otherwise.
  package let seeds: [[UInt8]]
  /// How many inputs that are made up a run of the tests tries: fewer where one takes long.
  package var triesInTests = 2_000
  /// - Throws: a contradiction. Traps are findings as well.
  package let check: @Sendable (UnsafeRawBufferPointer) throws -> Void

  package static let all = [
    lines, wire, frames, log, replay, session, calls, replies, fields, gzip, users, credentials,
    handshake, routers, shards, traces, admin,
  ]
}

/// What must not be.
package struct Finding: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}

/// Ways to split bytes: byte by byte, in two at a place, and at random. All of it comes from the
/// input, so that it behaves the same whenever it is run.
enum Splits {
  static func pieces(
    of bytes: UnsafeRawBufferPointer, seed: UInt8, at place: UInt8
  ) -> [[UnsafeRawBufferPointer]] {
    let middle = min(Int(place), bytes.count)
    return [
      bytes.indices.map { UnsafeRawBufferPointer(rebasing: bytes[$0...$0]) },
      [
        UnsafeRawBufferPointer(rebasing: bytes[..<middle]),
        UnsafeRawBufferPointer(rebasing: bytes[middle...]),
      ],
      random(bytes, seed: seed),
    ]
  }

  private static func random(
    _ bytes: UnsafeRawBufferPointer, seed: UInt8
  ) -> [UnsafeRawBufferPointer] {
    var random = SplitMix64(seed: UInt64(seed))
    // From a few large pieces to many small ones.
    let most = [3, 10, 40, 300][Int(seed % 4)]
    var pieces: [UnsafeRawBufferPointer] = []
    var place = 0
    while place < bytes.count {
      let end = min(place + Int.random(in: 0...most, using: &random), bytes.count)
      pieces.append(UnsafeRawBufferPointer(rebasing: bytes[place..<end]))
      place = end
    }
    return pieces
  }
}
