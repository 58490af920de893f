"""What looking at nodes costs: scrapes.py COUNT ROUNDS TOKENFILE NAME:PID:PORT:ADMINPORT...

Prints a table: CPU time (user and system) of the process per request, less what it takes by itself,
and the part of it on the event loop that serves clients."""

import http.client
import json
import statistics
import sys
import time
from pathlib import Path

import grpc
from ringstore.v1 import keystore_pb2, keystore_pb2_grpc

# Requests that come closer together get the same figures.
APART = 0.12
REQUESTS = (
    "/metrics", "/readyz", "/api/overview", "/api/events", "/api/slowlog", "/api/hotkeys"
)


def cpu_seconds(pid: int) -> float:
    """Of all threads, to the nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def run_nanos(task: Path) -> int:
    return int((task / "schedstat").read_text().split()[0])


def fill(port: int, token: str) -> None:
    """Keys in all databases, and calls of many kinds, each with a row of metrics."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = keystore_pb2_grpc.KeyStoreStub(channel)
        credentials = [("authorization", f"Bearer {token}")]
        for database in range(16):
            for number in range(100):
                key = b"key-%d" % number
                item = keystore_pb2.KeyValue(key=key, value=b"v" * 100, database=database)
                stub.Set(item, metadata=credentials, timeout=60)
                stub.Get(
                    keystore_pb2.Key(key=key, database=database), metadata=credentials, timeout=60
                )
            keys = [keystore_pb2.Key(key=b"key-1", database=database)]
            stub.MGet(keystore_pb2.MGetRequest(keys=keys), metadata=credentials, timeout=60)
            stub.DbSize(
                keystore_pb2.DbSizeRequest(database=database), metadata=credentials, timeout=60
            )
            stub.Inspect(
                keystore_pb2.InspectRequest(key=b"key-1", database=database),
                metadata=credentials, timeout=60,
            )
            stub.LLen(
                keystore_pb2.Key(key=b"list", database=database), metadata=credentials, timeout=60
            )


class Subject:
    def __init__(self, name: str, pid: int, port: int, token: str):
        self.name, self._pid = name, pid
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.bytes: dict[str, int] = {}
        # The event loop that has served most of the calls so far.
        loops = [
            task for task in Path(f"/proc/{pid}/task").iterdir()
            if (task / "comm").read_text().startswith("NIO-ELT-")
        ]
        self._loop = max(loops, key=run_nanos)
        # What the dashboard's page says from its second look on.
        epoch = json.loads(self.ask("/api/overview"))["map"]["epoch"]
        self.paths = {path: path for path in REQUESTS}
        self.paths["/api/overview"] += f"?epoch={epoch}"

    def ask(self, path: str) -> bytes:
        self._connection.request("GET", path, headers=self._headers)
        reply = self._connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{self.name} {path}: {reply.status}")
        return body

    def _used(self) -> tuple[float, float]:
        return cpu_seconds(self._pid), run_nanos(self._loop) / 1e9

    def cost(self, count: int, path: str) -> tuple[float, float]:
        """Milliseconds for one request: of all threads, and of the loop."""
        begun, before = time.monotonic(), self._used()
        for _ in range(count):
            time.sleep(APART)
            self.bytes[path] = len(self.ask(self.paths[path]))
        taken, used = time.monotonic() - begun, self._used()
        time.sleep(taken)
        idle = self._used()
        process, loop = (
            1_000 * ((now - then) - (later - now)) / count
            for then, now, later in zip(before, used, idle, strict=True)
        )
        return process, loop


def shown(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} ({min(found):.2f} - {max(found):.2f})"


def main() -> None:
    count, rounds, token = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_text().strip()
    subjects = []
    for word in sys.argv[4:]:
        name, pid, port, admin_port = word.split(":")
        # A shard has got its part by then.
        if name != "shard":
            fill(int(port), token)
        subjects.append(Subject(name, int(pid), int(admin_port), token))
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for subject in subjects:
            for path in REQUESTS:
                figures.setdefault((subject.name, path), []).append(subject.cost(count, path))
    print("| node | request | bytes | ms of CPU, median (min - max) | of it on the loop |")
    print("|---|---|---|---|---|")
    for (name, path), found in figures.items():
        (size,) = (subject.bytes[path] for subject in subjects if subject.name == name)
        process, loop = zip(*found, strict=True)
        print(f"| {name} | {path} | {size} | {shown(process)} | {shown(loop)} |")
    print("\n| node | a browser with the dashboard open, ms of CPU a second |\n|---|---|")
    for subject in subjects:
        median = {
            path: statistics.median(process for process, _ in figures[subject.name, path])
            for path in REQUESTS
        }
        # The page looks every two seconds, and asks for the rest at each second or third look.
        look = median["/api/overview"] + (median["/api/events"] + median["/api/slowlog"]) / 2
        print(f"| {subject.name} | {(look + median['/api/hotkeys'] / 3) / 2:.2f} |")


if __name__ == "__main__":
    main()
