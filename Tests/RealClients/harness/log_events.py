"""Events in a node's log. Of those that are alike a node writes one a second, and then how many
others there were (docs/OPERATIONS.md, Logs)."""

import re


def events(log: str, sentence: str, field: str = "") -> int:
    """How many events the log tells of, those that it only counts included."""
    count = 0
    for line in log.splitlines():
        if sentence not in line or (field and field not in line.split()):
            continue
        suppressed = re.search(r" suppressed=(\d+)", line)
        count += int(suppressed[1]) if suppressed else 1
    return count
