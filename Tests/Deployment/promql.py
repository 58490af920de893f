"""What an expression of Prometheus asks for: enough of its grammar to find metrics and labels."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<duration>\d+[smhdwy]\b)"""
    r"""|(?P<number>\d[\d.eE+-]*)|(?P<word>[A-Za-z_$][\w:]*)|(?P<sign>=~|!~|!=|==|<=|>=|[^\s\w])"""
)
_LISTS_OF_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS = {"and", "or", "unless", "bool", "offset", "atan2"}


@dataclass
class Asked:
    """`series`: (metric, {label: matched text}); `labels`: those of by (...) and on (...)."""

    series: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)


def asked(expression: str) -> Asked:
    tokens = [(found.lastgroup, found[0]) for found in _TOKEN.finditer(expression)]
    result = Asked()
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        place += 1
        if kind != "word":
            continue
        follows = tokens[place][1] if place < len(tokens) else ""
        if text in _LISTS_OF_LABELS:
            if follows == "(":
                end = tokens.index(("sign", ")"), place)
                result.labels |= {word for kind, word in tokens[place:end] if kind == "word"}
                place = end + 1
        elif text not in _OPERATORS and follows != "(" and not (
            follows in _LISTS_OF_LABELS  # an aggregation: sum by (...) (...)
        ):
            matchers = {}
            if follows == "{":
                end = tokens.index(("sign", "}"), place)
                inside = tokens[place + 1 : end]
                for at, (kind, word) in enumerate(inside):
                    if kind == "word":
                        matchers[word] = inside[at + 1][1] + inside[at + 2][1]
                place = end + 1
            result.series.append((text, matchers))
    return result


def disagreements(expression: str, known, labels_of, words: set[str]) -> list[str]:
    """What the expression asks for that no node has."""
    wrong = []
    every = set()
    found = asked(expression)
    for name, matchers in found.series:
        labels = labels_of(name, known)
        if labels is None:
            wrong.append(f"no metric {name}")
            continue
        every |= labels
        wrong += [f"{name} has no label {label}" for label in matchers if label not in labels]
        for label, matched in matchers.items():
            value = matched[2:-1] if matched[1] == '"' else ""
            free = label in ("job", "instance", "cluster", "node") or not value
            if not free and not value.startswith("$") and value not in words:
                wrong.append(f"{label}={value} of {name} stands on no page")
    wrong += [f"no metric here has the label {label}" for label in found.labels - every]
    return wrong
