// The reply of a call, as passed between the rooms of one process: in the type of its message, not
// encoded. A value; it points into the store's memory, or into that of a message that was received,
// and is valid during the call of a function that takes it.

import NIOCore
import RingstoreAPI

package enum CallReply {
  case status(V1.Status)
  case value(V1.Value)
  case sum(V1.IncrByResponse)
  case type(V1.TypeResponse)
  case ttl(V1.TtlResponse)
  case list(V1.ListValues)
  case positions(V1.ListPositions)
  case inspection(V1.InspectResponse)
  /// The reply of a call that is made of parts, encoded as it was put together.
  case merged(ByteBuffer)

  /// The reply of a call that is made of parts.
  package var merged: Result<ByteBuffer, CallError> {
    if case .merged(let reply) = self { return .success(reply) }
    return .failure(.internalError("It is a different kind of reply."))
  }

  /// Appends the encoded reply.
  package func write(into response: inout ByteBuffer) {
    switch self {
    case .status(let reply): reply.write(into: &response)
    case .value(let reply): reply.write(into: &response)
    case .sum(let reply): reply.write(into: &response)
    case .type(let reply): reply.write(into: &response)
    case .ttl(let reply): reply.write(into: &response)
    case .list(let reply): reply.write(into: &response)
    case .positions(let reply): reply.write(into: &response)
    case .inspection(let reply): reply.write(into: &response)
    case .merged(let reply): response.writeImmutableBuffer(reply)
    }
  }
}

/// A reply of commands on one key.
package protocol ReplyMessage: WireMessage {
  var reply: CallReply { get }
  /// - Returns: nil if it is another message.
  init?(_ reply: CallReply)
}

extension V1.Status: ReplyMessage {
  package var reply: CallReply { .status(self) }
  package init?(_ reply: CallReply) {
    guard case .status(let status) = reply else { return nil }
    self = status
  }
}

extension V1.Value: ReplyMessage {
  package var reply: CallReply { .value(self) }
  package init?(_ reply: CallReply) {
    guard case .value(let value) = reply else { return nil }
    self = value
  }
}

extension V1.IncrByResponse: ReplyMessage {
  package var reply: CallReply { .sum(self) }
  package init?(_ reply: CallReply) {
    guard case .sum(let sum) = reply else { return nil }
    self = sum
  }
}

extension V1.TypeResponse: ReplyMessage {
  package var reply: CallReply { .type(self) }
  package init?(_ reply: CallReply) {
    guard case .type(let type) = reply else { return nil }
    self = type
  }
}

extension V1.TtlResponse: ReplyMessage {
  package var reply: CallReply { .ttl(self) }
  package init?(_ reply: CallReply) {
    guard case .ttl(let ttl) = reply else { return nil }
    self = ttl
  }
}

extension V1.ListValues: ReplyMessage {
  package var reply: CallReply { .list(self) }
  package init?(_ reply: CallReply) {
    guard case .list(let list) = reply else { return nil }
    self = list
  }
}

extension V1.ListPositions: ReplyMessage {
  package var reply: CallReply { .positions(self) }
  package init?(_ reply: CallReply) {
    guard case .positions(let positions) = reply else { return nil }
    self = positions
  }
}

extension V1.InspectResponse: ReplyMessage {
  package var reply: CallReply { .inspection(self) }
  package init?(_ reply: CallReply) {
    guard case .inspection(let inspection) = reply else { return nil }
    self = inspection
  }
}
