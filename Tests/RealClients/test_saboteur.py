"""Client processes at work on a server that lies: the suite's own alarm is tested.

What test_concurrency.py does with real nodes is done here with a server that is honest, or breaks
one promise now and then.
"""

import pytest
from harness.history import ANSWERED, FAILED
from harness.jobs import COUNTERS, LISTS, STRINGS, UNARY, Job
from harness.linearizability import Violation, check
from harness.saboteur import HONEST, LIES, Saboteur
from harness.seeds import seed

GROUPS = (
    ((b"s-0", b"s-1"), STRINGS),
    ((b"c-0", b"c-1"), COUNTERS),
    ((b"l-0", b"l-1"), LISTS),
)
PROCESSES, CALLS = 4, 300


def history(crew, lie: str):
    with Saboteur(lie) as address:
        jobs = [Job(address, GROUPS, CALLS, seed() + n, UNARY) for n in range(PROCESSES)]
        report = crew.do(jobs)
    assert len(report.history.operations) == PROCESSES * CALLS
    return report.history


def test_an_honest_server_is_believed(crew):
    told = history(crew, HONEST)
    assert check(told) == 6
    assert not told.of("GET", kind=FAILED)
    assert told.of("GET", kind=ANSWERED)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(crew, lie):
    with pytest.raises(Violation):
        check(history(crew, lie))
