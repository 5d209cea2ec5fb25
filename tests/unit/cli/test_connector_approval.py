"""A connector of one's own: no effect before its owner and compliance, two people, have approved its document."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.consenting import CALL, manifest, registry, template

REASON = ("--reason", "Read it whole.")


@pytest.fixture
def ask(cli, tmp_path):
    """`ask("connector", "show", "calendar")`; `ask.edit(title="…")` changes the document; `ask.key(role, team)` is a key."""
    folder = registry(tmp_path / "registry", state="proposed")

    def run(*argv, stdin=b""):
        return cli(*argv, stdin=stdin, GOVERNANCE_REGISTRY=str(folder))

    def edit(**changes):
        file = folder / "connectors" / "calendar.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}, sort_keys=False))

    def key(role, team="", tenant=""):
        made = run("key", "create", "--role", role, "--team", team, "--tenant", tenant)
        assert made.code == 0, made.err
        return made.out.encode()

    run.edit, run.key = edit, key
    return run


def approve(ask, part, key, *more):
    return ask("connector", "approve", "calendar", "--as", part, *(more or REASON), stdin=key)


def both(ask) -> None:
    for part, key in (("owner", ask.key("citizen", "collaboration")), ("compliance", ask.key("compliance"))):
        done = approve(ask, part, key)
        assert done.code == 0, done.err


def deployed(ask):
    """Exit and text of the template and, where that is allowed, of the deploy."""
    for kind, document in (("template", template()), ("deploy", manifest())):
        done = ask("decide", "-", stdin=json.dumps({"kind": kind, "resource": document}).encode())
        if done.code:
            return done
    return done


def rules(done) -> dict[str, str]:
    return {row["rule"]: row["message"] for row in json.loads(done.out)["violations"]}


def records(ask, kind):
    return [json.loads(line) for line in ask("audit", "list", "--kind", kind, "--format", "json").out.splitlines()]


def test_an_unapproved_connector_is_refused_at_the_deploy_with_reason_and_fix(ask):
    refused = deployed(ask)
    assert refused.code == 1
    said = json.loads(refused.out)["violations"]
    (row,) = [row for row in said if row["rule"] == "CONN-017" and "calendar" in row["message"]]
    assert row["message"].endswith("it waits for its owner and compliance.")
    assert "governance connector approve" in row["remediation"]


def test_one_approval_is_not_enough_and_the_second_is(ask):
    assert approve(ask, "owner", ask.key("citizen", "collaboration")).out.endswith("It waits for compliance.\n")
    assert "it waits for compliance" in rules(deployed(ask))["CONN-017"]
    assert approve(ask, "compliance", ask.key("compliance")).out.endswith("Apps may use it.\n")
    assert deployed(ask).code == 0
    listed = {row["name"]: row["waits_for"] for row in json.loads(ask("connector", "list", "--format", "json").out)}
    assert (listed["calendar"], listed["hris"]) == ([], [])
    assert (listed["other"], listed["openapi"]) == (["owner", "compliance"], ["owner", "compliance"])
    shown = ask("connector", "show", "calendar").out
    assert "# approved as owner by key:" in shown
    assert "# approved as compliance by key:" in shown
    assert yaml.safe_load(shown)["state"] == "proposed"


def test_an_approval_taken_away_is_missed_by_the_next_call(ask):
    both(ask)
    assert deployed(ask).code == 0
    ask.edit(hosts=["login.vendor.example", "elsewhere.vendor.example"])
    called = ask("connector", "call", "calendar", CALL["url"], "--app", "dates", "--scope", "Calendars.Read")
    assert called.code == 1
    assert "not approved in its present form" in called.out


def test_one_person_is_not_two_whatever_their_key_may_do(ask):
    key = ask.key("compliance", "collaboration")
    assert approve(ask, "compliance", key).code == 0
    refused = approve(ask, "owner", key)
    assert (refused.code, "REG-004" in refused.err, "takes a role of" in refused.err) == (1, True, True)
    assert "The same person has approved it" in refused.err
    assert deployed(ask).code == 1


@pytest.mark.parametrize(
    ("part", "role", "team", "words"),
    [
        ("compliance", "platform", "collaboration", 'takes a role of ["compliance"]'),
        ("compliance", "citizen", "", 'takes a role of ["compliance"]'),
        ("owner", "compliance", "collaboration", "takes a role of"),
        ("owner", "service", "collaboration", "takes a role of"),
        ("owner", "auditor", "collaboration", "takes a role of"),
        ("owner", "platform", "", "Only the owner"),
        ("owner", "platform", "Collaboration", "Only the owner"),
    ],
)
def test_the_wrong_one_is_refused_and_that_is_on_record(ask, part, role, team, words):
    refused = approve(ask, part, ask.key(role, team))
    assert refused.code == 1
    assert words in refused.err
    assert "fix: " in refused.err
    (row,) = [row for row in records(ask, "registry_entry") if row["public"]["entry_point"] == "cli.connector"]
    assert (row["public"]["effect"], row["public"]["rules"]) == ("deny", ["REG-004"])
    assert records(ask, "connector_approved") == []
    assert "owner and compliance" in rules(deployed(ask))["CONN-017"]


def test_each_approval_is_a_record_that_names_who_as_what_and_which_document(ask):
    both(ask)
    rows = [row["public"] for row in records(ask, "connector_approved")]
    assert {(row["as"], row["role"], row["team"], *row["connectors"]) for row in rows} == {
        ("owner", "citizen", "collaboration", "calendar"),
        ("compliance", "compliance", "", "calendar"),
    }
    assert len({row["actor"] for row in rows}) == 2
    (digest,) = {row["digest"] for row in rows}
    assert digest in ask("connector", "show", "calendar").out


@pytest.mark.parametrize(
    "change",
    [
        {"hosts": ["login.vendor.example", "evil.example"]},
        {"owner": "somebody-else"},
        {"title": "Calendar"},
        {"review_by": "2030-01-01"},
        {"limits": {"*": 100000}},
        {"scopes": {"Calendars.Read": {"access": "read", "means": "Nothing much"}}},
        {"fields": []},
        {"tenants": ["*"]},
    ],
)
def test_a_document_that_changed_has_to_be_approved_again(ask, change):
    both(ask)
    if "scopes" in change:
        change |= {"operations": []}
    ask.edit(**change)
    assert "not approved in its present form: it waits for" in rules(deployed(ask))["CONN-017"]


@pytest.mark.parametrize(
    "change",
    [
        {"state": "approved"},
        {"state": "deprecated", "retires_at": "2099-01-01T00:00:00Z", "replaced_by": "other"},
        {"documentation": "https://vendor.example/docs", "usage_limits": ["few"]},
        {"regions": ["eu"]},  # as it was
    ],
)
def test_where_it_is_in_its_life_and_words_nobody_reads_need_no_new_approval(ask, change):
    both(ask)
    ask.edit(**change)
    assert "CONN-017" not in rules(deployed(ask))


def test_two_halves_of_two_documents_are_no_whole(ask):
    assert approve(ask, "owner", ask.key("citizen", "collaboration")).code == 0
    ask.edit(limits={"*": 7})
    assert approve(ask, "compliance", ask.key("compliance")).code == 0
    assert "it waits for its owner" in rules(deployed(ask))["CONN-017"]


def test_going_back_to_an_approved_document_is_nothing_new(ask):
    both(ask)
    ask.edit(limits={"*": 7})
    ask.edit(limits={"*": 1000})
    assert deployed(ask).code == 0


def test_what_was_read_is_what_is_approved(ask):
    read = ask("connector", "show", "calendar").out.split()[1]
    ask.edit(hosts=["login.vendor.example", "evil.example"])
    refused = approve(ask, "compliance", ask.key("compliance"), *REASON, "--digest", read)
    assert refused.code == 1
    assert "not the document that is registered" in refused.err


def test_nobody_approves_without_a_key_or_for_one_tenant_or_without_a_reason(ask):
    assert "no key was presented" in approve(ask, "owner", b"").err
    assert "the API key is not known" in approve(ask, "owner", b"gk_000000000000_00\n").err
    assert "tenant" in approve(ask, "owner", ask.key("citizen", "collaboration", "marketing")).err
    assert "one sentence" in approve(ask, "compliance", ask.key("compliance"), "--reason", " ").err
    assert records(ask, "connector_approved") == []


def test_a_damaged_file_of_approvals_lets_nothing_through(ask, tmp_path):
    both(ask)
    (tmp_path / "home" / "connector-approvals.json").write_text('{"calendar": {"sha256:0": [{"as": "owner"}]}}')
    assert "REQ-007" in rules(deployed(ask))
