// Errors keep their code, reason, shard and delay through every form they travel in.

import Foundation
import ProtobufMessages
import RingstoreAPI
import StatusCodes
import SwiftProtobuf
import Testing

@Suite struct CallErrorTests {
  static let examples: [CallError] = [
    .invalidKey(bytes: 0, max: 10), .wrongType(holds: "a list", wanted: "a string"),
    .notAnInteger, .integerOverflow, .noSuchKey, .indexOutOfRange(-7), .crossSlot,
    .invalidWait(max: 1),
    .badPattern("look-ahead"),
    .badPageToken,
    .noSuchDatabase(16, databases: 16), .tooManyItems(20_000, max: 10_000),
    .shardUnavailable("s1", "refused"), .outcomeUnknown("s1"), .wrongShard(owner: "s2"),
    .mapConflict("same epoch, other content"), .responseTooLarge(streamingCall: "LRangeStream"),
    .unknownField, .notUTF8, .memoryLimit("The shard's memory is used up."),
    CallError(.diskFull, "The disk is full.", shard: "s1", retryDelayMillis: 1_000),
    CallError(.logStalled, "The disk doesn't keep up.", shard: "s1"),
    .overloaded("The call waited too long.", retryDelayMillis: 12_345), .viewExpired,
    CallError(.invalidExpiry, "The time to live must be above 0."),
    CallError(.invalidCondition, "A version needs its condition."),
    .unauthenticated, .permissionDenied("The user a may not use this key."),
    .rateLimited(10, retryDelayMillis: 100), .tooManyConnections(2),
  ]

  @Test func thereIsAnExampleOfEveryReason() {
    #expect(Set(Self.examples.compactMap(\.reason)) == Set(ErrorReason.allCases))
  }

  @Test(arguments: examples)
  func anErrorSurvivesTheTrailersOfACall(_ error: CallError) {
    let back = CallError(code: error.code, message: error.message, details: error.details())
    #expect(back == error)
    #expect(error.code == error.reason?.code)
    #expect(error.doNotRetry == (error.reason == .outcomeUnknown))
  }

  @Test(arguments: examples)
  func stockClientsReadTheDetailsAsGoogleRpcStatus(_ error: CallError) throws {
    let status = try Google_Rpc_Status(serializedBytes: error.details())
    #expect(status.code == error.code.rawValue && status.message == error.message)
    let info = try Google_Rpc_ErrorInfo(unpackingAny: try #require(status.details.first))
    #expect(info.domain == "ringstore" && info.reason == error.reason?.rawValue)
    #expect(info.metadata == (error.shard.map { ["shard": $0] } ?? [:]))
    guard let millis = error.retryDelayMillis else {
      #expect(status.details.count == 1)
      return
    }
    let delay = try Google_Rpc_RetryInfo(unpackingAny: status.details[1]).retryDelay
    #expect(delay.seconds == Int64(millis / 1000))
    #expect(delay.nanos == Int32(millis % 1000) * 1_000_000)
  }

  @Test func errorsWhoseCodeSaysItAllCarryNoDetails() {
    for error in [CallError.deadlineExceeded, .cancelled, .undecodable(.truncated)] {
      #expect(error.details().isEmpty && error.reason == nil)
    }
  }

  @Test func aMessageThatIsNoneIsReportedInWords() {
    #expect(
      CallError.undecodable(.textIsNotUTF8).message
        == "The request is not a protobuf message: it has a text that is not UTF-8.")
  }

  @Test func detailsOfStrangersAreIgnoredAndSoAreImpossibleDelays() throws {
    let status = try Google_Rpc_Status.with {
      $0.details = [
        try Google_Protobuf_Any(
          message: Google_Rpc_ErrorInfo.with {
            ($0.reason, $0.domain, $0.metadata) = ("WRONG_TYPE", "example.com", ["shard": "x"])
          }),
        try Google_Protobuf_Any(
          message: Google_Rpc_RetryInfo.with { $0.retryDelay.seconds = .max }),
        try Google_Protobuf_Any(message: Ringstore_V1_Key()),
      ]
    }
    let error = CallError(
      code: .aborted, message: "m", details: try Array(status.serializedData()))
    #expect(error == CallError(code: .aborted, message: "m"))
    let noise = CallError(code: .aborted, message: "m", details: [0x1a, 0xff])
    #expect(noise == CallError(code: .aborted, message: "m"))
  }

  @Test func aDelayThatComesInTwoHalvesIsOneAsProtobufMergesMessages() throws {
    func detail(_ halves: [SwiftProtobuf.Google_Protobuf_Duration]) throws -> Int? {
      let info = try halves.flatMap { half in
        try Array(Google_Rpc_RetryInfo.with { $0.retryDelay = half }.serializedData())
      }
      let status = Google_Rpc_Status.with {
        $0.details = [
          .with { ($0.typeURL, $0.value) = ("x/google.rpc.RetryInfo", Data(info)) }
        ]
      }
      return CallError(
        code: .aborted, message: "", details: try Array(status.serializedData())
      ).retryDelayMillis
    }
    let (seconds, nanos) = (
      Google_Protobuf_Duration(seconds: 2), Google_Protobuf_Duration(nanos: 5_000_000)
    )
    #expect(try detail([seconds, nanos]) == 2_005)
    #expect(try detail([seconds, .init(seconds: -1)]) == nil)
    #expect(try detail([.init(seconds: -1), seconds]) == 2_000)
  }
}
