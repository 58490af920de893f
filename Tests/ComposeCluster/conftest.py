"""The cluster that all tests of this folder share, and what was measured on the way."""

import pytest
from compose import INSECURE, Compose, measured


@pytest.fixture(scope="session")
def compose():
    started = Compose()
    try:
        started.up()
        yield started
    finally:
        started.remove()


@pytest.fixture
def insecure():
    """The same cluster without encryption, beside the other one."""
    started = Compose(INSECURE)
    try:
        started.up()
        yield started
    finally:
        started.remove()


def pytest_terminal_summary(terminalreporter):
    for line in measured:
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the nodes' logs to a failing test's report."""
    report = yield
    started = item.funcargs.get("insecure") or item.funcargs.get("compose")
    if report.failed and started is not None:
        report.sections.append(("logs", started.command("logs", "--no-color", "--tail", "40")))
    return report
