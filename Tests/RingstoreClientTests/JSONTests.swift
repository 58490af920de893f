// Replies as JSON can be read by any reader of JSON, and no byte is lost.

import Foundation
import RingstoreClient
import Testing
import TextForms
import ringstore

@Suite struct JSONTests {
  private func read(_ value: JSONValue) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(value.text.utf8), options: [.fragmentsAllowed])
  }

  @Test func repliesAreOneValueEach() {
    #expect(ShownReply.ok.json.text == #""OK""#)
    #expect(ShownReply.value(nil).json.text == "null")
    #expect(ShownReply.value([]).json.text == #""""#)
    #expect(ShownReply.integer(.min).json.text == "-9223372036854775808")
    #expect(ShownReply.word("list").json.text == #""list""#)
    #expect(ShownReply.list([.value(nil), .list([.integer(1)])]).json.text == "[null,[1]]")
  }

  @Test func everyTextIsReadBack() throws {
    let text =
      (0...0x2ff).compactMap { Unicode.Scalar($0) }.map { String($0) }.joined() + "\u{10ffff}\""
    #expect(try read(.string(text)) as? String == text)
    #expect(!JSONValue.string(text).text.utf8.contains { $0 < 0x20 })
    let member = try read(.object([.init(text, .array([.bool(true), .number(.nan)]))]))
    #expect((member as? [String: [Any]])?[text]?.count == 2)
  }

  @Test func bytesThatAreNoTextAreBase64() throws {
    #expect(JSONValue.bytes([0xff, 0xfe]).text == #"{"base64":"//4="}"#)
    for length in 1...20 {
      // Never UTF-8: each begins with a byte that only continues.
      let bytes = [0x80] + (1..<length).map { UInt8(truncatingIfNeeded: $0 &* 41) }
      let object = try read(.bytes(bytes)) as? [String: String]
      #expect(object?["base64"].flatMap { Data(base64Encoded: $0) } == Data(bytes))
    }
  }
}

@Suite struct ClusterTableTests {
  @Test(arguments: [
    (0, "0s"), (59, "59s"), (60, "1m 0s"), (3_599, "59m 59s"), (7_500, "2h 5m"),
    (86_400, "1d 0h"), (273_600, "3d 4h"),
  ])
  func timesAreShownInTheirTwoLargestUnits(seconds: Int, text: String) {
    #expect(ClusterTable.uptime(.seconds(seconds)) == text)
  }

  @Test(arguments: [
    (0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_587, "1.5 KiB"),
    (1 << 20, "1.0 MiB"), (3 << 30, "3.0 GiB"), (1 << 43, "8.0 TiB"),
  ])
  func memoryIsShownInUnits(bytes: Int, text: String) {
    #expect(ClusterTable.memory(bytes) == text)
  }
}
