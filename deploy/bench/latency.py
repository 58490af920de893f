"""Turns what fanout-latency measured into the table of docs/BENCHMARKS.md (Markdown).

Input: lines "TARGET SUBJECT PROBE CALLS TAIL ITEMS", one for each subject and round. PROBE is what
client/probe.c printed, CALLS what client/repeat.c did (nothing: every Get counts). A Get counts if
it was under way during one of the calls or within TAIL milliseconds after it. Each call must have
with ITEMS items in the reply; 0: not known.
"""

import sys
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

TARGETS = {"lone": "shard", "router": "router + 3 shards"}


@dataclass
class Subject:
    latencies: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)

    def take(self, probe: Path, calls: Path, tail: int, items: int) -> None:
        under_way: list[tuple[int, int]] = []
        for line in calls.read_text().splitlines():
            start, end, path, _, received = line.split()
            if items and int(received) != items:
                sys.exit(f"{path} replied with {received} items where {items} were due")
            under_way.append((int(start), int(end) + tail * 1_000_000))
            self.durations.append(int(end) - int(start))
        ends = [end for _, end in under_way]
        for line in probe.read_text().splitlines():
            start, latency = map(int, line.split())
            if under_way:
                next_one = bisect_left(ends, start)
                if next_one == len(ends) or under_way[next_one][0] > start + latency:
                    continue
            self.latencies.append(latency)

    def millis(self, share: float) -> float:
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)] / 1e6


def main() -> None:
    subjects: dict[tuple[str, str], Subject] = defaultdict(Subject)
    for line in sys.stdin:
        target, name, probe, calls, tail, items = line.split()
        subjects[target, name].take(Path(probe), Path(calls), int(tail), int(items))
    print("| on | during | calls, ms each | Gets | p50 ms | p99 | p99.9 | max | p99 above idle |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (target, name), subject in subjects.items():
        if not subject.latencies:
            sys.exit(f"no Get was under way during {name} on {target}")
        subject.latencies.sort()
        idle = subjects.get((target, "idle"))
        calls = "-"
        if subject.durations:
            mean = sum(subject.durations) / len(subject.durations) / 1e6
            calls = f"{len(subject.durations)}, {mean:.0f}"
        shares = " | ".join(f"{subject.millis(share):.2f}" for share in (0.5, 0.99, 0.999, 1))
        above = f"{subject.millis(0.99) - idle.millis(0.99):.2f}" if idle else "-"
        count = len(subject.latencies)
        print(f"| {TARGETS[target]} | {name} | {calls} | {count} | {shares} | {above} |")


if __name__ == "__main__":
    main()
