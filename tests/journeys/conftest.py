"""One running service for every journey of a module."""

from __future__ import annotations

import pytest

from tests.journeys.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("service") / "home", "--workers", "2").start()
    yield running
    running.stop()
