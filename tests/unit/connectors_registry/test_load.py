"""The registry: strict about every member, and never wider than a review would see."""

from __future__ import annotations

import shutil
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

import connectors_registry
from connectors_registry.digests import digest_of
from connectors_registry.load import BadEntry, load_registry
from governance.enrich.schema import violations

ROOT = Path(__file__).parents[3]
OURS = Path(connectors_registry.__file__).parent
RULES = OURS.parent / "rules" / "data" / "platform"


@pytest.fixture
def registry(tmp_path):
    for folder in ("connectors", "tenants"):
        shutil.copytree(OURS / folder, tmp_path / folder)
    return tmp_path


def edit(folder: Path, file: str, change) -> None:
    path = folder / file
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document))


def test_what_comes_with_the_program_is_approved_as_it_stands_and_the_pattern_is_not():
    """`governance connector show NAME` prints the digest that belongs into the list, once somebody has read the change."""
    listed = yaml.safe_load((ROOT / "rules/data/platform/connectors.yaml").read_text())["shipped"]
    entries = load_registry().connectors
    assert listed == {name: digest_of(entry) for name, entry in entries.items() if entry["state"] != "proposed"}
    assert {name for name, entry in entries.items() if entry["state"] == "proposed"} == {"openapi"}


def test_ours_is_whole():
    registry = load_registry()
    assert {"hris"} <= set(registry.connectors)
    known = set(registry.connectors)
    for tenant in registry.tenants.values():
        assert set(tenant["connectors"]) <= known
    for connector in registry.connectors.values():
        assert connector["hosts"]


def test_every_schema_of_ours_can_be_checked_and_every_connector_has_its_group():
    """A keyword that nobody reads would make each call of the operation a refused one."""
    for name, connector in load_registry().connectors.items():
        groups = yaml.safe_load((RULES / "combinations.yaml").read_text())["policies"][0]["groups"]
        assert connector["state"] == "proposed" or any(name in group for group in groups.values())
        for operation in connector["operations"]:
            for schema in (operation.get(part, {}) for part in ("request", "response")):
                jsonschema_rs.meta.validate(schema)
                for part in parts_of(schema):
                    # Raises for a keyword that is not understood.
                    assert {path for path, _ in violations(part, None, ())} <= {()}


def parts_of(schema: dict) -> list[dict]:
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(part for one in below for part in parts_of(one))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("scopes"), "scopes"),
        (lambda d: d.update(hosts="api.example.com"), "hosts"),
        (lambda d: d.update(review_by="soon"), "review_by 'soon' is not a day, such as 2027-06-30"),
        (lambda d: d.update(review_by="2027-02-31"), "review_by"),
        (lambda d: d.update(review_by="2027-6-30"), "review_by"),
        (lambda d: d.update(review_by="20270630"), "review_by"),
        (lambda d: d.update(review_by="2027-06-30T00:00:00Z"), "review_by"),
        (lambda d: d.update(review_by="\u0662027-06-30"), "review_by"),
        (lambda d: d.update(retires_at="2027-06-30"), "retires_at '2027-06-30' is not an instant in UTC"),
        (lambda d: d.update(retires_at="2027-06-30T25:00:00Z"), "retires_at"),
        (lambda d: d.update(hosts=["*.example.com"]), "plain host name"),
        (lambda d: d.update(hosts=["https://api.example.com"]), "plain host name"),
        (lambda d: d.update(hosts=["API.example.com"]), "plain host name"),
        (lambda d: d.update(hosts=[7]), "plain host name"),
        (lambda d: d.update(state="aproved"), "aproved"),
        (lambda d: d.update(state=True), "state"),
        (lambda d: d.update(scope=[]), "scope"),
        (lambda d: d.update(name="other"), "rename"),
        (lambda d: next(iter(d["scopes"].values())).update(access="superuser"), "access"),
        (lambda d: next(iter(d["scopes"].values())).pop("means"), "means"),
        (lambda d: d["operations"].append(7), "operations.5: not a mapping"),
        (lambda d: d["operations"][0].pop("scope"), "scope is missing"),
        (lambda d: d["operations"][0].update(scope="everything"), "method or scope"),
        (lambda d: d["operations"][0].update(method="get"), "method or scope"),
        (lambda d: d["operations"][0].update(path="/x"), "path is not a member"),
        (lambda d: d["operations"][1].update(name="list employees"), "a second operation"),
        (lambda d: d["operations"][0].update(cost_microeur=-1), "cost_microeur"),
        (lambda d: d["operations"][0].update(cost_microeur=True), "cost_microeur"),
        (lambda d: d["operations"][0].update(stream="xml"), "stream is not one of"),
        (lambda d: d["fields"].__setitem__(slice(None), [{**d["fields"][0], "pointer": ["id"]}]), "streams records"),
        (lambda d: d["operations"][0].update(paths=[]), "templates"),
        (lambda d: d["operations"][0].update(paths=["scim"]), "templates"),
        (lambda d: d["operations"][0].update(paths=["/scim/../x"]), "templates"),
        (lambda d: d["operations"][0].update(paths=["/scim//x"]), "templates"),
        (lambda d: d["operations"][0].update(paths=["/scim/{id"]), "templates"),
        (lambda d: d["operations"][0].update(paths=["/scim/x{id}"]), "templates"),
        (lambda d: d["operations"][0].update(paths=["/scim/*"]), "templates"),
        (lambda d: d["operations"][0].update(paths=[7]), "templates"),
    ],
)
def test_an_entry_with_a_mistake_is_refused_by_file_and_member(registry, change, words):
    edit(registry, "connectors/hris.yaml", change)
    with pytest.raises(BadEntry, match=words) as caught:
        load_registry(str(registry))
    assert "hris.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", ""])
