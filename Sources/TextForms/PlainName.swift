// Names that operators choose, of users, shards and clusters: they are written into files and logs
// without quotes. Pure functions; any thread.

package enum PlainName {
  package static let bytesMax = 64
  /// What a name consists of, for messages: "a name has ...", "must be ...".
  package static let form = "1 to \(bytesMax) letters, digits, '-', '_' or '.'"

  package static func isValid(_ text: some Collection<UInt8>) -> Bool {
    (1...bytesMax).contains(text.count)
      && text.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
          UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
