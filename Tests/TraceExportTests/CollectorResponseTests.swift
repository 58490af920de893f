// What is read from a collector's response.

import NIOCore
import NIOHTTP1
import Testing

@testable import TraceExport

@Suite struct CollectorResponseTests {
  private func response(
    _ status: Int = 200, retryAfter: String? = nil, _ parts: String...
  ) -> CollectorResponse {
    var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
    if let retryAfter { head.headers.add(name: "retry-after", value: retryAfter) }
    var response = CollectorResponse(head)
    for part in parts {
      let isRead = response.append(ByteBuffer(string: part))
      #expect(isRead)
    }
    return response
  }

  @Test func theStatusesThatOTLPNamesAreTemporaryOthersAreNot() {
    #expect([429, 502, 503, 504].allSatisfy { response($0).isTemporary })
    #expect([200, 204, 400, 401, 404, 413, 500, 501].allSatisfy { !response($0).isTemporary })
    #expect([200, 202, 204].allSatisfy { response($0).isSuccess })
    #expect([100, 301, 400, 503].allSatisfy { !response($0).isSuccess })
  }

  @Test(
    arguments: [
      ("7", 7), ("0", 0), ("-1", 0), ("99999999", CollectorResponse.pauseSecondsMax), (nil, nil),
      ("", nil), ("soon", nil), ("1.5", nil), ("99999999999999999999", nil),
      ("Fri, 31 Dec 1999 23:59:59 GMT", nil),
    ] as [(String?, Int?)])
  func aRequestedPauseIsANumberOfSecondsWithinALimit(text: String?, seconds: Int?) {
    #expect(response(503, retryAfter: text).pauseSeconds == seconds)
  }

  @Test(arguments: [
    (#""3""#, 3), ("3", 3), (#""99999""#, 10), ("9223372036854775807", 10),
  ])
  func rejectedSpansAreCountedAsTextOrAsANumberUpToThoseOfTheBatch(number: String, count: Int)
    throws
  {
    let response = response(
      200, #"{"partialSuccess": {"rejectedSpans": "#, number, #", "errorMessage": "no room"}}"#)
    let rejected = try #require(response.rejected(of: 10))
    #expect(rejected.spans == count && rejected.message == "no room")
  }

  @Test func aLongMessageIsCut() throws {
    let text = String(repeating: "m", count: 10_000)
    let response = response(
      200, #"{"partialSuccess": {"rejectedSpans": 1, "errorMessage": "\#(text)"}}"#)
    let rejected = try #require(response.rejected(of: 1))
    #expect(rejected.message.count == CollectorResponse.messageCharactersMax)
  }

  @Test(arguments: [
    "", "{}", "null", "[]", "{", "\u{0}\u{1}\u{2}", #"{"partialSuccess": {}}"#,
    #"{"partialSuccess": null}"#, #"{"partialSuccess": {"errorMessage": "a warning"}}"#,
    #"{"partialSuccess": {"rejectedSpans": "0"}}"#, #"{"partialSuccess": {"rejectedSpans": -1}}"#,
    #"{"partialSuccess": {"rejectedSpans": "x"}}"#, #"{"partialSuccess": {"rejectedSpans": []}}"#,
    #"{"partialSuccess": {"rejectedSpans": 99999999999999999999}}"#, "<html>",
  ])
  func otherResponsesHaveRejectedNothing(body: String) {
    #expect(response(200, body).rejected(of: 10) == nil)
  }

  @Test func deeplyNestedJSONIsNoResponse() {
    let response = response(200, String(repeating: "[", count: 60_000))
    #expect(response.rejected(of: 10) == nil)
  }

  @Test func aRefusalHasRejectedNothingWhateverItSays() {
    let body = #"{"partialSuccess": {"rejectedSpans": 1}}"#
    #expect(response(400, body).rejected(of: 10) == nil)
  }

  @Test func theBodyIsReadUpToALimit() {
    var response = response(200, String(repeating: " ", count: CollectorResponse.bytesMax))
    let isRead = response.append(ByteBuffer(string: " "))
    #expect(!isRead)
  }
}
