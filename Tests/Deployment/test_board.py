"""The board of deploy/grafana: it loads, asks for what nodes have, and nothing lies on anything."""

import json
import shutil

import pytest
import yaml
from catalogue import labels_of, metrics, words
from promql import disagreements
from repository import ROOT, run

BOARD = json.loads((ROOT / "deploy" / "grafana" / "ringstore.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    (panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]
]


def placed(expression: str) -> str:
    """With values in the place of Grafana's variables."""
    for variable, value in {
        "$__rate_interval": "5m",
        "$cluster": "ringstore",
        "$node": ".*",
        "$instance": ".*",
    }.items():
        expression = expression.replace(variable, value)
    return expression


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_a_panel_asks_for_what_nodes_have(title, expression):
    assert "$" not in placed(expression)
    assert disagreements(placed(expression), metrics(), labels_of, words()) == []


def test_the_variables_ask_for_what_nodes_have():
    known = metrics()
    asked = [
        variable["query"]["query"]
        for variable in BOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert len(asked) == 3
    for query in asked:
        series, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        assert disagreements(placed(series), known, labels_of, words()) == []
        assert label in labels_of(series.partition("{")[0], known)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing")
def test_prometheus_understands_every_expression(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": placed(expression)}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    run("promtool", "check", "rules", file)


def test_every_part_of_the_cluster_is_shown():
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Overview", "Calls and latency", "Errors", "Connections", "Links",
        "Shards, slots and keys", "Memory", "Log and disk", "Processes",
    ]


def test_no_panel_lies_on_another():
    taken = {}
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} on {taken[x, y]}"
                taken[x, y] = panel["title"]


def test_panels_have_numbers_of_their_own_titles_and_units():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
