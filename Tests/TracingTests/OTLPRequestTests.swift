// The requests to a collector, and its URL.

import Foundation
import Testing
import Tracing

@Suite struct OTLPRequestTests {
  @Test func aBatchIsAnExportTraceServiceRequestGroupedByNode() throws {
    let one = TracerFixture()
    let parent = TraceContext(
      traceID: TraceID(high: 1, low: 2), spanID: 3, flags: 1, state: "a=\"b\\")
    let span = try #require(one.tracer.begin("s/M", parent: parent))
    span.attributes = [
      SpanAttribute("text", "x"), SpanAttribute("number", Int64.max),
      SpanAttribute("flag", .flag(true)),
    ]
    one.tracer.note("e", in: span.number)
    one.tracer.end(span.number, SpanOutcome(.unavailable, reason: "SHARD_UNAVAILABLE"))
    let other = TracerFixture()
    let root = try #require(other.tracer.begin("s/N", parent: nil))
    other.tracer.end(root.number)
    let spans = one.ended() + other.ended()
    let text = OTLPRequest.body(spans, version: "1.2")
    let resources = try JSONDecoder().decode(Request.self, from: Data(text.utf8)).resourceSpans
    #expect(resources.count == 2)
    #expect(resources[0].resource.attributes.map(\.key).first == "service.name")
    let scope = try #require(resources[0].scopeSpans.first)
    #expect(scope.scope.name == "ringstore" && scope.scope.version == "1.2")
    let read = try #require(scope.spans.first)
    #expect(read.traceId == "00000000000000010000000000000002")
    #expect(read.spanId == "0000000000000001" && read.parentSpanId == "0000000000000003")
    #expect(read.traceState == "a=\"b\\" && read.flags == 1 && read.kind == 2)
    #expect(read.startTimeUnixNano == String(TestClock.unixNanos + 1_000))
    #expect(read.status == Request.Status(code: 2, message: "SHARD_UNAVAILABLE"))
    #expect(read.events?.first?.name == "e")
    #expect(read.attributes.first { $0.key == "text" }?.value.stringValue == "x")
    #expect(read.attributes.first { $0.key == "number" }?.value.intValue == String(Int64.max))
    #expect(read.attributes.first { $0.key == "flag" }?.value.boolValue == true)
    let begun = try #require(resources[1].scopeSpans.first?.spans.first)
    #expect(begun.parentSpanId == nil && begun.status == nil && begun.traceState == nil)
  }

  private struct Request: Decodable {
    struct Value: Decodable {
      var stringValue: String?
      var intValue: String?
      var boolValue: Bool?
    }
    struct Attribute: Decodable {
      var key: String
      var value: Value
    }
    struct Event: Decodable {
      var name: String
      var timeUnixNano: String
    }
    struct Status: Decodable, Equatable {
      var code: Int
      var message: String
    }
    struct Span: Decodable {
      var traceId: String
      var spanId: String
      var parentSpanId: String?
      var traceState: String?
      var flags: Int
      var name: String
      var kind: Int
      var startTimeUnixNano: String
      var endTimeUnixNano: String
      var attributes: [Attribute]
      var events: [Event]?
      var status: Status?
    }
    struct Scope: Decodable {
      var name: String
      var version: String
    }
    struct ScopeSpans: Decodable {
      var scope: Scope
      var spans: [Span]
    }
    struct Resource: Decodable {
      var attributes: [Attribute]
    }
    struct ResourceSpans: Decodable {
      var resource: Resource
      var scopeSpans: [ScopeSpans]
    }
    var resourceSpans: [ResourceSpans]
  }

  @Test func anEndpointIsAURLWithOTLPsPathByDefault() throws {
    let local = try #require(TraceEndpoint("http://127.0.0.1:4318/v1/traces"))
    #expect(!local.isEncrypted && local.address.description == "127.0.0.1:4318")
    #expect(local.path == "/v1/traces")
    let bare = try #require(TraceEndpoint("https://collector.example"))
    #expect(bare.isEncrypted && bare.address.description == "collector.example:443")
    #expect(bare.path == "/v1/traces")
    let odd = try #require(TraceEndpoint("http://[::1]/a/b?key=x"))
    #expect(odd.address.description == "[::1]:80" && odd.path == "/a/b?key=x")
    #expect(odd.shown == "http://[::1]:80/a/b?(secret)")
    #expect(bare.shown == "https://collector.example:443/v1/traces")
    #expect(TraceEndpoint("http://host:9/")?.path == "/v1/traces")
  }

  @Test(arguments: [
    "", "off", "127.0.0.1:4318", "ftp://host/", "http://", "http:///v1", "http://host:0/",
    "http://host:99999/", "http://user:secret@host/", "http://host/a b", "http://host/#a",
    "http://::1/", "HTTP://host/",
  ])
  func otherTextsAreNotAccepted(text: String) {
    #expect(TraceEndpoint(text) == nil)
  }
}
