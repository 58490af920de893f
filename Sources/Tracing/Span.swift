// Spans as OpenTelemetry defines them: the work of one node on one call, or on a part of it, with
// its beginning and end. Names and attributes follow OpenTelemetry's semantic conventions for RPC
// and databases (rpc.*, db.*, server.*, client.*, error.type); attributes that it has no name for
// begin with "ringstore.". Values; any thread.

import StatusCodes

/// The side of a call that a span describes. The numbers are OTLP's.
package enum SpanKind: Int, Sendable {
  case server = 2
  case client = 3
}

package enum SpanValue: Sendable, Hashable {
  case text(String)
  case number(Int64)
  case flag(Bool)
}

package struct SpanAttribute: Sendable, Hashable {
  package let name: String
  package let value: SpanValue

  package init(_ name: String, _ value: SpanValue) {
    self.name = name
    self.value = value
  }

  package init(_ name: String, _ text: String) { self.init(name, .text(text)) }
  package init(_ name: String, _ number: some BinaryInteger) {
    self.init(name, .number(Int64(clamping: number)))
  }
}

package struct SpanEvent: Sendable, Hashable {
  package let name: String
  /// Since 1970.
  package let unixNanos: UInt64

  package init(name: String, unixNanos: UInt64) {
    self.name = name
    self.unixNanos = unixNanos
  }
}

/// The outcome of what a span describes.
package struct SpanOutcome: Sendable, Hashable {
  package let code: StatusCode
  /// The reason of an error, as in PROTOCOL.md; nil: it has none.
  package let reason: String?

  package init(_ code: StatusCode, reason: String? = nil) {
    self.code = code
    self.reason = reason
  }

  package static let ok = SpanOutcome(.ok)

  /// Whether the span counts as failed. By the conventions a server's span does only for errors of
  /// the server, a client's for every error.
  func isError(_ kind: SpanKind) -> Bool {
    switch code {
    case .ok: false
    case .unknown, .deadlineExceeded, .unimplemented, .internal, .unavailable, .dataLoss: true
    default: kind == .client
    }
  }

  /// The attributes of a span that ends with it.
  func attributes(_ kind: SpanKind) -> [SpanAttribute] {
    var attributes = [SpanAttribute("rpc.response.status_code", code.name)]
    if isError(kind) { attributes.append(SpanAttribute("error.type", code.name)) }
    if let reason { attributes.append(SpanAttribute("ringstore.reason", reason)) }
    return attributes
  }
}

/// The node that made a span.
package final class TraceResource: Sendable {
  package let attributes: [SpanAttribute]

  /// - Parameters:
  ///   - role: "router" or "shard".
  ///   - id: the node's, unique among the nodes with its role.
  package init(role: String, cluster: String, id: String, version: String) {
    attributes = [
      SpanAttribute("service.name", "ringstore-\(role)"),
      SpanAttribute("service.namespace", cluster),
      SpanAttribute("service.instance.id", id),
      SpanAttribute("service.version", version),
    ]
  }
}

/// A span that has ended.
package struct Span: Sendable {
  package let resource: TraceResource
  package let context: TraceContext
  /// 0: the trace begins with it.
  package let parentID: UInt64
  package let name: String
  package let kind: SpanKind
  /// Since 1970.
  package let startUnixNanos: UInt64
  package let endUnixNanos: UInt64
  package let attributes: [SpanAttribute]
  package let events: [SpanEvent]
  package let outcome: SpanOutcome

  package var isError: Bool { outcome.isError(kind) }

  /// The value of an attribute; nil: it has none of that name. O(attributes).
  package subscript(name: String) -> SpanValue? {
    attributes.first { $0.name == name }?.value
  }
}
