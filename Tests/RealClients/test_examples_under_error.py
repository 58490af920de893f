"""The examples of docs/examples meet errors: what they promise of repeated calls, pages, locks and
jobs holds all the same. Python and Go alike."""

import importlib.util
from types import SimpleNamespace

import grpc
import pytest
from harness.client import Client
from harness.cluster import start_local
from harness.examples import FOLDER, LANGUAGES, PRINTED, ended, start
from harness.intermediary import Intermediary
from harness.polling import eventually
from ringstore.v1 import keystore_pb2 as pb
from ringstore.v1 import keystore_pb2_grpc

QUEUE = b"{jobs}"
WORKERS = 3
# The Gets of first_steps before the one that is repeated.
PLAIN_GETS = {"python": 2, "go": 1}


@pytest.fixture(scope="module")
def node():
    local = start_local(2)
    yield local
    local.stop()


@pytest.fixture
def client(node):
    with Client(node.address) as opened:
        opened.reset(all_databases=True)
        yield opened


@pytest.fixture
def between(node, client):
    """In front of an empty node."""
    with Intermediary(node.address) as intermediary:
        yield intermediary


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def program(language, example):
    """The command of an example, but for the address."""
    return lambda name: example(language, name)


def finishes_well(language: str, name: str, command: list[str]) -> None:
    done = ended(command)
    assert (done.returncode, done.stdout) == (0, PRINTED[language][name]), done.stderr


# Calls that are repeated


def test_a_read_is_repeated_until_it_succeeds(between, language, program):
    plain = PLAIN_GETS[language]
    between.refuses("Get", skip=plain)
    between.refuses("Get", "OUTCOME_UNKNOWN")
    finishes_well(language, "first_steps", [*program("first_steps"), between.address])
    assert len(between.requests("Get")) == plain + 3


def test_a_write_whose_outcome_is_unknown_is_not_repeated(between, program):
    between.loses_reply("LRem")
    ended([*program("work_queue"), between.address])
    removals = between.requests("LRem")
    assert removals and len(set(removals)) == len(removals)


def store_module(clock: "Clock"):
    """store.py, with a clock of the test's."""
    spec = importlib.util.spec_from_file_location("store", FOLDER / "python" / "store.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.time = clock
    return module


class Clock:
    """Passes only while a program pauses."""

    def __init__(self):
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def stub(between):
    with grpc.insecure_channel(between.address) as channel:
        yield keystore_pb2_grpc.KeyStoreStub(channel)


def test_a_pause_is_as_long_as_the_store_says(between, stub):
    store = store_module(clock := Clock())
    between.refuses("Get", retry_millis=700)
    reply = store.repeated(lambda: stub.Get(pb.Key(key=b"a"), timeout=30), idempotent=True)
    assert not reply.found
    assert clock.pauses == [0.7]


def test_pauses_grow_and_the_repeats_end(between, stub):
    store = store_module(clock := Clock())
    store.random = SimpleNamespace(uniform=lambda low, high: (low + high) / 2)
    between.refuses("Get", times=100)
    with pytest.raises(grpc.RpcError) as last:
        store.repeated(lambda: stub.Get(pb.Key(key=b"a"), timeout=30), idempotent=True, seconds=5)
    assert store.Failure(last.value).reason == "SHARD_UNAVAILABLE"
    assert clock.pauses[:6] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0])
    assert sum(clock.pauses) <= 5


@pytest.mark.parametrize("reason, is_idempotent, calls", [
    ("SHARD_UNAVAILABLE", False, 2), ("OUTCOME_UNKNOWN", False, 1), ("OUTCOME_UNKNOWN", True, 2),
])
def test_what_may_have_happened_is_repeated_only_where_that_does_no_harm(
    between, stub, reason, is_idempotent, calls
):
    store = store_module(Clock())
    between.refuses("Set", reason)
    try:
        store.repeated(
            lambda: stub.Set(pb.KeyValue(key=b"a", value=b"b"), timeout=30),
            idempotent=is_idempotent)
    except grpc.RpcError as error:
        assert store.Failure(error).reason == reason
    assert len(between.requests("Set")) == calls


# Pages


def test_a_scan_continues_behind_the_last_page_that_came(between, language, program):
    between.breaks("Scan")
    finishes_well(language, "scan", [*program("scan"), between.address])
    first, second = (pb.ScanRequest.FromString(each) for each in between.requests("Scan"))
    assert not first.resume_token and second.resume_token


# A lock


def test_a_lock_that_may_have_been_taken_is_released(between, client, program):
    between.loses_reply("Set")
    done = ended([*program("lock"), between.address])
    assert done.returncode != 0 and done.stdout == ""
    # It was taken: the call was executed.
    assert len(between.requests("Set")) == 1
    assert not client.get(b"lock:report").found


@pytest.mark.parametrize("reason", ["SHARD_UNAVAILABLE", "OUTCOME_UNKNOWN"])
def test_a_lock_is_released_although_a_shard_restarts(between, client, language, program, reason):
    between.refuses("Delete", reason)
    finishes_well(language, "lock", [*program("lock"), between.address])
    assert not client.get(b"lock:report").found


# A queue


def takes_a_job(request: bytes, reply: bytes | None) -> bool:
    move = pb.ListMoveRequest.FromString(request)
    return bool(move.wait_millis and reply and pb.Value.FromString(reply).found)


def test_a_job_that_a_lost_reply_carried_is_done_by_a_worker_that_lives(
    between, client, language, program
):
    # Not the first ones, which a worker that has just started would find.
    lost = between.loses_reply("LMove", takes_a_job, skip=WORKERS + 1)
    finishes_well(language, "work_queue", [*program("work_queue"), between.address])
    assert lost.is_done
    assert client.size() == 0


@pytest.mark.parametrize("method", ["LMove", "LRem"])
def test_a_queue_continues_after_a_shard_was_away(between, client, language, program, method):
    between.refuses(method, times=4)
    finishes_well(language, "work_queue", [*program("work_queue"), between.address])
    assert client.size() == 0


def test_no_job_is_lost_when_its_workers_crash(between, node, client, language, program):
    between.holds("LRem")
    crashes = start([*program("work_queue"), between.address])
    try:
        # Each has a job, and hasn't told that it is done.
        eventually(lambda: len(between.requests("LRem")) == WORKERS, "three jobs in work")
    finally:
        crashes.kill()
        crashes.communicate()
    lists = [QUEUE + b":worker-%d" % number for number in range(WORKERS)]
    assert [client.llen(each) for each in lists] == [1] * WORKERS
    # Its jobs are behind those of the crashed ones: it stops before it comes to them.
    finishes_well(language, "work_queue", [*program("work_queue"), node.address])
    assert [client.llen(each) for each in lists] == [0] * WORKERS
