// Calls made on a node's loop from within: the same replies as a client gets, whichever node it is.
// A router is tried over real links to shards of the same process.

import Commands
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import RouterNode
import SwiftProtobuf
import Testing

@testable import Front

@Suite(.serialized, .timeLimit(.minutes(15)))
struct LocalCallTests {
  @Test(arguments: End.allCases) func callsOnKeysGetTheirReplies(_ end: End) async throws {
    try await end.serve { node in
      for key in (0..<50).map({ "key:\($0)" }) {
        _ = try await node.call(.set, Requests.set(key, key)).get()
        let value: Ringstore_V1_Value = try await node.response(.get, Requests.key(key))
        #expect(value.found && value.value == .init(key.utf8))
      }
    }
  }

  @Test(arguments: End.allCases)
  func callsOnOneKeyRunInTheOrderMade(_ end: End) async throws {
    try await end.serve { node in
      let outcomes = try await node.onLoop { front, loop in
        let replies = (1...500).map { number in
          let promise = loop.makePromise(of: Outcome.self)
          front.call(.rPush, Requests.push("list", ["\(number)"])) { promise.succeed($0) }
          return promise.futureResult
        }
        return EventLoopFuture.whenAllSucceed(replies, on: loop)
      }
      let lengths = try outcomes.map { try Ringstore_V1_Status(serializedBytes: $0.bytes).count }
      #expect(lengths == Array(1...500))
    }
  }

  @Test func aShardRepliesToACallOnAKeyAtOnce() async throws {
    try await End.shard.serve { node in
      let value = try await node.onLoop { front, loop in
        var outcomes: [Outcome] = []
        let first = front.call(.set, Requests.set("k", "v")) { outcomes.append($0) }
        let second = front.call(.get, Requests.key("k")) { outcomes.append($0) }
        #expect(first == nil && second == nil, "nothing is left in progress")
        #expect(outcomes.count == 2)
        return loop.makeSucceededFuture(outcomes.last?.bytes ?? [])
      }
      #expect(try Ringstore_V1_Value(serializedBytes: value).value == .init("v".utf8))
    }
  }

  @Test(arguments: End.allCases) func aLargeReplyComesWhole(_ end: End) async throws {
    try await end.serve { node in
      let text = String(repeating: "0123456789", count: 300_000)
      _ = try await node.call(.set, Requests.set("k", text)).get()
      let value: Ringstore_V1_Value = try await node.response(.get, Requests.key("k"))
      #expect(value.found && value.value.elementsEqual(text.utf8))
    }
  }

  @Test(arguments: End.allCases)
  func aLargeReplyWaitsForItsCaller(_ end: End) async throws {
    try await end.serve { node in
      let text = String(repeating: "0123456789", count: 100_000)
      _ = try await node.call(.set, Requests.set("k", text)).get()
      let outcome = try await node.onLoop { front, loop in
        let caller = Caller()
        caller.isFull = true
        let promise = loop.makePromise(of: Outcome.self)
        let call = front.call(.get, Requests.key("k"), for: caller) {
          #expect(caller.expected > 1_000_000 && caller.questionsTooLate == 0)
          promise.succeed($0)
        }
        let bound = NIOLoopBound((front, caller, call), eventLoop: loop)
        caller.whenRefused = {
          loop.execute {
            let (front, caller, call) = bound.value
            caller.isFull = false
            if let call { front.callerTakesMore(call) }
          }
        }
        return promise.futureResult
      }
      #expect(outcome.bytes.count > text.utf8.count)
    }
  }

  @Test(arguments: End.allCases)
  func callsMadeOfSubRequestsAreMerged(_ end: End) async throws {
    try await end.serve { node in
      for key in ["a", "b", "c", "d"] {
        _ = try await node.call(.set, Requests.set(key, key)).get()
      }
      let size: Ringstore_V1_DbSizeResponse = try await node.response(
        .dbSize, Ringstore_V1_DbSizeRequest())
      #expect(size.keys == 4)
      let cluster: Ringstore_V1_DescribeResponse = try await node.response(
        .describe, Ringstore_V1_DescribeRequest())
      #expect(cluster.nodes.count == (end == .router ? 3 : 1))
    }
  }

  @Test(arguments: End.allCases)
  func anErrorIsTheOneThatAClientGetsAndIsCounted(_ end: End) async throws {
    try await end.serve { node in
      let prefix = end == .router ? "ringstore_router_" : "ringstore_"
      let before: Ringstore_V1_StatsResponse = try await node.response(
        .stats, Ringstore_V1_StatsRequest())
      let invalid = await node.call(.get, Requests.key("")).error
      #expect(invalid?.reason == .invalidKey)
      _ = try await node.call(.set, Requests.set("k", "v")).get()
      let wrong = await node.call(.lPop, Requests.key("k")).error
      #expect(wrong?.reason == .wrongType)
      let stats: Ringstore_V1_StatsResponse = try await node.response(
        .stats, Ringstore_V1_StatsRequest())
      let errors = prefix + "errors_total"
      #expect(stats.counters[errors, default: 0] == before.counters[errors, default: 0] + 2)
      #expect(stats.counters[prefix + "calls_get_total"] == 1)
    }
  }

