"""The registry from the terminal, and one call through the whole broker."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml

from connectors_registry.load import BadEntry, load_registry
from connectors_registry.openapi import imported
from governance.platform.broker.doubles import Double, hris, write_pins

APP = Path(__file__).parents[3] / "deploy" / "examples" / "where2eat" / "app-fixed.yaml"
HOST = "api.hris.example.com"
TICKETS = {
    "openapi": "3.1.0",
    "info": {"title": "Tickets", "version": "1"},
    "servers": [{"url": "https://tickets.example.com/api"}],
    "components": {
        "schemas": {
            "Tickets": {"type": "array", "items": {"$ref": "#/components/schemas/Ticket"}},
            "Ticket": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "text": {"type": "string"}, "by": {"format": "email"}},
            },
        },
        "securitySchemes": {
            "oauth": {
                "type": "oauth2",
                "flows": {
                    "authorizationCode": {
                        "authorizationUrl": "https://login.example.com/authorize",
                        "tokenUrl": "https://login.example.com/token",
                        "scopes": {"tickets.read": "See tickets", "tickets.write": "Change tickets"},
                    }
                },
            }
        },
    },
    "paths": {
        "/tickets": {
            "get": {
                "operationId": "listTickets",
                "security": [{"oauth": ["tickets.read"]}],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tickets"}}}}
                },
            },
            "post": {"operationId": "openTicket", "security": [{"oauth": ["tickets.write"]}]},
        },
        "/tickets/{id}": {"get": {"security": [{"oauth": ["tickets.read"]}]}},
    },
}


def entry(document=None):
    return imported(document or TICKETS, "tickets", owner="support", review_by="2027-01-31").entry


def test_an_openapi_file_becomes_a_proposal_that_the_registry_reads_and_no_rule_lets_through(cli, tmp_path):
    (tmp_path / "tickets.json").write_text(json.dumps(TICKETS))
    done = cli("connector", "import", "tickets", "tickets.json", "--owner", "support", "--review-by", "2027-01-31")
    assert done.code == 0, done.err
    assert "the class of 2 fields" in done.err
    folder = tmp_path / "registry"
    (folder / "connectors").mkdir(parents=True)
    (folder / "tenants").mkdir()
    (folder / "connectors" / "tickets.yaml").write_text(done.out)
    read = load_registry(str(folder)).connectors["tickets"]
    assert (read["state"], read["hosts"], read["limits"], read["tenants"]) == (
        "proposed",
        ["tickets.example.com"],
        {"*": 0},
        [],
    )
    assert {(row["name"], row["method"], *row["paths"], row["scope"]) for row in read["operations"]} == {
        ("listTickets", "GET", "/api/tickets", "tickets.read"),
        ("openTicket", "POST", "/api/tickets", "tickets.write"),
        ("get /tickets/{id}", "GET", "/api/tickets/{id}", "tickets.read"),
    }
    assert read["scopes"]["tickets.write"] == {"access": "write", "means": "Change tickets"}
    assert read["oauth"]["flows"] == ["authorization_code"]
    ticket = {"type": "object", "properties": {"id": {"type": "number"}, "text": {"type": "string"}, "by": {}}}
    assert read["operations"][0]["response"] == {"type": "array", "items": ticket}
    assert {(field["pointer"][1], field["class"]) for field in read["fields"]} == {
        ("id", "unclassified"),
        ("text", "unclassified"),
        ("by", "personal"),
    }


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["openapi"], "3.0.3", "/openapi"),
        (["servers"], [], "/servers"),
        (["servers", 0, "url"], "http://tickets.example.com", "/servers/0/url"),
        (["servers", 0, "url"], "https://{tenant}.example.com", "/servers/0/url"),
        (["servers", 0, "url"], "https://a@evil.example/", "/servers/0/url"),
        (["paths", "/tickets", "get", "security"], [], "/paths/~1tickets/get: requires no OAuth scope"),
        (["paths", "/tickets", "get", "security"], [{"key": []}], "requires no OAuth scope"),
        (["paths", "/tickets", "get", "security"], [{"oauth": ["tickets.read", "tickets.write"]}], "several scopes"),
        (["paths", "/tickets", "get", "security"], [{"oauth": ["tickets.read"]}, {}], "none as an alternative"),
        (["paths", "/tickets", "get", "security"], [{"oauth": "tickets.read"}], "requires no OAuth scope"),
        (["paths"], {}, "no operations"),
        (["paths"], [], "/paths: not an object"),
        (["paths", "/tickets", "get"], 7, "not an object"),
        (["components"], 7, "/components"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_by_place(path, value, words):
    document = copy.deepcopy(TICKETS)
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(BadEntry, match=words.replace("{", "\\{")):
        entry(document)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "repetition limit"),
        ("openapi: 3.1.0\nopenapi: 3.1.0\n", "openapi"),
        ("openapi: !!python/object/apply:os.system [id]\n", "tag"),
        ("--- {}\n--- {}\n", "one OpenAPI document"),
        ("[" * 5000, ""),
    ],
    ids=["laughs", "twice", "tag", "two", "deep"],
)
def test_a_file_that_attacks_its_reader_is_refused(cli, tmp_path, text, words):
    (tmp_path / "file.yaml").write_text(text)
    done = cli("connector", "import", "one", "file.yaml", "--owner", "support", "--review-by", "2027-01-31")
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_a_scope_that_also_writes_is_one_that_writes():
    document = copy.deepcopy(TICKETS)
    document["paths"]["/tickets"]["post"]["security"] = [{"oauth": ["tickets.read"]}]
    assert entry(document)["scopes"]["tickets.read"]["access"] == "write"


def deployed(cli) -> None:
    request = json.dumps({"kind": "deploy", "resource": yaml.safe_load(APP.read_text())}).encode()
    assert cli("decide", "-", stdin=request).code == 0


def test_retiring_says_who_is_affected_and_gives_the_entry_with_its_grace_period(cli):
    deployed(cli)
    done = cli("connector", "retire", "recommender", "--at", "2099-02-28", "--successor", "salesforce")
    assert done.code == 0
    assert "1 apps use recommender: where2eat\n" in done.err
    assert "1 templates name it: recommendations@1.2.0\n" in done.err
    assert "cannot move" not in done.err
    made = yaml.safe_load(done.out)
    assert (made["state"], made["retires_at"], made["replaced_by"]) == (
        "deprecated",
        "2099-02-28T00:00:00Z",
        "salesforce",
    )
    unready = cli("connector", "retire", "recommender", "--at", "2099-02-28", "--successor", "openapi")
    assert "openapi waits for owner and compliance\n" in unready.err
    assert "where2eat cannot move to openapi yet: it is not open to the tenant marketing\n" in unready.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--at", "soon"), "no such day"),
        (("--at", "2020-01-01"), "withdraw-approval recommender"),
        (("--at", "2099-02-28", "--successor", "nobody"), "there is no connector"),
        (("--at", "2099-02-28", "--successor", "recommender"), "on its way out itself"),
        (("--at", "2099-02-28", "--successor", "legacy-sftp"), "on its way out itself"),
    ],
)
def test_what_is_no_grace_period_or_no_successor_is_refused(cli, argv, words):
    done = cli("connector", "retire", "recommender", *argv)
    assert (done.code, done.out, words in done.err) == (2, "", True)


def test_listing_and_showing(cli):
    listed = cli("connector", "list")
    assert "hris" in listed.out
    assert "legacy-sftp          deprecated" in listed.out
    assert {row["name"] for row in json.loads(cli("connector", "list", "--format", "json").out)} >= {"hris", "smtp"}
    assert yaml.safe_load(cli("connector", "show", "hris").out)["owner"] == "hr-systems"
    assert cli("connector", "show", "nobody").code == 2


def test_scopes_that_no_call_used_are_named(cli):
    deployed(cli)
    done = cli("connector", "unused")
    assert done.code == 1
    assert [row.split()[:3] for row in done.out.splitlines()] == [
        ["where2eat", "hris", "employees:read"],
        ["where2eat", "recommender", "recommendations:read"],
    ]
    assert all("used not since" in row for row in done.out.splitlines())
    assert cli("connector", "unused", "nobody").code == 2


def test_a_call_from_the_terminal_is_a_call_like_any_other(cli, tmp_path):
    double = Double(HOST, tmp_path / "tls", hris("a-credential-of-tests")).start()
    try:
        pins = str(write_pins(tmp_path / "pins.json", double))
        deployed(cli)
        assert cli("secret", "put", "marketing/hris", stdin=b"a-credential-of-tests\n").code == 0
        url = f"https://{HOST}/scim/v2/Users"
        asked = ("connector", "call", "hris", url, "--app", "where2eat")
        done = cli(*asked, "--scope", "employees:read", GOVERNANCE_CONNECTOR_PINS=pins)
        assert done.code == 0, done.err
        assert json.loads(done.out)["answer"]["body"]["Resources"][0]["name"] == "[masked]"
        refused = cli(*asked, GOVERNANCE_CONNECTOR_PINS=pins)
        assert refused.code == 1
        assert json.loads(refused.out)["effect"] == "deny"
        assert "a-credential-of-tests" not in done.out + done.err + refused.out + refused.err
    finally:
        double.stop()
    assert cli("connector", "call", "hris", url, "--app", "nobody").code == 2


def test_a_secret_is_rotated_without_being_shown(cli):
    assert cli("secret", "put", "marketing/hris", stdin=b"first-value\n").code == 0
    assert cli("secret", "put", "marketing/hris", stdin=b"again\n").code == 2
    done = cli("secret", "rotate", "marketing/hris", stdin=b"second-value\n")
    assert done.out == "marketing/hris version 2\n"
    assert "version 2" in cli("secret", "list").out
    assert cli("secret", "put", "marketing/slack", stdin=b"two\nlines\n").code == 2
    kinds = [json.loads(row)["kind"] for row in cli("audit", "list", "--format", "json").out.splitlines()]
    assert sorted(kind for kind in kinds if kind.startswith("secret_")) == ["secret_put", "secret_rotate"]
