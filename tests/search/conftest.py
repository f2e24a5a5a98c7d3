"""What tests of searching share."""

import pytest

from support.object_store import object_store


@pytest.fixture(scope="module")
def endpoint():
    """An object store of its own for a file of tests."""
    with object_store() as endpoint:
        yield endpoint
