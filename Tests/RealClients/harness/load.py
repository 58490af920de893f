"""Clients that work on keys of every shard until they are told to stop, while things are broken."""

from itertools import islice

import grpc
from harness.client import Client
from harness.crew import Crew, Report, Shift
from harness.history import FAILED, UNKNOWN, Operation, wipe
from harness.jobs import COUNTERS, LISTS, MIXED, STRINGS, Job
from harness.linearizability import check
from harness.polling import eventually
from harness.seeds import seed
from harness.site import Site
from harness.slots import keys_of, owners, slot

# Keys that are only counted up show that the load continues.
PULSE = b"p"
MIXES = {b"s": STRINGS, b"c": COUNTERS, b"l": LISTS, b"m": MIXED, PULSE: {"INCRBY": 1}}
PULSE_COUNTS = 20
# What a caller may be told when a shard behind the router goes away.
SHARD_AWAY = {
    (FAILED, "SHARD_UNAVAILABLE"),
    (UNKNOWN, "OUTCOME_UNKNOWN"),
}


class Load:
    """Begins at once, with one process for each of the kinds of client."""

    def __init__(self, site: Site, crew: Crew, clients: list[str], **more):
        with site.client() as client:
            self.map = client.describe().map
        self.owners = owners(self.map)
        self.keys = {
            shard.id: [
                key
                for prefix, mix in MIXES.items()
                for key in islice(keys_of(self.map, shard.id, prefix), 1 if prefix == PULSE else 2)
            ]
            for shard in self.map.shards
        }
        groups = tuple(
            (tuple(key for keys in self.keys.values() for key in keys if key[:1] == prefix), mix)
            for prefix, mix in MIXES.items()
        )
        self.shift: Shift = crew.begin([
            Job(site.address(number), groups, None, seed() * 1000 + number, client, **more)
            for number, client in enumerate(clients)
        ])
        self.wipes: list[Operation] = []

    def await_progress(self, address: str, shard: str) -> None:
        """Returns once the load is seen to write to that shard, through that address."""
        pulse = next(key for key in self.keys[shard] if key[:1] == PULSE)
        with Client(address) as client:

            def count() -> int:
                try:
                    return 1 + client.get(pulse).version
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    return 0

            begin = eventually(count, f"shard {shard} served through {address}", 20)
            eventually(lambda: count() >= begin + PULSE_COUNTS, f"the load on shard {shard}", 20)

    def lost_memory(self, shard: str, begun: int, over: int) -> None:
        """The shard was restarted between these two moments."""
        self.wipes += [wipe(key, begun, over) for key in self.keys[shard]]

    def shard_of(self, operation: Operation) -> str:
        return self.owners[slot(operation.key)]

    def stop(self) -> Report:
        """Ends the load and checks what can always be checked."""
        report = self.shift.stop()
        assert not report.complaints
        report.history.operations += self.wipes
        check(report.history)
        return report


def failures(report: Report, *but: tuple[str, str]) -> list[Operation]:
    """Operations without a reply, except those with one of these (kind, reason)."""
    return [
        one
        for one in report.history.operations
        if one.kind in (FAILED, UNKNOWN) and (one.kind, one.error[1]) not in but
    ]
