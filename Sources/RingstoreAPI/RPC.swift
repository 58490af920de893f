// A call's data from the .proto files; deploy/generate makes one for each (`V1.KeyStore.get`).
// Immutable, and shared by all threads.

package final class RPC: Sendable {
  /// The service, with its package: "ringstore.v1.KeyStore".
  package let service: String
  /// The call: "Get".
  package let name: String
  /// Path of the call in HTTP/2: "/ringstore.v1.KeyStore/Get".
  package let path: String
  package let request: any WireMessage.Type
  package let reply: any WireMessage.Type
  package let streamsRequests: Bool
  package let streamsReplies: Bool
  /// Whether it changes nothing, so that it may be sent again if its reply is lost.
  package let isReadOnly: Bool
  /// The number under which it may travel in a batch, or nil.
  package let method: V1.Method?
  /// The key field of a request; nil for calls that are not on one key.
  package let keyFields: KeyFields?

  init(
    service: String, name: String, request: any WireMessage.Type, reply: any WireMessage.Type,
    streamsRequests: Bool, streamsReplies: Bool, isReadOnly: Bool, method: V1.Method?,
    keyFields: KeyFields?
  ) {
    self.service = service
    self.name = name
    path = "/\(service)/\(name)"
    self.request = request
    self.reply = reply
    self.streamsRequests = streamsRequests
    self.streamsReplies = streamsReplies
    self.isReadOnly = isReadOnly
    self.method = method
    self.keyFields = keyFields
  }

  package var isStreaming: Bool { streamsRequests || streamsReplies }
}
