"""Facts: findings in values, schema errors, what the registry and the app directory know."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.enrich.app_changes import AppChanges
from governance.enrich.apps import AppDirectory, AppFacts
from governance.enrich.port import enrich_all
from governance.enrich.registry_facts import RegistryFacts
from governance.enrich.scan import ScanFacts, found_in, iban, luhn
from governance.enrich.schema import KINDS, SchemaFacts, schema, violations
from governance.model.decision import Decision
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.state.files import FileState

KEY = Source("http.decisions", "key:1", ("service",))


def flow(payload, **more):
    resource = {"app": "a", "destination": {"connector": "crm"}, "payload": payload, **more}
    return normalise_document({"kind": "data_flow", "tenant": "t", "resource": resource}, KEY)


def deploy(spec, name="a"):
    resource = {
        "apiVersion": "microapps.internal/v1alpha1",
        "kind": "MicroApp",
        "metadata": {"name": name},
        "spec": spec,
    }
    return normalise_document({"kind": "deploy", "resource": resource}, KEY)


def template(spec, name="lunch", version="1.0.0", tenant=""):
    resource = {
        "apiVersion": "microapps.internal/v1alpha1",
        "kind": "AppTemplate",
        "metadata": {"name": name, "version": version},
        "spec": spec,
    }
    return normalise_document({"kind": "template", "tenant": tenant, "resource": resource}, KEY)


# Assembled, so that no scanner of this repository takes them for real.
SECRETS = {
    "AWS_ACCESS_KEY": "AKIA" + "ABCDEFGHIJKLMNOP",
    "GITHUB_TOKEN": "ghp_" + "a1B2" * 9,
    "SLACK_TOKEN": "xoxb-" + "1234567890-abcdef",
    "GOOGLE_API_KEY": "AIza" + "b" * 35,
    "LLM_API_KEY": "sk-" + "proj-abcdefghij1234567890",
    "STRIPE_KEY": "sk_live_" + "abcdefgh12345678",
    "PRIVATE_KEY": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "URL_PASSWORD": "postgres://app:" + "hunter22@db.example.com/x",
    "BEARER_TOKEN": "Bearer " + "abcdefghijklmnopqrstuvwx",
    "JWT": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxIn0" + ".c2ln",
}
PERSONAL = {
    "EMAIL_ADDRESS": "ada.example@example.com",
    "CREDIT_CARD": "4111 1111 1111 1111",
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "US_SSN": "219-09-9999",
    "PHONE_NUMBER": "+49 30 901820",
}


@pytest.mark.parametrize(("entity", "text"), sorted({**SECRETS, **PERSONAL}.items()))
@pytest.mark.parametrize("frame", ["{}", "before {} after", "x: {}; y", "\u200b{}"])
def test_a_value_is_found_wherever_it_stands(entity, text, frame):
    facts = ScanFacts().facts(flow({"rows": [{"note": frame.format(text)}]}))
    found = {(f["entity"], f["pointer"]) for f in facts["pii"] + facts["secrets"]}
    assert (entity, "/payload/rows/0/note") in found


HIDDEN = ["４１１１ １１１１ １１１１ １１１１", "4111\u200b1111\u200b1111\u200b1111", "ada\u00ad@example.com"]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_look_alike_digits_and_invisible_characters_hide_nothing(hidden):
    assert ScanFacts().facts(flow({"x": hidden}))["pii"]


@pytest.mark.parametrize("digits", ["4111111111111112", "0000000000000000", "1234567890123"])
def test_digits_without_a_check_digit_are_no_card(digits):
    assert not luhn(digits)


@given(st.integers(0, 10**14))
def test_one_changed_digit_is_never_the_same_card(number):
    stem = f"4{number:014d}"
    (last,) = [d for d in "0123456789" if luhn(stem + d)] or [""]
    if last:
        assert sum(luhn(stem + d) for d in "0123456789") == 1


@pytest.mark.parametrize("text", ["DE88370400440532013000", "DE8937040044053201300", "XX89370400440532013000"])
def test_an_iban_with_wrong_digits_length_or_country_is_none(text):
    assert not iban(text)


@pytest.mark.parametrize(
    ("name", "text", "is_found"),
    [
        ("apiKey", "whatever-it-is", True),
        ("client_secret", "whatever-it-is", True),
        ("password", "vault:kv/db", False),
        ("password", "${DB_PASSWORD}", False),
        ("passwordPolicy", "twelve characters", False),
        ("token", "short", False),
    ],
)
def test_a_name_says_secret_unless_the_value_is_a_reference(name, text, is_found):
    assert bool(list(found_in(name, text, hints=False))) == is_found


def test_names_of_people_count_where_the_path_is_about_people():
    assert ScanFacts().facts(flow({"employees": [{"name": "Ada Example"}]}))["pii"]
    assert not ScanFacts().facts(flow({"restaurants": [{"name": "Ada Example"}]}))["pii"]


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="a@.-1 +:/eyJ", min_size=2000, max_size=4000))
def test_no_text_makes_the_patterns_slow(text):
    """Quadratic patterns would take minutes on this; the deadline of the whole run would say so."""
    list(found_in("", text, hints=True))


MANIFESTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab-1", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["apiVersion", "kind", "metadata", "name", "spec", "tenant", "owner", "data", "caps", "x"]),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(value=MANIFESTS)
def test_our_validator_says_what_a_whole_one_says(kind, value):
    document = {
        "apiVersion": "microapps.internal/v1alpha1",
        "kind": kind,
        **(value if isinstance(value, dict) else {"spec": value}),
    }
    ours = not list(violations(schema(kind), document, ()))
    assert ours == jsonschema_rs.Draft202012Validator(schema(kind)).is_valid(document)


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_schemas_are_schemas(kind):
    jsonschema_rs.meta.validate(schema(kind))


def test_a_keyword_that_is_not_understood_is_an_error_not_a_pass():
    with pytest.raises(ValueError, match="oneOf"):
        list(violations({"oneOf": []}, {}, ()))


@pytest.mark.parametrize("spec", [{}, {"tenant": 7}, {"unheard": 1}, [], None, "x"])
def test_a_manifest_that_breaks_its_schema_has_errors_with_pointers(spec):
    errors = SchemaFacts().facts(deploy(spec))["schema_errors"]
    assert errors
    assert all(e["pointer"].startswith("/spec") for e in errors)


def test_an_unknown_connector_and_tenant_are_said_to_be_unknown():
    facts = RegistryFacts({}, {}, lambda _name: {}).facts(flow({}))
    assert facts["connectors"] == [{"name": "crm", "state": "unknown"}]
    assert facts["tenant"] == {"known": False, "name": "t"}


def test_connectors_of_a_call_are_those_of_the_deploy_not_of_the_caller(tmp_path):
    registry = RegistryFacts({}, {}, lambda _name: {"connectors": [{"name": "hris"}]})
    names = {c["name"] for c in registry.facts(flow({}, connectors=[{"name": "mine"}]))["connectors"]}
    assert names == {"crm", "hris"}


def test_where_data_comes_from_is_looked_up_though_the_app_was_not_deployed_with_it():
    registry = RegistryFacts({}, {}, lambda _name: {"connectors": [{"name": "hris"}]})
    names = {c["name"] for c in registry.facts(flow({}, source="board"))["connectors"]}
    assert names == {"crm", "hris", "board"}


def _allowed(request) -> Decision:
    return Decision(**{**dict.fromkeys(Decision._fields, ""), "effect": "allow", "decided_at": "2026-01-01T00:00:00Z"})


def carried_out(state, request) -> None:
    """An allowed request takes effect, decided on what the state holds now."""
    AppChanges(state).carry_out(request, enrich_all(request, [AppFacts(AppDirectory(state))]), _allowed(request))


class TestAppDirectory:
    def test_a_recorded_yes_is_remembered_for_other_processes(self, tmp_path):
        request = deploy({"tenant": "t", "audience": "team"})
        carried_out(FileState(tmp_path), request)
        other = AppDirectory(FileState(tmp_path))
        assert other.spec_of("a") == {"tenant": "t", "audience": "team"}
        assert AppFacts(other).facts(flow({}))["app"]["known"] is True

    def test_a_later_yes_replaces_it(self, tmp_path):
        directory = AppDirectory(FileState(tmp_path))
        for audience in ("team", "company"):
            request = deploy({"audience": audience})
            carried_out(FileState(tmp_path), request)
            assert directory.spec_of("a") == {"audience": audience}

    @pytest.mark.parametrize("name", ["../x", "a/b", ".a", "", "A", "a\x00b", "x" * 64, "..", "a%2fb"])
    def test_a_name_that_could_climb_is_never_looked_up_or_written(self, tmp_path, name):
        home = tmp_path / "home"
        directory = AppDirectory(FileState(home))
        request = deploy({"tenant": "t"}, name=name)
        carried_out(FileState(home), request)
        assert directory.app(name) is None
        assert not list(tmp_path.rglob("*.json"))

    def test_a_damaged_file_is_no_fact_and_not_an_unknown_app(self, tmp_path):
        (tmp_path / "apps").mkdir()
        (tmp_path / "apps" / "a.json").write_text("{")
        facts = enrich_all(flow({}), [AppFacts(AppDirectory(FileState(tmp_path)))])
        assert facts.values["unavailable"] == ["apps"]


@pytest.mark.parametrize("asks", [False, True])
def test_where_nobody_can_say_whether_a_hold_is_on_an_app_that_is_a_fact(tmp_path, asks):
    def is_held(_app, _tenant):
        raise OSError("the log is gone")

    state = FileState(tmp_path)
    carried_out(state, deploy({"tenant": "t"}))
    source = AppFacts(AppDirectory(state), is_held if asks else None)
    resource = {"app": "a", "change": {"to": "deleted"}}
    asked = normalise_document({"kind": "lifecycle", "tenant": "t", "resource": resource}, KEY)
    facts = enrich_all(asked, [source]).values
    assert (facts["unavailable"], facts["app"]["known"], "legal_hold" in facts["app"]) == (["apps"], True, False)


class TestTemplates:
    def test_what_is_published_is_told_with_whose_it_is(self, tmp_path):
        state = FileState(tmp_path)
        asked = template({"title": "Lunch"}, tenant="hr")
        facts = AppFacts(AppDirectory(state)).facts(asked)["template"]
        assert facts == {"known": False, "name": "lunch", "version": "1.0.0", "publisher": {"known": False}}
        carried_out(state, asked)
        facts = AppFacts(AppDirectory(state)).facts(template({}, version="1.1.0", tenant="sales"))["template"]
        assert (facts["known"], facts["version"]) == (False, "1.1.0")
        assert (facts["publisher"]["known"], facts["publisher"]["tenant"]) == (True, "hr")
        facts = AppFacts(AppDirectory(state)).facts(asked)["template"]
        assert (facts["known"], facts["spec"], facts["state"]) == (True, {"title": "Lunch"}, "published")

    def test_the_same_words_again_leave_everything_as_it_was(self, tmp_path):
        state = FileState(tmp_path)
        carried_out(state, template({"title": "Lunch"}, tenant="hr"))
        before = {file: file.read_bytes() for file in tmp_path.rglob("*.json")}
        carried_out(state, template({"title": "Lunch"}, tenant="sales"))
        assert {file: file.read_bytes() for file in tmp_path.rglob("*.json")} == before
        assert len(before) == 2

    def test_what_came_with_the_package_is_the_platform_s_and_hidden_by_no_document(self, tmp_path):
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "lunch@1.0.0.json").write_text('{"spec": {"title": "Mine"}, "state": "published"}')
        (tmp_path / "templates" / "old@1.0.0.json").write_text('{"spec": {}, "state": "published"}')
        directory = AppDirectory(FileState(tmp_path), {"lunch@1.0.0": {"title": "Lunch"}})
        assert directory.template("lunch", "1.0.0") == {"spec": {"title": "Lunch"}, "state": "published"}
        assert (directory.publisher("lunch"), directory.publisher("old")) == ({"tenant": ""}, {"tenant": ""})
        assert (directory.publisher("lun"), directory.publisher("../x")) == (None, None)

    @pytest.mark.parametrize("version", ["../1", "", "1/0", None, 7])
    def test_a_version_that_could_climb_is_never_written(self, tmp_path, version):
        carried_out(FileState(tmp_path / "home"), template({}, version=version))
        assert not list(tmp_path.rglob("*.json"))


class _Broken:
    name = "broken"

    def facts(self, request):
        raise RuntimeError("the disk is on fire")


def test_an_enricher_that_fails_is_named_and_the_others_go_on():
    facts = enrich_all(flow({"x": "ada@example.com"}), [_Broken(), ScanFacts()])
    assert facts.values["unavailable"] == ["broken"]
    assert facts.values["pii"]
    assert json.loads(facts.text) == facts.values


def test_what_stands_in_the_name_of_a_member_is_found_at_its_object():
    facts = ScanFacts().facts(flow({"by": {"x": 1, "ada.example@example.com": 7}, SECRETS["AWS_ACCESS_KEY"]: [1]}))
    assert [(f["entity"], f["pointer"], f["member"]) for f in facts["pii"]] == [("MEMBER_NAME", "/payload/by", 1)]
    assert [(f["entity"], f["pointer"], f["member"]) for f in facts["secrets"]] == [("SECRET_IN_NAME", "/payload", 1)]
