"""Turns what durability measured into the tables of docs/BENCHMARKS.md (Markdown).

    durability.py rates             lines "CLIENTS SERVER CALLS MICROS"
    durability.py reads             lines "idle|writers PROBE"
    durability.py recovery KEYS     lines "STATE MICROS"
    durability.py steady BYTES      lines of overwrite_for_cycles and overwrite_redis; BYTES of a
                                    key with its value
    durability.py pass BGSAVES      lines "SUBJECT PROBE SAMPLES BYTES", BYTES of the newest pass;
                                    BGSAVES is a file of what measure_bgsave printed

PROBE is a file that client/probe.c printed, SAMPLES one that disk.py printed. What was measured in
several rounds is given as the median with the least and the greatest; Gets of all rounds count
together. A figure that misses its goal is marked.
"""

import statistics
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20
PROBE_GOAL_MILLIS = 1.0
EXTRA_MEMORY_GOAL = 0.05


def table(*columns: str) -> None:
    row(*columns)
    print("|" + "---|" * len(columns))


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def spread(values: list[float], form: str = ".2f") -> str:
    middle, least, greatest = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({least:{form}} - {greatest:{form}})"


def marked(text: str, is_missed: bool) -> str:
    return f"{text} **missed**" if is_missed else text


def lines() -> Iterator[list[str]]:
    return (line.split() for line in sys.stdin)


# --- Sets a second --------------------------------------------------------------------------------

RATE_GOALS = {"64": 1.2, "1": 0.95}


def rates() -> None:
    measured: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for clients, server, calls, micros in lines():
        measured[clients][server].append(int(calls) / int(micros) * 1e6)
    table("clients", "shard, Sets a second", "redis-server", "ratio, at least", "goal")
    for clients, servers in measured.items():
        ours, theirs = servers["always"], servers["redis_always"]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        goal = RATE_GOALS[clients]
        ratio = marked(spread(ratios), statistics.median(ratios) < goal)
        row(clients, spread(ours, ".0f"), spread(theirs, ".0f"), ratio, goal)


# --- Gets -----------------------------------------------------------------------------------------


class Gets:
    """Latencies in nanoseconds, of all rounds."""

    def __init__(self) -> None:
        self.latencies: list[int] = []

    def take(self, probe: Path, windows: list[tuple[int, int]] | None = None) -> None:
        """Those that were under way in one of the windows, if there are any to look at."""
        ends = [end for _, end in windows or []]
        for line in probe.read_text().splitlines():
            start, latency = map(int, line.split())
            if windows is not None:
                first = bisect_left(ends, start)
                if first == len(ends) or windows[first][0] > start + latency:
                    continue
            self.latencies.append(latency)

    def millis(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] / 1e6

    def cells(self) -> list[str]:
        shares = [f"{self.millis(share):.2f}" for share in (0.5, 0.99, 0.999, 1)]
        return [str(len(self.latencies)), *shares]


def reads() -> None:
    subjects: dict[str, Gets] = defaultdict(Gets)
    for subject, probe in lines():
        subjects[subject].take(Path(probe))
    table("beside", "Gets", "p50 ms", "p99", "p99.9", "max", "p99 above idle", "goal")
    for subject, gets in subjects.items():
        above = gets.millis(0.99) - subjects["idle"].millis(0.99)
        goal = "-" if subject == "idle" else PROBE_GOAL_MILLIS
        verdict = marked(f"{above:.2f}", subject != "idle" and above > PROBE_GOAL_MILLIS)
        row(subject, *gets.cells(), verdict, goal)


# --- recovery -------------------------------------------------------------------------------------

STATES = {
    "behind-pass": ("shard, right behind a pass", 0.5),
    "longest-log": ("shard, the log as long as it gets", 1.5),
    "rdb": ("redis-server, RDB", None),
    "aof-rewritten": ("redis-server, AOF right behind a rewrite", None),
    "aof-longest": ("redis-server, AOF as long as it gets", None),
}


def recovery(keys: int) -> None:
    measured: dict[str, list[float]] = defaultdict(list)
    for state, micros in lines():
        measured[state].append(int(micros) / keys)
    table("what is loaded", "s for a million keys", "goal")
    for state, (name, goal) in STATES.items():
        values = measured[state]
        missed = goal is not None and statistics.median(values) > goal
        row(name, marked(spread(values), missed), goal or "-")


# --- samples --------------------------------------------------------------------------------------


class Samples:
    """What disk.py saw of a server."""

    def __init__(self, path: str) -> None:
        self.rows = [tuple(map(int, line.split())) for line in Path(path).read_text().splitlines()]
        if not self.rows:
            sys.exit(f"{path} has no samples")

    @property
    def disk_max(self) -> int:
        return max(disk for _, _, disk, _ in self.rows)

    def windows(self) -> list[tuple[int, int]]:
        """(begin, end) of each pass that was seen; a sample before and one behind it count too."""
        found: list[tuple[int, int]] = []
        begin = before = 0
        for nanos, _, _, is_making in self.rows:
            if is_making and not begin:
                begin = before or nanos
            elif not is_making and begin:
                found.append((begin, nanos))
                begin = 0
            before = nanos
        if begin:
            found.append((begin, before))
        return found

    def extra_memory(self) -> tuple[int, int]:
        """(most while a pass was made above what it was at the begin, what it was then)."""
        times = [nanos for nanos, _, _, _ in self.rows]
        most, held = 0, self.rows[0][1]
        for begin, end in self.windows():
            inside = self.rows[bisect_left(times, begin) : bisect_right(times, end)]
            memory = [resident for _, resident, _, _ in inside]
            if max(memory) - memory[0] > most:
                most, held = max(memory) - memory[0], memory[0]
        return most, held


