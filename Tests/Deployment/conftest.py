"""What the tests of this folder share: the objects of the cluster in Kubernetes, and secrets for
them as deploy/kubernetes/secrets makes them."""

import os

import pytest
import yaml
from harness import process
from manifests import FOLDER, objects
from repository import run


@pytest.fixture(scope="session")
def program() -> str:
    return process.binary()


@pytest.fixture(scope="session")
def cluster() -> list[dict]:
    return objects(FOLDER / "cluster")


@pytest.fixture(scope="session")
def private(tmp_path_factory, program):
    """The folder with everything secret."""
    folder = tmp_path_factory.mktemp("private")
    environment = os.environ | {"RINGSTORE": program}
    run(FOLDER / "secrets", folder, environment=environment)
    return folder


@pytest.fixture(scope="session")
def secrets(private) -> dict[str, dict]:
    made = yaml.safe_load_all((private / "secrets.yaml").read_text())
    return {one["metadata"]["name"]: one for one in made}
