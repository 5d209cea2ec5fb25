"""Asking any rule: OPA's default for other people's policies, no answer for an error in ours."""

from __future__ import annotations

import json

import pytest

from governance.policy.active import Extra, load_active
from governance.policy.query import ask

OWN = """package mine

number := to_number(input.text)

is_odd if not to_number(input.text) == 2

is_text if not to_number(input.text)
"""


@pytest.fixture(scope="module")
def active(tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "own.rego"
    file.write_text(OWN)
    return load_active(extras=[Extra(str(file))])


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("mine/number", "7", "7"), ("mine/number", "seven", None), ("mine/is_odd", "3", "true"),
        ("mine/is_odd", "three", None), ("mine/is_text", "three", "true"), ("mine/nothing", "3", None),
    ],
)  # fmt: skip
def test_an_error_in_somebody_s_policy_is_undefined_as_opa_has_it(active, path, text, value):
    assert ask(active, path, {"text": text}).text == value


@pytest.mark.parametrize("document", ["text", None, [], {}, 7, {"kind": "deploy"}])
def test_our_own_rules_object_to_an_input_that_is_no_request(active, document):
    answer = ask(active, "platform/main/deploy", document)
    assert json.loads(answer.text)["violations"]
    assert json.loads(answer.text)["obligations"] == []
