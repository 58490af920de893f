// The counters of a StatsResponse, whose only field is a map.

import NIOCore
import RingstoreAPI

extension V1.StatsResponse {
  /// As protobuf has it, the last entry of a name wins.
  package var byName: [String: Int64] {
    var byName: [String: Int64] = [:]
    for entry in counters { byName[String(decoding: entry.key, as: UTF8.self)] = entry.value }
    return byName
  }
}

extension ByteBuffer {
  /// One counter of a StatsResponse. The message has any number of these, each with a different
  /// name.
  package mutating func writeCounter(_ name: String, _ value: Int64) {
    var name = name
    name.withUTF8 { name in
      append(
        V1.StatsResponse.Field.counters,
        V1.StatsResponse.CountersEntry(key: UnsafeRawBufferPointer(name), value: value))
    }
  }
}
