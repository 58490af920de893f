"""What durability asks of the system about a disk and a server that uses it.

    disk.py syncs FOLDER          what an fdatasync behind 4 KiB takes there, in words
    disk.py watch PID DIRECTORY   until SIGTERM, up to 200 times a second, a line
                                  "NANOS RSS_ANON DISK PASS": the monotonic clock, anonymous
                                  memory of the process and its children, bytes of the directory's
                                  files as the disk has them, and 1 while a pass or a snapshot is
                                  made
    disk.py cpu PID               nanoseconds of CPU that the process has used
    disk.py evict FOLDER          has the system forget what it holds of the files there
"""

import os
import signal
import statistics
import sys
import time
from pathlib import Path

SYNCS = 200
PERIOD_SECONDS = 0.005
# What shows that one is made: a shard's unfinished pass, Redis's snapshot and its rewritten log.
UNFINISHED = (".part", "temp-")


def syncs(folder: Path) -> None:
    path, times = folder / "syncs", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    path.unlink()
    middle, slow = statistics.median(times), statistics.quantiles(times, n=100)[98]
    print(f"an fdatasync behind 4 KiB takes {middle * 1e3:.2f} ms (p99 {slow * 1e3:.2f})")


def resident(pid: int) -> int:
    """Anonymous memory; pages that parent and child share are counted once."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1]) * 1024
        for child in children:
            for line in Path(f"/proc/{child}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    total += int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended meanwhile
    return total


def used(directory: Path) -> tuple[int, bool]:
    total, unfinished = 0, False
    for folder, _, names in os.walk(directory):
        for name in names:
            unfinished |= name.endswith(UNFINISHED[0]) or name.startswith(UNFINISHED[1])
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # removed meanwhile
    return total, unfinished


def watch(pid: int, directory: Path) -> None:
    told: list[str] = []
    end = False

    def told_to_end(*_: object) -> None:
        nonlocal end
        end = True

    signal.signal(signal.SIGTERM, told_to_end)
    while not end:
        disk, unfinished = used(directory)
        told.append(f"{time.monotonic_ns()} {resident(pid)} {disk} {int(unfinished)}")
        time.sleep(PERIOD_SECONDS)
    print("\n".join(told))


def evict(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cpu_nanos(pid: int) -> int:
    """By the process's own clock (clock_getcpuclockid), which is finer than /proc/PID/stat."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "syncs":
        syncs(Path(rest[0]))
    elif what == "watch":
        watch(int(rest[0]), Path(rest[1]))
    elif what == "cpu":
        print(cpu_nanos(int(rest[0])))
    else:
        evict(Path(rest[0]))


if __name__ == "__main__":
    main()
