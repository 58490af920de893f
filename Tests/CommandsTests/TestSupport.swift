// What the tests of this target share.

import Foundation

/// The folder of Package.swift.
let packageRoot = URL(filePath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
