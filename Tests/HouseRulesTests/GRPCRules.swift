// The rules that a gRPC endpoint must keep, and the tests that hold us to them. Sources of the
// rules: RFC 9113, gRPC's PROTOCOL-HTTP2, compression.md, statuscodes.md,
// http-grpc-status-mapping.md, health-checking.md and the gRFCs A6, A8 and A9. A row whose test is
// renamed or deleted fails GRPCRulesTests; so does a rule without a test.

import Foundation

struct GRPCRule {
  let rule: String
  /// Each is "file: test", the file by its name without a folder; in a table of cases the test is
  /// what the case is called.
  let tests: [String]

  init(_ rule: String, _ tests: String...) {
    self.init(rule, tests: tests)
  }

  init(_ rule: String, tests: [String]) {
    self.rule = rule
    self.tests = tests
  }
}

enum GRPCRules {
  static let server = [
    GRPCRule(
      ":method is POST; any other is 405",
      "UnaryRulesTests.swift: anotherMethodIs405", "PageTests.swift: anyOtherMethodIs405",
      "test_raw_http2.py: test_what_is_not_grpc_gets_an_http_status"),
    GRPCRule(
      "content-type begins with application/grpc; any other is 415",
      "UnaryRulesTests.swift: anotherContentTypeIs415",
      "UnaryRulesTests.swift: grpcSubtypesAreTaken"
    ),
    GRPCRule(
      "an unknown path is UNIMPLEMENTED, Trailers-Only",
      "UnaryRulesTests.swift: anUnknownPathIsUnimplementedInTrailersOnly"),
    GRPCRule(
      "grpc-timeout has at most 8 digits and one of six units; else INTERNAL",
      "DeadlineAndCancelTests.swift: aMalformedTimeoutIsInternal",
      "TextCodingTests.swift: malformedTimeoutsAreRefused",
      "test_raw_http2.py: test_a_malformed_timeout_is_refused"),
    GRPCRule(
      "when the deadline passes the work is cancelled and the status is DEADLINE_EXCEEDED",
      "DeadlineAndCancelTests.swift: aPassedDeadlineEndsTheCallAndNotifiesTheService",
      "DeadlineAndCancelTests.swift: aDeadlineIsMetBeforeTheMessageIsComplete"),
    GRPCRule(
      "messages may be split and coalesced at will",
      "MessageDeframerTests.swift: everySplitOfAStreamGivesTheSameMessages",
      "StreamingTests.swift: messagesAreDeliveredHoweverTheyAreCut"),
    GRPCRule(
      "a length over the limit is RESOURCE_EXHAUSTED before it is buffered",
      "UnaryRulesTests.swift: anOverlongMessageIsRefusedBeforeItIsThere",
      "MessageDeframerTests.swift: aLengthOverTheLimitIsRefusedBeforeAnythingIsBuffered"),
    GRPCRule(
      "a message cut off by END_STREAM is INTERNAL",
      "UnaryRulesTests.swift: aTruncatedMessageIsInternal",
      "StreamingTests.swift: aTruncatedStreamIsInternal"),
    GRPCRule(
      "a unary call with none or two messages is UNIMPLEMENTED",
      "UnaryRulesTests.swift: noMessageIsUnimplemented",
      "UnaryRulesTests.swift: twoMessagesAreUnimplemented"),
    GRPCRule(
      "identity and gzip are taken and offered",
      "CompressionTests.swift: aRequestInGzipIsInflated",
      "CompressionTests.swift: aRequestInGzipGetsAReplyInGzipIfTheClientAcceptsIt",
      "CompressionTests.swift: theEncodingsAreNamedInTheFirstResponseOfAConnection",
      "test_interop.py: test_grpcio_as_the_client"),
    GRPCRule(
      "an unknown encoding is UNIMPLEMENTED, with grpc-accept-encoding",
      "CompressionTests.swift: anyOtherEncodingIsUnimplementedAndOursAreNamed"),
    GRPCRule(
      "a compressed flag without an encoding is INTERNAL",
      "CompressionTests.swift: aCompressedMessageWithoutAnEncodingIsInternal"),
    GRPCRule(
      "inflating stops at the limit of a message",
      "GzipCodecTests.swift: aBombIsInflatedNoFurtherThanTheLimit",
      "CompressionTests.swift: aMessageThatInflatesPastTheLimitIsResourceExhausted"),
    GRPCRule(
      "grpc-message is percent-encoded UTF-8; a bad escape is shown raw",
      "TextCodingTests.swift: aMessageOfAnyTextSurvivesPercentCoding",
      "TextCodingTests.swift: aBadEscapeIsShownRaw"),
    GRPCRule(
      "-bin metadata is taken padded or not, split at commas, and sent unpadded",
      "MetadataTests.swift: joinedBinaryValuesAreSplitAndMalformedOnesDropped",
      "MetadataTests.swift: binaryValuesTravelUnpaddedAndComeBack"),
    GRPCRule(
      "an error before the first message is Trailers-Only",
      "UnaryRulesTests.swift: errorsCarryMessageDetailsAndPushback",
      "test_raw_http2.py: test_an_error_before_any_message_is_trailers_only"),
    GRPCRule(
      "an end before the client's is trailers, then RST_STREAM NO_ERROR",
      "StreamingTests.swift: endingBeforeTheClientDoesSendsTrailersAndThenNoError",
      "PageTests.swift: aRequestWithABodyGetsItsReplyBeforeItsEnd"),
    GRPCRule(
      "a drain is two GOAWAYs with a round trip between; calls under way finish",
      "ConnectionRulesTests.swift: aDrainHasTwoStepsAndLetsCallsFinish",
      "ConnectionRulesTests.swift: aCallAboveTheLastIdOfADrainIsRefusedUnexecuted"),
    GRPCRule(
      "health is NOT_SERVING first in a drain",
      "test_standard_health.py: test_a_drain_begins_with_not_serving"),
    GRPCRule(
      "health is NOT_SERVING until the node serves",
      "ShardServerTests.swift: aShardThatLoadsIsAliveAndNotReadyToEveryProbe",
      "test_standard_health.py: test_a_router_that_has_reached_no_shard_is_alive_and_not_ready"),
    GRPCRule(
      "PING gets its reply", "ConnectionTests.swift: aPingIsReturnedWithItsPayload",
      "test_http2_rules.py: test_a_ping_is_returned_with_its_payload"),
    GRPCRule(
      "PINGs that come too often are too_many_pings, with the strikes and amnesty of gRFC A8",
      "ConnectionRulesTests.swift: tooManyPingsAreCut",
      "ConnectionRulesTests.swift: pingsAlongWithRepliesAreAllowed",
      "ConnectionRulesTests.swift: pingsAlongWithMessagesOfAnOpenStreamAreForgiven",
      "ConnectionRulesTests.swift: withoutSettingsClientsMayPingAsOftenAsGRPCsServersAllow",
      "ConnectionRulesTests.swift: aPermittedClientMayPingEachSecond",
      "test_connections.py: test_a_link_may_ping_every_second"),
    GRPCRule(
      "grpc.health.v1: Check, Watch, List",
      "test_standard_health.py: test_a_node_that_serves_says_so_of_all_its_services",
      "test_standard_health.py: test_list_has_every_service_and_the_node_itself",
      "test_standard_health.py: test_a_router_without_shards_is_not_serving_until_one_is_back"),
    GRPCRule(
      "reflection v1 and v1alpha serve every kind of request",
      "test_reflection.py: test_every_service_is_listed",
      "test_reflection.py: test_a_file_comes_with_all_that_it_imports",
      "test_reflection.py: test_a_file_is_found_by_what_it_defines",
      "test_reflection.py: test_what_is_not_there_is_an_error_in_the_stream_and_not_its_end",
      "test_reflection.py: test_a_message_without_extensions_has_no_numbers"),
    GRPCRule(
      "channelz tells of servers, sockets and channels",
      "test_channelz.py: test_every_connection_is_a_socket_with_its_counts",
      "test_channelz.py: test_the_links_of_a_router_are_its_channels"),
  ]

