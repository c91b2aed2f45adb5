from collections.abc import Iterator

import pytest

from tests.fetch.web_server import Web, serving_files


@pytest.fixture
def web() -> Iterator[Web]:
    """An empty web server on loopback."""
    with serving_files() as server:
        yield server
