"""The other Debian, which all tests of this folder share in their order."""

import pytest
from root import Root


@pytest.fixture(scope="session")
def root():
    return Root()