  /// Commands on the line port are such calls.
  @Test(arguments: End.allCases)
  func callsMadeOfPartsAreCountedByTheNodeThatGetsThem(_ end: End) async throws {
    try await end.serve { node in
      let prefix = end == .router ? "ringstore_router_" : "ringstore_"
      let before: Ringstore_V1_StatsResponse = try await node.response(
        .stats, Ringstore_V1_StatsRequest())
      for _ in 0..<2 {
        let _: Ringstore_V1_KeysResponse = try await node.response(
          .keys, Ringstore_V1_KeysRequest())
      }
      var keys = Ringstore_V1_ManyKeysRequest()
      keys.keys = [Requests.key("a"), Requests.key("b")]
      let _: Ringstore_V1_ManyStatusesResponse = try await node.response(.mExists, keys)
      let after: Ringstore_V1_StatsResponse = try await node.response(
        .stats, Ringstore_V1_StatsRequest())
      func grown(_ name: String) -> Int64 {
        after.counters[prefix + name, default: 0] - before.counters[prefix + name, default: 0]
      }
      #expect(grown("calls_keys_total") == 2)
      #expect(grown("calls_mexists_total") == 1)
      #expect(grown("calls_stats_total") == 1)
      // On a shard the parts that are calls on one key count as well.
      #expect(grown("calls_exists_total") == (end == .router ? 0 : 2))
      #expect(grown("calls_total") == (end == .router ? 4 : 6))
    }
  }

  @Test(arguments: [1, 2]) func statsCountTheCallsOfAllLoops(threads: Int) async throws {
    try await End.router.serve(threads: threads) { node in
      for loop in 0..<threads {
        _ = try await node.call(.get, Requests.key("k"), loop: loop).get()
      }
      let stats: Ringstore_V1_StatsResponse = try await node.response(
        .stats, Ringstore_V1_StatsRequest())
      #expect(stats.counters["ringstore_router_calls_get_total"] == Int64(threads))
      #expect(stats.counters["ringstore_router_calls_stats_total"] == 1)
    }
  }

  @Test(arguments: End.allCases)
  func streamingCallsAndCallsTooLateAreRefused(_ end: End) async throws {
    try await end.serve { node in
      for command in CommandTable.all where command.isStreaming {
        let outcome = await node.call(command.id, Ringstore_V1_ScanRequest())
        #expect(outcome.error?.code == .unimplemented, "\(command.name)")
      }
      for (id, request) in [
        (CommandID.get, Requests.key("k") as any Message), (.dbSize, Ringstore_V1_DbSizeRequest()),
      ] {
        let late = await node.call(id, request, until: 1)
        #expect(late.error?.code == .deadlineExceeded)
      }
    }
  }

  @Test(arguments: End.allCases)
  func aDeadlineEndsWhatIsUnderWay(_ end: End) async throws {
    try await end.serve { node in
      _ = try await node.call(.set, Requests.set("k", String(repeating: "v", count: 1 << 20))).get()
      let outcome = try await node.onLoop { front, loop in
        let caller = Caller()
        caller.isFull = true
        let promise = loop.makePromise(of: Outcome.self)
        let soon = (NIODeadline.now() + .milliseconds(20)).uptimeNanoseconds
        front.call(.get, Requests.key("k"), until: soon, for: caller) {
          withExtendedLifetime(caller) {}
          promise.succeed($0)
        }
        return promise.futureResult
      }
      #expect(outcome.error?.code == .deadlineExceeded)
    }
  }

  @Test(arguments: End.allCases) func aCancelledCallGetsNoReply(_ end: End) async throws {
    try await end.serve { node in
      _ = try await node.call(.set, Requests.set("k", String(repeating: "v", count: 1 << 20))).get()
      let size = try await node.onLoop { front, loop in
        let calls = [
          front.call(.get, Requests.key("k")) { _ in Issue.record("it was cancelled") },
          front.call(.keys, Ringstore_V1_KeysRequest()) { _ in Issue.record("it was cancelled") },
        ]
        #expect(calls.allSatisfy { $0?.isOver == false })
        for call in calls.compactMap({ $0 }) { front.cancel(call) }
        let promise = loop.makePromise(of: Outcome.self)
        front.call(.dbSize, Ringstore_V1_DbSizeRequest()) { promise.succeed($0) }
        return promise.futureResult
      }
      // What was cancelled may have been executed or not; it is over.
      #expect(try Ringstore_V1_DbSizeResponse(serializedBytes: size.bytes).keys == 1)
    }
  }

  @Test func pausesAndResumesOfACallerAreBalanced() async throws {
    var limits = LinkLimits()
    limits.callsInFlightMax = 1
    try await End.router.serve(linkLimits: limits) { node in
      let caller = try await node.onLoop { _, loop in
        loop.makeSucceededFuture(NIOLoopBound(Caller(), eventLoop: loop))
      }
      let outcomes = try await node.onLoop { front, loop in
        let replies = (0..<40).map { _ in
          let promise = loop.makePromise(of: Outcome.self)
          front.call(.get, Requests.key("k"), for: caller.value) { promise.succeed($0) }
          return promise.futureResult
        }
        #expect(caller.value.pauses > 0 && caller.value.resumes == 0)
        return EventLoopFuture.whenAllSucceed(replies, on: loop)
      }
      #expect(outcomes.allSatisfy { $0.error == nil })
      _ = try await node.onLoop { _, loop in
        #expect(caller.value.pauses == caller.value.resumes)
        return loop.makeSucceededVoidFuture()
      }
    }
  }
}
