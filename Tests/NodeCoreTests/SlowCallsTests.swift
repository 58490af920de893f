// Which keys of slow calls a caller sees.

import MetricTypes
import NodeCore
import Patterns
import Testing
import Users

@Suite struct SlowCallsTests {
  private static func calls(_ keys: [(String, Int)]) -> SlowCalls {
    var log = SlowLog(slowNanos: 1, largeBytes: 1, keyForm: .key)
    for (key, database) in keys {
      var call = SlowCall(place: 0, durationNanos: 1, isError: false)
      (call.requestBytes, call.database) = (1, database)
      call.key = .bytes(Array(key.utf8.prefix(SlowKeyForm.keyBytesMax)))
      log.note(call)
    }
    return SlowCalls(log)
  }

  private static func shown(_ calls: [SlowCall]) -> Set<String> {
    Set(
      calls.compactMap {
        if case .bytes(let key) = $0.key { String(decoding: key, as: UTF8.self) } else { nil }
      })
  }

  @Test func aCallerSeesAllCallsAndTheKeysThatItMayAccess() throws {
    let rules = try KeyRules(databases: [0...0], keys: [.prefix(Array("mine:".utf8))])
    let all = Self.calls([("mine:1", 0), ("other:1", 0), ("mine:2", 1), ("mine", 0)])
    let shown = all.shown(to: rules)
    for calls in [shown.slow, shown.large] {
      #expect(calls.count == 4)
      #expect(Self.shown(calls) == ["mine:1"])
    }
    #expect(Self.shown(all.shown(to: nil).slow).count == 4)
  }

  @Test func theBeginningOfAKeyIsShownOnlyIfAllSuchKeysAreAllowed() throws {
    let long = String(repeating: "x", count: SlowKeyForm.keyBytesMax)
    let calls = Self.calls([(long, 0)])
    let glob = try KeyRules(databases: nil, keys: [.glob(Array("x*x".utf8))])
    #expect(Self.shown(calls.shown(to: glob).slow).isEmpty)
    let prefix = try KeyRules(databases: nil, keys: [.prefix(Array("xx".utf8))])
    #expect(Self.shown(calls.shown(to: prefix).slow) == [long])
    let longer = try KeyRules(databases: nil, keys: [.prefix(Array((long + "y").utf8))])
    #expect(Self.shown(calls.shown(to: longer).slow).isEmpty)
  }

  @Test func digestsStay() throws {
    var log = SlowLog(slowNanos: 1)
    var call = SlowCall(place: 0, durationNanos: 1, isError: false)
    (call.database, call.key) = (0, .digest("00"))
    log.note(call)
    let rules = try KeyRules(databases: [1...1], keys: [])
    #expect(SlowCalls(log).shown(to: rules).slow.map(\.key) == [.digest("00")])
  }
}
