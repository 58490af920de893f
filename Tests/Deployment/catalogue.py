"""The metrics that nodes have, as docs/METRICS.md lists them."""

import re
from dataclasses import dataclass
from functools import cache

from repository import ROOT

PAGE = ROOT / "docs" / "METRICS.md"
# What Prometheus and its configuration add to every series.
TARGET_LABELS = {"job", "instance", "cluster"}
# Metrics of Prometheus itself about a target.
OF_TARGETS = {"up": set()}
_ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|\s*([^|]*?)\s*\|\s*([A-Z ]*?)\s*\| (.*) \|$")
_WORD = re.compile(r"`([^`]+)`")
_PARTS_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str
    labels: frozenset[str]


@cache
def metrics() -> dict[str, Metric]:
    found = {}
    for line in PAGE.read_text().splitlines():
        row = _ROW.match(line)
        if row:
            name, kind, labels, kinds_of_nodes, _ = row.groups()
            own = set(_WORD.findall(labels))
            if name.startswith("ringstore_") and "P" not in kinds_of_nodes:
                own |= {"node", "role"}
            found[name] = Metric(name, kind, frozenset(own))
    return found


def labels_of(name: str, known: dict[str, Metric]) -> set[str] | None:
    """The labels of a series by its name in an expression; None if there is no such metric."""
    if name in OF_TARGETS:
        return TARGET_LABELS | OF_TARGETS[name]
    if name in known and known[name].kind != "histogram":
        return TARGET_LABELS | known[name].labels
    for part in _PARTS_OF_HISTOGRAMS:
        base = known.get(name.removesuffix(part)) if name.endswith(part) else None
        if base and base.kind == "histogram":
            more = {"le"} if part == "_bucket" else set()
            return TARGET_LABELS | base.labels | more
    return None


@cache
def words() -> set[str]:
    """All that stands as code on the pages that say which values labels have."""
    pages = [PAGE, ROOT / "docs" / "PROTOCOL.md", ROOT / "docs" / "OPERATIONS.md"]
    return {word for page in pages for word in _WORD.findall(page.read_text())}