# --- steady overwrite -----------------------------------------------------------------------------


def steady(item_bytes: int) -> None:
    outside: list[tuple[int, int]] = []
    during: list[tuple[int, int]] = []
    shard: list[str] = []
    redis: list[str] = []
    for kind, *rest in lines():
        if kind == "chunk":
            (during if rest[2] == "1" else outside).append((int(rest[0]), int(rest[1])))
        elif kind == "shard":
            shard = rest
        else:
            redis = rest

    def micros(chunks: list[tuple[int, int]]) -> float:
        return sum(nanos for _, nanos in chunks) / max(1, sum(sets for sets, _ in chunks)) / 1e3

    whole = micros(outside + during)
    share = 1 - micros(outside) / whole
    redis_micros = int(redis[4]) / int(redis[0]) / 1e3
    live = int(shard[2])
    most = Samples(shard[3]).disk_max
    bound = 3 * live + 256 * MIB
    table("steady overwrite", "shard", "redis-server, AOF", "goal")
    row("Sets", shard[0], redis[0], "-")
    row("CPU per Set outside of passes, us", f"{micros(outside):.2f}", "-", "-")
    row("while a pass is made", f"{micros(during):.2f}", "-", "-")
    row("all, rewrites' processes too", f"{whole:.2f}", f"{redis_micros:.2f}", "-")
    row("the passes' share", f"{share:.0%}", "-", "-")
    row("a pass, or the log rewritten, MiB", f"{live / MIB:.0f}", f"{int(redis[2]) / MIB:.0f}", "-")
    row(
        "most on disk, MiB",
        marked(f"{most / MIB:.0f}", most > bound),
        f"{Samples(redis[3]).disk_max / MIB:.0f}",
        f"{bound / MIB:.0f}",
    )
    amplification = [
        f"{int(server[1]) / int(server[0]) / item_bytes:.2f}" for server in (shard, redis)
    ]
    row("bytes written for each of key and value", *amplification, "-")


# --- passes ---------------------------------------------------------------------------------------


def passes(bgsaves: Path) -> None:
    subjects: dict[str, Gets] = defaultdict(Gets)
    samples: dict[str, list[Samples]] = defaultdict(list)
    rates: dict[str, list[float]] = defaultdict(list)
    for subject, probe, watched, size in lines():
        seen = Samples(watched)
        windows = seen.windows() if subject.startswith("pass") else None
        if windows == []:
            sys.exit(f"no pass was seen during {subject}: more keys are needed")
        subjects[subject].take(Path(probe), windows)
        samples[subject].append(seen)
        rates[subject] += [int(size) / (end - begin) * 1e3 for begin, end in windows or []]
    table(
        "shard", "Gets", "p50 ms", "p99", "p99.9", "longest", "p99 above without",
        "longest above p99 without", "goal", "passes, s each", "MB/s", "extra memory, MiB", "of it",
        "goal",
    )
    for subject, gets in subjects.items():
        floor = subjects.get("writes" if "writes" in subject else "idle", gets)
        above = gets.millis(1) - floor.millis(0.99)
        if not subject.startswith("pass"):
            row(subject, *gets.cells(), "-", f"{above:.2f}", *["-"] * 6)
            continue
        windows = [window for one in samples[subject] for window in one.windows()]
        long = statistics.median((end - begin) / 1e9 for begin, end in windows)
        extra, held = max(one.extra_memory() for one in samples[subject])
        row(
            subject, *gets.cells(), f"{gets.millis(0.99) - floor.millis(0.99):.2f}",
            marked(f"{above:.2f}", above > PROBE_GOAL_MILLIS),
            PROBE_GOAL_MILLIS, f"{len(windows)}, {long:.1f}",
            f"{statistics.median(rates[subject]):.1f}", f"{extra / MIB:.1f}",
            marked(f"{extra / held:.1%}", extra > held * EXTRA_MEMORY_GOAL),
            f"{EXTRA_MEMORY_GOAL:.0%}",
        )
    print()
    redis: dict[str, list[list[str]]] = defaultdict(list)
    for line in bgsaves.read_text().splitlines():
        subject, *rest = line.split()
        redis[subject].append(rest)
    table(
        "redis-server", "fork, ms: no client is served", "s", "extra memory, MiB", "copied, says it"
    )
    for subject, rounds in redis.items():
        row(
            subject,
            spread([int(fork) / 1e3 for _, fork, _, _ in rounds]),
            spread([int(micros) / 1e6 for _, _, _, micros in rounds]),
            spread([Samples(path).extra_memory()[0] / MIB for path, _, _, _ in rounds], ".1f"),
            spread([int(copied) / MIB for _, _, copied, _ in rounds], ".1f"),
        )


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "recovery":
        recovery(int(rest[0]))
    elif what == "steady":
        steady(int(rest[0]))
    elif what == "pass":
        passes(Path(rest[0]))
    else:
        {"rates": rates, "reads": reads}[what]()


if __name__ == "__main__":
    main()
