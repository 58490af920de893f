"""A node as its dashboard sees it, without a node: the page's own file, and replies that a test
makes up. What a real node replies is tested in test_dashboard.py."""

import base64
import copy
import hashlib
import json
import math
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = Path(__file__).parents[3] / "Sources/Dashboard/Page/dashboard.html"
SLOTS = 16384
BOUNDS = [1, 2, 3, 4] + [(4 + i % 4 + 1) << (i // 4 - 1) for i in range(4, 97)]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def policy(html: str) -> str:
    """The page's content security policy, as the node sends it."""

    def source(tag: str) -> str:
        text = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {source('script')}; style-src {source('style')}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def buckets(**counts: int) -> list[int]:
    """Calls by their duration: buckets(us300=5) has five calls of 300 microseconds."""
    row = [0] * len(BOUNDS)
    for name, count in counts.items():
        row[next(i for i, b in enumerate(BOUNDS) if b >= int(name[2:]))] += count
    return row


class FakeNode:
    """Serves the page and a made-up cluster; a test changes the attributes as it likes.

    `calls_a_second` continues with the clock, so that the page has something to draw.
    """

    def __init__(self, shards: int = 3, router: bool = True) -> None:
        ids = [chr(ord("a") + i) for i in range(shards)]
        step = SLOTS // max(1, shards)
        ranges = [
            [i * step, SLOTS - 1 if i == shards - 1 else (i + 1) * step - 1, i]
            for i in range(shards)
        ]
        self.calls_a_second = 12_000
        self.started = time.time() - 330
        self.keys: dict[bytes, dict[str, Any]] = {}
        self.hot: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.slow: list[dict[str, Any]] = []
        # Path -> (status, message): what is refused.
        self.refusals: dict[str, tuple[int, str]] = {}
        self.token: str | None = None
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.overview: dict[str, Any] = {
            "cluster": "ringstore", "unix_millis": 0, "user": None,
            "permissions": ["read", "write", "admin"], "bounds_micros": BOUNDS,
            "node": {
                "name": "router" if router else "a", "role": "router" if router else "shard",
                "version": "0.9.0", "not_ready_reason": None,
            },
            "map": {
                "epoch": "1", "ranges": ranges,
                "shards": [{"id": i, "address": f"10.0.0.{n + 1}:50061"}
                           for n, i in enumerate(ids)],
            } if shards else None,
            "nodes": [], "links": None,
            "figures": {"connections": 42, "link_reconnects": 1, "shard_restarts": 0},
        }
        if router:
            self.overview["nodes"].append(self.node("router", "router", "0.0.0.0:50051"))
            self.overview["links"] = [
                {"shard": i, "up": True, "states": {"ready": 2}, "in_flight": 3, "waiting": 0,
                 "sent_bytes": 10_000, "received_bytes": 90_000} for i in ids]
        for number, shard in enumerate(ids):
            line = self.node(shard, "shard", f"10.0.0.{number + 1}:50061")
            line["slots"] = ranges[number][1] - ranges[number][0] + 1
            self.overview["nodes"].append(line)
        self._serve()

    @staticmethod
    def node(name: str, role: str, address: str) -> dict[str, Any]:
        shard = role == "shard"
        return {
            "id": name, "role": role, "address": address, "state": "serving", "detail": "",
            "version": "0.9.0", "uptime_millis": 7_260_000,
            "incarnation": f"{name}-1" if shard else "",
            "keys": 341_002 if shard else None, "memory_bytes": 88_080_384 if shard else None,
            "memory_limit_bytes": 536_870_912 if shard else None, "slots": None,
            "calls": 0, "errors": 0, "durations": [],
        }

    def line(self, name: str) -> dict[str, Any]:
        """A node's line, to be changed."""
        return next(n for n in self.overview["nodes"] if n["id"] == name)

    def lose(self, shard: str, why: str = "connection refused") -> None:
        """A shard can't be reached any more."""
        self.line(shard).update(state="unreachable", detail=why, calls=None, durations=None,
                                keys=None, memory_bytes=None, memory_limit_bytes=None)
        for link in self.overview["links"] or []:
            if link["shard"] == shard:
                link.update(up=False, states={"transient_failure": 2}, in_flight=0)

    def add_key(self, key: bytes, value: bytes = b"value", **facts: Any) -> None:
        self.keys[key] = {
            "value": value, "type": "string", "ttl_millis": None, "length": len(value),
            "bytes": len(key) + len(value) + 48, "values": None, **facts}

    # MARK: Serving

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def _serve(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._reply(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """The server stops."""
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        credential = request.headers.get("Authorization")
        self.asked.append((parts.path, query, credential))
        # A page that is asked on a connection from before the end of the server.
        request.close_connection = True
        if parts.path == "/":
            html = PAGE.read_text()
            return self._send(request, 200, html.encode(), "text/html; charset=utf-8",
                              {"Content-Security-Policy": policy(html)})
        status, reply = self._made(parts.path, query, credential)
        self._send(request, status, json.dumps(reply).encode(), "application/json", {})

    def _made(
        self, path: str, query: dict[str, str], credential: str | None
    ) -> tuple[int, dict[str, Any]]:
        if self.token is not None and credential != f"Bearer {self.token}":
            return 401, {"error": {"message": "The call needs the token of a user."}}
        if path in self.refusals:
            status, message = self.refusals[path]
            return status, {"error": {"message": message}}
        make = {
            "/api/overview": lambda: self._overview(query),
            "/api/events": lambda: {"events": self.events},
            "/api/hotkeys": lambda: {"keys": self.hot, "unreachable": []},
            "/api/slowlog": lambda: {
                "slow_millis": 10, "large_bytes": 1 << 20, "calls": self.slow},
            "/api/keys": lambda: self._keys(query),
            "/api/key": lambda: self._key(query),
        }.get(path)
        if make is None:
            return 404, {"error": {"message": "There is no such page."}}
        return 200, make()

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str,
        fields: dict[str, str],
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)),
                            "Connection": "close", "Cache-Control": "no-store",
                            **fields}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    # MARK: Replies

    def _overview(self, query: dict[str, str]) -> dict[str, Any]:
        reply = copy.deepcopy(self.overview)
        if reply["map"] and query.get("epoch") == reply["map"]["epoch"]:
            reply["map"]["ranges"] = None
        reply["unix_millis"] = int(time.time() * 1000)
        seconds = time.time() - self.started
        lines = [n for n in reply["nodes"] if n["durations"] is not None]
        shards = max(1, sum(n["role"] == "shard" for n in lines))
        for number, node in enumerate(lines):
            # The share of a node differs a little from the others'.
            part = 1 if node["role"] == "router" else (1 + .1 * (number % 3 - 1)) / shards
            # The integral of a rate that goes up and down every 40 seconds.
            calls = int(self.calls_a_second * part * (seconds + math.sin(seconds / 6.4)))
            node["calls"] += calls
            node["durations"] = buckets(
                us90=calls * 70 // 100, us160=calls * 28 // 100, us600=calls * 17 // 1000,
                us2500=calls * 3 // 1000)
        for link in reply["links"] or []:
            link["sent_bytes"] += int(seconds * 310_000)
            link["received_bytes"] += int(seconds * 2_400_000)
        return reply

    def _keys(self, query: dict[str, str]) -> dict[str, Any]:
        prefix = unb64(query.get("prefix", ""))
        found = sorted(k for k in self.keys if k.startswith(prefix))
        begin = int(query.get("after") or 0)
        limit = int(query.get("limit", "50"))
        listed = [self._listed(k) for k in found[begin : begin + limit]]
        more = begin + limit < len(found)
        return {"keys": listed, "next": str(begin + limit) if more else "", "unreachable": []}

    def _listed(self, key: bytes) -> dict[str, Any]:
        whole = len(key) <= 8192
        facts = self.keys[key]
        return {
            "key": b64(key if whole else key[:256]), "key_bytes": len(key), "whole": whole,
            **{name: facts[name] for name in ("type", "ttl_millis", "length", "bytes")}}

    def _key(self, query: dict[str, str]) -> dict[str, Any]:
        key = unb64(query["key"])
        facts = self.keys.get(key)
        if facts is None:
            return {"found": False, "slot": 77, "shard": "a"}
        values = facts["values"] if facts["values"] is not None else [facts["value"]]
        return {
            "found": True, "slot": 77, "shard": "a", "version": "91", "idle_millis": 4200,
            "encoding": "inline", "preview_refusal": None,
            "preview": [{"bytes": b64(v[:4096]), "length": len(v)} for v in values[:20]],
            **{name: facts[name] for name in ("type", "ttl_millis", "length", "bytes")}}
