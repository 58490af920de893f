// The messages of the older services: text that is none, and replies as their clients read them.
// How requests are read is compared with SwiftProtobuf in CodecAgreementTests.

import CodecReadings
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@Suite struct OlderCodecTests {
  private func failure(_ bytes: [UInt8]) -> WireError? {
    bytes.withUnsafeBytes { message in
      do throws(WireError) {
        _ = try OlderKeyView(message)
        return nil
      } catch {
        return error
      }
    }
  }

  @Test(
    arguments: [
      [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
      [0x61, 0x80],
    ] as [[UInt8]])
  func `a key that is not UTF-8 makes the request none`(_ text: [UInt8]) {
    #expect(failure([0x0a, UInt8(text.count)] + text) == .textIsNotUTF8)
  }

  @Test func `a message cut short anywhere but between fields is refused`() {
    let whole = written { buffer in
      let key = Array("schlüssel".utf8)
      key.withUnsafeBytes { buffer.writeOlderDequeHead(key: $0) }
      key.withUnsafeBytes { buffer.writeOlderDequeElement($0) }
    }
    // A Deque's fields are those of KeyValue, but for the second one's message.
    for length in 1..<whole.count where length != 14 {
      #expect(failure(Array(whole.prefix(length))) == .truncated, "\(length) bytes")
    }
  }

  @Test func `text is what SwiftProtobuf and the standard library take for UTF-8`() {
    var random = SplitMix64(seed: testSeed)
    for _ in 0..<5_000 {
      var bytes = Array(
        String(
          (0..<4).map { _ in
            Character(Unicode.Scalar(UInt32.random(in: 0...0x10ffff, using: &random)) ?? "x")
          }
        ).utf8)
      if random.chance(1, in: 2), let place = bytes.indices.randomElement(using: &random) {
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      let isText = String(validating: bytes, as: UTF8.self) != nil
      #expect(
        bytes.withUnsafeBytes { UTF8Text.isValid($0) } == isText,
        "seed \(testSeed), bytes \(hex(bytes))")
    }
    #expect(UTF8Text.isValid(noBytes))
  }

  // MARK: - Replies

  @Test(arguments: [nil, 0, 1, -1, .min, .max] as [Int32?])
  func `a number is told with whether it was found`(_ number: Int32?) throws {
    let reply = try Older_GetResponse(
      serializedBytes: written { $0.writeOlderGetResponse(number) })
    #expect(reply.found == (number != nil) && reply.value == number ?? 0)
  }

  @Test func `a status and a success are told`() throws {
    let status = try Older_Status(serializedBytes: written { $0.writeOlderStatus("integer (3)") })
    #expect(status.result == "integer (3)")
    for success in [true, false] {
      let reply = try Older_SetResponse(
        serializedBytes: written { $0.writeOlderSetResponse(success: success) })
      #expect(reply.success == success)
    }
  }

  @Test func `no value is a member of the oneof that is set, and true`() throws {
    let reply = try Older_ResponseVal(serializedBytes: written { $0.writeOlderNoValue() })
    #expect(reply.res == .noval(true))
  }

  @Test(arguments: ["", "x", "wörter", String(repeating: "long", count: 100)])
  func `a value is a member of the oneof even where it is empty`(_ text: String) throws {
    let reply = try Older_ResponseVal(
      serializedBytes: written { buffer in
        Array(text.utf8).withUnsafeBytes { buffer.writeOlderValue($0) }
      })
    #expect(reply.res == .value(.with { $0.valueName = text }))
  }

  @Test(arguments: [[], [""], ["a", "", "ü"]] as [[String]])
  func `a deque has its key and every element`(_ elements: [String]) throws {
    let reply = try Older_Deque(
      serializedBytes: written { buffer in
        Array("key".utf8).withUnsafeBytes { buffer.writeOlderDequeHead(key: $0) }
        for element in elements {
          Array(element.utf8).withUnsafeBytes { buffer.writeOlderDequeElement($0) }
        }
      })
    #expect(reply.keyName.keyName == "key" && reply.hasKeyName && reply.data == elements)
  }
}
