"""What a yes changes: whose an app and a template are, over real HTTP with two workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import yaml

from tests.journeys.service import EXAMPLES


def deploy(name: str, tenant: str, cost_center: str) -> dict:
    app = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text(encoding="utf-8"))
    hris = [one for one in app["spec"]["connectors"] if one["name"] == "hris"]
    app["metadata"]["name"] = name
    app["spec"] |= {"tenant": tenant, "costCenter": cost_center, "connectors": hris, "egress": hris[0]["hosts"]}
    return {"kind": "deploy", "resource": app}


def test_two_tenants_who_want_one_name_at_once_never_both_get_it(service):
    wanted = {"marketing": "MK-42", "hr": "HR-10"}
    keys = {tenant: service.client("citizen", tenant) for tenant in wanted}
    names = [f"wanted-{number}" for number in range(4)]
    with ThreadPoolExecutor(2) as pool:
        for name in names:
            asked = {t: pool.submit(keys[t].post, "/v1/decisions", json=deploy(name, t, c)) for t, c in wanted.items()}
            said = {tenant: one.result().json() for tenant, one in asked.items()}
            allowed = [tenant for tenant, answer in said.items() if answer["effect"] == "allow"]
            assert len(allowed) == 1, said
            (loser,) = set(wanted) - set(allowed)
            again = {t: keys[t].post("/v1/decisions", json=deploy(name, t, c)).json() for t, c in wanted.items()}
            assert again[allowed[0]]["effect"] == "allow", again
            assert [v["rule"] for v in again[loser]["violations"]] == ["REQ-008"]
            record = keys[loser].get(f"/v1/decisions/{said[loser]['decision_id']}").json()
            assert record["public"]["effect"] == "deny"
            if said[loser]["error"] == "overtaken":
                corrected = keys[loser].get(f"/v1/decisions/{record['public']['corrects']}").json()
                assert (corrected["kind"], corrected["public"]["effect"]) == ("deploy", "allow")


def template(name: str, version: str, tenant: str, *connectors: dict) -> dict:
    document = yaml.safe_load((EXAMPLES / "template.yaml").read_text(encoding="utf-8"))
    document["metadata"] |= {"name": name, "version": version}
    document["spec"] |= {"connectors": list(connectors), "egress": ["api.hris.example.com"] if connectors else []}
    return {"kind": "template", "tenant": tenant, "resource": document}


def rules_of(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted({violation["rule"] for violation in answer.json()["violations"] if violation["effect"] == "deny"})


def test_nobody_widens_a_template_that_apps_are_judged_by(service):
    sales, hr, platform = (
        service.client("citizen", "sales"),
        service.client("citizen", "hr"),
        service.client("platform"),
    )
    app = deploy("narrow", "hr", "HR-10")
    hris = {"name": "hris", "scopes": ["employees:read"], "purpose": "To read more than the template said."}
    app["resource"]["spec"]["template"] = {"name": "narrow", "version": "1.0.0"}
    assert rules_of(hr.post("/v1/decisions", json=template("narrow", "1.0.0", "hr"))) == []
    assert "OAUTH-003" in rules_of(hr.post("/v1/decisions", json=app))
    wider = [("1.0.0", sales, "sales", ["TPL-004", "TPL-005"]), ("1.0.0", hr, "hr", ["TPL-004"])]
    for version, who, tenant, rules in [*wider, ("1.1.0", sales, "sales", ["TPL-005"])]:
        answer = who.post("/v1/decisions", json=template("narrow", version, tenant, hris))
        assert (rules_of(answer), answer.json()["effect"]) == (rules, "deny")
    assert "OAUTH-003" in rules_of(hr.post("/v1/decisions", json=app))
    assert rules_of(sales.post("/v1/decisions", json=template("narrow", "1.0.0", "sales"))) == [], "it reads the same"
    assert rules_of(hr.post("/v1/decisions", json=template("narrow", "1.1.0", "hr", hris))) == []
    for version, rules in (("1.2.0", ["TPL-004", "TPL-005"]), ("1.3.0", ["TPL-005"])):
        assert rules_of(sales.post("/v1/decisions", json=template("recommendations", version, "sales"))) == rules
    assert rules_of(platform.post("/v1/decisions", json=template("recommendations", "1.2.0", ""))) == ["TPL-004"]
    shipped = {"kind": "template", "resource": yaml.safe_load((EXAMPLES / "template.yaml").read_text(encoding="utf-8"))}
    assert rules_of(platform.post("/v1/decisions", json=shipped)) == []
