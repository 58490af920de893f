"""The other Debian, which all tests of this folder share in their order, and the one that is
booted."""

import os
from pathlib import Path

import pytest
from machine import Machine
from root import Root


@pytest.fixture(scope="session")
def root():
    return Root(Path(os.environ["RINGSTORE_TEST_ROOT"]))


@pytest.fixture(scope="module")
def machine():
    cgroup = os.environ["RINGSTORE_TEST_CGROUP"]
    if not cgroup:
        pytest.skip(os.environ["RINGSTORE_TEST_NO_BOOT"])
    made = Machine(Path(os.environ["RINGSTORE_TEST_MACHINE"]), Path(cgroup))
    try:
        made.boot()
        yield made
    finally:
        made.stop()
