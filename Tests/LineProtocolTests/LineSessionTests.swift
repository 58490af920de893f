// A session's conversation: the order of replies and of effects, what happens at its bounds, and
// how it ends.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@Suite struct LineSessionTests {
  let talk = Conversation()
  var node: FakeNode { talk.node }

  private func value(_ text: String) -> (inout ByteBuffer) -> Void {
    { response in
      Array(text.utf8).withUnsafeBytes {
        V1.Value(value: $0, found: true, version: 1).write(into: &response)
      }
    }
  }

  @Test func repliesComeInTheOrderOfTheRequestsWhicheverCallEndsFirst() {
    talk.send("GET a\nGET b\nPING\nGET c\n")
    #expect(node.waiting.count == 3)
    node.reply(at: 2, value("C"))
    node.reply(at: 1, value("B"))
    talk.run()
    #expect(talk.read() == "")
    node.reply(at: 0, value("A"))
    talk.run()
    #expect(talk.read() == "+A\r\n+B\r\n+PONG\r\n+C\r\n")
  }

  @Test func aCallOnManyKeysWaitsForThoseBeforeItAndThoseBehindItWait() {
    talk.send("SET a 1\nDBSIZE\nSET b 2\nKEYS .\n")
    #expect(node.waiting.map(\.call.command.id) == [.set])
    node.reply { V1.Status(ok: true).write(into: &$0) }
    talk.run()
    #expect(node.waiting.map(\.call.command.id) == [.dbSize])
    node.reply { V1.DbSizeResponse(keys: 1).write(into: &$0) }
    talk.run()
    #expect(node.waiting.map(\.call.command.id) == [.set])
    node.reply { V1.Status(ok: true).write(into: &$0) }
    talk.run()
    #expect(node.waiting.map(\.call.command.id) == [.keys])
    node.reply { _ in }
    talk.run()
    #expect(talk.read() == "+OK\r\n+1\r\n+OK\r\n*0\r\n")
  }

  @Test func aDatabaseIsTheConnectionsFromTheNextCommandOn() throws {
    talk.send("SELECT 3\nGET a\nSELECT 16\nGET b\n")
    let databases = node.waiting.map { waiting in
      waiting.request.withUnsafeReadableBytes { (try? V1.Key($0))?.database }
    }
    #expect(databases == [3, 3])
    node.reply(value("x"))
    node.reply { _ in }
    talk.run()
    #expect(
      talk.read() == "+OK\r\n+x\r\n-NO_SUCH_DATABASE There is no database 16; databases are "
        + "numbered 0 to 15.\r\n-invalid key b\r\n")
  }

  @Test func aCallThatFailsIsAnErrorLineAndTheConnectionContinues() {
    talk.send("GET a\nGET b\n")
    node.fail(.shardUnavailable("s1", "no route"))
    node.reply(value("B"))
    talk.run()
    #expect(talk.read() == "-SHARD_UNAVAILABLE Shard s1 can't be reached: no route\r\n+B\r\n")
  }

  @Test func whatIsRefusedBeforeItIsACallIsCountedAmongTheNodesErrors() {
    talk.send("FROB\nGET\nPING\n*0\r\nGET 'a\n")
    #expect(node.errors == 4)
  }

  @Test func callsHaveADeadlineButForShutdown() {
    talk.send("GET a\n")
    #expect(node.waiting.first?.deadlineNanos == talk.nowNanos + LineSession.callNanosMax)
    node.reply { _ in }
    talk.run()
    talk.send("SHUTDOWN\n")
    #expect(node.waiting.count == 1)
    #expect(node.waiting.first?.deadlineNanos == nil)
  }

  // MARK: - Commands that wait

  @Test func nothingIsMadeBehindACommandThatWaitsAndItsDeadlineIsLater() {
    talk.send("GET a\nBLPOP q 2.5\nGET b\nPING\n")
    #expect(node.waiting.map(\.call.command.id) == [.get, .lPop])
    #expect(
      node.waiting.last?.deadlineNanos
        == talk.nowNanos + LineSession.callNanosMax + 2_500_000_000)
    node.reply(value("A"))
    talk.run()
    #expect(node.waiting.count == 1 && !talk.session.wantsBytes)
    node.reply { reply in
      Array("q".utf8).withUnsafeBytes { key in
        Array("x".utf8).withUnsafeBytes {
          V1.Value(value: $0, found: true, key: key).write(into: &reply)
        }
      }
    }
    talk.run()
    #expect(node.waiting.map(\.call.command.id) == [.get])
    node.reply(value("B"))
    talk.run()
    #expect(talk.read() == "+A\r\n*2\r\nq\r\nx\r\n+B\r\n+PONG\r\n")
  }

  private func popped(_ text: String, of list: String) -> (inout ByteBuffer) -> Void {
    { response in
      Array(list.utf8).withUnsafeBytes { key in
        Array(text.utf8).withUnsafeBytes {
          V1.Value(value: $0, found: true, key: key).write(into: &response)
        }
      }
    }
  }

  @Test func aClientThatSendsNoMoreGetsTheNodesReplyToACommandThatWaits() {
    talk.send("BLPOP q 0\nPING\n")
    #expect(node.endedWaits.isEmpty)
    talk.session.inputClosed()
    talk.run()
    // Only the node knows whether the call has taken a value.
    #expect(node.endedWaits == [.lPop] && node.cancelled.isEmpty)
    #expect(talk.read() == "" && !talk.session.isFinished)
    node.reply(popped("x", of: "q"))
    talk.run()
    #expect(talk.read() == "*2\r\nq\r\nx\r\n+PONG\r\n")
    #expect(talk.session.isFinished)
  }

  @Test func aCommandThatWaitsGetsTheReplyOfAnEmptyListWhenItsClientSendsNoMore() {
    let commands: [(String, String)] = [
      ("BLPOP q 0", "-not found"), ("BRPOP q r 5", "-not found"),
      ("BLMOVE q r LEFT RIGHT 0", "-invalid key q"), ("BRPOPLPUSH q r 5", "-invalid key q"),
    ]
    for (command, reply) in commands {
      let talk = Conversation()
      talk.send("\(command)\nPING\n")
      talk.session.inputClosed()
      talk.run()
      talk.node.reply { _ in }
      talk.run()
      #expect(talk.read() == "\(reply)\r\n+PONG\r\n", "\(command)")
      #expect(talk.session.isFinished)
    }
  }

  @Test func commandsThatWaitBehindTheEndOfTheInputEndTheirWaitsToo() {
    talk.send("BLPOP q 0\nBLPOP r 0\nBLMOVE q r LEFT LEFT 0\n")
    talk.session.inputClosed()
    talk.run()
    node.reply { _ in }
    talk.run()
    node.reply(popped("y", of: "r"))
    talk.run()
    #expect(node.endedWaits == [.lPop, .lPop, .lMove] && node.cancelled.isEmpty)
    node.fail(.shardUnavailable("s1", "no route"))
    talk.run()
    #expect(
      talk.read() == "-not found\r\n*2\r\nr\r\ny\r\n"
        + "-SHARD_UNAVAILABLE Shard s1 can't be reached: no route\r\n")
    #expect(talk.session.isFinished)
  }

  @Test func aClientThatIsGoneAfterItHasClosedItsSideCancelsItsCommandThatWaits() {
    talk.send("BLPOP q 0\n")
    talk.session.inputClosed()
    talk.run()
    talk.session.disconnected()
    #expect(node.cancelled == [.lPop])
  }

  // MARK: - Bounds

  @Test func soManyCommandsMayWaitForRepliesAndNoMore() {
    let count = 3 * LineSession.commandsMax
    talk.send(String(repeating: "GET a\n", count: count))
    #expect(node.waiting.count == LineSession.commandsFirst)
    #expect(!talk.session.wantsBytes)
    for _ in 0..<LineSession.commandsMax {
      node.reply { _ in }
      talk.run()
    }
    #expect(node.waiting.count == LineSession.commandsMax)
    while !node.waiting.isEmpty {
      node.reply { _ in }
      talk.run()
    }
    #expect(talk.session.wantsBytes)
    #expect(talk.read().split(separator: "\r\n").count == count)
  }

  @Test func aClientThatReadsNothingIsNotRead() {
    let long = String(repeating: "x", count: 50_000)
    for _ in 0..<40 where talk.session.wantsBytes {
      talk.session.received(ByteBuffer(string: "ECHO \(long)\n"))
      talk.run(reading: false)
    }
    #expect(!talk.session.wantsBytes)
    #expect(talk.session.outputBytes <= LineSession.outputBytesMax + long.utf8.count + 3)
    talk.run()
    #expect(talk.session.wantsBytes)
  }

  @Test func whileTheNodeAsksToWaitNothingIsStartedAndNothingRead() {
    talk.session.pauseReading()
    talk.send("GET a\n")
    #expect(node.waiting.isEmpty)
    #expect(!talk.session.wantsBytes)
    talk.session.resumeReading()
    talk.run()
    #expect(node.waiting.count == 1)
  }

  @Test func aLargeReplyBehindOthersWaitsUntilThereIsRoom() throws {
    talk.send("GET a\nGET b\nGET c\n")
    let (first, second, third) = (
      node.waiting[0].call, node.waiting[1].call, node.waiting[2].call
    )
    #expect(talk.session.takesLargeReply(of: second))
    talk.session.expectsLargeReply(of: second, byteCount: LineSession.outputBytesMax)
    #expect(!talk.session.takesLargeReply(of: third))
    talk.send("GET d\n")
    #expect(node.waiting.count == 3, "nothing is started while a large reply has to wait")
    // The first one is always taken: the others wait for it.
    #expect(talk.session.takesLargeReply(of: first))
    node.reply { _ in }
    talk.run()
    #expect(node.wokenCalls == 0)
    node.reply { _ in }
    talk.run()
    #expect(node.wokenCalls == 1)
    #expect(talk.session.takesLargeReply(of: third))
    #expect(node.waiting.count == 2)
  }

  @Test func largeRepliesAreOnTheNodesAccountUntilTheClientHasReadThem() {
    let large = String(repeating: "x", count: 600_000)
    talk.send("GET a\nGET b\nLPOP c\n")
    node.reply(value(large))
    #expect(node.replyMemory.heldBytes == 600_003)
    // Together they would be too much; but what was taken away must not be lost.
    node.reply(value(large))
    node.reply(value(large))
    #expect(node.replyMemory.heldBytes == 1_200_006)
    talk.run()
    #expect(node.replyMemory.heldBytes == 0)
    let lines = talk.read().split(separator: "\r\n")
    #expect(lines.map { $0.prefix(11) } == ["+xxxxxxxxxx", "-OVERLOADED", "+xxxxxxxxxx"])
  }

  // MARK: - Ends

  @Test func quitRepliesToWhatWasBeforeItAndToNothingBehindIt() {
    talk.send("GET a\nQUIT\nGET b\n")
    #expect(node.waiting.count == 1)
    #expect(!talk.session.isFinished)
    node.reply(value("A"))
    talk.run()
    #expect(talk.read() == "+A\r\n+OK\r\n")
    #expect(talk.session.isFinished)
    #expect(talk.session.shouldLinger)
  }

  @Test func shutdownEndsTheConnectionOnceItHasItsReplyAndContinuesIfItFailed() {
    talk.send("SHUTDOWN CLUSTER\n")
    #expect(node.waiting.first?.call.command.id == .shutdown)
    node.fail(.shardUnavailable("s1", "no route"))
    talk.run()
    #expect(talk.read() == "-SHARD_UNAVAILABLE Shard s1 can't be reached: no route\r\n")
    #expect(!talk.session.isFinished)
    talk.send("SHUTDOWN\nGET a\n")
    node.reply { _ in }
    talk.run()
    #expect(talk.read() == "+OK\r\n")
    #expect(talk.session.isFinished)
    #expect(node.waiting.isEmpty)
  }

  @Test func whenTheClientClosesItsSideItsRequestsGetTheirReplies() {
    talk.send("GET a\nGET b")
    talk.session.inputClosed()
    talk.run()
    #expect(!talk.session.isFinished)
    node.reply(value("A"))
    talk.run()
    #expect(
      talk.read()
        == "+A\r\n-the input ended within a request, which was not executed\r\n")
    #expect(talk.session.isFinished)
  }

  @Test func aRequestThatCannotBeReadEndsTheConnectionBehindTheRepliesDue() {
    talk.send("GET a\n*x\r\nGET b\n")
    #expect(!talk.session.isFinished)
    node.reply(value("A"))
    talk.run()
    #expect(talk.read().hasPrefix("+A\r\n-a request begins with *"))
    #expect(talk.session.isFinished)
    #expect(talk.session.shouldLinger)
    talk.send("GET c\n")
    #expect(node.waiting.isEmpty)
  }

  @Test func httpGetsNoReply() {
    talk.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(talk.read() == "")
    #expect(talk.session.isFinished)
    #expect(!talk.session.shouldLinger)
  }

  @Test func aDrainCompletesCallsInProgressAndRefusesTheOthers() {
    talk.send("GET a\nDBSIZE\n")
    talk.session.drain()
    talk.run()
    #expect(!talk.session.isFinished)
    node.reply(value("A"))
    talk.run()
    #expect(
      talk.read() == "+A\r\n-the node is shutting down; the command was not executed\r\n")
    #expect(talk.session.isFinished)
    #expect(node.waiting.isEmpty)
  }

  @Test func aDrainOfAConnectionWithoutCommandsSaysNothing() {
    talk.send("PING\n")
    _ = talk.read()
    talk.session.drain()
    talk.run()
    #expect(talk.read() == "")
    #expect(talk.session.isFinished)
  }

  @Test func aConnectionThatIsGoneCancelsItsCalls() {
    talk.send("GET a\nGET b\n")
    talk.session.disconnected()
    #expect(node.cancelled == [.get, .get])
    #expect(node.waiting.isEmpty)
    talk.run()
    #expect(talk.read() == "")
  }

  @Test func aConnectionThatIsRefusedGetsTheReasonAndEnds() {
    talk.session.refuse(.overloaded("Too many."))
    talk.run()
    #expect(talk.read() == "-OVERLOADED Too many.\r\n")
    #expect(talk.session.isFinished)
  }
}
