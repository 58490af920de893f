// What the tests of this room share: the seed of random tests, and borrowed bytes as arrays.

import Foundation
import RingstoreAPI

/// The seed of this run's random tests. A failure prints it; RINGSTORE_TEST_SEED brings it back.
let testSeed: UInt64 =
  ProcessInfo.processInfo.environment["RINGSTORE_TEST_SEED"].flatMap { UInt64($0) }
  ?? UInt64.random(in: 0...UInt64(UInt32.max))

extension UnsafeRawBufferPointer {
  var array: [UInt8] { Array(self) }
}

/// The root of the package: the tests read its .proto files, its docs and its scripts.
let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
