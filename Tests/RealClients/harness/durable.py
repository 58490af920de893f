"""A cluster whose shards keep their data on disk, and may be killed and started again."""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness.client import Client
from harness.cluster import start_router, start_shard
from harness.polling import eventually
from harness.process import Node, binary
from ringstore.v1 import cluster_pb2

# Set: a failing test keeps its data directories, and says where.
KEEP = "RINGSTORE_TEST_KEEP_DATA"
# Set to a policy: all shards have that one.
FSYNC = "RINGSTORE_TEST_FSYNC"
# One for each shard: what was acknowledged outlives a killed process under all of them.
POLICIES = {
    name: os.environ.get(FSYNC) or policy
    for name, policy in (("a", "always"), ("b", "everysec"), ("c", "never"))
}
HEADER_BYTES = 4_096


def last_batch_end(segment: Path) -> int:
    """The offset behind the last batch of a file of a log: lengths lead from one to the next."""
    data, offset = segment.read_bytes(), HEADER_BYTES
    while length := int.from_bytes(data[offset : offset + 4], "little"):
        offset += length
    return offset


class DurableCluster:
    """A router and a shard for each of `policies`, with a data directory each."""

    def __init__(self, policies: dict[str, str] | None = None, *shard_arguments: str):
        self._folder = tempfile.TemporaryDirectory(prefix="ringstore-data-")
        self.policies = dict(policies or POLICIES)
        self.shards: dict[str, Node] = {}
        self.router: Node | None = None
        try:
            for name, policy in self.policies.items():
                self.shards[name] = start_shard(
                    name, "--data-dir", str(self.directory(name)), "--fsync", policy,
                    *shard_arguments,
                )
            self.router = start_router(self.shards)
        except BaseException:
            self.end()
            raise

    def directory(self, name: str) -> Path:
        return Path(self._folder.name) / name

    @property
    def address(self) -> str:
        return self.router.address

    def serving(self) -> bool:
        """Whether the router describes every shard as one that serves."""
        with Client(self.address) as client:
            states = [
                node.state for node in client.describe().nodes
                if node.role == cluster_pb2.Node.SHARD
            ]
        return states == [cluster_pb2.Node.SERVING] * len(self.shards)

    def await_serving(self) -> None:
        eventually(self._serving_or_ended, "every shard serves")

    def _serving_or_ended(self) -> bool:
        for name, node in self.shards.items():
            if node.process.poll() is not None:
                raise RuntimeError(f"shard {name} ended by itself: {node.log()}")
        return self.serving()

    def kill_while_it_starts(self, name: str, seconds: float) -> None:
        """Starts a shard that is away, and kills it so soon that it may not have loaded."""
        node = self.shards[name]
        arguments = list(node.arguments)
        arguments[arguments.index("--port") + 1] = str(node.port)
        process = subprocess.Popen(
            [binary(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )
        time.sleep(seconds)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for node in self.shards.values():
            node.process.kill()
        for node in self.shards.values():
            node.wait()

    def restart_all(self) -> None:
        for node in self.shards.values():
            node.restart()
        self.await_serving()

    def end(self) -> None:
        """Stops what runs, without a look at how it ends; the data goes too."""
        for node in [self.router, *self.shards.values()]:
            if node is not None and node.process.poll() is None:
                node.kill()
        self._folder.cleanup()

    def stop(self) -> None:
        """SIGTERM to every node; each must run still, and leave with status 0."""
        try:
            for node in [self.router, *self.shards.values()]:
                assert node.process.poll() is None, f"{node.name} ended by itself\n{node.log()}"
                assert node.stop() == 0
        finally:
            self.end()

    def __enter__(self) -> "DurableCluster":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.stop()
            return
        for name, node in self.shards.items():
            if node.process.poll() is not None:
                print(f"shard {name} is away; its log:\n{node.log()}")
            else:
                node.kill()
        if os.environ.get(KEEP):
            kept = Path(tempfile.mkdtemp(prefix="ringstore-crash-"))
            shutil.copytree(self._folder.name, kept, dirs_exist_ok=True)
            print(f"the data directories are kept in {kept}")
        self.end()


class Killer:
    """Kills shards at random moments, and starts them again.

    `progress` counts calls that had replies: a kill waits until some more of them had, so that
    each falls among calls under way and on data that has changed. Some wait for a pass as well: a
    worker must have passes made.
    """

    def __init__(self, cluster: DurableCluster, progress, chance: random.Random):
        self.cluster = cluster
        self.progress = progress
        self.chance = chance
        # SIGKILLs by the policy of the shard.
        self.kills: Counter = Counter()
        # Those of them that came while the shard wrote a pass.
        self.within_passes = 0

    def round(self) -> None:
        """One way of killing; counts each SIGKILL."""
        chance, cluster = self.chance, self.cluster
        wanted = self.progress() + chance.randrange(400)
        eventually(lambda: self.progress() >= wanted, "replies between two kills")
        names = sorted(cluster.shards)
        if chance.random() < 0.2:
            victims = chance.sample(names, chance.randint(2, len(names)))
        else:
            victims = [chance.choice(names)]
        if not self.within_passes or chance.random() < 0.2:
            eventually(lambda: self._is_in_pass(victims[0]), "a pass under way")
        time.sleep(chance.random() * 0.005)
        for name in victims:
            cluster.shards[name].process.kill()
        for name in victims:
            cluster.shards[name].wait()
            self.kills[cluster.policies[name]] += 1
            self.within_passes += self._is_in_pass(name)
        for name in victims:
            if chance.random() < 0.3:
                cluster.kill_while_it_starts(name, chance.random() * 0.5)
                self.kills[cluster.policies[name]] += 1
            cluster.shards[name].restart()

    def _is_in_pass(self, name: str) -> bool:
        """Whether the shard writes a pass, or was killed while it did: a start removes the file."""
        return any(self.cluster.directory(name).glob("pass-*.part"))
