// `traceparent` and `tracestate`, with the cases of the W3C's test suite, and their form on links.

import Testing
import Tracing

@Suite struct TraceContextTests {
  private static let parent = "00-12345678901234567890123456789012-1234567890123456-01"

  @Test func aTraceparentIsReadAndWrittenAsTheSame() throws {
    let context = try #require(TraceContext(text: Self.parent))
    #expect(context.traceID == TraceID(high: 0x1234_5678_9012_3456, low: 0x7890_1234_5678_9012))
    #expect(context.spanID == 0x1234_5678_9012_3456)
    #expect(context.isSampled)
    #expect(context.traceparent == Self.parent)
    let small = TraceContext(traceID: TraceID(high: 0, low: 7), spanID: 9, flags: 0)
    #expect(small.traceparent == "00-00000000000000000000000000000007-0000000000000009-00")
    #expect(TraceContext(text: small.traceparent) == small)
  }

  @Test(arguments: [
    // traceparent_version_0xff, _illegal_characters, _too_short, _too_long
    "ff-12345678901234567890123456789012-1234567890123456-01",
    ".0-12345678901234567890123456789012-1234567890123456-01",
    "0.-12345678901234567890123456789012-1234567890123456-01",
    "000-12345678901234567890123456789012-1234567890123456-01",
    "0-12345678901234567890123456789012-1234567890123456-01",
    "0000-12345678901234567890123456789012-1234567890123456-01",
    // traceparent_trace_id_all_zero, _illegal_characters, _too_long, _too_short
    "00-00000000000000000000000000000000-1234567890123456-01",
    "00-.2345678901234567890123456789012-1234567890123456-01",
    "00-1234567890123456789012345678901.-1234567890123456-01",
    "00-123456789012345678901234567890123-1234567890123456-01",
    "00-1234567890123456789012345678901-1234567890123456-01",
    // traceparent_parent_id_all_zero, _illegal_characters, _too_long, _too_short
    "00-12345678901234567890123456789012-0000000000000000-01",
    "00-12345678901234567890123456789012-.234567890123456-01",
    "00-12345678901234567890123456789012-123456789012345.-01",
    "00-12345678901234567890123456789012-12345678901234567-01",
    "00-12345678901234567890123456789012-123456789012345-01",
    // traceparent_trace_flags_illegal_characters, _too_long, _too_short
    "00-12345678901234567890123456789012-1234567890123456-.0",
    "00-12345678901234567890123456789012-1234567890123456-0.",
    "00-12345678901234567890123456789012-1234567890123456-001",
    "00-12345678901234567890123456789012-1234567890123456-1",
    // Upper case, version 00 with further fields, other separators, no text.
    "00-ABCDEF78901234567890123456789012-1234567890123456-01",
    "00-12345678901234567890123456789012-1234567890123456-01-what-the-future",
    "00-12345678901234567890123456789012-1234567890123456-01.",
    "00_12345678901234567890123456789012_1234567890123456_01",
    " 00-12345678901234567890123456789012-1234567890123456-01", "", "00", "-",
  ])
  func aMalformedTraceparentIsNotAccepted(text: String) {
    #expect(TraceContext(text: text) == nil)
  }

  @Test(arguments: [
    "cc-12345678901234567890123456789012-1234567890123456-01",
    "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
  ])
  func ofALaterVersionTheFieldsOfThisOneAreRead(text: String) {
    let context = TraceContext(text: text)
    #expect(context?.isSampled == true)
    #expect(context?.traceparent == Self.parent)
  }

  @Test func aLaterVersionWithoutAHyphenAfterTheFlagsIsMalformed() {
    let text = "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future"
    #expect(TraceContext(text: text) == nil)
  }

  @Test func unknownFlagsAreNotPassedOn() throws {
    let context = try #require(
      TraceContext(text: "00-12345678901234567890123456789012-1234567890123456-ff"))
    #expect(context.flags == 0b11)
    let unsampled = TraceContext(text: "00-12345678901234567890123456789012-1234567890123456-fe")
    #expect(unsampled?.isSampled == false)
  }

  @Test func aTracestateIsPassedOnItsFieldsJoinedALongOrAMalformedOneIsNot() {
    #expect(TraceContext.state(["foo=1,bar=2"]) == "foo=1,bar=2")
    #expect(TraceContext.state(["foo=1", "", "bar=2 "]) == "foo=1,bar=2 ")
    #expect(TraceContext.state([String]()) == "")
    let longest = "k=" + String(repeating: "v", count: TraceContext.stateBytesMax - 2)
    #expect(TraceContext.state([longest]) == longest)
    #expect(TraceContext.state([longest + "v"]) == "")
    #expect(TraceContext.state(["k=\u{e4}"]) == "")
    #expect(TraceContext.state(["k=\u{1}"]) == "")
  }

  @Test func onLinksAContextIs25BytesAndItsTracestate() throws {
    let context = try #require(TraceContext(text: Self.parent, state: "foo=1"))
    let bytes = context.encoded
    #expect(bytes.count == 30)
    #expect(bytes.prefix(3) == [0x12, 0x34, 0x56] && bytes[24] == 1)
    #expect(TraceContext.decoded(bytes) == context)
    #expect(TraceContext.decoded(Array(bytes.prefix(25)))?.state == "")
  }

  @Test func aMalformedContextFromALinkIsNotAccepted() throws {
    let bytes = try #require(TraceContext(text: Self.parent)).encoded
    #expect(TraceContext.decoded([]) == nil)
    #expect(TraceContext.decoded(Array(bytes.prefix(24))) == nil)
    #expect(TraceContext.decoded([UInt8](repeating: 0, count: 25)) == nil)
    var noSpan = bytes
    noSpan.replaceSubrange(16..<24, with: repeatElement(0, count: 8))
    #expect(TraceContext.decoded(noSpan) == nil)
    #expect(TraceContext.decoded(bytes + [0xff]) == nil)
    let long = [UInt8](repeating: UInt8(ascii: "a"), count: TraceContext.stateBytesMax)
    #expect(TraceContext.decoded(bytes + long) != nil)
    #expect(TraceContext.decoded(bytes + long + long) == nil)
  }
}
