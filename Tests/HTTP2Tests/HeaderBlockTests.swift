// The flat list of header fields.

import Testing

@testable import HTTP2

@Suite struct HeaderBlockTests {
  func text(_ bytes: UnsafeRawBufferPointer?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func fieldsKeepTheirOrderAndRepeat() {
    let block = HeaderBlock()
    block.append("a", "1")
    block.append("b", "")
    block.append("a", "2")
    #expect(block.count == 3)
    #expect(text(block.name(at: 1)) == "b")
    #expect(text(block.value(at: 1)) == "")
    #expect(text(block.value(at: 2)) == "2")
    #expect(text(block.first("a")) == "1")
    #expect(block.first("c") == nil)
    #expect(block.listBytes == 5 + 3 * 32)
  }

  @Test func truncatingKeepsThePrefixForTheNextRequest() {
    let block = HeaderBlock()
    block.append("fixed", "1")
    for round in 0..<3 {
      block.append("grpc-timeout", "\(round)S", indexed: false)
      #expect(text(block.first("grpc-timeout")) == "\(round)S")
      block.truncate(to: 1)
      #expect(block.count == 1)
      #expect(block.first("grpc-timeout") == nil)
      #expect(text(block.first("fixed")) == "1")
    }
  }

  @Test func manyAndLargeFieldsFit() {
    let block = HeaderBlock()
    let long = String(repeating: "v", count: 5_000)
    for index in 0..<200 { block.append("n\(index)", long) }
    #expect(block.count == 200)
    #expect(text(block.value(at: 199)) == long)
    block.removeAll()
    #expect(block.count == 0)
    #expect(block.listBytes == 0)
  }

  @Test(arguments: [("200", 200), ("404", 404), ("2x0", nil), ("", nil), ("2000", nil)])
  func statusIsThreeDigits(_ value: String, _ expected: Int?) {
    let block = HeaderBlock()
    block.append(":status", value)
    #expect(block.status == expected)
  }
}
