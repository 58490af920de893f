// A batch of spans in OTLP's JSON encoding
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hexadecimal digits,
// 64-bit numbers as text. Pure.

import TextForms

package enum OTLPRequest {
  /// The default path.
  package static let path = "/v1/traces"
  package static let contentType = "application/json"

  /// An ExportTraceServiceRequest.
  ///
  /// - Parameter version: of the program that made the spans.
  package static func body(_ spans: [Span], version: String) -> String {
    // A process has few nodes.
    var nodes: [(resource: TraceResource, spans: [JSONValue])] = []
    for span in spans {
      if let place = nodes.firstIndex(where: { $0.resource === span.resource }) {
        nodes[place].spans.append(json(span))
      } else {
        nodes.append((span.resource, [json(span)]))
      }
    }
    let scope = JSONValue.object([
      .init("name", .string("ringstore")), .init("version", .string(version)),
    ])
    let resources = nodes.map { node in
      JSONValue.object([
        .init("resource", .object([.init("attributes", json(node.resource.attributes))])),
        .init(
          "scopeSpans",
          .array([.object([.init("scope", scope), .init("spans", .array(node.spans))])])),
      ])
    }
    return JSONValue.object([.init("resourceSpans", .array(resources))]).text
  }

  private static func json(_ span: Span) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("traceId", .string(TraceContext.text(span.context.traceID))),
      .init("spanId", .string(Hexadecimal.text(span.context.spanID))),
    ]
    if span.parentID != 0 {
      members.append(.init("parentSpanId", .string(Hexadecimal.text(span.parentID))))
    }
    if !span.context.state.isEmpty {
      members.append(.init("traceState", .string(span.context.state)))
    }
    members += [
      .init("flags", .integer(Int64(span.context.flags))),
      .init("name", .string(span.name)),
      .init("kind", .integer(Int64(span.kind.rawValue))),
      .init("startTimeUnixNano", .string(String(span.startUnixNanos))),
      .init("endTimeUnixNano", .string(String(span.endUnixNanos))),
      .init("attributes", json(span.attributes)),
    ]
    if !span.events.isEmpty {
      members.append(.init("events", .array(span.events.map(json))))
    }
    if span.isError {
      let message = span.outcome.reason ?? span.outcome.code.name
      members.append(
        .init(
          "status",
          .object([.init("code", .integer(statusError)), .init("message", .string(message))])))
    }
    return .object(members)
  }

  /// STATUS_CODE_ERROR. By the conventions, the status of a span that has not failed stays unset.
  private static let statusError: Int64 = 2

  private static func json(_ event: SpanEvent) -> JSONValue {
    .object([
      .init("timeUnixNano", .string(String(event.unixNanos))), .init("name", .string(event.name)),
    ])
  }

  private static func json(_ attributes: [SpanAttribute]) -> JSONValue {
    .array(
      attributes.map { attribute in
        let value: JSONValue.Member =
          switch attribute.value {
          case .text(let text): .init("stringValue", .string(text))
          case .number(let number): .init("intValue", .string(String(number)))
          case .flag(let flag): .init("boolValue", .bool(flag))
          }
        return .object([.init("key", .string(attribute.name)), .init("value", .object([value]))])
      })
  }
}
