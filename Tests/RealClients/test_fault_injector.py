"""Client processes and a server with an injected fault: the suite's checker must find it.

What test_concurrency.py does with real nodes is done here with a server that is correct, or breaks
one promise now and then.
"""

import pytest
from harness.fault_injector import CORRECT, FAULTS, FaultInjector
from harness.history import FAILED, REPLIED
from harness.jobs import COUNTERS, LISTS, STRINGS, UNARY, Job
from harness.linearizability import Violation, check
from harness.seeds import seed

GROUPS = (
    ((b"s-0", b"s-1"), STRINGS),
    ((b"c-0", b"c-1"), COUNTERS),
    ((b"l-0", b"l-1"), LISTS),
)
PROCESSES, CALLS = 4, 300


def history(crew, fault: str):
    with FaultInjector(fault) as address:
        jobs = [Job(address, GROUPS, CALLS, seed() + n, UNARY) for n in range(PROCESSES)]
        report = crew.do(jobs)
    assert len(report.history.operations) == PROCESSES * CALLS
    return report.history


def test_a_server_without_faults_passes(crew):
    found = history(crew, CORRECT)
    assert check(found) == 6
    assert not found.of("GET", kind=FAILED)
    assert found.of("GET", kind=REPLIED)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(crew, fault):
    with pytest.raises(Violation):
        check(history(crew, fault))
