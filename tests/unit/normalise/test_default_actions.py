"""A request that names no action asks for one that policy knows."""

from __future__ import annotations

import pytest
import yaml

from governance.model.request import KINDS, Source
from governance.normalise.requests import normalise_document
from tests.journeys.service import ROOT

ACTIONS = yaml.safe_load((ROOT / "rules" / "data" / "platform" / "requests.yaml").read_text())["actions"]


@pytest.mark.parametrize("kind", sorted(KINDS & set(ACTIONS)))
def test_the_default_action_is_one_of_the_kind(kind):
    resource = {"dockerfile": "FROM scratch"} if kind == "image_build" else {}
    request = normalise_document({"kind": kind, "resource": resource}, Source("test", "test"))
    assert request.action in ACTIONS[request.kind]
