// The wire format's corners: long varints, bad tags, groups, and lengths patched in afterwards.

import CodecReadings
import Foundation
import NIOCore
import NodeCore
import ProtobufMessages
import RingstoreAPI
import SwiftProtobuf
import Testing

@Suite struct WireTests {
  private func failure(of bytes: [UInt8]) -> WireError? {
    bytes.withUnsafeBytes { message in
      do throws(WireError) {
        _ = try V1.Key(message)
        return nil
      } catch {
        return error
      }
    }
  }

  @Test func varintsOfEveryWidthComeBackAsTheyWereWritten() throws {
    var values: [UInt64] = [0, .max]
    for bits in 0..<64 { values += [1 << bits, (1 << bits) &- 1, (1 << bits) &+ 1] }
    for value in values {
      let bytes = written { $0.append(LinkV1.Credit.Field.id, value) }.dropFirst().map { $0 }
      #expect(bytes.count == WireSize.varint(value))
      try bytes.withUnsafeBytes { message in
        var reader = WireReader(message)
        let read = try reader.readVarint()
        #expect(read == value)
        #expect(reader.isAtEnd)
      }
    }
  }

  @Test(arguments: [Int64.min, -64, -1, 0, 1, 63, .max])
  func signedNumbersComeBackAsTheyWereWritten(_ value: Int64) throws {
    let bytes = written { V1.IncrByRequest(delta: value).write(into: &$0) }
    let message = try Ringstore_V1_IncrByRequest(serializedBytes: bytes)
    #expect(message.delta == value)
    #expect(try bytes.withUnsafeBytes { try V1.IncrByRequest($0).delta } == value)
  }

  @Test func aVarintOfElevenBytesIsTooLongOneOfTenIsNot() {
    let padded = Array(repeating: UInt8(0x80), count: 9)
    #expect(failure(of: [0x10] + padded + [0]) == nil)
    #expect(failure(of: [0x10] + padded + [0x80, 0]) == .varintTooLong)
  }

  @Test func aTagOfSixBytesField0AndUnknownWireTypesAreRefused() {
    #expect(failure(of: [0x80, 0x80, 0x80, 0x80, 0x80, 0x01]) == .varintTooLong)
    #expect(failure(of: [0xf8, 0xff, 0xff, 0xff, 0x1f, 0x00]) == .varintTooLong)
    #expect(failure(of: [0x00, 0x00]) == .badTag)
    #expect(failure(of: [0x0e]) == .wrongWireType)
    #expect(failure(of: [0x0f]) == .wrongWireType)
  }

  @Test func aLengthPastTheEndIsRefusedHoweverLargeItClaimsToBe() {
    #expect(failure(of: [0x0a, 0x01]) == .truncated)
    #expect(failure(of: [0x0a] + Array(repeating: 0xff, count: 9) + [0x01]) == .truncated)
    #expect(failure(of: [0x7d, 0, 0, 0]) == .truncated)
    #expect(failure(of: [0x79, 0, 0, 0, 0, 0, 0, 0]) == .truncated)
  }

  /// Fields whose tags have one and two bytes, and lengths of one to three bytes.
  @Test(arguments: [1, 15, 16, 2_047], [0, 1, 126, 127, 128, 16_384])
  func elementsOfARepeatedFieldAreFoundBetweenOthers(_ number: Int, _ count: Int) throws {
    let field = BytesField(number)
    let element = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
    var ends = [0]
    var bytes = [UInt8]()
    for index in 0..<3 {
      bytes += element.withUnsafeBytes { element in written { $0.append(field, element) } }
      ends.append(bytes.count)
      bytes += written { $0.append(UIntField(number + index + 1), 300) }
      ends.append(bytes.count)
    }
    func elements(_ length: Int) throws -> [[UInt8]] {
      try bytes[..<length].withUnsafeBytes { message in
        var found = [[UInt8]]()
        var elements = RepeatedBytes.Iterator(in: message, field)
        while let next = try elements.read() { found.append(next.array) }
        return found
      }
    }
    #expect(try elements(bytes.count) == [element, element, element])
    for length in 0..<bytes.count {
      if let place = ends.firstIndex(of: length) {
        #expect(try elements(length).count == (place + 1) / 2)
      } else {
        #expect(throws: WireError.self) { try elements(length) }
      }
    }
  }

  @Test func groupsAreSkippedWholeAndOnlyWhole() {
    #expect(failure(of: [0x7b, 0x0a, 0x01, 0x61, 0x7b, 0x7c, 0x7c]) == nil)
    #expect(failure(of: [0x7b]) == .truncated)
    #expect(failure(of: [0x7b, 0x74]) == .badTag)
    #expect(failure(of: [0x7c]) == .badTag)
  }

  @Test func groupsMayNestAHundredDeep() {
    func nested(_ depth: Int) -> [UInt8] {
      Array(repeating: 0x7b, count: depth) + Array(repeating: 0x7c, count: depth)
    }
    #expect(failure(of: nested(WireReader.groupDepthMax)) == nil)
    #expect(failure(of: nested(WireReader.groupDepthMax + 1)) == .nestingTooDeep)
    #expect(WireReader.groupDepthMax == 100)
  }

