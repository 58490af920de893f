"""Turns what was measured into the tables of docs/BENCHMARKS.md (Markdown).

Input: lines "SUBJECT SERVERS CALLS TICKS", one for each subject, group of servers and round; the
argument is the number of clock ticks in a second (of durability: nanoseconds). A ratio is formed
within each round; the table gives the median of the rounds, with the least and the greatest.

Two further arguments, BEFORE and AFTER, are suffixes of servers: the ratios are those of each
subject's calls on the ones to the same calls on the others.
"""

import statistics
import sys
from collections import defaultdict

SHARDS = "shard-a+shard-b+shard-c"
CLUSTER = f"router+{SHARDS}"
PROXIED = "nutcracker+redis-a+redis-b+redis-c"
NGHTTPD, LONE = ("nghttpd_get", "nghttpd"), ("lone_get", "lone")


def sets(kind: str, server: str) -> tuple[str, str]:
    """A subject of durability."""
    return f"{server}_{kind}_set", server


# Name, numerator, denominator, goal (None: only for comparison).
ROWS = [
    ("shard, unary Get : nghttpd GET", LONE, NGHTTPD, 1.15),
    ("shard, unary Set : nghttpd GET", ("lone_set", "lone"), NGHTTPD, 1.15),
    ("router, forwarded Get : shard, Get", ("router_get", "router"), LONE, 1.35),
    ("3 shards, forwarded Get : shard, Get", ("router_get", SHARDS), LONE, 0.5),
    ("256 connections x 1: shard, unary Get : nghttpd GET",
     ("lone_get_256x1", "lone"), ("nghttpd_get_256x1", "nghttpd"), 1.2),
    ("256 connections x 1: router, forwarded Get : shard, Get",
     ("router_get_256x1", "router"), ("lone_get_256x1", "lone"), 1.35),
    ("256 connections x 1: router + 3 shards, unary Get : nutcracker + 3 redis-servers",
     ("cluster_unary_get_256x1", CLUSTER), ("nutcracker_get_256x1", PROXIED), 1.4),
    ("shard, Pipeline of 100 Gets : redis-server, GET -P 100",
     ("pipeline_get", "lone"), ("redis_get", "redis"), 1.0),
    ("shard, Pipeline of 100 Sets : redis-server, SET -P 100",
     ("pipeline_set", "lone"), ("redis_set", "redis"), 1.0),
    ("router + 3 shards, unary Get : nutcracker + 3 redis-servers",
     ("cluster_unary_get", CLUSTER), ("nutcracker_get", PROXIED), 1.3),
    ("router + 3 shards, unary Set : nutcracker + 3 redis-servers",
     ("cluster_unary_set", CLUSTER), ("nutcracker_set", PROXIED), 1.3),
    ("router + 3 shards, Pipeline of 16 Gets : nutcracker + 3 redis-servers",
     ("cluster_pipeline_get", CLUSTER), ("nutcracker_get", PROXIED), 0.6),
    ("router + 3 shards, Pipeline of 16 Sets : nutcracker + 3 redis-servers",
     ("cluster_pipeline_set", CLUSTER), ("nutcracker_set", PROXIED), 0.6),
    ("Pipeline of 100 Sets: shard, everysec : in memory",
     sets("pipeline", "everysec"), sets("pipeline", "memory"), 1.15),
    ("unary Sets: shard, everysec : in memory",
     sets("unary", "everysec"), sets("unary", "memory"), 1.15),
    ("SET -P 100: redis-server, AOF everysec : none",
     sets("pipeline", "redis_everysec"), sets("pipeline", "redis_memory"), None),
    ("SET -P 1: redis-server, AOF everysec : none",
     sets("unary", "redis_everysec"), sets("unary", "redis_memory"), None),
    ("shard, Get over TLS : without", ("tls_get", "tls"), ("plain_get", "plain"), None),
    ("redis-server, GET -P 16 over TLS : without",
     ("redis_tls_get", "redis"), ("redis_plain_get", "redis"), None),
    ("256 connections x 1: shard, Get over TLS : without",
     ("tls_get_256x1", "tls"), ("plain_get_256x1", "plain"), None),
    ("256 connections x 1: redis-server, GET over TLS : without",
     ("redis_tls_get_256x1", "redis"), ("redis_plain_get_256x1", "redis"), None),
    ("handshake: shard : redis-server",
     ("tls_handshake", "lines"), ("redis_handshake", "redis"), None),
]


def line(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} - {max(values):.2f})"


def compared(micros: dict[tuple[str, str], list[float]], before: str, after: str) -> list[tuple]:
    """The rows of an older executable and a newer one."""
    rows = []
    for subject, servers in micros:
        if f"-{after}" in servers:
            older = servers.replace(f"-{after}", f"-{before}")
            name = servers.replace(f"-{after}", "").replace("+", " + ")
            title = f"{subject.replace('_', ' ')} ({name}), {after} : {before}"
            rows.append((title, (subject, servers), (subject, older), None))
    return rows


def main() -> None:
    ticks = int(sys.argv[1])
    micros: dict[tuple[str, str], list[float]] = defaultdict(list)
    for measured in sys.stdin:
        subject, servers, calls, used = measured.split()
        micros[subject, servers].append(int(used) / ticks / int(calls) * 1e6)
    print("| server CPU per call | us, median (min - max) |\n|---|---|")
    for (subject, servers), values in micros.items():
        print(f"| {subject.replace('_', ' ')} ({servers.replace('+', ' + ')}) | {line(values)} |")
    print("\n| ratio | median (min - max) | goal |\n|---|---|---|")
    for name, over, under, goal in compared(micros, *sys.argv[2:4]) if sys.argv[2:] else ROWS:
        if over not in micros or under not in micros:
            continue
        ratios = [a / b for a, b in zip(micros[over], micros[under], strict=True)]
        missed = goal is not None and statistics.median(ratios) > goal
        print(f"| {name} | {line(ratios)}{' **missed**' if missed else ''} | {goal or '-'} |")


if __name__ == "__main__":
    main()
