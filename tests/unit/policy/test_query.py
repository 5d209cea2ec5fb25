"""Asking any rule: OPA's default for other people's policies, no answer for an error in ours."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref

import pytest

from audit.log import AuditLog
from governance.errors import NoAnswer
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import changed
from governance.pipeline import Parts, Pipeline
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


def test_a_question_without_an_answer_is_recorded_and_keeps_no_policy(tmp_path):
    file = tmp_path / "own.rego"
    file.write_text("package mine\n\nc := 1 if input.a\n\nc := 2 if input.b\n")
    serving = [load_active(str(file), cache="")]
    policy = weakref.ref(serving[0].engine)
    with AuditLog(tmp_path / "log", origin="here/log") as log:
        line = Pipeline(Parts(serving.pop, (), changed, LogRecorder(log, 30)))
        gc.collect()
        gc.disable()
        try:
            code = asyncio.run(_code_of(line.aquery("mine/c", {"a": 1, "b": 1}, Source("http.data", "ann"))))
            # The line itself holds the last policy that it looked at.
            del line
            is_there = policy() is not None
        finally:
            gc.enable()
        assert code in log.reader.leaf(0).decode()
    assert not is_there


async def _code_of(question):
    try:
        await question
    except NoAnswer as error:
        return error.code
    raise AssertionError("there is an answer")
