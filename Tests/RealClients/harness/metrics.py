"""What a node serves on its admin port, read strictly: metrics in both texts, and the catalogue in
docs/METRICS.md that they are held against."""

import http.client
import json
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

CATALOGUE = Path(__file__).parents[3] / "docs" / "METRICS.md"
SECONDS = 30.0

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL})(?:,{_LABEL})*)\}})? (\S+)")
_PART = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_ROW = re.compile(r"\| `(\w+)` \| (counter|gauge|histogram) \| ?(.*?) ?\| ([RSDP ]+) \| .+ \|")

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """A metric, with its samples: by labels, for a histogram by the sample's name as well."""

    name: str
    type: str
    help: str = ""
    unit: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        wanted = set(labels.items())
        found = [v for (_, own), v in self.samples.items() if wanted <= set(own)]
        assert found, f"{self.name} has no sample with {labels}"
        return sum(found)

    @property
    def labels(self) -> set[str]:
        return {name for _, labels in self.samples for name, _ in labels}


@dataclass
class Known:
    """A row of the catalogue."""

    name: str
    type: str
    labels: set[str]
    of: set[str]


def get(port: int, path: str, headers=None, context=None, method="GET"):
    """One request; the reply's status, headers and text."""
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    else:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=SECONDS, context=context
        )
    try:
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read().decode()
    finally:
        connection.close()


def page(port: int, path: str, **more):
    """A JSON page."""
    status, _, text = get(port, path, **more)
    assert status == 200, text
    return json.loads(text)


def scrape(port: int, accept: str = "", **more) -> dict[str, Family]:
    status, headers, text = get(port, "/metrics", headers={"Accept": accept}, **more)
    assert status == 200, text
    return parse(text, "openmetrics" in headers["content-type"])


def parse(text: str, is_open: bool) -> dict[str, Family]:
    """Reads a scrape by the rules of its form: each family in one piece, its type before its
    samples, no sample twice, and the end of OpenMetrics."""
    families: dict[str, Family] = {}
    current: Family | None = None
    lines = text.split("\n")
    assert lines.pop() == "", "the last line has an end"
    if is_open:
        assert lines.pop() == "# EOF"
    for line in lines:
        if line.startswith("# HELP "):
            _, _, name, told = line.split(" ", 3)
            assert name not in families, f"{name} comes in two pieces"
            current = families[name] = Family(name, "", help=told)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert current is not None and current.name == name and not current.samples
            current.type = kind
        elif line.startswith("# UNIT "):
            _, _, name, unit = line.split(" ")
            assert is_open and current is not None and name.endswith("_" + unit)
            current.unit = unit
        else:
            assert current is not None, line
            take(current, line, is_open)
    return families


def take(family: Family, line: str, is_open: bool) -> None:
    match = _SAMPLE.fullmatch(line)
    assert match, line
    name, labels, value = match[1], tuple(_PART.findall(match[2] or "")), float(match[3])
    allowed = {
        "gauge": {family.name},
        "counter": {family.name + ("_total" if is_open else "")},
        "histogram": {family.name + end for end in ("_bucket", "_sum", "_count")},
    }
    assert name in allowed[family.type], f"{name} is no sample of {family.name}"
    assert family.type != "counter" or name.endswith("_total"), name
    assert len({n for n, _ in labels}) == len(labels), line
    assert (name, labels) not in family.samples, f"{line} comes twice"
    family.samples[(name, labels)] = value


def check_histograms(families: dict[str, Family]) -> int:
    """Buckets rise to the count. Returns how many histograms there are."""
    checked = 0
    for family in families.values():
        if family.type != "histogram":
            continue
        rows: dict[Labels, list[tuple[float, float]]] = {}
        for (name, labels), value in family.samples.items():
            if name.endswith("_bucket"):
                bound = float(dict(labels)["le"])
                rest = tuple(label for label in labels if label[0] != "le")
                rows.setdefault(rest, []).append((bound, value))
        for rest, row in rows.items():
            assert row == sorted(row), family.name
            counts = [count for _, count in row]
            assert counts == sorted(counts), family.name
            assert row[-1][0] == float("inf")
            assert counts[-1] == family.samples[(family.name + "_count", rest)]
            checked += 1
    return checked


def catalogue(text: str | None = None) -> dict[str, Known]:
    known = {}
    for line in (text or CATALOGUE.read_text()).splitlines():
        match = _ROW.fullmatch(line)
        if match:
            labels = set(re.findall(r"`(\w+)`", match[3]))
            assert match[1] not in known, f"{match[1]} is there twice"
            known[match[1]] = Known(match[1], match[2], labels, set(match[4].split()))
    return known


def trusting(authority: str, protocols=("h2", "http/1.1")) -> ssl.SSLContext:
    """A client that would speak HTTP/2 too, as Prometheus and curl do."""
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(list(protocols))
    return context
