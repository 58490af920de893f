// Metadata of a call: the fields of applications in header and trailer blocks. Names are
// lower-case; values of `-bin` names are kept decoded and coded only at the wire. A value, any
// thread.

import TextForms

/// Ordered (name, value) pairs.
package struct Metadata: Sendable, Hashable {
  /// One pair. `value` is decoded if `name` ends in `-bin`, else printable ASCII.
  package struct Entry: Sendable, Hashable {
    package let name: String
    package let value: [UInt8]
    /// The value as text, for names without `-bin`.
    package var text: String { String(decoding: value, as: UTF8.self) }
  }

  package private(set) var entries: [Entry] = []

  package init() {}

  package var isEmpty: Bool { entries.isEmpty }

  /// Adds a text value. Names are lower-cased; leading and trailing blanks of the value are
  /// removed. Returns false, and adds nothing, if the name is reserved, malformed or ends in
  /// `-bin`, or the value holds bytes that a header can't carry.
  @discardableResult
  package mutating func add(_ name: String, _ value: String) -> Bool {
    let lowered = name.lowercased()
    let bytes = Self.trimmed(Array(value.utf8))
    guard Self.isCustomName(lowered), !Self.isBinaryName(lowered),
      bytes.allSatisfy({ $0 >= 0x20 && $0 <= 0x7E })
    else { return false }
    entries.append(Entry(name: lowered, value: bytes))
    return true
  }

  /// Adds bytes under a name that ends in `-bin`. Returns false, and adds nothing, if the name
  /// doesn't, or is reserved or malformed.
  @discardableResult
  package mutating func addBinary(_ name: String, _ value: [UInt8]) -> Bool {
    let lowered = name.lowercased()
    guard Self.isCustomName(lowered), Self.isBinaryName(lowered) else { return false }
    entries.append(Entry(name: lowered, value: value))
    return true
  }

  /// The first value under the name (lower case). O(entries).
  package func first(_ name: String) -> [UInt8]? { entries.first { $0.name == name }?.value }

  /// The first value under the name as text. O(entries).
  package func firstText(_ name: String) -> String? { entries.first { $0.name == name }?.text }

  /// All values under the name, in order. O(entries).
  package func all(_ name: String) -> [[UInt8]] {
    entries.compactMap { $0.name == name ? $0.value : nil }
  }

  // MARK: - The wire

  /// Takes one field of a received block. Pseudo-headers and gRPC's own fields are ignored; the
  /// values of a `-bin` field are split at commas and decoded, and malformed ones dropped.
  package mutating func addReceived(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    let text = String(decoding: name, as: UTF8.self)
    guard !Self.isTransportName(text) else { return }
    guard Self.isBinaryName(text) else {
      entries.append(Entry(name: text, value: Array(value)))
      return
    }
    for part in value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let trimmed = Self.trimmed(Array(part))
      if let decoded = Base64.decode(trimmed) {
        entries.append(Entry(name: text, value: decoded))
      }
    }
  }

  /// Calls `body` with name and coded value of each entry, as they go into a header block.
  package func forEachWireField(
    _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
  ) {
    for entry in entries {
      let value = Self.isBinaryName(entry.name) ? Base64.encode(entry.value) : entry.value
      var name = entry.name
      name.withUTF8 { nameBytes in
        value.withUnsafeBytes { body(UnsafeRawBufferPointer(nameBytes), $0) }
      }
    }
  }

  // MARK: - Names

  private static func isBinaryName(_ name: String) -> Bool { name.hasSuffix("-bin") }

  /// Fields that belong to HTTP/2 and gRPC: never metadata of the application, in or out.
  private static func isTransportName(_ name: String) -> Bool {
    if name.hasPrefix(":") || name.hasPrefix("grpc-") { return true }
    return name == "te" || name == "content-type"
  }

  /// Fields that an application may read but not set: ours, or forbidden by RFC 9113 section 8.2.2.
  private static let unsettable: Set<String> = [
    "user-agent", "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding",
    "upgrade", "content-length", "trailer",
  ]

  private static func isCustomName(_ name: String) -> Bool {
    guard !name.isEmpty, !isTransportName(name), !unsettable.contains(name) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        true
      default: false
      }
    }
  }

  private static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    guard let first = bytes.firstIndex(where: { !isBlank($0) }),
      let last = bytes.lastIndex(where: { !isBlank($0) })
    else { return [] }
    return Array(bytes[first...last])
  }
}
