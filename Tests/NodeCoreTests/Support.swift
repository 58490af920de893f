// What the tests of this room share: messages as bytes.

import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI

extension RandomNumberGenerator {
  mutating func chance(_ one: Int, in all: Int) -> Bool {
    Int.random(in: 0..<all, using: &self) < one
  }
}

extension ByteBuffer {
  var array: [UInt8] { Array(readableBytesView) }
}

/// A walk's request, as Scan and Keys have it in common.
struct Wish {
  var glob = "*"
  var database: UInt32 = 0
  var pageSize: UInt32 = 0
  var limit: UInt32 = 0
  var token: [UInt8] = []
  var allowPartial = false
  var type = Ringstore_V1_ValueType.none

  var scan: [UInt8] {
    let request = Ringstore_V1_ScanRequest.with {
      $0.pattern.glob = Data(glob.utf8)
      $0.database = database
      $0.pageSize = pageSize
      $0.resumeToken = Data(token)
      $0.allowPartial = allowPartial
      $0.type = type
    }
    return (try? request.serializedBytes()) ?? []
  }

  var keys: [UInt8] {
    let request = Ringstore_V1_KeysRequest.with {
      $0.pattern.glob = Data(glob.utf8)
      $0.database = database
      $0.limit = limit
      $0.pageToken = Data(token)
      $0.allowPartial = allowPartial
    }
    return (try? request.serializedBytes()) ?? []
  }
}
