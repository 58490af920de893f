// Replies look as redis-cli shows them in a terminal.

import RingstoreClient
import Testing
import ringstore

@Suite struct ShownReplyTests {
  private func text(_ reply: ShownReply, raw: Bool = false) -> String {
    String(decoding: reply.bytes(raw: raw), as: UTF8.self)
  }

  @Test func plainReplies() {
    #expect(text(.ok) == "OK\n")
    #expect(text(.value(nil)) == "(nil)\n")
    #expect(text(.value([])) == "\"\"\n")
    #expect(text(.integer(-3)) == "(integer) -3\n")
    #expect(text(.word("list")) == "list\n")
    #expect(text(.list([])) == "(empty array)\n")
  }

  @Test func bytesAreEscapedAsRedisDoes() {
    let bytes = Array("a\"\\\n\r\t".utf8) + [0x07, 0x08, 0x00, 0x0f, 0x7f, 0xff] + Array("é".utf8)
    #expect(
      ShownReply.quoted(bytes) == #""a\"\\\n\r\t\a\b\x00\x0f\x7f\xff\xc3\xa9""#)
  }

  @Test func listsAreNumberedInColumns() {
    let items = (1...10).map { ShownReply.value(Array("v\($0)".utf8)) }
    let lines = text(.list(items)).split(separator: "\n")
    #expect(lines.first == " 1) \"v1\"")
    #expect(lines.last == "10) \"v10\"")
    let nested = ShownReply.list([.list([.integer(1), .integer(2)]), .value(nil)])
    #expect(text(nested) == "1) 1) (integer) 1\n   2) (integer) 2\n2) (nil)\n")
  }

  @Test func rawRepliesAreTheBytesThemselves() {
    #expect(ShownReply.value([0xff, 0x00]).bytes(raw: true) == [0xff, 0x00, 0x0a])
    #expect(text(.list([.value([0x61]), .value(nil)]), raw: true) == "a\n\n")
    #expect(text(.integer(7), raw: true) == "7\n")
  }

  @Test func errorsAreFoundInsideLists() {
    #expect(!ShownReply.list([.ok, .value(nil)]).hasError)
    #expect(!ShownReply.text("(error) is only a word here").hasError)
  }

  @Test func tablesHaveAlignedColumns() {
    #expect(
      ClusterTable.aligned([["ID", "X", "END"], ["long", "", "e"]])
        == ["ID    X  END", "long  -  e"])
  }
}
