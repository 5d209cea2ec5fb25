"""What several folders of tests share."""

from __future__ import annotations

import pytest


@pytest.fixture
def tmp_path(tmp_path_factory):
    """As pytest's own, without the test's name: homes hold Unix sockets, whose paths end at 107 bytes.

    With the name, a user called `continuous-integration` has no room left.
    """
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="session", autouse=True)
def authorities_are_read_once():
    """For each client httpx reads every authority that the machine trusts: 24 ms of CPU for a question without TLS."""
    from httpx._transports import default

    read, kept = default.create_ssl_context, []

    def context(verify=True, cert=None, trust_env=True):
        if verify is not True or cert is not None:
            return read(verify=verify, cert=cert, trust_env=trust_env)
        kept[:] = kept or [read(trust_env=trust_env)]
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "create_ssl_context", context)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_credential_is_left_anywhere(tmp_path_factory):
    """After a worker's last test: what fixtures stored as credentials stands in no home that a test made."""
    yield
    from tests.leaks import leaks_below

    assert leaks_below(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for a worker's whole run; each test makes its own database in it."""
    from tests.postgres import FOUND, Server

    if not FOUND:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    server = Server()
    yield server
    server.remove()
