// What the client accepts as a key, a value or a pattern. Ringstore uses only bytes; text is sent
// as its UTF-8 bytes, and no conversion drops or replaces a byte.

/// Something whose bytes can be sent: `[UInt8]`, a slice of it, or text as UTF-8.
///
/// Other types conform by handing out their bytes; they are copied once.
public protocol RingstoreBytes: Sendable {
  /// The bytes exactly as they are to be stored or looked up.
  var ringstoreBytes: [UInt8] { get }
}

extension Array: RingstoreBytes where Element == UInt8 {
  public var ringstoreBytes: [UInt8] { self }
}

extension ArraySlice: RingstoreBytes where Element == UInt8 {
  public var ringstoreBytes: [UInt8] { Array(self) }
}

extension String: RingstoreBytes {
  public var ringstoreBytes: [UInt8] { Array(utf8) }
}

extension Substring: RingstoreBytes {
  public var ringstoreBytes: [UInt8] { Array(utf8) }
}

extension StaticString: RingstoreBytes {
  public var ringstoreBytes: [UInt8] { withUTF8Buffer { Array($0) } }
}
