// Metadata: what an application may set, and what a peer may send.

import TestSeeds
import Testing

@testable import GRPC

@Suite struct MetadataTests {
  private func received(_ fields: [(String, String)]) -> Metadata {
    var metadata = Metadata()
    for (name, value) in fields {
      Array(name.utf8).withUnsafeBytes { nameBytes in
        Array(value.utf8).withUnsafeBytes {
          metadata.addReceived(name: nameBytes, value: $0)
        }
      }
    }
    return metadata
  }

  private func wire(_ metadata: Metadata) -> [(String, String)] {
    var fields: [(String, String)] = []
    metadata.forEachWireField {
      fields.append((String(decoding: $0, as: UTF8.self), String(decoding: $1, as: UTF8.self)))
    }
    return fields
  }

  @Test func namesAreLowerCasedAndOrderIsKept() {
    var metadata = Metadata()
    metadata.add("B", "1")
    metadata.add("a", "2")
    metadata.add("b", "3")
    #expect(metadata.entries.map(\.name) == ["b", "a", "b"])
    #expect(metadata.firstText("b") == "1")
    #expect(metadata.all("b") == [Array("1".utf8), Array("3".utf8)])
    #expect(metadata.first("c") == nil)
  }

  @Test(arguments: [
    "", ":path", "grpc-timeout", "grpc-status", "te", "content-type", "user-agent", "connection",
    "transfer-encoding", "host", "a b", "a\nb", "ä", "a:b", "key-bin",
  ])
  func namesThatAreNotTheApplicationsAreRefused(_ name: String) {
    var metadata = Metadata()
    let isAdded = metadata.add(name, "x")
    #expect(!isAdded)
    #expect(metadata.isEmpty)
  }

  @Test(arguments: ["a\r\nx: y", "zwölf", "\u{0}", "tab\tinside"])
  func valuesThatAHeaderCannotCarryAreRefused(_ value: String) {
    var metadata = Metadata()
    let isAdded = metadata.add("k", value)
    #expect(!isAdded)
    #expect(metadata.isEmpty)
  }

  @Test func blanksAroundAValueGo() {
    var metadata = Metadata()
    let isAdded = metadata.add("k", " \tv w ")
    #expect(isAdded)
    #expect(metadata.firstText("k") == "v w")
  }

  @Test func binaryValuesTravelUnpaddedAndComeBack() {
    var metadata = Metadata()
    let isAdded = metadata.addBinary("Trace-Bin", [0, 255, 10, 13])
    #expect(isAdded)
    let isAddedToo = metadata.addBinary("trace", [1])
    #expect(!isAddedToo)
    let fields = wire(metadata)
    #expect(fields.count == 1)
    #expect(fields[0] == ("trace-bin", "AP8KDQ"))
    #expect(received(fields) == metadata)
    #expect(received([("trace-bin", "AP8KDQ==")]) == metadata)
  }

  @Test func joinedBinaryValuesAreSplitAndMalformedOnesDropped() {
    let metadata = received([("k-bin", "AQ,Ag==, Aw ,!!,")])
    #expect(metadata.all("k-bin") == [[1], [2], [3], []])
  }

  @Test func fieldsOfTheTransportAreNotMetadata() {
    let metadata = received([
      (":path", "/x"), ("grpc-status", "0"), ("content-type", "application/grpc"),
      ("te", "trailers"), ("user-agent", "someone"), ("k", "v"),
    ])
    #expect(metadata.entries.map(\.name) == ["user-agent", "k"])
  }

  @Test func arbitraryBytesFromAPeerNeverTrap() {
    var random = SeededRandom.forTest("metadata")
    var metadata = Metadata()
    for _ in 0..<300 {
      var name = random.bytes(Int.random(in: 0..<12, using: &random))
      if Bool.random(using: &random) { name += Array("-bin".utf8) }
      let value = random.bytes(Int.random(in: 0..<40, using: &random))
      name.withUnsafeBytes { nameBytes in
        value.withUnsafeBytes { metadata.addReceived(name: nameBytes, value: $0) }
      }
    }
    #expect(metadata.entries.allSatisfy { !$0.name.hasPrefix("grpc-") })
  }
}