def test_a_file_that_is_no_mapping_is_refused(registry, text):
    (registry / "tenants" / "new.yaml").write_text(text)
    with pytest.raises(BadEntry, match=r"new\.yaml"):
        load_registry(str(registry))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(limits={"*": "many"}), "limits"),
        (lambda d: d.update(per_minute={"*": -1}), "per_minute"),
        (lambda d: d.update(per_minute={"*": True}), "per_minute"),
        (lambda d: d.update(auth={"scheme": "digest"}), "auth.scheme"),
        (lambda d: d.update(auth={}), "auth.scheme"),
        (lambda d: d.update(auth={"scheme": "header"}), "has the members scheme, name"),
        (lambda d: d.update(auth={"scheme": "bearer", "value": "x"}), "has the members scheme"),
        (
            lambda d: d.update(auth={"scheme": "client_credentials", "token_url": "https://evil.example/t"}),
            "entry's hosts",
        ),
        (
            lambda d: d.update(auth={"scheme": "client_credentials", "token_url": "http://api.hris.example.com/t"}),
            "https",
        ),
        (lambda d: d.update(oauth={"flows": ["password"]}), "oauth"),
        (lambda d: d.update(oauth={"token_url": "http://x.example/"}), "oauth.token_url"),
        (lambda d: d.update(oauth={"secret": "x"}), "oauth"),
        (lambda d: d.update(oauth={"dpop": "yes"}), "oauth.dpop"),
        (lambda d: d.update(oauth={"issuer": 7}), "oauth.issuer"),
        (lambda d: d.update(oauth={"parameters": {"prompt": 1}}), "oauth.parameters"),
        (lambda d: d.update(oauth={"device_authorization_url": "http://x.example/"}), "device_authorization_url"),
        (lambda d: d.update(auth={"scheme": "person"}), "a flow in which a person consents"),
        (
            lambda d: d.update(auth={"scheme": "person"}, oauth={"flows": ["authorization_code"]}),
            "a flow in which a person consents",
        ),
        (
            lambda d: d.update(auth={"scheme": "token_exchange", "token_url": "https://api.hris.example.com/t"}),
            "has the members scheme, token_url, audience",
        ),
        (lambda d: d.update(region_hosts={"us": []}), "region_hosts.us"),
        (lambda d: d.update(region_hosts={"eu": ["evil.example"]}), "region_hosts.eu"),
    ],
)
def test_how_a_connector_is_called_is_checked_as_strictly(registry, change, words):
    edit(registry, "connectors/hris.yaml", change)
    with pytest.raises(BadEntry, match=words):
        load_registry(str(registry))


@pytest.mark.parametrize("namespaces", ["hr", ["HR"], ["a/b"], [""], [7], ["x" * 64], ["hr", "marketing"]])
def test_a_namespace_is_a_name_and_of_one_tenant(registry, namespaces):
    assert load_registry(str(registry)).tenants["hr"]["namespaces"] == ["hr"]
    edit(registry, "tenants/hr.yaml", lambda tenant: tenant.update(namespaces=namespaces))
    with pytest.raises(BadEntry, match=r"tenants"):
        load_registry(str(registry))


def test_a_tenant_needs_no_namespaces(registry):
    edit(registry, "tenants/hr.yaml", lambda tenant: tenant.pop("namespaces"))
    assert "namespaces" not in load_registry(str(registry)).tenants["hr"]
