// What the tests of this room share: borrowed bytes as arrays.

import Foundation
import RingstoreAPI

extension UnsafeRawBufferPointer {
  var array: [UInt8] { Array(self) }
}

/// The root of the package: the tests read its .proto files, its docs and its scripts.
let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
