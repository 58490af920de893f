// What `ringstore cli` prints of calls whose reply comes in parts, and of searches that continue.

import GRPC
import NIOCore
import ProtobufMessages
import RingstoreAPI
import RingstoreClient
import Synchronization
import Testing
import ringstore

@Suite(.timeLimit(.minutes(15))) struct PrintedCallTests {
  private struct Printed {
    var text = ""
    var remarks: [String] = []
    var error: RingstoreError?
  }

  /// What the words print, where the node replies by the script. `lines`: how many pieces are taken
  /// before the one who reads goes away.
  private func printed(
    _ words: String..., script: NodeScript, _ form: Printer.Form = .text, pieces: Int = .max
  ) async throws -> Printed {
    let printed = SharedBox(Printed())
    let left = SharedBox(pieces)
    try await ScriptedNode.with(script) { client, _ in
      let call = try CommandLineCall(words.map { Array($0.utf8) })
      let printer = Printer(form) { bytes in
        printed.withLock { $0.text += String(decoding: bytes, as: UTF8.self) }
        return left.withLock { left in
          left -= 1
          return left > 0
        }
      } remark: { sentence in
        printed.withLock { $0.remarks.append(sentence) }
      }
      let error = await failure { _ = try await call.run(on: client, .standard, printer: printer) }
      printed.withLock { $0.error = error }
    }
    return printed.withLock { $0 }
  }

  private static func scan(_ pages: [[String]], end: RPCStatus = .ok) -> NodeScript {
    var script = NodeScript()
    script.streamed = { stream, _ in
      for (number, keys) in pages.enumerated() {
        let page = Ringstore_V1_ScanPage.with {
          $0.keys = keys.map { .init($0.utf8) }
          $0.resumeToken = .init([UInt8(number), 0xab])
        }
        stream.send(ByteBuffer(bytes: (try? page.serializedBytes() as [UInt8]) ?? []))
      }
      stream.finish(end)
    }
    return script
  }

  @Test func aScanPrintsItsKeysOneALine() async throws {
    let script = Self.scan([["a", "b"], [], ["c\n"]])
    #expect(try await printed("SCAN", script: script).text == "\"a\"\n\"b\"\n\"c\\n\"\n")
    #expect(try await printed("SCAN", script: script, .raw).text == "a\nb\nc\n\n")
    #expect(try await printed("SCAN", script: Self.scan([[]])).text == "(empty array)\n")
    #expect(try await printed("SCAN", script: Self.scan([[]]), .raw).text.isEmpty)
  }

  @Test func aScanThatBreaksOffSaysHowToContinue() async throws {
    let gone = CallError(.shardUnavailable, "It is away.", shard: "s1")
    let script = Self.scan(
      [["a"], ["b"]], end: RPCStatus(gone.code, gone.message, details: gone.details()))
    let printed = try await printed("SCAN", script: script)
    #expect(printed.text == "\"a\"\n\"b\"\n")
    #expect(
      printed.remarks == ["ringstore cli: the scan was interrupted; to continue: --resume 01ab"])
    #expect(printed.error?.reason == .shardUnavailable)
  }

  @Test func aScanEndsWhenItsOutputIsNoLongerRead() async throws {
    let ended = Mutex(false)
    var script = Self.scan([["a"], ["b"], ["c"]])
    script.ended = { _ in ended.withLock { $0 = true } }
    let printed = try await printed("SCAN", script: script, pieces: 1)
    #expect(printed.text == "\"a\"\n")
    #expect(printed.error == nil)
  }

  @Test func aScanIsOneObjectOfJSON() async throws {
    let script = Self.scan([["a", "b"], [], ["c\n"]])
    #expect(
      try await printed("SCAN", script: script, .json).text == #"{"keys":["a","b","c\n"]}"# + "\n")
    #expect(
      try await printed("SCAN", script: Self.scan([[]]), .json).text == #"{"keys":[]}"# + "\n")
  }

  @Test func aScanThatBreaksOffIsOneObjectOfJSONWithItsError() async throws {
    let gone = CallError(.shardUnavailable, "It is away.", shard: "s1")
    let script = Self.scan(
      [["a"], ["b"]], end: RPCStatus(gone.code, gone.message, details: gone.details()))
    let printed = try await printed("SCAN", script: script, .json)
    #expect(
      printed.text == #"{"keys":["a","b"],"resume":"01ab","error":{"code":"UNAVAILABLE","#
        + #""reason":"SHARD_UNAVAILABLE","message":"It is away.","shard":"s1"}}"# + "\n")
    #expect(printed.remarks.isEmpty)
    #expect(printed.error == nil)
  }

  @Test func aListStreamPrintsItsValuesOneALine() async throws {
    var script = NodeScript()
    script.streamed = { stream, _ in
      for value in ["x", "y"] {
        var chunk = ByteBuffer()
        Array(value.utf8).withUnsafeBytes { chunk.append(V1.ListValues.Field.values, $0) }
        V1.ListValues(found: true, length: 2, firstIndex: 0).write(into: &chunk)
        stream.send(chunk)
      }
      stream.finish()
    }
    let printed = try await printed("LRANGESTREAM", "l", "0", "-1", script: script)
    #expect(printed.text == "\"x\"\n\"y\"\n")
    #expect(
      try await self.printed("LRANGESTREAM", "l", "0", "-1", script: Self.scan([])).text
        == "(empty array)\n")
    #expect(
      try await self.printed("LRANGESTREAM", "l", "0", "-1", script: script, .json).text
        == #"{"values":["x","y"]}"# + "\n")
  }

  @Test func aPageOfKeysSaysHowToAskForTheNext() async throws {
    let reply =
      try Ringstore_V1_KeysResponse.with {
        $0.keys = [.init([0x62]), .init([0x61])]
        $0.nextPageToken = .init([0xff])
      }.serializedBytes() as [UInt8]
    var script = NodeScript()
    script.unary = { _, _ in .success(reply) }
    let printed = try await printed("KEYS", "*", "--limit", "2", script: script)
    #expect(printed.text == "1) \"a\"\n2) \"b\"\n")
    #expect(printed.remarks == ["ringstore cli: there are more keys: --token ff"])
    let json = try await self.printed("KEYS", "*", "--limit", "2", script: script, .json)
    #expect(json.text == #"{"keys":["a","b"],"token":"ff"}"# + "\n")
    #expect(json.remarks.isEmpty)
  }

  @Test func countersAreATable() async throws {
    let reply =
      try Ringstore_V1_StatsResponse.with {
        $0.counters = ["z": 1, "calls": 20]
      }.serializedBytes() as [UInt8]
    var script = NodeScript()
    script.unary = { _, _ in .success(reply) }
    #expect(try await printed("STATS", script: script).text == "calls  20\nz      1\n")
    #expect(try await printed("STATS", script: script, .json).text == #"{"calls":20,"z":1}"# + "\n")
    #expect(try await printed("SHUTDOWN", script: NodeScript()).text == "OK\n")
  }
}
