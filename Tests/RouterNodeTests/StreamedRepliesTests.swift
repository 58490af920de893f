// Replies that come in parts: what is asked for, what becomes of each part, and who waits.

import NodeCore
import Testing

@testable import RouterNode

@Suite struct StreamedRepliesTests {
  private var replies = StreamedReplies()
  private let window = StreamedReply.windowBytes

  /// #expect can't call mutating methods itself.
  private mutating func ask(_ id: UInt64, of link: Int = 0, share: Int = .max) -> Int {
    replies.ask(id, of: link, share: share)
  }

  private mutating func take(
    _ count: Int, of id: UInt64, from link: Int = 0, isLast: Bool = false
  ) -> StreamedReply.Part? {
    Array(repeating: UInt8(1), count: count).withUnsafeBytes {
      replies.take($0, of: id, from: link, isLast: isLast)?.part
    }
  }

  @Test
  mutating func forACallerThatTakesPiecesAWindowIsRequestedAndTheFirstPieceHasTheLength() {
    replies.begin(1, .pieces(total: 3 * window))
    let first = ask(1)
    #expect(first == window)
    let again = ask(1)
    #expect(again == 0, "what was asked for has yet to come")
    let pieces = [take(window / 2, of: 1), take(window / 2, of: 1)]
    #expect(pieces == [.piece(beginning: 3 * window), .piece(beginning: nil)])
    #expect(replies.hasBegun(1) && replies.requestedBytes == 0)
    let next = ask(1)
    #expect(next == window)
  }

  @Test mutating func aGatheredReplyIsRequestedWholeAndCountedUntilItEnds() {
    replies.begin(1, .gathered(total: 10 * window))
    let asked = ask(1)
    #expect(asked == 10 * window)
    let parts = [take(9 * window, of: 1), take(window, of: 1, isLast: true)]
    #expect(parts == [.keep, .keep])
    #expect(replies.requestedBytes == 10 * window && !replies.hasBegun(1))
    let ended = replies.end(1, at: 0)
    #expect(ended?.bytes.readableBytes == 10 * window)
    #expect(replies.requestedBytes == 0 && replies.count == 0)
  }

  @Test(arguments: [
    (10, true, StreamedReply.Part.piece(beginning: 10)), (9, true, .refuse), (11, true, .refuse),
    (9, false, .piece(beginning: 10)), (11, false, .refuse),
  ])
  mutating func otherBytesThanWereAnnouncedAreRefused(
    _ count: Int, _ isLast: Bool, _ part: StreamedReply.Part
  ) {
    replies.begin(1, .pieces(total: 10))
    _ = ask(1)
    let taken = take(count, of: 1, isLast: isLast)
    #expect(taken == part)
  }

  @Test mutating func messagesOfAStreamArePassedOnHoweverManyThereAre() {
    replies.begin(1, .messages)
    for _ in 0..<3 {
      let asked = ask(1)
      #expect(asked == window)
      let part = take(window, of: 1)
      #expect(part == .message)
    }
    let unknown = take(1, of: 2)
    #expect(unknown == nil)
  }

  @Test
  mutating func repliesWaitForTheirPartOfAShareInTurnAndOneAloneMayGoPastIt() {
    for id in 1...3 as ClosedRange<UInt64> { replies.begin(id, .gathered(total: 100)) }
    let asked = (1...3).map { ask($0, share: 50) }
    #expect(asked == [100, 0, 0])
    #expect(replies.hasWaiters(0) && !replies.mayAsk(2) && !replies.hasWaiters(1))
    let none = replies.nextWaiter(0, share: 50)
    #expect(none == nil)
    _ = replies.end(1, at: 0)
    let second = replies.nextWaiter(0, share: 50)
    #expect(second?.id == 2 && second?.bytes == 100)
    // Its caller takes no more: the third gets the share.
    let third = replies.nextWaiter(0, share: 50)
    #expect(third?.id == 3)
    replies.grant(3, 100, 0)
    #expect(replies.requestedBytes == 100 && !replies.hasWaiters(0) && replies.mayAsk(2))
  }

  @Test mutating func eachLinkHasAShareOfItsOwn() {
    for id in 1...2 as ClosedRange<UInt64> { replies.begin(id, .gathered(total: 100)) }
    let asked = [ask(1, of: 0, share: 50), ask(2, of: 3, share: 50)]
    #expect(asked == [100, 100] && replies.requestedBytes == 200)
  }

  @Test mutating func repliesThatWereGivenUpLoseTheirPlace() {
    for id in 1...3 as ClosedRange<UInt64> { replies.begin(id, .gathered(total: 100)) }
    for id in 1...3 as ClosedRange<UInt64> { _ = ask(id, share: 50) }
    _ = replies.end(2, at: 0)
    _ = replies.end(1, at: 0)
    let next = replies.nextWaiter(0, share: 50)
    #expect(next?.id == 3)
    replies.grant(3, 100, 0)
    replies.begin(4, .messages)
    _ = ask(4, share: 50)
    #expect(replies.hasWaiters(0))
    replies.lost(0)
    #expect(!replies.hasWaiters(0))
  }

  @Test mutating func aCallThatGoesToAnotherShardRequestsItsReplyThereAgain() {
    replies.begin(1, .messages)
    _ = ask(1, of: 0)
    let released = replies.returned(1, by: 0)
    #expect(released == window && replies.requestedBytes == 0)
    let asked = ask(1, of: 1)
    #expect(asked == window)
  }
}