  static let client = [
    GRPCRule(
      ":scheme, te, user-agent, grpc-timeout and metadata are as the protocol has them",
      "ClientConnectionTests.swift: theRequestsHeadersAreThoseOfTheProtocol",
      "ClientConnectionTests.swift: theSchemeOverTLSIsHttps",
      "TextCodingTests.swift: aTimeoutIsNeverWrittenShorterThanItIs"),
    GRPCRule(
      "metadata is sanitised",
      "MetadataTests.swift: namesThatAreNotTheApplicationsAreRefused",
      "MetadataTests.swift: valuesThatAHeaderCannotCarryAreRefused"),
    GRPCRule(
      "the status is that of the trailers",
      "ClientConnectionTests.swift: anErrorStatusComesWithMessageDetailsAndPushback",
      "test_interop.py: test_grpcio_as_the_server"),
    GRPCRule(
      "without grpc-status the HTTP status is mapped",
      "ClientConnectionTests.swift: aResponseThatIsNotGRPCIsMapped",
      "ClientConnectionTests.swift: trailersWithoutAStatusAreUnknown"),
    GRPCRule(
      "the code of RST_STREAM is mapped", "ClientConnectionTests.swift: aResetIsMapped"),
    GRPCRule(
      "streams above GOAWAY's last id, and refused ones, were not processed and go elsewhere",
      "ClientConnectionLifeTests.swift: callsThatCrossedTheGoAwayWereNotProcessed",
      "ClientChannelCoreTests.swift: aCallAboveGoAwaysLastIDMovesToANewConnection",
      "ClientChannelCoreTests.swift: aRefusedCallIsSentAgainABoundedNumberOfTimes"),
    GRPCRule(
      "of what was sent and had no reply only reads are sent again",
      "ClientChannelCoreTests.swift: aWriteWhoseReplyWasLostIsNotSentAgain",
      "ClientChannelCoreTests.swift: aReadWhoseReplyWasLostIsSentAgainOnANewConnection"),
    GRPCRule(
      "a status of the server's is final, and its grpc-retry-pushback-ms is handed on",
      "ClientChannelCoreTests.swift: aCallWithAReplyIsNotSentAgainWhateverItsPushback"),
    GRPCRule(
      "reconnects back off exponentially with jitter",
      "SchedulingTests.swift: delaysGrowToTheLimitAndStayWithinTheJitter",
      "SchedulingTests.swift: jitterSpreadsTheDelays",
      "ClientChannelCoreTests.swift: afterAFailedAttemptCallsFailAtOnceUntilTheBackoffHasPassed"),
    GRPCRule(
      "gzip is taken and offered, and a bomb stops at the limit",
      "ClientCompressionTests.swift: messagesInGzipAreInflatedEachByItself",
      "ClientCompressionTests.swift: aMessageThatInflatesPastTheLimitIsResourceExhausted"),
    GRPCRule(
      "a compressed message in an encoding that isn't known is INTERNAL",
      "ClientCompressionTests.swift: aCompressedMessageInAnotherEncodingIsInternal"),
    GRPCRule(
      "a message cut off by the end is INTERNAL, an overlong one RESOURCE_EXHAUSTED",
      "ClientConnectionTests.swift: aStreamThatEndsInsideAMessageIsAnInternalError",
      "ClientConnectionTests.swift: aMessageOverTheLimitEndsTheCallAndTellsThePeer"),
    GRPCRule(
      "a unary call takes exactly one message",
      "ClientChannelCoreTests.swift: aUnaryCallTakesExactlyOneMessage"),
    GRPCRule(
      "nothing that a server sends does harm",
      "ClientConnectionPeerTests.swift: aPeerThatSendsNonsenseEndsTheConnectionNotTheProcess",
      "test_http2_rules.py: test_a_server_that_breaks_a_rule_fails_the_call"),
  ]

