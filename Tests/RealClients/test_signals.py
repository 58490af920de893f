"""Signals besides SIGTERM and SIGINT: what they do to a node."""

import signal

from harness.client import Client
from harness.polling import eventually
from harness.process import Node

SHARD = ("shard", "--id", "a", "--host", "127.0.0.1", "--port", "0")


def test_a_hangup_is_logged_and_the_node_continues():
    node = Node(*SHARD)
    with Client(node.address) as client:
        client.set(b"k", b"v")
        for count in (1, 2):
            node.process.send_signal(signal.SIGHUP)
            eventually(lambda: node.log().count("SIGHUP changes nothing") == count, "it is logged")
            assert client.get(b"k").value == b"v"
    assert node.stop() == 0
    assert "draining" in node.log()


def test_a_hangup_does_not_cut_a_drain_short():
    node = Node(*SHARD)
    node.process.send_signal(signal.SIGHUP)
    node.terminate()
    assert node.wait() == 0
    assert "stopped" in node.log()


def test_sigquit_ends_a_node_at_once():
    # With the variable by which Swift's runtime takes the signal for itself.
    for environment in ({}, {"SWIFT_BACKTRACE": "enable=yes,color=no"}):
        node = Node(*SHARD, environment=environment)
        node.process.send_signal(signal.SIGQUIT)
        assert node.wait() == -signal.SIGQUIT
        assert "draining" not in node.log()
