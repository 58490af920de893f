// Tokens of scans.

import Testing

@testable import NodeCore
