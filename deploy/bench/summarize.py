"""Turns what hot-path measured into the table of docs/BENCHMARKS.md (Markdown).

Input: lines "SUBJECT SERVER CALLS TICKS", one for each subject, server and round; the argument is
the number of clock ticks in a second. A ratio is formed within each round; the table gives the
median of the rounds, with the least and the greatest.
"""

import statistics
import sys
from collections import defaultdict

SHARDS = "shard-a+shard-b+shard-c"
NGHTTPD, LONE = ("nghttpd_get", "nghttpd"), ("lone_get", "lone")
# Name, numerator, denominator, goal of this stage, goal of the design.
ROWS = [
    ("shard, unary Get : nghttpd GET", LONE, NGHTTPD, 1.4, 1.15),
    ("shard, unary Set : nghttpd GET", ("lone_set", "lone"), NGHTTPD, 1.4, 1.15),
    ("router, forwarded Get : shard, Get", ("router_get", "router"), LONE, 1.8, 1.35),
    ("3 shards, forwarded Get : shard, Get", ("router_get", SHARDS), LONE, 0.6, 0.5),
]


def main() -> None:
    ticks = int(sys.argv[1])
    micros: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in sys.stdin:
        subject, server, calls, used = line.split()
        micros[subject, server].append(int(used) / ticks / int(calls) * 1e6)
    print("| server CPU per call | us, median (min - max) |\n|---|---|")
    for (subject, server), values in micros.items():
        middle = statistics.median(values)
        name = f"{subject.replace('_', ' ')} ({server.replace('+', ' + ')})"
        print(f"| {name} | {middle:.2f} ({min(values):.2f} - {max(values):.2f}) |")
    print("\n| ratio | median (min - max) | goal now | goal later |\n|---|---|---|---|")
    for name, over, under, now, later in ROWS:
        ratios = [a / b for a, b in zip(micros[over], micros[under], strict=True)]
        middle = statistics.median(ratios)
        spread = f"({min(ratios):.2f} - {max(ratios):.2f})"
        verdict = "" if middle <= now else " **missed**"
        print(f"| {name} | {middle:.2f} {spread}{verdict} | {now} | {later} |")


if __name__ == "__main__":
    main()