  @Test(arguments: [0, 1, 127, 128, 16_383, 16_384, 2_100_000], [0, 1, 127, 128, 20_000])
  func aLengthIsRightWhateverWasGuessed(_ count: Int, _ hint: Int) throws {
    let contents = Array(repeating: UInt8(7), count: count)
    let bytes = written { buffer in
      buffer.append(V1.MGetRequest.Field.keys, noBytes)
      let outer = buffer.beginLengthDelimited(V1.MGetRequest.Field.keys, sizeHint: hint)
      let inner = buffer.beginLengthDelimited(V1.Key.Field.key, sizeHint: hint)
      buffer.writeBytes(contents)
      buffer.endLengthDelimited(inner)
      buffer.endLengthDelimited(outer)
      buffer.append(V1.MGetRequest.Field.keys, noBytes)
    }
    let message = try Ringstore_V1_MGetRequest(serializedBytes: bytes)
    #expect(message.keys.map { Array($0.key) } == [[], contents, []])
  }

  @Test func aFieldGivenUpLeavesTheBufferAsItWas() {
    let bytes = written { buffer in
      buffer.append(UIntField(1), 5)
      let mark = buffer.beginLengthDelimited(BytesField(2), sizeHint: 300)
      buffer.append(UIntField(1), 6)
      buffer.abandonLengthDelimited(mark)
      buffer.append(UIntField(3), 7)
    }
    #expect(bytes == [0x08, 5, 0x18, 7])
  }

  @Test func aBufferThatIsSharedIsCopiedNotChangedBehindItsOwnersBack() {
    var buffer = ByteBuffer()
    let mark = buffer.beginLengthDelimited(BytesField(1))
    buffer.writeBytes([1, 2, 3])
    let shared = buffer
    buffer.endLengthDelimited(mark)
    #expect(Array(shared.readableBytesView) == [0x0a, 0, 1, 2, 3])
    #expect(Array(buffer.readableBytesView) == [0x0a, 3, 1, 2, 3])
  }

  @Test func anEmptyOrAbsentPatternIsDistinguishedFromOneOfAKindNotKnown() throws {
    func kind(_ bytes: [UInt8]) throws -> KeyPattern.Kind {
      try bytes.withUnsafeBytes { KeyPattern(try V1.KeysRequest($0).pattern).kind }
    }
    #expect(try kind([]) == .everything)
    #expect(try kind([0x0a, 0x00]) == .unset)
    #expect(try kind([0x0a, 0x02, 0x22, 0x00]) == .unset)
    #expect(try kind([0x0a, 0x02, 0x0a, 0x00]) == .glob)
    #expect(try kind([0x0a, 0x02, 0x12, 0x00, 0x0a, 0x00]) == .regex)
  }

  // MARK: - Fields that are not served

  private func unserved<Message: WireMessage>(
    _: Message.Type, _ theirs: some SwiftProtobuf.Message
  ) throws -> String? {
    try (theirs.serializedBytes() as [UInt8]).withUnsafeBytes { try Message($0).unservedField }
  }

  @Test func aFieldThatIsNotServedIsNamed() throws {
    func name(_ change: (inout Ringstore_V1_KeyValue) -> Void) throws -> String? {
      try unserved(V1.KeyValue.self, Ringstore_V1_KeyValue.with(change))
    }
    #expect(try name { $0.value = Data([1]) } == nil)
    #expect(try name { $0.ttlMillis = 0 } == nil)
    #expect(try name { $0.condition = .ifAbsent } == nil)
    #expect(try name { $0.condition = .UNRECOGNIZED(77) } == "condition")
    #expect(try name { ($0.ifVersion, $0.returnPrevious) = (1, true) } == nil)
    #expect(
      try unserved(V1.Call.self, Ringstore_V1_Call.with { $0.requestID = Data([1]) })
        == "request_id")
    #expect(
      try unserved(
        LinkV1.LinkCall.self, Ringstore_Internal_V1_LinkCall.with { $0.requestID = Data([1]) })
        == "request_id")
  }

  @Test func aFieldThatIsNotServedIsFoundInAListOfMessages() throws {
    let request = Ringstore_V1_MSetRequest.with {
      $0.items = [.init(), .with { $0.condition = .UNRECOGNIZED(5) }]
    }
    #expect(try unserved(V1.MSetRequest.self, request) == "condition")
  }

  @Test func onlyUnknownNumbersOfATypeAreRefused() throws {
    for type in Ringstore_V1_ValueType.allCases {
      #expect(
        try unserved(V1.ScanRequest.self, Ringstore_V1_ScanRequest.with { $0.type = type }) == nil)
    }
    #expect(
      try unserved(
        V1.ScanRequest.self, Ringstore_V1_ScanRequest.with { $0.type = .UNRECOGNIZED(9) })
        == "type")
  }

  @Test func aMessageWithListsThatComesInPiecesIsRefusedAnyOtherIsMerged() throws {
    let map: [UInt8] = [0x12, 0x02, 0x08, 0x01]
    #expect(try map.withUnsafeBytes { try V1.DescribeResponse($0).map?.epoch } == 1)
    #expect(throws: WireError.messageInPieces) {
      try (map + map).withUnsafeBytes { try V1.DescribeResponse($0).map?.epoch }
    }
    let previous: [UInt8] = [0x22, 0x02, 0x18, 0x05, 0x22, 0x03, 0x0a, 0x01, 0x07]
    try previous.withUnsafeBytes { bytes in
      let value = try #require(try V1.Status(bytes).previous)
      #expect(value.version == 5 && Array(value.value) == [7])
    }
  }
}
