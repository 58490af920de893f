// HTTP/2 frames as bytes, for what no proper client sends.

import NIOCore

/// The bytes of one frame.
func rawFrame(_ type: UInt8, _ flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8] = []) -> [UInt8]
{
  let length = UInt32(payload.count)
  let head: [UInt8] = [
    UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags,
  ]
  return head + withUnsafeBytes(of: stream.bigEndian) { Array($0) } + payload
}

/// A header field that isn't indexed, with a name and a value below 127 bytes.
func rawField(_ name: String, _ value: String) -> [UInt8] {
  [0x10, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)]
    + Array(value.utf8)
}

/// The header block of a gRPC call.
func rawHeaders(_ path: String) -> [UInt8] {
  rawField(":method", "POST") + rawField(":scheme", "http") + rawField(":path", path)
    + rawField(":authority", "test") + rawField("content-type", "application/grpc")
    + rawField("te", "trailers")
}
