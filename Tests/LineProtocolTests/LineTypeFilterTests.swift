// SCAN with TYPE: one page, then the type of each of its keys.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import Testing

@Suite struct LineTypeFilterTests {
  let talk = Conversation()
  var node: FakeNode { talk.node }

  /// Sends a SCAN behind a GET, and replies to it with a page of these keys.
  private func scan(_ keys: [String]) {
    talk.send("SELECT 4\nSCAN 0 TYPE list\nGET later\n")
    #expect(node.waiting.map(\.call.command.id) == [.keys])
    node.reply { response in
      for key in keys {
        Array(key.utf8).withUnsafeBytes { response.append(V1.KeysResponse.Field.keys, $0) }
      }
      [UInt8(7)].withUnsafeBytes { response.write(V1.KeysResponse.Field.nextPageToken, $0) }
    }
    talk.run()
  }

  @Test func onlyKeysOfTheTypeAreListedInTheirOrder() {
    scan(["a", "b", "c"])
    #expect(node.waiting.map(\.call.command.id) == [.type, .type, .type])
    for waiting in node.waiting {
      #expect(waiting.request.withUnsafeReadableBytes { (try? V1.Key($0))?.database } == 4)
    }
    node.reply(at: 2) { V1.TypeResponse(type: .list).write(into: &$0) }
    node.reply(at: 1) { V1.TypeResponse(type: .string).write(into: &$0) }
    node.reply(at: 0) { V1.TypeResponse(type: .list).write(into: &$0) }
    talk.run()
    #expect(talk.read() == "+OK\r\n*3\r\n07\r\na\r\nc\r\n")
    #expect(node.waiting.map(\.call.command.id) == [.get])
  }

  @Test func aBoundedNumberIsRequestedAtATime() {
    let keys = (0..<200).map { "k\($0)" }
    scan(keys)
    var most = 0
    while node.waiting.first?.call.command.id == .type {
      most = max(most, node.waiting.count)
      node.reply { V1.TypeResponse(type: .list).write(into: &$0) }
      talk.run()
    }
    #expect(most == 64)
    #expect(talk.read() == "+OK\r\n*201\r\n07\r\n" + keys.map { $0 + "\r\n" }.joined())
  }

  @Test func aPageWithoutKeysHasItsReplyAtOnce() {
    scan([])
    #expect(talk.read() == "+OK\r\n*1\r\n07\r\n")
  }

  @Test func aTypeThatCannotBeHadFailsThePageAndTheRestIsCancelled() {
    scan(["a", "b"])
    node.fail(.shardUnavailable("s1", "gone"))
    talk.run()
    #expect(talk.read() == "+OK\r\n-SHARD_UNAVAILABLE Shard s1 can't be reached: gone\r\n")
    #expect(node.cancelled == [.type])
    #expect(node.waiting.map(\.call.command.id) == [.get])
  }

  @Test func aConnectionThatIsGoneCancelsTheTypesUnderWay() {
    scan(["a", "b"])
    talk.session.disconnected()
    #expect(node.cancelled == [.type, .type])
    #expect(node.waiting.isEmpty)
  }

  @Test func whileTheNodeAsksToWaitNoFurtherTypesAreRequested() {
    talk.send("SCAN 0 TYPE list\n")
    talk.session.pauseReading()
    node.reply { response in
      Array("a".utf8).withUnsafeBytes { response.append(V1.KeysResponse.Field.keys, $0) }
    }
    talk.run()
    #expect(node.waiting.isEmpty)
    talk.session.resumeReading()
    talk.run()
    #expect(node.waiting.map(\.call.command.id) == [.type])
  }
}