  /// Attacks, each with the test that shows its bound in the transport's own tests.
  static let attacks = [
    GRPCRule(
      "rapid reset", "ConnectionRulesTests.swift: rapidResetsAreCut",
      "ConnectionRulesTests.swift: resetsInProportionToRepliesAreAllowed"),
    GRPCRule("made-you-reset", "AttackTests.swift: resetsByOurOwnErrorsAreBounded"),
    GRPCRule(
      "CONTINUATION flood", "AttackTests.swift: aFloodOfContinuationsEndsTheConnection",
      "ConnectionRulesTests.swift: aHeaderBlockMustBeCompletedInTime"),
    GRPCRule(
      "HPACK and header bombs", "ConnectionTests.swift: aHeaderBombIsCutShortAndLeftToTheOwner",
      "AttackTests.swift: headersOverTheLimitGetAStatusThatSaysSo",
      "AttackTests.swift: trailersOverTheLimitGetTheSameStatus"),
    GRPCRule(
      "PING and SETTINGS floods", "AttackTests.swift: settingsAreBounded",
      "ConnectionTests.swift: aPingFloodWithUnreadRepliesEndsTheSession"),
    GRPCRule(
      "floods with unread replies", "StreamingTests.swift: aFullSocketStopsReadingUntilItDrains",
      "StreamingTests.swift: callsWaitWhileTooManyRepliesAreNotRead"),
    GRPCRule(
      "frames that carry nothing", "AttackTests.swift: framesThatCarryNothingAreBounded"),
    GRPCRule(
      "stalls and half-open connections",
      "ConnectionRulesTests.swift: aReplyThatIsNotReadEndsItsCallOnly",
      "ConnectionRulesTests.swift: aClientThatSendsNothingIsClosed"),
    GRPCRule("unlimited streams", "ConnectionTests.swift: theConcurrencyLimitIsAnnounced"),
    GRPCRule("bytes after a fatal error", "ConnectionTests.swift: aDeadSessionIsNotFedAgain"),
    GRPCRule(
      "bytes that would trap", "HostileInputTests.swift: randomFramesNeverTrap",
      "GzipCodecTests.swift: noBytesOfAPeerDoHarm"),
  ]

