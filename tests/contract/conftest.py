"""What several contract suites start: one real Envoy a module."""

import pytest

from tests.contract.gateways import running_in


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_in(tmp_path_factory.mktemp("gateway") / "xds") as running:
        yield running
