// A session against nodes that reply by a script: its database, its connection, what is printed
// where, and the end of a call that is cancelled.

import GRPC
import NIOCore
import NIOPosix
import ProtobufMessages
import RingstoreAPI
import RingstoreClient
import Testing
import TextForms
import ringstore

@Suite(.timeLimit(.minutes(15))) struct SessionTests {
  private struct Said {
    var replies = ""
    var remarks: [String] = []
  }

  private static func session(_ port: Int, database: UInt32 = 0) -> Session {
    Session(
      Session.Options(
        server: HostPort(host: "127.0.0.1", port: port), timeout: .seconds(600),
        maxMessageBytes: 4 << 20),
      database: database)
  }

  private static func printer(
    _ said: SharedBox<Said>, _ form: Printer.Form = .text, _ origin: Printer.Origin = .line(7)
  ) -> Printer {
    Printer(form, origin: origin) { bytes in
      said.withLock { $0.replies += String(decoding: bytes, as: UTF8.self) }
      return true
    } remark: { sentence in
      said.withLock { $0.remarks.append(sentence) }
    }
  }

  /// A database above 15 is refused; a key is in none.
  private static func refusing(_ seen: SharedBox<[UInt64]>) -> NodeScript {
    var script = NodeScript()
    script.unary = { _, message in
      let database = (try? Ringstore_V1_Key(serializedBytes: message))?.database ?? 99
      seen.withLock { $0.append(UInt64(database)) }
      if database > 15 {
        let error = CallError(.noSuchDatabase, "There is no database \(database).")
        return .failure(RPCStatus(error.code, error.message, details: error.details()))
      }
      return .success([])
    }
    return script
  }

  @Test func aSelectedDatabaseIsThatOfLaterCommands() async throws {
    let seen = SharedBox<[UInt64]>([])
    let said = SharedBox(Said())
    try await ScriptedNode.with(Self.refusing(seen)) { _, relay in
      let session = Self.session(relay.port, database: 2)
      for line in ["GET k", "SELECT 5", "GET k", "SELECT 16", "GET k"] {
        _ = await session.execute(Array(line.utf8), Self.printer(said))
      }
      #expect(session.prompt == "127.0.0.1:\(relay.port)[5]> ")
      session.close()
    }
    #expect(seen.withLock { $0 } == [2, 5, 5, 16, 5])
    #expect(said.withLock { $0.replies } == "(nil)\nOK\n(nil)\n(nil)\n")
    #expect(
      said.withLock { $0.remarks } == ["line 7: (error) NO_SUCH_DATABASE There is no database 16."])
  }

  @Test func linesHaveOutcomes() async throws {
    let said = SharedBox(Said())
    try await ScriptedNode.with(NodeScript()) { _, relay in
      let session = Self.session(relay.port)
      let expected: [(String, Session.Outcome)] = [
        ("", .done), ("GET k", .done), ("FROB", .failed), ("GET \"", .failed), ("exit", .quit),
      ]
      for (line, outcome) in expected {
        #expect(await session.execute(Array(line.utf8), Self.printer(said)) == outcome, "\(line)")
      }
      session.close()
    }
    #expect(
      said.withLock { $0.remarks } == [
        "line 7: (error) Unknown command 'FROB'; try HELP.",
        "line 7: (error) A quote is not closed.",
      ])
  }

  @Test func failuresAreRepliesWhereJSONIsRequested() async throws {
    let said = SharedBox(Said())
    let seen = SharedBox<[UInt64]>([])
    try await ScriptedNode.with(Self.refusing(seen)) { _, relay in
      let session = Self.session(relay.port, database: 16)
      for line in ["GET k", "FROB"] {
        let outcome = await session.execute(Array(line.utf8), Self.printer(said, .json))
        #expect(outcome == .failed)
      }
      session.close()
    }
    let lines = said.withLock { $0.replies }.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines.first?.contains(#""reason":"NO_SUCH_DATABASE""#) == true)
    #expect(lines.last?.contains(#""reason":"USAGE""#) == true)
    #expect(said.withLock { $0.remarks }.isEmpty)
  }

  @Test func aServerThatIsAwayShowsInThePromptUntilItIsBack() async throws {
    let said = SharedBox(Said())
    let away = Self.session(1)
    #expect(await away.execute(Array("GET k".utf8), Self.printer(said, .text, .prompt)) == .failed)
    #expect(away.prompt == "127.0.0.1:1 (not connected)> ")
    #expect(
      said.withLock { $0.remarks }.first?.hasPrefix(
        "Could not connect to ringstore at 127.0.0.1:1: ") == true)
    away.close()
  }

  @Test func everyCommandAfterALossTriesToConnectAtOnce() async throws {
    let tries = SharedBox(0)
    let door = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        tries.withLock { $0 += 1 }
        return channel.close()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let session = Self.session(door.localAddress?.port ?? 0)
    let said = SharedBox(Said())
    let commands = 20
    for _ in 0..<commands {
      #expect(await session.execute(Array("GET k".utf8), Self.printer(said)) == .failed)
    }
    // A client that is kept would let pauses pass, which grow, and fail calls meanwhile.
    #expect(tries.withLock { $0 } >= commands)
    session.close()
    try await door.close()
  }

  @Test(arguments: ["SCAN", "LRANGESTREAM l 0 -1"])
  func aStreamThatIsStoppedEndsAtTheNode(line: String) async throws {
    let begun = AsyncStream.makeStream(of: Void.self)
    let ended = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.streamed = { _, _ in begun.continuation.yield() }
    script.ended = { _ in ended.continuation.yield() }
    let said = SharedBox(Said())
    try await ScriptedNode.with(script) { _, relay in
      let session = Self.session(relay.port)
      let task = Task {
        await session.execute(Array(line.utf8), Self.printer(said, .text, .prompt))
      }
      for await _ in begun.stream { break }
      task.cancel()
      #expect(await task.value == .failed)
      for await _ in ended.stream { break }
      #expect(session.prompt == "127.0.0.1:\(relay.port)> ")
      session.close()
    }
    #expect(said.withLock { $0.remarks } == ["Stopped."])
  }

  @Test func aWriteThatIsStoppedMayHaveBeenExecuted() async throws {
    let begun = AsyncStream.makeStream(of: Void.self)
    var script = NodeScript()
    script.unary = { _, _ in
      begun.continuation.yield()
      return nil
    }
    let said = SharedBox(Said())
    try await ScriptedNode.with(script) { _, relay in
      let session = Self.session(relay.port)
      let task = Task {
        await session.execute(Array("SET k v".utf8), Self.printer(said, .text, .prompt))
      }
      for await _ in begun.stream { break }
      task.cancel()
      #expect(await task.value == .failed)
      session.close()
    }
    #expect(
      said.withLock { $0.remarks } == ["Stopped; the command may have been executed."])
  }
}
