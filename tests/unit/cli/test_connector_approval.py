"""A connector of one's own: no effect before its owner and compliance, two people, have approved its document."""

from __future__ import annotations

import itertools
import json

import pytest
import yaml

from tests.consenting import CALENDAR, CALL, EXAMPLES, manifest, registry, template

REASON = ("--reason", "Read it whole.")


@pytest.fixture
def ask(cli, tmp_path):
    """`ask("connector", "show", "calendar")`; `ask.edit(title="…")` changes the document; `ask.key(role, team)` is a key."""
    folder, numbers = registry(tmp_path / "registry", state="proposed"), itertools.count()

    def run(*argv, stdin=b"", **env):
        return cli(*argv, stdin=stdin, GOVERNANCE_REGISTRY=str(folder), **env)

    def edit(**changes):
        file = folder / "connectors" / "calendar.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}, sort_keys=False))

    def key(role, team="", tenant="", person=None):
        whose = f"{role}.{next(numbers)}" if person is None else person
        made = run("key", "create", "--role", role, "--team", team, "--tenant", tenant, "--person", whose)
        assert made.code == 0, made.err
        return made.out.encode()

    run.edit, run.key = edit, key
    return run


def approve(ask, part, key, *more):
    return ask("connector", "approve", "calendar", "--as", part, *(more or REASON), stdin=key)


def take_back(ask, part, key, *more, name="calendar"):
    return ask("connector", "withdraw-approval", name, "--as", part, *REASON, *more, stdin=key)


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
    assert "calendar             approved " in ask("connector", "list").out
    listed = {row["name"]: row["waits_for"] for row in json.loads(ask("connector", "list", "--format", "json").out)}
    assert (listed["calendar"], listed["hris"]) == ([], [])
    assert (listed["other"], listed["openapi"]) == (["owner", "compliance"], ["owner", "compliance"])
    shown = ask("connector", "show", "calendar").out
    assert "# approved as owner by citizen." in shown
    assert "# approved as compliance by compliance." in shown
    assert yaml.safe_load(shown)["state"] == "proposed"


def test_a_changed_document_is_missed_by_the_next_call(ask):
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


def test_two_keys_of_one_person_are_one_person(ask):
    assert approve(ask, "owner", ask.key("citizen", "collaboration", person="ana.k")).code == 0
    refused = approve(ask, "compliance", ask.key("compliance", person="ana.k"))
    assert (refused.code, "The same person has approved it" in refused.err) == (1, True)
    assert "it waits for compliance" in rules(deployed(ask))["CONN-017"]
    assert approve(ask, "compliance", ask.key("compliance", person="ben.o")).code == 0
    assert deployed(ask).code == 0


@pytest.mark.parametrize("part", ["owner", "compliance"])
def test_a_key_of_nobody_approves_nothing(ask, part):
    key = ask.key("citizen", "collaboration", person="") if part == "owner" else ask.key("compliance", person="")
    refused = approve(ask, part, key)
    assert (refused.code, "names no person" in refused.err, "--person" in refused.err) == (1, True, True)
    assert records(ask, "connector_approved") == []


@pytest.mark.parametrize("person", ["Ana.K", "ana@example.com", "ana k", ".ana", "a" * 64, "ana\n", "\u0430na"])
def test_a_person_is_written_in_one_way(ask, person):
    made = ask("key", "create", "--role", "compliance", "--person", person)
    assert (made.code, "--person" in made.err, made.out) == (2, True, "")


def test_approvals_from_before_keys_had_persons_count_for_nobody(ask, tmp_path):
    both(ask)
    kept = tmp_path / "home" / "connector-approvals.json"
    held = json.loads(kept.read_text())
    for rows in held["calendar"].values():
        for row in rows:
            del row["person"]
    kept.write_text(json.dumps(held))
    assert "it waits for its owner and compliance" in rules(deployed(ask))["CONN-017"]
    listed = {row["name"]: row["waits_for"] for row in json.loads(ask("connector", "list", "--format", "json").out)}
    assert listed["calendar"] == ["owner", "compliance"]


def test_an_approval_that_is_taken_back_stops_the_next_call_until_it_is_given_again(ask):
    both(ask)
    assert deployed(ask).code == 0
    done = take_back(ask, "compliance", ask.key("compliance"))
    assert (done.code, done.out) == (0, "calendar is no longer approved as compliance\nIt waits for compliance.\n")
    called = ask("connector", "call", "calendar", CALL["url"], "--app", "dates", "--scope", "Calendars.Read")
    assert (called.code, "not approved any longer: it waits for compliance" in called.out) == (1, True)
    (row,) = [row["public"] for row in records(ask, "connector_approval_withdrawn")]
    assert (row["as"], row["digest"], row["connectors"]) == ("compliance", "*", ["calendar"])
    assert "# taken back as compliance" in ask("connector", "show", "calendar").out
    assert approve(ask, "compliance", ask.key("compliance")).out.endswith("Apps may use it.\n")
    assert deployed(ask).code == 0


