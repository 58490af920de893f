// The messages of the legacy services: text that is none, and replies as their clients read them.
// How requests are read is compared with SwiftProtobuf in CodecAgreementTests.

import CodecReadings
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct LegacyCodecTests {
  private func failure(_ bytes: [UInt8]) -> WireError? {
    bytes.withUnsafeBytes { message in
      do throws(WireError) {
        _ = try Legacy.Key(message)
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
  func aKeyThatIsNotUTF8MakesTheRequestNone(_ text: [UInt8]) {
    #expect(failure([0x0a, UInt8(text.count)] + text) == .textIsNotUTF8)
  }

  @Test func aMessageCutShortAnywhereButBetweenFieldsIsRefused() {
    let whole = deque(key: "schlüssel", ["schlüssel"])
    // A Deque's fields are those of KeyValue, but for the second one's message.
    for length in 1..<whole.count where length != 14 {
      #expect(failure(Array(whole.prefix(length))) == .truncated, "\(length) bytes")
    }
  }

  @Test func textIsWhatSwiftProtobufAndTheStandardLibraryTakeForUTF8() {
    var random = SplitMix64(seed: TestSeed.value)
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
        "seed \(TestSeed.value), bytes \(hex(bytes))")
    }
    #expect(UTF8Text.isValid(noBytes))
  }

  // MARK: - Replies

  private func deque(key: String, _ elements: [String]) -> [UInt8] {
    written { buffer in
      Array(key.utf8).withUnsafeBytes {
        Legacy.Deque(keyName: Legacy.Key(keyName: $0)).write(into: &buffer)
      }
      for element in elements {
        Array(element.utf8).withUnsafeBytes { buffer.append(Legacy.Deque.Field.data, $0) }
      }
    }
  }

  @Test func noValueIsAMemberOfTheOneofThatIsSetAndTrue() throws {
    let reply = try Legacy_ResponseVal(
      serializedBytes: written { Legacy.ResponseVal(res: .noval(true)).write(into: &$0) })
    #expect(reply.res == .noval(true))
  }

  @Test(arguments: ["", "x", "wörter", String(repeating: "long", count: 100)])
  func aValueIsAMemberOfTheOneofEvenWhereItIsEmpty(_ text: String) throws {
    let reply = try Legacy_ResponseVal(
      serializedBytes: written { buffer in
        Array(text.utf8).withUnsafeBytes {
          Legacy.ResponseVal(res: .value(Legacy.Value(valueName: $0))).write(into: &buffer)
        }
      })
    #expect(reply.res == .value(.with { $0.valueName = text }))
  }

  @Test(arguments: [[], [""], ["a", "", "ü"]] as [[String]])
  func aDequeHasItsKeyAndEveryElement(_ elements: [String]) throws {
    let reply = try Legacy_Deque(serializedBytes: deque(key: "key", elements))
    #expect(reply.keyName.keyName == "key" && reply.hasKeyName && reply.data == elements)
  }
}
