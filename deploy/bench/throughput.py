"""Turns what scan measured into the table of docs/BENCHMARKS.md (Markdown).

Input: lines "TARGET METHOD SERVERS ITEMS BYTES NANOS TICKS", one for each method, group of servers
and round; the argument is the number of clock ticks in a second. The table gives the medians of the
rounds, and the least and the greatest of what the client saw.
"""

import sys
from collections import defaultdict
from statistics import median


def main() -> None:
    ticks = int(sys.argv[1])
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    megabytes: dict[tuple[str, str], list[float]] = defaultdict(list)
    costs: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in sys.stdin:
        target, method, servers, items, size, nanos, used = line.split()
        costs[target, method][servers].append(int(used) / ticks / int(items) * 1e6)
        if len(costs[target, method]) == 1:
            rates[target, method].append(int(items) / int(nanos) * 1e3)
            megabytes[target, method].append(int(size) / int(nanos) * 1e3)
    print("| call | on | million items/s | MB/s | server CPU per item, us |\n|---|---|---|---|---|")
    for (target, method), values in rates.items():
        rate = f"{median(values):.2f} ({min(values):.2f} - {max(values):.2f})"
        cost = ", ".join(
            f"{servers.replace('+', ' + ')} {median(each):.3f}"
            for servers, each in costs[target, method].items()
        )
        size = median(megabytes[target, method])
        print(f"| {method} | {target} | {rate} | {size:.1f} | {cost} |")


if __name__ == "__main__":
    main()
