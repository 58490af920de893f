// Defects in what a shard does with conditions and versions, and in what it tells of a key.
//
// Owns nothing.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension ShardFaultInjector {
  // MARK: - On the way in

  /// The frame, with calls that ask for less than they did.
  func withOtherRequests(_ frame: ByteBuffer) -> ByteBuffer {
    frame.withUnsafeReadableBytes { bytes in
      guard var message = try? LinkV1.RouterFrame(bytes) else { return frame }
      let calls = message.calls.map { $0 }
      guard calls.contains(where: { changed($0) != nil }) else { return frame }
      message.calls = RepeatedMessages()
      var copy = ByteBuffer()
      message.write(into: &copy)
      for var call in calls {
        if let request = changed(call) {
          request.withUnsafeReadableBytes { request in
            call.request = request
            copy.append(LinkV1.RouterFrame.Field.calls, call)
          }
        } else {
          copy.append(LinkV1.RouterFrame.Field.calls, call)
        }
      }
      return copy
    }
  }

  /// The other request of a call; nil if it stays as it is.
  private func changed(_ call: LinkV1.LinkCall) -> ByteBuffer? {
    var request = ByteBuffer()
    switch context.configuration.sabotage {
    case .ignoresVersions:
      if call.method == Command.set.method, var set = try? V1.KeyValue(call.request),
        set.condition == .ifVersion
      {
        (set.condition, set.ifVersion) = (.always, 0)
        set.write(into: &request)
        return request
      }
      guard call.method == Command.delete.method, var delete = try? V1.DeleteRequest(call.request),
        case .ifVersion = delete.condition
      else { return nil }
      delete.condition = nil
      delete.write(into: &request)
    case .ignoresValues:
      guard call.method == Command.delete.method, var delete = try? V1.DeleteRequest(call.request),
        case .ifValue = delete.condition
      else { return nil }
      delete.condition = nil
      delete.write(into: &request)
    case .setsSomeKeys:
      guard call.method == Command.mSetIfAbsent.method,
        let all = try? V1.MSetIfAbsentRequest(call.request), all.others.count > 0
      else { return nil }
      V1.MSetIfAbsentRequest(key: all.key, value: all.value).write(into: &request)
      for other in all.others.map({ $0 }).dropLast() {
        request.append(V1.MSetIfAbsentRequest.Field.others, other)
      }
    default: return nil
    }
    return request
  }

  // MARK: - On the way out

  /// The frame, with replies that tell of a key what isn't so.
  func withOtherReplies(_ frame: ByteBuffer, _ connection: SimulatedConnection) -> ByteBuffer {
    copy(of: frame, withOthers: true) { reply, copy in
      guard reply.isOK, !reply.more, let method = probe.method(reply.id, connection),
        let response = changed(reply, method)
      else { return true }
      response.withUnsafeReadableBytes { copy.writeReply(.link, id: reply.id, response: $0) }
      return false
    }
  }

  /// The other response of a reply; nil if it stays as it is.
  private func changed(_ reply: LinkV1.LinkReply, _ method: UInt32) -> ByteBuffer? {
    var response = ByteBuffer()
    switch (context.configuration.sabotage, method) {
    case (.tellsOtherPrevious, Command.set.method):
      guard var status = try? V1.Status(reply.response), status.previous?.found == true else {
        return nil
      }
      status.previous = V1.Value()
      status.write(into: &response)
    case (.repeatsVersions, Command.get.method):
      guard var value = try? V1.Value(reply.response), value.found else { return nil }
      value.version = 1 + value.version % 3
      value.write(into: &response)
    case (.miscountsTouched, Command.touch.method):
      guard var status = try? V1.Status(reply.response) else { return nil }
      status.count += 1
      status.write(into: &response)
    case (.inspectsWrong, Command.inspect.method):
      guard var facts = try? V1.InspectResponse(reply.response), facts.type == .list else {
        return nil
      }
      facts.type = .string
      facts.write(into: &response)
    default: return nil
    }
    return response
  }
}
