// From reply messages to lines, byte by byte.

import Commands
import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@Suite struct LineReplyTests {
  private func request(_ key: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    Array(key.utf8).withUnsafeBytes { V1.Key(key: $0).write(into: &buffer) }
    return buffer
  }

  private func shown(
    _ form: LineReplyForm, of request: ByteBuffer = ByteBuffer(),
    _ write: (inout ByteBuffer) -> Void = { _ in }
  ) -> String {
    var (response, out) = (ByteBuffer(), ByteBuffer())
    write(&response)
    form.write(response, of: request, into: &out)
    return text(out)
  }

  /// A reply of a call on one key, as it comes over a link.
  private func shownOfKey(
    _ form: ReplyForm, of request: ByteBuffer = ByteBuffer(),
    _ write: (inout ByteBuffer) -> Void = { _ in }
  ) -> String {
    var (response, out) = (ByteBuffer(), ByteBuffer())
    write(&response)
    let command = CommandTable.all.first { $0.forms.contains { $0.reply == form } }
    response.withUnsafeReadableBytes { response in
      request.withUnsafeReadableBytes { request in
        guard let reply = try? command?.reply(response) else { return }
        form.write(reply, of: (try? V1.Key(request))?.key ?? noBytes, into: &out)
      }
    }
    return text(out)
  }

  private func value(_ text: String) -> (inout ByteBuffer) -> Void {
    { response in
      Array(text.utf8).withUnsafeBytes {
        V1.Value(value: $0, found: true, version: 9).write(into: &response)
      }
    }
  }

  @Test func valuesAndNone() {
    #expect(shownOfKey(.value, value("x y")) == "+x y\r\n")
    #expect(shownOfKey(.value, value("")) == "+\r\n")
    #expect(shownOfKey(.value, value("+-*")) == "++-*\r\n")
    #expect(shownOfKey(.value, of: request("k")) == "-invalid key k\r\n")
    #expect(shownOfKey(.taken, of: request("k")) == "-invalid key k\r\n")
    #expect(shownOfKey(.value, of: request("a\r\nb")) == "-invalid key a\\r\\nb\r\n")
  }

  @Test(arguments: ["a\nb", "a\rb", "\r\n", "\n"])
  func aValueWithALineBreakIsAnErrorAndOneThatWasTakenIsNotLost(_ bad: String) {
    #expect(
      shownOfKey(.value, value(bad))
        == "-the value has a line break, which a line can't carry; gRPC can\r\n")
    let told = shownOfKey(.taken, value(bad))
    let quoted = bad.reduce(into: "") {
      $0 += $1 == "\r\n" ? "\\r\\n" : $1 == "\n" ? "\\n" : $1 == "\r" ? "\\r" : String($1)
    }
    #expect(
      told == "-the removed value has a line break, which a line can't carry; quoted it is "
        + "$'\(quoted)'\r\n")
    // What was told is a word that means the value. (CR and LF are one Character.)
    let word = told.dropLast().drop { $0 != "$" }
    #expect(parse("\(word)\n", LineLimits(Limits())) == [bad])
  }

  @Test func aTakenValueOfAnyBytesIsShownSoThatItCanBeTyped() throws {
    let bytes = Array(UInt8.min...UInt8.max)
    var (response, out) = (ByteBuffer(), ByteBuffer())
    bytes.withUnsafeBytes { V1.Value(value: $0, found: true, version: 1).write(into: &response) }
    try response.withUnsafeReadableBytes { response in
      let reply = try Command.lPop.reply(response)
      ReplyForm.taken.write(reply, of: noBytes, into: &out)
    }
    var parser = LineParser(LineLimits(Limits()))
    let told = Array(out.readableBytesView)
    let start = told.firstIndex(of: UInt8(ascii: "$")) ?? 0
    parser.append(ByteBuffer(bytes: told[start...]))
    guard case .request(let read) = parser.next() else {
      Issue.record("it is no request")
      return
    }
    #expect(read.copies == [bytes])
  }

  @Test func numbersAndWords() {
    #expect(shownOfKey(.ok) { V1.Status(ok: true).write(into: &$0) } == "+OK\r\n")
    #expect(shownOfKey(.ok) == "-condition not met\r\n")
    #expect(shownOfKey(.isDone) { V1.Status(ok: true).write(into: &$0) } == "+1\r\n")
    #expect(shownOfKey(.isDone) == "+0\r\n")
    let previous = V1.Value(found: true)
    #expect(shownOfKey(.ok) { V1.Status(previous: previous).write(into: &$0) } == "+\r\n")
    #expect(
      shownOfKey(.ok) { V1.Status(ok: true, previous: V1.Value()).write(into: &$0) }
        == "-no value before\r\n")
    #expect(shownOfKey(.count) { V1.Status(ok: true, count: 3).write(into: &$0) } == "+3\r\n")
    #expect(shownOfKey(.count) == "+0\r\n")
    #expect(
      shownOfKey(.sum) { V1.IncrByResponse(value: -7, version: 1).write(into: &$0) } == "+-7\r\n"
    )
    #expect(shown(.number) { V1.DbSizeResponse(keys: 12).write(into: &$0) } == "+12\r\n")
    #expect(
      shownOfKey(.removed, of: request("k")) { V1.Status(ok: true, count: 1).write(into: &$0) }
        == "+OK\r\n")
    #expect(
      shownOfKey(.removed, of: request("k")) { V1.Status(ok: true).write(into: &$0) }
        == "-invalid key k\r\n")
    #expect(shownOfKey(.type) == "+none\r\n")
    #expect(
      shownOfKey(.type) { V1.TypeResponse(type: .string).write(into: &$0) } == "+string\r\n")
    #expect(shownOfKey(.type) { V1.TypeResponse(type: .list).write(into: &$0) } == "+list\r\n")
  }

  private func list(_ values: [String]) -> (inout ByteBuffer) -> Void {
    { response in
      for value in values {
        Array(value.utf8).withUnsafeBytes { response.append(V1.ListValues.Field.values, $0) }
      }
    }
  }

  @Test func lists() {
    #expect(shownOfKey(.list) == "*0\r\n")
    #expect(shownOfKey(.list, list(["a", "", "-x"])) == "*3\r\na\r\n\r\n-x\r\n")
    #expect(
      shownOfKey(.list, list(["a", "b\nc"])).hasPrefix("-a value of the list has a line break"))
    #expect(shown(.keys) == "*0\r\n")
    #expect(shown(.keys, list(["k"])) == "*1\r\nk\r\n")
    #expect(shown(.keys, list(["k", "l\r"])).hasPrefix("-a key has a line break"))
  }

  private func shownOfList(_ form: ReplyForm, _ values: [String]?) -> String {
    var (response, out) = (ByteBuffer(), ByteBuffer())
    list(values ?? [])(&response)
    if values != nil { V1.ListValues(found: true).write(into: &response) }
    response.withUnsafeReadableBytes { response in
      Array("k".utf8).withUnsafeBytes { key in
        guard let reply = try? Command.lPopMany.reply(response) else { return }
        form.write(reply, of: key, into: &out)
      }
    }
    return text(out)
  }

  @Test func valuesTakenAndNone() {
    #expect(shownOfList(.taken, nil) == "-invalid key k\r\n")
    #expect(shownOfList(.taken, []) == "*0\r\n")
    #expect(shownOfList(.taken, ["a", "", "-x"]) == "*3\r\na\r\n\r\n-x\r\n")
    #expect(
      shownOfList(.taken, ["a b", "c\n"])
        == "-a removed value has a line break, which a line can't carry; quoted they are $'a b' "
        + "$'c\\n'\r\n")
  }

  @Test func anElementAndNone() {
    #expect(shownOfKey(.element, value("x y")) == "+x y\r\n")
    #expect(shownOfKey(.element) == "-not found\r\n")
    #expect(shownOfKey(.element, value("a\nb")).hasPrefix("-the value has a line break"))
  }

  @Test func insertionsAndNoSuchValue() {
    func shown(_ status: V1.Status) -> String {
      shownOfKey(.inserted) { status.write(into: &$0) }
    }
    #expect(shown(V1.Status(ok: true, count: 4)) == "+4\r\n")
    #expect(shown(V1.Status(ok: false, count: 3)) == "+-1\r\n")
    #expect(shown(V1.Status(ok: false)) == "+0\r\n")
  }

  @Test func placesAndNone() {
    func shown(_ numbers: [UInt64], isMany: Bool) -> String {
      var (response, out) = (ByteBuffer(), ByteBuffer())
      numbers.withUnsafeBufferPointer {
        V1.ListPositions(indexes: RepeatedNumbers($0), found: true).write(into: &response)
      }
      response.withUnsafeReadableBytes {
        guard let reply = try? Command.lPos.reply($0) else { return }
        ReplyForm.positions(isMany: isMany).write(reply, of: noBytes, into: &out)
      }
      return text(out)
    }
    #expect(shown([3, 5], isMany: false) == "+3\r\n")
    #expect(shown([3, 5], isMany: true) == "*2\r\n3\r\n5\r\n")
    #expect(shown([], isMany: false) == "-not found\r\n")
    #expect(shown([], isMany: true) == "*0\r\n")
  }

  @Test func pages() {
    let token: [UInt8] = [0x01, 0xab]
    func page(_ keys: [String], _ token: [UInt8]) -> String {
      shown(.page) { response in
        list(keys)(&response)
        token.withUnsafeBytes { response.write(V1.KeysResponse.Field.nextPageToken, $0) }
      }
    }
    #expect(page([], []) == "*1\r\n0\r\n")
    #expect(page(["a", "b"], token) == "*3\r\n01ab\r\na\r\nb\r\n")
    #expect(
      page(["a\nb"], token)
        == "-a key has a line break, which a line can't carry; the next cursor is 01ab\r\n")
  }

  @Test func manyKeysEachWithItsOwnReply() {
    var keys = ByteBuffer()
    for key in ["a", "b", "c", "d"] {
      Array(key.utf8).withUnsafeBytes {
        keys.append(V1.MGetRequest.Field.keys, V1.Key(key: $0))
      }
    }
    let shown = shown(.values, of: keys) { response in
      for text in ["+A", nil, "x\ny"] {
        response.appendItem(text)
      }
      response.appendItem(failure: .wrongType(holds: "a list", wanted: "a string"))
    }
    #expect(
      shown == "*4\r\n++A\r\n-invalid key b\r\n"
        + "-the value has a line break, which a line can't carry; gRPC can\r\n"
        + "-WRONG_TYPE The key holds a list, and this call works on a string.\r\n")
  }

  @Test func anMSETIsOKOrEachItemHasItsReply() {
    func outcome(_ errors: [CallError?], of items: Int? = nil) -> String {
      shown(.outcomes, of: requestItems(items ?? errors.count)) { response in
        for error in errors {
          guard let error else {
            let done = V1.StatusItem(outcome: .status(V1.Status(ok: true)))
            response.append(V1.MSetResponse.Field.items, done)
            continue
          }
          response.appendItem(failure: error)
        }
      }
    }
    #expect(outcome([nil, nil]) == "+OK\r\n")
    #expect(
      outcome([nil, .memoryLimit("full")]) == "*2\r\n+OK\r\n-MEMORY_LIMIT full\r\n")
    for count in [0, 1, 3] { #expect(outcome([nil, nil], of: count) == Self.otherItems) }
  }

  @Test(arguments: [0, 1, 3])
  func aReplyOfMoreOrFewerItemsThanKeysIsOneError(_ keys: Int) {
    let shown = shown(.values, of: requestItems(keys)) { response in
      for _ in 0..<2 {
        response.appendItem("x")
      }
    }
    #expect(shown == Self.otherItems)
  }

  private static let otherItems =
    "-INTERNAL The reply has another number of items than the request.\r\n"

  /// An MGet or MSet of so many keys.
  private func requestItems(_ count: Int) -> ByteBuffer {
    var buffer = ByteBuffer()
    for _ in 0..<count {
      request("k").withUnsafeReadableBytes { buffer.append(V1.MGetRequest.Field.keys, $0) }
    }
    return buffer
  }

  @Test func bytesThatAreNoMessageAreAnError() {
    for form: LineReplyForm in [.keys, .page, .values, .outcomes] {
      let shown = shown(form) { $0.writeInteger(UInt8(0xff)) }
      #expect(shown == "-INTERNAL The reply can't be decoded.\r\n", "\(form)")
    }
    for command in [Command.get, .lLen, .lRange, .type, .incrBy] {
      var shown = ""
      let call = LocalCall(command, for: nil) { outcome in
        guard case .failure(let error) = outcome else { return }
        shown = String(decoding: LineError(error).text, as: UTF8.self)
      }
      call.respond(ByteBuffer(bytes: [0xff]))
      #expect(shown == "INTERNAL The reply can't be decoded." && call.isOver, "\(command.name)")
    }
  }

  @Test func aReplyInAnotherFormThanTheCallsIsAnError() {
    var out = ByteBuffer()
    ReplyForm.value.write(.status(V1.Status(ok: true)), of: noBytes, into: &out)
    #expect(text(out) == "-INTERNAL It is a different kind of reply.\r\n")
  }
}

extension ByteBuffer {
  /// An item of an MGetResponse; nil: not found.
  mutating func appendItem(_ text: String?) {
    Array((text ?? "").utf8).withUnsafeBytes { bytes in
      let value = V1.Value(value: bytes, found: text != nil)
      append(V1.MGetResponse.Field.items, V1.MGetResponse.Item(outcome: .value(value)))
    }
  }

  /// An item that failed, which MGetResponse and MSetResponse have alike.
  mutating func appendItem(failure: CallError) {
    let item = beginLengthDelimited(V1.MGetResponse.Field.items)
    append(V1.MGetResponse.Item.Field.error, failure)
    endLengthDelimited(item)
  }
}
