// Spans as OpenTelemetry has them: what one call, or one part of it, did at one node, and when.
// Names and attributes follow its semantic conventions for RPC. Values; any thread.

import StatusCodes

/// Which side of a call a span tells of. The numbers are OTLP's.
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

/// How what a span tells of has ended.
package struct SpanOutcome: Sendable, Hashable {
  package let code: StatusCode
  /// As in PROTOCOL.md; nil: the code says it all.
  package let reason: String?

  package init(_ code: StatusCode, reason: String? = nil) {
    self.code = code
    self.reason = reason
  }

  package static let ok = SpanOutcome(.ok)

  /// Whether the span counts as failed. Of a server's spans only those do that the server is to
  /// blame for, as the conventions have it.
  func isError(_ kind: SpanKind) -> Bool {
    switch code {
    case .ok: false
    case .unknown, .deadlineExceeded, .unimplemented, .internal, .unavailable, .dataLoss: true
    default: kind == .client
    }
  }
}

/// The node that spans are of.
package final class TraceResource: Sendable {
  package let attributes: [SpanAttribute]

  /// - Parameters:
  ///   - role: "router" or "shard".
  ///   - id: the node's, unique among those of its role.
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
  /// 0: it begins its trace.
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
