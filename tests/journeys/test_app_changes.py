"""What a yes changes: whose an app is, over real HTTP with two workers."""

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
