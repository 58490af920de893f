"""Counts what stepper.c has recorded: instructions.py [OPTION...] MAPS ONCE TWICE

MAPS is /proc/PID/maps of the process; ONCE and TWICE are the addresses of the instructions during
some calls, and during twice as many. A call costs the difference, divided by the calls.
"""

import argparse
import array
import bisect
import collections
import re
import shutil
import subprocess
from pathlib import Path


class Image:
    """The functions of an executable or a library."""

    def __init__(self, path: str, is_library: bool) -> None:
        self.name = f" [{Path(path).name}]" if is_library else ""
        self.segments = [
            (int(words[1], 16), int(words[2], 16), int(words[4], 16))
            for words in map(str.split, output("readelf", "-lW", path).splitlines())
            if words and words[0] == "LOAD"
        ]
        lines = output("nm", "--defined-only", path) or output("nm", "-D", "--defined-only", path)
        words = [line.split() for line in lines.splitlines()]
        symbols = sorted((int(w[0], 16), w[2]) for w in words if len(w) > 2 and w[1] in "tTwWi")
        self.addresses = [address for address, _ in symbols]
        self.names = [name for _, name in symbols]

    def function(self, offset: int) -> tuple[str, bool]:
        """The function at an offset in the file, and whether it begins there."""
        for begin, address, size in self.segments:
            if begin <= offset < begin + size:
                offset += address - begin
                break
        place = bisect.bisect_right(self.addresses, offset) - 1
        if place < 0:
            return f"?{self.name}", False
        return self.names[place] + self.name, self.addresses[place] == offset


class Functions:
    """From an address in the process to a function."""

    def __init__(self, maps: Path) -> None:
        self.ranges = []
        for line in maps.read_text().splitlines():
            words = line.split(maxsplit=5)
            if "x" in words[1] and len(words) > 5:
                begin, end = (int(word, 16) for word in words[0].split("-"))
                self.ranges.append((begin, end, int(words[2], 16), words[5]))
        # The executable is mapped first.
        self.executable = self.ranges[0][3]
        self.images: dict[str, Image] = {}
        self.known: dict[int, tuple[str, bool]] = {}

    def at(self, address: int) -> tuple[str, bool]:
        if address not in self.known:
            self.known[address] = self.find(address)
        return self.known[address]

    def find(self, address: int) -> tuple[str, bool]:
        for begin, end, offset, path in self.ranges:
            if begin <= address < end:
                if path.startswith("["):
                    return path, False
                if path not in self.images:
                    self.images[path] = Image(path, is_library=path != self.executable)
                return self.images[path].function(address - begin + offset)
        return "?", False


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def demangled(names: list[str]) -> list[str]:
    if not shutil.which("swift"):
        return names
    done = subprocess.run(
        ["swift", "demangle", "--simplified"], input="\n".join(names), capture_output=True,
        text=True, check=True,
    )
    return done.stdout.splitlines()


def addresses(trace: Path) -> array.array:
    recorded = array.array("Q")
    recorded.frombytes(trace.read_bytes())
    return recorded


def executed(trace: Path, functions: Functions) -> tuple[collections.Counter, collections.Counter]:
    """Instructions of each function, and how often it was entered."""
    instructions: collections.Counter = collections.Counter()
    entries: collections.Counter = collections.Counter()
    for address, times in collections.Counter(addresses(trace)).items():
        name, is_entry = functions.at(address)
        instructions[name] += times
        if is_entry:
            entries[name] += times
    return instructions, entries


def calls_into(pattern: str, trace: Path, functions: Functions) -> collections.Counter:
    """How often each function enters one whose name matches."""
    calls: collections.Counter = collections.Counter()
    caller = "?"
    for address in addresses(trace):
        name, is_entry = functions.at(address)
        if is_entry and re.search(pattern, name):
            calls[name, caller] += 1
        caller = name
    return calls


def print_functions(options: argparse.Namespace, functions: Functions) -> None:
    once, entered_once = executed(options.once, functions)
    twice, entered_twice = executed(options.twice, functions)
    counts = {name: (twice[name] - once[name]) / options.calls for name in twice}
    print(f"{sum(counts.values()):.0f} instructions a call\n")
    print("instructions  entries  function")
    names = sorted(counts, key=lambda name: -counts[name])[: options.top]
    for name, shown in zip(names, demangled(names)):
        entries = (entered_twice[name] - entered_once[name]) / options.calls
        print(f"{counts[name]:12.1f} {entries:8.2f}  {shown[:120]}")


def print_callers(options: argparse.Namespace, functions: Functions) -> None:
    once = calls_into(options.callers, options.once, functions)
    twice = calls_into(options.callers, options.twice, functions)
    counts = {pair: (twice[pair] - once[pair]) / options.calls for pair in twice}
    pairs = sorted(counts, key=lambda pair: -counts[pair])[: options.top]
    names = demangled([name for pair in pairs for name in pair])
    print("times a call  function <- its caller")
    for place, pair in enumerate(pairs):
        called, caller = names[2 * place][:50], names[2 * place + 1][:90]
        print(f"{counts[pair]:12.2f}  {called} <- {caller}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--callers")
    parser.add_argument("maps", type=Path)
    parser.add_argument("once", type=Path)
    parser.add_argument("twice", type=Path)
    options = parser.parse_args()
    functions = Functions(options.maps)
    if options.callers:
        print_callers(options, functions)
    else:
        print_functions(options, functions)


if __name__ == "__main__":
    main()
