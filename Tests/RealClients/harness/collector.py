"""An OTLP/HTTP collector that keeps the spans it receives: JSON over HTTP/1.1, on a port of its
own."""

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.polling import eventually


@dataclass
class Span:
    trace: str
    id: str
    parent: str | None
    name: str
    kind: str
    node: str
    service: str
    attributes: dict
    state: str = ""
    error: str | None = None
    events: list[str] = field(default_factory=list)
    nanos: int = 0


_KINDS = {2: "server", 3: "client"}


def _value(value: dict):
    if "intValue" in value:
        return int(value["intValue"])
    return value.get("stringValue", value.get("boolValue"))


def _attributes(listed: list) -> dict:
    return {each["key"]: _value(each["value"]) for each in listed}


def spans_of(body: bytes) -> list[Span]:
    found = []
    for resource in json.loads(body)["resourceSpans"]:
        node = _attributes(resource["resource"]["attributes"])
        for scope in resource["scopeSpans"]:
            assert scope["scope"]["name"] == "ringstore"
            for span in scope["spans"]:
                status = span.get("status", {})
                assert status.get("code", 0) in (0, 2)
                nanos = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
                assert nanos >= 0
                found.append(
                    Span(
                        trace=span["traceId"],
                        id=span["spanId"],
                        parent=span.get("parentSpanId"),
                        name=span["name"],
                        kind=_KINDS[span["kind"]],
                        node=node["service.instance.id"],
                        service=node["service.name"],
                        attributes=_attributes(span["attributes"]),
                        state=span.get("traceState", ""),
                        error=status.get("message") if status else None,
                        events=[event["name"] for event in span.get("events", [])],
                        nanos=nanos,
                    )
                )
    return found


class Collector:
    """A context manager. `status` is the status of its replies; while it is `held` there is
    none."""

    def __init__(self, certificate: tuple[str, str] | None = None):
        self.status = 200
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.held = threading.Event()
        self._released = threading.Event()
        self._spans: list[Span] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                with collector._lock:
                    collector.requests += 1
                    collector.headers.append(dict(self.headers))
                    if collector.status == 200:
                        collector._spans += spans_of(body)
                if collector.held.is_set():
                    collector._released.wait(60)
                self.send_response(collector.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.flags = ("--trace-endpoint", f"{scheme}://localhost:{self.port}/v1/traces")
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def wait(self, trace: str, count: int) -> list[Span]:
        """Waits until a trace has so many spans, and returns them."""
        eventually(
            lambda: len(self.of(trace)) >= count, f"{count} spans of {trace}: {self.of(trace)}", 60
        )
        return self.of(trace)

    def wait_for_all(self, trace: str, parent: str) -> list[Span]:
        """Waits for the span below the caller's and both sides of each sub-request."""

        def is_whole() -> bool:
            spans = self.of(trace)
            hops = {span.id for span in spans if span.kind == "client"}
            executed = {span.parent for span in spans if span.service == "ringstore-shard"}
            return any(span.parent == parent for span in spans) and hops == executed

        eventually(is_whole, f"all spans of {trace}", 60)
        return self.of(trace)

    def release(self) -> None:
        self.held.clear()
        self._released.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
