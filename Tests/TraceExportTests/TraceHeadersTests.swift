// Header fields for the collector, as they are written in a file.

import NodeCore
import TestSeeds
import Testing

@testable import TraceExport

@Suite struct TraceHeadersTests {
  private func fields(_ text: String) -> [TraceHeaders.Field]? {
    try? TraceHeaders(Array(text.utf8)).fields
  }

  private func field(_ name: String, _ value: String) -> TraceHeaders.Field {
    TraceHeaders.Field(name: name, value: value)
  }

  @Test(arguments: [
    "api-key=abc,X-Tenant=7", " api-key = abc ,\tX-Tenant= 7\t", "api-key=abc\nX-Tenant=7\n",
    "api-key=abc\r\n\r\n,X-Tenant=7,,\r\n", "api-key=%61bc,X-Tenant=%37",
  ])
  func fieldsAreSeparatedByCommasOrLineEnds(_ text: String) {
    #expect(fields(text) == [field("api-key", "abc"), field("X-Tenant", "7")])
  }

  @Test func aValueMayHaveBlanksAndEqualSignsWithinIt() {
    #expect(fields("Authorization=Basic YTpi=") == [field("Authorization", "Basic YTpi=")])
    #expect(fields("Authorization=Bearer%20a%2Cb%25") == [field("Authorization", "Bearer a,b%")])
  }

  @Test(arguments: [
    "", "\n", ",", "secret", "=secret", "a b=secret", "a:secret", "a=", "a=%", "a=%4", "a=%zz",
    "a=sec\u{e9}ret", "a=secret%0d%0aInjected: 1", "a=secret%00", "a=b,A=secret",
    "Host=secret", "content-LENGTH=7", "Transfer-Encoding=chunked", "Connection=secret",
  ])
  func anyOtherTextIsRefusedWithoutShowingIt(_ text: String) {
    do throws(TraceHeaders.Malformed) {
      _ = try TraceHeaders(Array(text.utf8))
      Issue.record("it was accepted")
    } catch {
      #expect(!error.reason.contains("secret") && !error.reason.isEmpty)
    }
  }

  @Test func thereAreBounds() {
    let most = (0..<TraceHeaders.fieldsMax).map { "n\($0)=v" }.joined(separator: ",")
    #expect(fields(most)?.count == TraceHeaders.fieldsMax)
    #expect(fields(most + ",more=v") == nil)
    let value = String(repeating: "v", count: TraceHeaders.textBytesMax - 2)
    #expect(fields("n=" + value) != nil)
    #expect(fields("n=v" + value) == nil)
  }

  @Test func noTextMakesAFieldThatEndsALine() {
    var random = SplitMix64(seed: TestSeed.value)
    let letters = Array("aZ9=%,:\r\n\0 \t\u{7f}20dA".utf8) + [0xff]
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in
        letters.randomElement(using: &random) ?? 0
      }
      for field in (try? TraceHeaders(text).fields) ?? [] {
        #expect(field.name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x3a })
        #expect(field.value.utf8.allSatisfy { (0x20...0x7e).contains($0) })
      }
    }
  }
}
