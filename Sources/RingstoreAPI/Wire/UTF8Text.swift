// Whether bytes are text, as proto3 has it of `string`: well-formed UTF-8, without surrogates and
// overlong forms. Pure; any thread.

package enum UTF8Text {
  /// O(bytes), and fast for ASCII. Allocates nothing.
  package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.assumingMemoryBound(to: UInt8.self).span)
      return true
    } catch {
      return false
    }
  }
}

extension WireReader {
  /// A `string` field: UTF-8, or the message is malformed.
  package mutating func readText() throws(WireError) -> UnsafeRawBufferPointer {
    let bytes = try readBytes()
    guard UTF8Text.isValid(bytes) else { throw .textIsNotUTF8 }
    return bytes
  }
}