  static let all = server + client + attacks

  /// The rows of the table of attacks in docs/SECURITY.md, whose last column names tests.
  static func attacksOfPage(_ text: String) -> [GRPCRule] {
    let sections = text.components(separatedBy: "\n## ")
    guard let section = sections.first(where: { $0.hasPrefix("Attacks on the transport") }) else {
      return []
    }
    let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst()
    return rows.map { row in
      let columns = row.components(separatedBy: " | ")
      // What stands between two backticks is every second part.
      let parts = (columns.last ?? "").split(separator: "`", omittingEmptySubsequences: false)
      let tests = parts.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
      return GRPCRule(columns[0], tests: tests)
    }
  }

  /// What is wrong with the rows, one sentence each.
  ///
  /// - Parameter files: all files of tests.
  static func violations(of rules: [GRPCRule], in files: [SourceFile]) -> [String] {
    rules.flatMap { rule -> [String] in
      if rule.tests.isEmpty { return ["\(rule.rule): it has no test"] }
      return rule.tests.compactMap { name in
        let parts = name.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return "\(rule.rule): \(name) names no test" }
        let test = parts[1].drop { $0 == " " }
        let keyword = parts[0].hasSuffix(".py") ? "def" : "func"
        let forms = ["\(keyword) \(test)(", "\(keyword) `\(test)`(", "\"\(test)\""]
        let isThere = files.contains { file in
          file.name == parts[0] && forms.contains { file.text.contains($0) }
        }
        return isThere ? nil : "\(rule.rule): there is no \(name)"
      }
    }
  }
}