def test_what_is_taken_back_is_of_every_document_unless_one_is_named(ask):
    both(ask)
    first = ask("connector", "show", "calendar").out.split()[1]
    ask.edit(limits={"*": 2000})
    both(ask)
    assert take_back(ask, "owner", ask.key("citizen", "collaboration"), "--digest", first).code == 0
    assert deployed(ask).code == 0
    assert take_back(ask, "owner", ask.key("citizen", "collaboration")).code == 0
    assert "not approved any longer" in rules(deployed(ask))["CONN-017"]
    ask.edit(limits={"*": 1000})
    assert "not approved any longer" in rules(deployed(ask))["CONN-017"]


def test_a_document_that_comes_with_the_program_is_stopped_the_same_way(ask):
    template = str(EXAMPLES / "template.yaml")
    assert "CONN-017" not in ask("check", template).out
    assert take_back(ask, "compliance", ask.key("compliance"), name="hris").code == 0
    assert "not approved any longer: it waits for compliance" in ask("check", template).out
    done = ask("connector", "approve", "hris", "--as", "compliance", *REASON, stdin=ask.key("compliance"))
    assert done.out.endswith("Apps may use it.\n")
    assert "CONN-017" not in ask("check", template).out


def test_who_may_not_approve_takes_nothing_back_unless_they_gave_it(ask):
    owner, officer = ask.key("citizen", "collaboration"), ask.key("compliance")
    assert (approve(ask, "owner", owner).code, approve(ask, "compliance", officer).code) == (0, 0)
    for part, key in (("owner", officer), ("compliance", owner), ("owner", ask.key("citizen", "sales"))):
        refused = take_back(ask, part, key)
        assert (refused.code, "REG-005" in refused.err, "fix: " in refused.err) == (1, True, True)
    assert deployed(ask).code == 0
    assert "no such document" in take_back(ask, "compliance", officer, "--digest", "sha256:0").err
    assert take_back(ask, "owner", owner).code == 0
    assert "it waits for its owner" in rules(deployed(ask))["CONN-017"]


def test_a_broken_document_does_not_keep_its_approval(ask):
    """Whatever is wrong with what stands there now, what was approved before is taken back."""
    both(ask)
    ask.edit(hosts=["localhost"], operations=[], limits={"*": 1})
    assert take_back(ask, "compliance", ask.key("compliance")).code == 0
    ask.edit(hosts=["login.vendor.example"], operations=CALENDAR["operations"], limits={"*": 1000})
    assert "not approved any longer" in rules(deployed(ask))["CONN-017"]


def test_a_document_whose_review_is_overdue_brings_nobody_new_and_its_users_go_on_as_a_finding(ask):
    """Its owner sets another day, which is another document, and both approve that."""
    both(ask)
    assert deployed(ask).code == 0
    ask.edit(review_by="2026-01-31")
    both(ask)
    found = rules(deployed(ask))
    assert found.keys() >= {"CONN-018", "CONN-019"}
    assert "review overdue since 2026-01-31" in ask("connector", "list").out
    called = json.loads(ask("connector", "call", "calendar", CALL["url"], "--app", "dates").out)
    assert "CONN-018" in {row["rule"] for row in called["decision"]["violations"]}
    assert "CONN-019" not in {row["rule"] for row in called["decision"]["violations"]}
    ask.edit(review_by="2099-06-30")
    assert deployed(ask).code == 0


def test_what_was_imported_is_not_approved_before_its_fields_have_classes(ask):
    fields = [{"pointer": ["**", "displayName"], "class": "unclassified"}]
    ask.edit(fields=[*fields, *CALENDAR["fields"]])
    refused = approve(ask, "owner", ask.key("citizen", "collaboration"))
    assert (refused.code, 'REG-006 /spec/fields/0/class: "unclassified" is no data class' in refused.err) == (1, True)
    ask.edit(fields=[{**fields[0], "class": "personal"}, *CALENDAR["fields"]])
    assert approve(ask, "owner", ask.key("citizen", "collaboration")).code == 0


def test_a_check_elsewhere_goes_by_the_approvals_that_the_service_signed(ask, tmp_path):
    """As in CI: another home, which knows of no approvals, with the same documents."""
    both(ask)
    file, note, elsewhere = tmp_path / "template.yaml", tmp_path / "approvals.note", str(tmp_path / "ci")
    file.write_text(yaml.safe_dump(template()))
    note.write_text(ask("connector", "export-approvals").out)
    key = ask("audit", "key").out.strip()

    def check(*more):
        return ask("check", str(file), *more, GOVERNANCE_HOME=elsewhere)

    assert "CONN-017" in check().out
    good = ("--approvals", str(note), "--approvals-key", key)
    assert (check(*good).code, check(*good).out.count("CONN-017")) == (0, 0)
    assert "go together" in check(*good[:2]).err
    ask.edit(limits={"*": 7})
    assert "CONN-017" in check(*good).out
    ask.edit(limits={"*": 1000})
    note.write_text(note.read_text().replace("collaboration", "collaborations"))
    assert (check(*good).code, "was changed" in check(*good).err) == (2, True)
    assert take_back(ask, "owner", ask.key("citizen", "collaboration")).code == 0
    note.write_text(ask("connector", "export-approvals").out)
    assert "any longer" in check(*good).out
