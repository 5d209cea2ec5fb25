"""A person consents in a browser, the app calls for them and sees masked data; they withdraw, and the next call is refused."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
from html import unescape
from urllib.parse import parse_qs, quote_plus, urlsplit

import httpx
import pytest

from governance.platform.broker.doubles import write_pins
from governance.settings import from_environment
from tests.consenting import CALENDAR, CALL, HOST, PURPOSE, agreed, manifest, registry, template
from tests.journeys.service import Service, governance
from tests.leaks import Traces, leaked
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, Vendor

AUTHORIZE = "/v1/oauth/calendar/authorize?app=dates"


@pytest.fixture(scope="module")
def vendor(tmp_path_factory):
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def traces():
    made = Traces()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory, vendor, traces):
    folder = tmp_path_factory.mktemp("consent")
    home = folder / "home"
    env = {
        "GOVERNANCE_REGISTRY": str(registry(folder / "registry")),
        "GOVERNANCE_CONNECTOR_PINS": str(write_pins(folder / "pins.json", vendor.double)),
        "GOVERNANCE_OTLP_ENDPOINT": traces.endpoint,
    }
    agreed(from_environment({**env, "GOVERNANCE_HOME": str(home)}))
    for name in ("marketing/calendar", "marketing/other"):
        client = f"{CLIENT_ID}:{CLIENT_SECRET}\n".encode()
        assert governance("secret", "put", name, home=home, stdin=client, **env).returncode == 0
    for kind, document in (("template", template()), ("deploy", manifest())):
        asked = json.dumps({"kind": kind, "resource": document}).encode()
        done = governance("decide", "-", home=home, stdin=asked, **env)
        assert done.returncode == 0, done.stdout
    running = Service(home, "--workers", "2", **env).start()
    yield running
    running.stop()


class Browser(httpx.Client):
    """A person's browser: follows no redirect by itself, keeps cookies, sends forms as they stand on the page."""

    def __init__(self, service, key: str = "") -> None:
        super().__init__(base_url=service.url, timeout=60)
        self._key = key

    def __enter__(self):
        super().__enter__()
        if self._key:
            page = self.get(AUTHORIZE)
            assert page.status_code == 401
            assert self.send_form(page, key=self._key).status_code == 303
        return self

    def send_form(self, page, button: int = 0, **fields) -> httpx.Response:
        forms = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', page.text, re.DOTALL)
        action, inside = forms[button]
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', inside))
        return self.post(
            unescape(action), data={**hidden, **fields}, headers={"origin": str(self.base_url).rstrip("/")}
        )

    def consent(self, vendor, query: str = "", days: str = "30") -> httpx.Response:
        """The last page of the whole way."""
        return self.get(vendor.visit(self.yes(query, days)))

    def yes(self, query: str = "", days: str = "30") -> str:
        """Where the page after a yes leads to, by itself and by its link."""
        away = self.send_form(self.get(AUTHORIZE + query), answer="yes", days=days)
        assert away.status_code == 200, away.text
        (link,) = re.findall(r'<a href="([^"]+)"', away.text)
        assert f'<meta http-equiv="refresh" content="0; url={link}">' in away.text
        return unescape(link)


