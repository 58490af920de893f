// The codec of the hot path: every view on any bytes, and where SwiftProtobuf can read the bytes as
// well, both must have understood the same key, value, numbers and database.

import NIOCore
import RingstoreAPI
import SwiftProtobuf

func test(_ input: UnsafeRawBufferPointer) {
  readRequests(input)
  readReplies(input)
  readFrames(input)
  compare(input)
}

private func readRequests(_ bytes: UnsafeRawBufferPointer) {
  for shape in RequestShape.allCases where shape != .other {
    if let place = try? KeyPeek.peek(bytes, shape: shape) { touch(place.key) }
  }
  if let view = try? ListInsertView(bytes) { view.values.forEach(touch) }
  if let view = try? MGetView(bytes) { for item in view.items { touch(item.key) } }
  if let view = try? MSetView(bytes) { for item in view.items { touch(item.value) } }
  if let view = try? MLRangeView(bytes) { for item in view.items { touch(item.key) } }
  if let view = try? KeysView(bytes) {
    touch(view.pattern.text)
    touch(view.pageToken)
  }
  if let view = try? ScanView(bytes) { touch(view.resumeToken) }
  _ = try? DbSizeView(bytes)
  _ = try? ResetView(bytes)
  _ = try? ShutdownView(bytes)
  _ = try? KeysPartRequest(bytes)
  _ = try? ResetPartRequest(bytes)
}

private func readReplies(_ bytes: UnsafeRawBufferPointer) {
  if let view = try? ValueReplyView(bytes) { touch(view.value) }
  _ = try? StatusReplyView(bytes)
  if let view = try? ListValuesReplyView(bytes) { view.values.forEach(touch) }
  _ = try? IncrByReplyView(bytes)
  _ = try? NumberReplyView(bytes)
  _ = try? StatsReplyView(bytes)
  if let view = try? ItemsReplyView(bytes) {
    for item in view.encodedItems { _ = try? ItemReplyView(item) }
  }
  if let view = try? KeysReplyView(bytes) {
    view.keys.forEach(touch)
    for error in view.unreachable { _ = try? CallError(item: error) }
  }
  if let view = try? ScanPageView(bytes) { touch(view.resumeToken) }
  _ = try? CallError(item: bytes)
  _ = CallError(code: .unknown, message: "", details: bytes)
  if let view = try? KeysPartReplyView(bytes) {
    view.keys.forEach(touch)
    for index in 0..<view.positions.count { _ = view.positions[index] }
  }
  _ = try? LargeReplyNotice(bytes)
  _ = try? ResetPartReply(bytes)
}

private func readFrames(_ bytes: UnsafeRawBufferPointer) {
  var calls = CallBatchReader(bytes)
  while let call = try? calls.next() { touch(call.request) }
  var replies = ReplyBatchReader(bytes)
  while let reply = try? replies.next() { touch(reply.response) }
  var router = RouterFrameReader(bytes)
  while let part = try? router.next() { if case .call(let call) = part { touch(call.request) } }
  var shard = ShardFrameReader(bytes)
  while let part = try? shard.next() { if case .reply(let reply) = part { touch(reply.response) } }
}

/// Reads the ends of a slice: where it reaches over the input, AddressSanitizer says so.
private func touch(_ bytes: UnsafeRawBufferPointer) {
  if let first = bytes.first, let last = bytes.last, first &+ last == 7 { hits &+= 1 }
}

nonisolated(unsafe) private var hits = 0

// MARK: - Two readers

private func compare(_ bytes: UnsafeRawBufferPointer) {
  let copy = Array(bytes)
  if let ours = try? KeyView(bytes), let theirs = try? Ringstore_V1_Key(serializedBytes: copy) {
    same(ours.key, theirs.key, ours.database == theirs.database)
  }
  if let ours = try? KeyValueView(bytes),
    let theirs = try? Ringstore_V1_KeyValue(serializedBytes: copy)
  {
    same(ours.key, theirs.key, ours.database == theirs.database)
    same(ours.value, theirs.value, true)
  }
  if let ours = try? ListRangeView(bytes),
    let theirs = try? Ringstore_V1_ListRange(serializedBytes: copy)
  {
    same(ours.key, theirs.key, ours.start == theirs.start && ours.stop == theirs.stop)
    if ours.database != theirs.database { finding("the databases differ") }
  }
  if let ours = try? IncrByView(bytes),
    let theirs = try? Ringstore_V1_IncrByRequest(serializedBytes: copy)
  {
    same(ours.key, theirs.key, ours.delta == theirs.delta && ours.database == theirs.database)
  }
  if let ours = try? ListInsertView(bytes),
    let theirs = try? Ringstore_V1_ListInsert(serializedBytes: copy)
  {
    same(ours.key, theirs.key, ours.count == theirs.values.count)
    for (one, other) in zip(ours.values, theirs.values) { same(one, other, true) }
  }
}

private func same(
  _ ours: UnsafeRawBufferPointer, _ theirs: some Sequence<UInt8>, _ isRestSame: Bool
) {
  if !ours.elementsEqual(theirs) || !isRestSame { finding("the readers disagree") }
}
