// Which failures leave it open whether a call has run. Where the client says "no", a caller repeats
// a write without harm; so every doubtful end must be called doubtful.

import Commands
import GRPC
import RingstoreAPI
import RingstoreClient
import Testing

@Suite struct ErrorTests {
  private func error(
    _ id: CommandID, _ status: RPCStatus, details: CallError? = nil
  ) throws -> RingstoreError {
    var status = status
    if let details { status.details = details.details() }
    return RingstoreError(status, of: try #require(CommandTable.command(id)).rpc)
  }

  @Test func aLostReplyToAWriteIsInDoubtAndOneToAReadIsNot() throws {
    let lost = RPCStatus(.unavailable, "gone", pushbackMillis: -1)
    #expect(try error(.set, lost).isOutcomeUnknown)
    #expect(try !error(.get, lost).isOutcomeUnknown)
  }

  @Test func aConnectionThatWasNeverMadeLeavesNoDoubt() throws {
    #expect(try !error(.set, RPCStatus(.unavailable, "connect failed")).isOutcomeUnknown)
  }

  @Test(arguments: [
    StatusCode.deadlineExceeded, .cancelled, .internal, .unknown, .resourceExhausted,
  ])
  func anEndWithoutAReasonIsInDoubt(code: StatusCode) throws {
    #expect(try error(.lPop, RPCStatus(code, "")).isOutcomeUnknown)
    #expect(try !error(.lRange, RPCStatus(code, "")).isOutcomeUnknown)
  }

  @Test func aNodesRefusalLeavesNoDoubt() throws {
    for reason in ErrorReason.allCases where reason != .outcomeUnknown {
      let refusal = CallError(reason, "No.")
      let made = try error(.set, RPCStatus(refusal.code, "No."), details: refusal)
      #expect(!made.isOutcomeUnknown, "\(reason)")
      #expect(made.reason?.rawValue == reason.rawValue)
      #expect(made.code.rawValue == reason.code.rawValue)
    }
  }

  @Test func aNodesOwnDoubtIsPassedOn() throws {
    let doubt = CallError(.outcomeUnknown, "Lost.", shard: "a")
    let made = try error(.set, RPCStatus(.unavailable, "Lost."), details: doubt)
    #expect(made.isOutcomeUnknown)
    #expect(made.reason == .outcomeUnknown)
    #expect(made.shard == "a")
  }

  @Test func aResetOrShutdownThatReachedNoNodeHasAKnownOutcome() throws {
    for id in [CommandID.reset, .shutdown] {
      #expect(try !error(id, RPCStatus(.unavailable, "connect failed")).isOutcomeUnknown)
    }
  }

  @Test func aResetThatMissedAShardMayHaveEmptiedOthers() throws {
    let missing = CallError(
      .shardUnavailable, "Shard b is away.", shard: "b", retryDelayMillis: 250)
    let made = try error(.reset, RPCStatus(.unavailable, missing.message), details: missing)
    #expect(made.isOutcomeUnknown)
    let halfway = try error(
      .shutdown, RPCStatus(.unavailable, missing.message), details: missing)
    #expect(halfway.isOutcomeUnknown)
    #expect(made.retryDelay == .milliseconds(250))
    #expect(made.description == "SHARD_UNAVAILABLE: Shard b is away.")
  }
}