def consent_id(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return re.search(r"names this consent as ([0-9a-f-]{36})", page.text)[1]


def call(service, consent: str = "", **changes) -> dict:
    with service.client("service", "marketing") as runtime:
        token = runtime.post("/v1/apps/dates/tokens", json={"instance": "one"}).json()["token"]
    asked = {**CALL, **({"consent": consent} if consent else {}), **changes}
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.post(f"{service.url}/v1/connectors/calendar/calls", json=asked, headers=headers, timeout=60)
    assert answer.status_code in {200, 404, 502, 503}, answer.text
    return answer.json()


def rules(said: dict) -> set[str]:
    return {violation["rule"] for violation in said["decision"]["violations"]}


def newest(service) -> str:
    """Kind of the newest record that is not about the keys that tests make."""
    return next(r["kind"] for r in service.records(limit="20") if r["kind"] not in {"key_created", "audit_read"})


def test_from_consent_to_masked_answer_to_withdrawal_to_refusal(service, vendor):
    assert rules(call(service)) == {"OAUTH-007"}
    lead = service.key("citizen", "marketing")
    with Browser(service, lead) as browser:
        question = browser.get(AUTHORIZE)
        for words in ("See when you are busy", PURPOSE, "Team calendar", "30 days", "marketing-lead@example.com"):
            assert words in unescape(question.text)
        given = consent_id(browser.consent(vendor))
    said = call(service, given)
    assert said["effect"] == "allow", said
    person = said["answer"]["body"]["value"][0]
    assert person["free"] == "monday"
    assert not [word for word in ("Ada", "ada@") if word in json.dumps(said["answer"])]
    token = vendor.double.asked[-1].headers["authorization"].partition(" ")[2]
    with httpx.Client(base_url=service.url, headers={"authorization": f"Bearer {lead}"}, timeout=30) as program:
        listed = program.get("/v1/consents").json()["consents"]
        assert [(row["id"], row["state"]) for row in listed] == [(given, "given")]
        ended = program.post(f"/v1/consents/{given}/withdraw", json={})
    assert (ended.json()["state"], ended.json()["taken_back_by_vendor"]) == ("withdrawn", True)
    answers = [call(service, given) for _ in range(4)]
    assert [rules(one) for one in answers] == [{"OAUTH-007"}] * 4
    assert token in vendor.server.revoked
    kinds = [record["kind"] for record in service.records(limit="500")]
    assert {"consent", "consent_given", "consent_withdrawn", "connector_call", "data_flow"} <= set(kinds)


def test_a_withdrawal_counts_in_every_worker_at_once(service, vendor):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        given = consent_id(browser.consent(vendor))
        with service.client("service", "marketing") as runtime:
            token = runtime.post("/v1/apps/dates/tokens", json={"instance": "two"}).json()["token"]
        address, headers = f"{service.url}/v1/connectors/calendar/calls", {"authorization": f"Bearer {token}"}
        asked = {**CALL, "consent": given}
        assert httpx.post(address, json=asked, headers=headers, timeout=60).json()["effect"] == "allow"
        page = browser.get("/v1/oauth/consents")
        assert browser.send_form(page).status_code == 303
        answers = [httpx.post(address, json=asked, headers=headers, timeout=60).json() for _ in range(6)]
    assert [answer["effect"] for answer in answers] == ["deny"] * 6


def test_pages_let_nothing_else_in_and_run_no_script(service):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        page = browser.get(AUTHORIZE)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert '<html lang="en">' in page.text
    for name in re.findall(r'<(?:input|select) id="(\w+)"', page.text):
        assert f'<label for="{name}">' in page.text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(service):
    with Browser(service) as browser:
        page = browser.get(AUTHORIZE)
        answer = browser.send_form(page, key=service.key("citizen", "marketing"))
    assert re.search(r"governance=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])


@pytest.mark.parametrize("role", ["service", "auditor"])
def test_a_program_or_an_auditor_consents_to_nothing(service, role):
    with Browser(service) as browser:
        answer = browser.send_form(browser.get(AUTHORIZE), key=service.key(role, "marketing"))
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_person_of_another_tenant_is_not_asked(service):
    with Browser(service, service.key("citizen", "hr")) as browser:
        assert browser.get(AUTHORIZE).status_code == 404


def test_a_no_reaches_no_vendor_and_is_on_record(service, vendor):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        before = len(vendor.double.asked)
        assert "Nothing was allowed" in browser.send_form(browser.get(AUTHORIZE), answer="no", days="30").text
    assert len(vendor.double.asked) == before
    assert newest(service) == "consent_refused"


def test_a_form_of_another_site_or_session_counts_for_nothing(service):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        page = browser.get(AUTHORIZE)
        assert browser.post(AUTHORIZE, data={"answer": "yes", "days": "30"}).status_code == 403
        assert browser.post(AUTHORIZE, data={"answer": "yes", "days": "30", "form": "x" * 43}).status_code == 403
        token = re.search(r'name="form" value="([^"]+)"', page.text)[1]
        sent = {"answer": "yes", "days": "30", "form": token}
        assert browser.post(AUTHORIZE, data=sent, headers={"origin": "https://evil.example"}).status_code == 403
        assert browser.post(AUTHORIZE, data=sent, headers={"origin": "null"}).status_code == 403
        wider = AUTHORIZE + "&scope=Calendars.Read+Calendars.Shared"
        assert browser.post(wider, data=sent).status_code == 403
        with Browser(service, service.key("citizen", "marketing")) as other:
            assert other.post(AUTHORIZE, data=sent).status_code == 403
    with Browser(service) as nobody:
        assert nobody.post(AUTHORIZE, data=sent).status_code == 401


@pytest.mark.parametrize(
    "more",
    ["&redirect_uri=https://evil.example", "&return_to=//evil.example", "&app=lunch", "&state=x", "&scope=admin"],
)
def test_nothing_in_the_address_leads_anywhere_else(service, more):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        answer = browser.get(AUTHORIZE + more)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_scope_that_the_app_was_not_deployed_with_is_not_asked_for(service):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        page = browser.get(AUTHORIZE + "&scope=Calendars.Shared")
    assert page.status_code == 403
    assert "was not granted the scope" in unescape(page.text)


def back_from(vendor, browser) -> str:
    return vendor.visit(browser.yes())


def changed(address: str, **parameters: str) -> str:
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return f"{parts.path}?{httpx.QueryParams({k: v for k, v in query.items() if v})}"


def test_an_answer_counts_once(service, vendor):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        back = back_from(vendor, browser)
        consent_id(browser.get(back))
        assert browser.get(back).status_code == 400


@pytest.mark.parametrize(
    "parameters",
    [
        {"state": ""},
        {"state": "0" * 64},
        {"iss": ""},
        {"iss": "https://other.example"},
        {"code": ""},
        {"code": "stolen"},
    ],
)
def test_an_answer_that_does_not_fit_gives_no_token_and_uses_up_the_question(service, vendor, parameters):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        back = back_from(vendor, browser)
        assert browser.get(changed(back, **parameters)).status_code in {400, 502}
        if "state" not in parameters:
            assert browser.get(back).status_code == 400
        assert "You have given no consent" in browser.get("/v1/oauth/consents").text
    assert newest(service) == "refused"


def test_an_answer_meant_for_another_vendor_is_refused(service, vendor):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        back = back_from(vendor, browser).replace("/calendar/", "/other/")
        assert browser.get(back).status_code == 400


def test_somebody_else_cannot_finish_what_a_person_began(service, vendor):
    with (
        Browser(service, service.key("citizen", "marketing")) as victim,
        Browser(service, service.key("citizen", "marketing")) as attacker,
    ):
        back = back_from(vendor, attacker)
        assert victim.get(back).status_code == 403
        assert attacker.get(back).status_code == 400
        again = back_from(vendor, attacker)
    with Browser(service) as nobody:
        assert nobody.get(again).status_code == 401


def test_a_code_of_somebody_else_s_question_does_not_fit_into_one_s_own(service, vendor):
    key = service.key("citizen", "marketing")
    with Browser(service, key) as one, Browser(service, key) as two:
        stolen = parse_qs(urlsplit(back_from(vendor, one)).query)["code"][0]
        assert two.get(changed(back_from(vendor, two), code=stolen)).status_code == 502


def test_the_vendor_s_no_is_a_no(service, vendor):
    vendor.server.user_says_yes = False
    try:
        with Browser(service, service.key("citizen", "marketing")) as browser:
            assert "Nothing was allowed" in browser.consent(vendor).text
    finally:
        vendor.server.user_says_yes = True


def test_a_consent_is_its_person_s_to_see_and_to_end(service, vendor):
    with Browser(service, service.key("citizen", "marketing")) as browser:
        given = consent_id(browser.consent(vendor))
    with service.client("citizen", "marketing") as other:
        assert other.get("/v1/consents").json() == {"consents": []}
        assert other.post(f"/v1/consents/{given}/withdraw", json={}).status_code == 404
    with service.client("compliance", "hr") as foreign:
        assert foreign.post(f"/v1/consents/{given}/withdraw", json={}).status_code == 404
    with service.client("compliance", "marketing") as compliance:
        assert compliance.post(f"/v1/consents/{given}/withdraw", json={}).json()["state"] == "withdrawn"
    assert rules(call(service, given)) == {"OAUTH-007"}


def test_signing_out_and_a_revoked_key_end_the_session(service):
    key = service.key("citizen", "marketing")
    with Browser(service, key) as browser, Browser(service, key) as other:
        page = browser.get("/v1/oauth/consents")
        assert browser.send_form(page).status_code == 200
        assert browser.get("/v1/oauth/consents").status_code == 401
        assert other.get("/v1/oauth/consents").status_code == 200
        governance("key", "revoke", key.split("_")[1], home=service.home)
        assert other.get("/v1/oauth/consents").status_code == 401


def test_nothing_secret_stands_anywhere(service, vendor, traces, tmp_path):
    """What lies in a store is found by its owner alone: in no other file, log, record, export, metric, trace or answer."""
    key, app_token = service.key("citizen", "marketing"), ""
    with Browser(service, key) as browser:
        given = consent_id(browser.consent(vendor))
        cookie = browser.cookies["governance"]
    with service.client("service", "marketing") as runtime:
        app_token = runtime.post("/v1/apps/dates/tokens", json={"instance": "leak"}).json()["token"]
    headers = {"authorization": f"Bearer {app_token}"}
    asked = {**CALL, "consent": given}
    said = httpx.post(f"{service.url}/v1/connectors/calendar/calls", json=asked, headers=headers, timeout=60)
    assert said.json()["effect"] == "allow"
    done = governance("audit", "export", "--app", "dates", "--out", str(tmp_path / "package"), home=service.home)
    assert done.returncode == 0, done.stderr
    hidden = [CLIENT_SECRET, key.rpartition("_")[2], cookie, app_token, *vendor.server.access, *vendor.server.refresh]
    assert vendor.server.access
    assert vendor.server.refresh
    files = [path for place in (service.home, tmp_path) for path in place.rglob("*") if path.is_file()]
    assert len(files) > 20
    signing = [key["d"] for key in json.loads((service.home / "app-tokens.json").read_text())["keys"]]
    for path in (service.log, *files):
        own = signing if path.name != "app-tokens.json" else []
        assert not leaked(path.read_bytes(), [*hidden, *own]), path
    service.wait_until(lambda: len(traces.bodies) > 0, 30)
    assert not leaked(b"\n".join(traces.bodies), [*hidden, *signing])
    asked = [path for path, methods in routes(service).items() if "get" in methods and "{" not in path]
    assert {"/metrics", "/v1/audit/records", "/v1/consents", "/v1/connectors", "/v1/events/dead"} <= set(asked)
    for role in ("platform", "compliance", "auditor", "service"):
        with service.client(role) as client:
            said = {path: client.get(path) for path in asked}
        assert sum(answer.status_code == 200 for answer in said.values()) > 10
        assert not [path for path, answer in said.items() if leaked(answer.content, [*hidden, *signing])]


def test_a_document_that_was_exchanged_gets_no_call_code_or_token(tmp_path, vendor):
    """The folder changes under a running service, which goes on by what it started with; started anew, it asks first."""
    folder, home = registry(tmp_path / "registry"), tmp_path / "home"
    env = {
        "GOVERNANCE_REGISTRY": str(folder),
        "GOVERNANCE_CONNECTOR_PINS": str(write_pins(tmp_path / "pins.json", vendor.double)),
    }
    settings = from_environment({**env, "GOVERNANCE_HOME": str(home)})
    agreed(settings)
    client = f"{CLIENT_ID}:{CLIENT_SECRET}\n".encode()
    assert governance("secret", "put", "marketing/calendar", home=home, stdin=client, **env).returncode == 0
    for kind, document in (("template", template()), ("deploy", manifest())):
        asked = json.dumps({"kind": kind, "resource": document}).encode()
        assert governance("decide", "-", home=home, stdin=asked, **env).returncode == 0
    running = Service(home, **env).start()
    try:
        lead = running.key("citizen", "marketing")
        with Browser(running, lead) as browser:
            given = consent_id(browser.consent(vendor))
            cookies, begun, waits = browser.cookies, back_from(vendor, browser), back_from(vendor, browser)
            places = {"token_url": f"https://{HOST}/other-token", "revocation_url": f"https://{HOST}/other-revoke"}
            changed_entry = {**CALENDAR, "oauth": {**CALENDAR["oauth"], **places}}
            changed_entry["operations"] = [{**CALENDAR["operations"][0], "paths": ["/api/me/events", "/other-calls"]}]
            (folder / "connectors" / "calendar.yaml").write_text(json.dumps(changed_entry))
            assert call(running, given)["effect"] == "allow"
            assert rules(call(running, given, url=f"https://{HOST}/other-calls")) == {"CONN-007"}
            consent_id(browser.get(begun))
            with running.client("auditor") as auditor:
                shown = auditor.get("/v1/connectors/calendar").json()
            assert shown["waits_for"] == ["owner", "compliance"]
            assert shown["serving"] not in {"", shown["digest"]}
        running.stop()
        running.start()
        asked_before = len(vendor.double.asked)
        assert "CONN-017" in rules(call(running, given))
        with Browser(running) as browser:
            browser.cookies = cookies
            refused = browser.get(changed(waits))
            assert (refused.status_code, "not approved in its present form" in unescape(refused.text)) == (403, True)
            assert browser.get(changed(waits)).status_code == 400
        with running.client("citizen", "marketing") as other:
            assert other.post(f"/v1/consents/{given}/withdraw", json={}).status_code == 404
        with httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {lead}"}, timeout=30) as program:
            ended = program.post(f"/v1/consents/{given}/withdraw", json={}).json()
        assert (ended["state"], ended["taken_back_by_vendor"]) == ("withdrawn", False)
        assert vendor.double.asked[asked_before:] == []
        assert "OAUTH-007" in rules(call(running, given))
        said = {row["kind"]: row["public"]["rules"] for row in running.records(effect="deny")}
        assert said["revocation"] == ["OAUTH-009"]
        assert "CONN-017" in said["consent"]
        agreed(settings)
        assert rules(call(running, given)) == {"OAUTH-007"}
    finally:
        running.stop()


def routes(service) -> dict[str, dict]:
    return httpx.get(f"{service.url}/openapi.json", timeout=30).json()["paths"]


def test_the_search_for_leaks_finds_them_in_every_disguise():
    secret = "canary-8a31-secret/word?"
    plain, packed = f"before {secret} after".encode(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", gzip.compress(plain))
    disguises = [
        plain,
        gzip.compress(plain),
        packed.getvalue(),
        secret.encode().hex().encode(),
        quote_plus(secret).encode(),
    ]
    disguises += [base64.b64encode(b"x" * before + secret.encode() + b"and more") for before in range(3)]
    disguises += [base64.urlsafe_b64encode(b"x" * before + secret.encode()) for before in range(3)]
    assert [leaked(disguise, [secret, "another"]) for disguise in disguises] == [[secret]] * len(disguises)


def test_an_address_nobody_named_is_not_taken_from_a_header(service):
    with Browser(service) as browser:
        answer = browser.get(AUTHORIZE, headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert HOST not in answer.text
