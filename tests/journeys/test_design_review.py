"""A model reviews designs and can only tighten: over real HTTP, against a server that misbehaves in every way."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.broker_wiring import open_reviews
from governance.entrypoints.cli.review_eval import read_corpus, request_of
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.requests import normalise_resource
from governance.settings import Settings
from governance.wiring import for_check
from tests.journeys.models import answer, finding, serving
from tests.journeys.service import EXAMPLES, ROOT, governance

WEIGHT = {"allow": 0, "warn": 1, "require_approval": 2, "deny": 3}
GOOD, BAD = EXAMPLES / "app-fixed.yaml", EXAMPLES / "app.yaml"


def design(path: Path = GOOD, **config: str):
    value = yaml.safe_load(path.read_text())
    value["spec"]["config"] |= config
    return normalise_resource("deploy", json.dumps(value).encode(), Source("cli.review", "os:tester"))


def configured(model, home, **changes: str) -> Settings:
    return Settings({
        "home": str(home), "review_model": "m", "review_api_base": model.url, "review_timeout_ms": "20000", **changes,
    })  # fmt: skip


def alone(home) -> Settings:
    return Settings({"home": str(home)})


def reviewed(settings: Settings, request):
    with open_reviews(settings, lambda _: None) as reviews:
        return reviews.run(request)


def review_records(settings: Settings) -> list[dict]:
    with closing(open_reader(settings)) as reader:
        rows = [reader.record(index) for index in range(reader.size())]
    return [row for row in rows if row["kind"] == "review"]


@pytest.fixture
def model():
    with serving() as running:
        yield running


def test_a_review_is_read_by_the_decision_and_asked_only_once(model, tmp_path):
    model.content = answer(finding(severity="high", pointer="/spec/egress", title="Too open\x1b[2J"))
    settings, request = configured(model, tmp_path), design()
    assert for_check(alone(tmp_path)).assess(request).decision.effect == "allow"
    before = for_check(settings).assess(request)
    assert (before.decision.effect, before.facts.values["unavailable"]) == ("require_approval", ["review"])
    outcome = reviewed(settings, request)
    assert outcome.status == "done"
    after = for_check(settings).assess(request)
    assert [v.rule for v in after.decision.violations] == ["REV-002"]
    assert after.decision.violations[0].path == "/spec/egress"
    assert after.facts.values["unavailable"] == []
    assert "\x1b" not in after.facts.text
    again = reviewed(settings, request)
    assert again.is_cached
    assert len(model.asked) == 1
    assert for_check(settings).assess(request).facts.text == after.facts.text
    # The same design as the API server hands it on.
    stored = yaml.safe_load(GOOD.read_text())
    stored["metadata"] |= {"uid": "1", "generation": 2, "managedFields": [{"manager": "kubectl"}]}
    stored["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    from_cluster = normalise_resource("deploy", json.dumps(stored).encode(), Source("webhook.validate", "k8s"))
    assert for_check(settings).assess(from_cluster).facts.values["review"]["review_id"] == outcome.review_id
    # Another model has reviewed nothing yet.
    other = configured(model, tmp_path, review_model="other")
    assert for_check(other).assess(request).facts.values["unavailable"] == ["review"]


def test_what_leaves_is_masked_and_on_record_before_and_after(model, tmp_path):
    key = tmp_path / "key"
    key.write_text("not-a-real-key\n")
    settings = configured(model, tmp_path / "home", review_api_key_file=str(key), review_price="1000:2000")
    request = design(
        contact="eve@example.com", card="4111 1111 1111 1111", apiKey="plain-text-credential", fullname="Eve Example"
    )
    assert reviewed(settings, request).status == "done"
    sent = json.dumps(model.asked[0])
    for value in ("eve@example.com", "4111", "plain-text-credential", "Eve Example", "marketing-lead@example.com"):
        assert value not in sent
    assert "[EMAIL_ADDRESS]" in sent
    assert model.asked[0]["temperature"] == 0
    assert model.headers[0]["authorization"] == "Bearer not-a-real-key"
    asked, answered = [row["public"] for row in review_records(settings)]
    assert (asked["phase"], answered["phase"], answered["outcome"]) == ("asked", "answered", "done")
    assert asked["sent_digest"] == answered["sent_digest"]
    assert asked["sent_to"] == "127.0.0.1"
    assert asked["masked"] >= 4
    assert answered["model"] == "m"
    assert answered["tokens"] == 940
    assert answered["microcents"] == 900 * 1000 + 40 * 2000
    assert asked["decision_id"] == answered["decision_id"]


BROKEN = {
    "half": "not JSON", "prose": "not JSON", "deep": "not JSON", "nan": "not JSON", "twice": "not JSON",
    "approved": "not of the shape", "list": "not of the shape", "extra": "not of the shape", "numbers": "not of the shape",
    "canary": "canary", "canary-escaped": "canary", "nowhere": "pointer to nothing", "no-pointer": "pointer to nothing",
    "category": "unknown category", "severity": "unknown severity", "many": "too many", "cut-off": "not finished",
    "tool-call": "not finished", "null": "no text", "no-choices": "not a chat", "not-json": "not a chat",
    "empty": "not a chat", "gzip": "not a chat", "500": "HTTP 500", "401": "HTTP 401", "429": "HTTP 429",
    "redirect": "HTTP 307", "huge": "oversized", "hang-up": "unreachable",
}  # fmt: skip


def test_every_broken_answer_sends_the_design_to_a_person_and_is_on_record(model, tmp_path):
    settings = configured(model, tmp_path)
    line = for_check(settings)
    with open_reviews(settings, lambda _: None) as reviews:
        for mode, reason in BROKEN.items():
            model.mode = mode
            request = design(mode=mode)
            outcome = reviews.run(request)
            assert outcome.status == "unavailable", mode
            assert reason in outcome.reason, (mode, outcome.reason)
            assessed = line.assess(request)
            assert [v.rule for v in assessed.decision.violations] == ["REV-001"], mode
            assert assessed.decision.effect == "require_approval", mode
    assert not [body for body in model.asked if "elsewhere" in body["path"]]
    ends = [row["public"] for row in review_records(settings) if row["public"]["phase"] == "answered"]
    assert len(ends) == len(BROKEN)
    assert {end["outcome"] for end in ends} == {"unavailable"}


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_the_deadline_is_for_the_whole_answer_and_the_next_question_still_works(model, tmp_path, mode):
    model.mode = mode
    with open_reviews(configured(model, tmp_path, review_timeout_ms="1500"), lambda _: None) as reviews:
        assert reviews.run(design()).reason == "time-out"
    model.mode = "content"
    assert reviewed(configured(model, tmp_path), design()).status == "done"


def test_a_fallback_answers_for_a_model_that_cannot_but_not_for_one_that_lies(model, tmp_path):
    settings = configured(model, tmp_path, review_fallbacks="second, third")
    model.modes = {"m": "500", "second": "hang-up"}
    outcome = reviewed(settings, design())
    assert (outcome.status, outcome.model) == ("done", "third")
    assert [body["model"] for body in model.asked] == ["m", "second", "third"]
    model.modes = {"m": "fenced"}
    assert reviewed(settings, design(fence="yes")).model == "m"
    model.modes = {"m": "canary"}
    assert reviewed(settings, design(other="yes")).reason == "canary echoed"


def test_nothing_is_sent_that_does_not_fit_or_cannot_be_paid(model, tmp_path):
    big = configured(model, tmp_path / "a", review_max_bytes="2000")
    assert reviewed(big, design()).reason == "oversized question"
    poor = configured(model, tmp_path / "b", review_budget_tokens="100")
    assert reviewed(poor, design()).reason == "budget used up"
    dear = configured(model, tmp_path / "c", review_budget_cents="1", review_price="1000000:1000000")
    assert reviewed(dear, design()).reason == "budget used up"
    assert model.asked == []
    assert [row["public"]["phase"] for row in review_records(poor)] == ["answered"]


def test_a_budget_is_used_up_by_what_was_used_and_lasts_over_processes(model, tmp_path):
    settings = configured(model, tmp_path, review_budget_tokens="8000")
    reasons = [reviewed(settings, design(n=str(n))).reason for n in range(8)]
    assert reasons[0] == ""
    assert reasons[-1] == "budget used up"
    spent = next((tmp_path / "reviews" / "spent").glob("*.json"))
    assert json.loads(spent.read_text())["tokens"] == 940 * len(model.asked)
    spent.write_text("")
    from governance.errors import DependencyError

    with pytest.raises(DependencyError, match="cannot be counted"):
        reviewed(settings, design(n="x"))


def test_a_stored_review_that_was_tampered_with_is_none(model, tmp_path):
    settings, request = configured(model, tmp_path), design()
    reviewed(settings, request)
    (stored,) = (tmp_path / "reviews" / "done").glob("*.json")
    for text in ('{"findings": [{"severity": "low"}], "model": "m", "review_id": "x"}', "[]", '{"findings": 3}', ""):
        stored.write_text(text)
        assert [v.rule for v in for_check(settings).assess(request).decision.violations] == ["REV-001"]


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 15])
def test_no_order_in_a_design_makes_a_decision_milder_with_a_model_that_approves_everything(model, tmp_path, step):
    settings = configured(model, tmp_path, review_budget_tokens="100000000")
    line, without = for_check(settings), for_check(alone(tmp_path))
    cases = [case for case in read_corpus("") if case.sort != "benign"]
    assert len(cases) >= 150
    bases = {path: yaml.safe_load(path.read_text()) for path in (GOOD, BAD)}
    done = 0
    with open_reviews(settings, lambda _: None) as reviews:
        for case in cases[::step]:
            for path, base in bases.items():
                request = request_of(case, base)
                baseline = without.assess(request).decision.effect
                assert WEIGHT[line.assess(request).decision.effect] >= WEIGHT["require_approval"], case.id
                done += reviews.run(request).status == "done"
                effect = line.assess(request).decision.effect
                assert WEIGHT[effect] >= WEIGHT[baseline], case.id
                assert effect == "deny" or path == GOOD, case.id
    assert done == len(model.asked) == 2 * len(cases[::step])


texts = st.text(max_size=40)
members = st.fixed_dictionaries({
    "category": st.sampled_from(["stride.elevation", "injection.marker", "x"]) | texts,
    "severity": st.sampled_from(["info", "low", "high", "critical", "none"]) | texts,
    "pointer": st.sampled_from(["", "/spec", "/spec/egress/0", "/nowhere"]) | texts,
    "title": texts, "evidence": texts, "suggestion": texts,
})  # fmt: skip
answers = (
    st.lists(members, max_size=4).map(lambda found: json.dumps({"findings": found}))
    | st.recursive(
        st.none() | st.booleans() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    ).map(json.dumps)
    | st.text(max_size=200)
)


def test_whatever_a_model_says_the_effect_is_never_milder(model, tmp_path):
    settings_ = configured(model, tmp_path, review_budget_tokens="1000000000")
    line, without = for_check(settings_), for_check(alone(tmp_path))
    count = iter(range(10**6))
    with open_reviews(settings_, lambda _: None) as reviews:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(answers, st.sampled_from([GOOD, BAD]))
        def holds(content: str, path: Path) -> None:
            model.content = content
            request = design(path, n=str(next(count)))
            baseline = without.assess(request)
            reviews.run(request)
            assessed = line.assess(request)
            assert WEIGHT[assessed.decision.effect] >= WEIGHT[baseline.decision.effect]
            rules = {v.rule for v in baseline.decision.violations}
            assert rules <= {v.rule for v in assessed.decision.violations}

        holds()


def test_the_command_reviews_says_what_it_does_and_what_the_line_would_say(model, tmp_path):
    model.content = answer(finding(severity="critical", pointer="/spec/connectors/0", title="Reads everybody"))
    env = {"GOVERNANCE_REVIEW_MODEL": "m", "GOVERNANCE_REVIEW_API_BASE": model.url}
    done = governance("review", "run", str(GOOD), home=tmp_path, **env)
    assert done.returncode == 1, done.stderr
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "/spec/connectors/0: critical stride.elevation (model): Reads everybody" in out
    assert "with this review the line would say require_approval (REV-002)" in out
    assert "values masked, to 127.0.0.1" in err
    assert "m: answered" in err
    plain = governance("review", "run", str(GOOD), home=tmp_path)
    assert plain.returncode == 0
    assert b"the checklist reviewed alone" in plain.stdout
    wrong = governance("review", "run", str(GOOD), home=tmp_path, GOVERNANCE_REVIEW_MODEL="m")
    assert wrong.returncode == 2
    assert b"GOVERNANCE_REVIEW_API_BASE" in wrong.stderr


def test_the_evaluation_counts_what_a_model_finds_and_what_it_cost(model, tmp_path):
    model.content = answer(finding(category="injection.marker", pointer="/spec"))
    env = {"GOVERNANCE_REVIEW_API_BASE": model.url, "GOVERNANCE_REVIEW_PRICE": "100:100"}
    argv = ("review", "eval", "--model", "m", "--limit", "1", "--format", "json")
    done = governance(*argv, home=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["model_found"] == report["cases"] == len(report["sorts"])
    assert report["model_falsely_found"] == ["benign-01"]
    assert report["flips"] == []
    # The server says 940 each time; a large question is charged more than that whatever the server says.
    assert report["tokens"] > 940 * len(model.asked)
    assert report["microcents"] == 100 * report["tokens"]


# Looked for, not imported: on import it would ask the network for a price list, which the worker forbids it.
@pytest.mark.skipif(find_spec("litellm") is None, reason="the extra llm is not installed")
def test_litellm_speaks_to_the_same_server(model, tmp_path):
    settings_ = configured(
        model, tmp_path, review_client="litellm", review_model="openai/m", review_timeout_ms="120000"
    )
    model.content = answer(finding(severity="high"))
    assert reviewed(settings_, design()).status == "done"
    for mode in ("500", "redirect"):
        model.mode = mode
        assert reviewed(settings_, design(mode=mode)).reason.startswith("litellm ")
    assert [body["path"] for body in model.asked] == ["/v1/chat/completions"] * 3


def test_the_checklist_alone_finds_the_corpus_as_the_readme_says():
    from governance.entrypoints.cli.main import run

    out = io.StringIO()
    assert run(["review", "eval", "--format", "json"], sys.stdin, out, sys.stderr) == 0
    report = json.loads(out.getvalue())
    said = f"{report['checklist_found']} of its {report['cases']} orders"
    assert said in (ROOT / "governance" / "README.md").read_text()
    assert report["falsely_found"] == []
