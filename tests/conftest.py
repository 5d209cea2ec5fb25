"""What several folders of tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for a worker's whole run; each test makes its own database in it."""
    from tests.postgres import FOUND, Server

    if not FOUND:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    server = Server()
    yield server
    server.remove()
