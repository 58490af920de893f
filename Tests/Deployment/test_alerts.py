"""The alerts of deploy/prometheus: of metrics that there are, with a runbook each, and each comes
when it should and not when it shouldn't."""

import re
import shutil

import pytest
import yaml
from alert_cases import CASES, Case
from catalogue import labels_of, metrics, words
from promql import asked, disagreements
from repository import ROOT, run

FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOKS = "https://docs.example/OPERATIONS.md#"
PAGE = ROOT / "docs" / "OPERATIONS.md"
ALERTS = {
    rule["alert"]: rule
    for path in sorted(FOLDER.glob("rules/*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is missing (Debian's prometheus)"
)


def anchors() -> set[str]:
    """Those of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", PAGE.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@needs_promtool
def test_prometheus_takes_the_rules_and_the_examples(tmp_path):
    run("promtool", "check", "rules", *sorted(FOLDER.glob("rules/*.yaml")))
    for name in ("prometheus.yaml", "kubernetes.yaml"):
        example = yaml.safe_load((FOLDER / name).read_text())
        for job in example["scrape_configs"]:
            # Debian's Prometheus can't ask Kubernetes.
            (found,) = job.pop("kubernetes_sd_configs", [{"role": "pod"}])
            assert found["role"] == "pod"
        (tmp_path / name).write_text(yaml.safe_dump(example))
        # The files with secrets aren't there.
        run("promtool", "check", "config", "--syntax-only", tmp_path / name)


@pytest.mark.skipif(
    not shutil.which("amtool"), reason="amtool is missing (Debian's prometheus-alertmanager)"
)
def test_alertmanager_takes_the_example():
    run("amtool", "check-config", FOLDER / "alertmanager.yaml")


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == RUNBOOKS + name.lower()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_runbook(name):
    assert name.lower() in anchors()
    section = PAGE.read_text().partition(f"\n#### {name}\n")[2].partition("\n#")[0]
    for part in ("**Meaning.**", "**Look.**", "**Do.**", "**Ignore.**"):
        assert part in section, f"{part} of {name}"


def test_no_runbook_is_for_an_alert_that_is_gone():
    told = re.findall(r"^#### (Ringstore\w+)$", PAGE.read_text(), re.MULTILINE)
    assert [name for name in told if name not in ALERTS] == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_what_nodes_have(name):
    assert disagreements(ALERTS[name]["expr"], metrics(), labels_of, words()) == []


def test_what_nodes_do_not_have_is_noticed():
    known = metrics()
    for expression in (
        "ringstore_no_such_thing > 0",
        'ringstore_keys{command="get"}',
        'ringstore_node_state{state="asleep"}',
        "sum by (command) (ringstore_keys)",
        "rate(ringstore_call_duration_seconds[5m])",
    ):
        assert disagreements(expression, known, labels_of, words()), expression


def test_what_an_expression_asks_for_is_found():
    found = asked('sum by (a) (rate(m_total{b=~"x|y"}[5m])) / on (c) n{d="z"} offset 1h > bool 2')
    assert found.series == [("m_total", {"b": '=~"x|y"'}), ("n", {"d": '="z"'})]
    assert found.labels == {"a", "c"}


ROUTING = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())


@pytest.mark.parametrize("number", range(len(ROUTING["inhibit_rules"])))
def test_an_alert_that_suppresses_others_has_the_labels_by_which_it_does(number):
    rule = ROUTING["inhibit_rules"][number]
    for matchers in (rule["source_matchers"], rule["target_matchers"]):
        (names,) = (re.fullmatch(r'alertname=~?"([\w|]+)"', one)[1] for one in matchers)
        assert set(names.split("|")) <= set(ALERTS)
        fires = [case.fires for case in CASES if case.alert in names.split("|") and case.fires]
        for labels in (labels for case in fires for labels in case):
            assert set(rule["equal"]) <= set(labels)


def test_the_page_of_a_lost_shard_is_one():
    """What fires with a shard that is down is in one group, and only its cause is sent."""
    (critical,) = ROUTING["route"]["routes"]
    assert critical["matchers"] == ['severity="critical"'] and critical["group_by"] == ["cluster"]
    suppressed = " ".join(
        rule["target_matchers"][0] for rule in ROUTING["inhibit_rules"]
        if rule["source_matchers"] == ['alertname="RingstoreNodeDown"'])
    assert {"RingstoreLinkDown", "RingstoreErrorsMany"} <= set(re.findall(r"\w+", suppressed))


# --- when they come ------------------------------------------------------------------------------


def test_every_alert_has_a_case_that_it_comes_in_and_one_that_it_does_not():
    assert {case.alert for case in CASES if case.fires} == set(ALERTS)
    assert {case.alert for case in CASES if not case.fires} == set(ALERTS)


def as_promtool_has_it(case: Case) -> dict:
    return {
        "interval": "15s",
        "input_series": [
            {"series": series, "values": values} for series, values in case.series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": case.at,
                "alertname": case.alert,
                "exp_alerts": [
                    {"exp_labels": labels | ALERTS[case.alert]["labels"]} for labels in case.fires
                ],
            }
        ],
    }


@needs_promtool
def test_each_comes_when_it_should_and_not_else(tmp_path):
    for name, rule in ALERTS.items():
        # Alone, since promtool evaluates all rules of a file for each case. And without its words,
        # which promtool would want to have repeated here.
        bare = {key: value for key, value in rule.items() if key != "annotations"}
        rules = {"groups": [{"name": name, "rules": [bare]}]}
        (tmp_path / f"{name}.rules.yaml").write_text(yaml.safe_dump(rules))
        tests = [as_promtool_has_it(case) for case in CASES if case.alert == name]
        file = {
            "rule_files": [f"{name}.rules.yaml"], "evaluation_interval": "15s", "tests": tests
        }
        (tmp_path / f"{name}.tests.yaml").write_text(yaml.safe_dump(file))
    run("promtool", "test", "rules", *tmp_path.glob("*.tests.yaml"), folder=tmp_path)


@pytest.mark.parametrize("name", ALERTS)
def test_the_words_of_an_alert_use_labels_that_it_has(name):
    used = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
    for case in CASES:
        for labels in case.fires:
            if case.alert == name:
                assert used <= set(labels), f"{name}: {used - set(labels)}"
