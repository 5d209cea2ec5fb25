"""The OWASP core rule set's own regression tests through the whole gateway: Envoy, the decision service, the rule set, GW-005.

    python tests/conformance/core_rules.py TESTS [--root /] [--check]

TESTS: the folder `tests/regression/tests` of a release of coreruleset/coreruleset, the one that Debian's modsecurity-crs is of.
A test that expects a rule of paranoia level 1 to match passes when the call is stopped and the rule named, when Envoy refused
it before, or when Envoy took away what the rule looks for, so that what reached the app no longer matches. One that expects a
rule not to match passes when that rule is not named. Higher levels are not switched on, and answers are not looked at: their
tests are counted as left out. Each miss is printed with its class; `EXPLAINED` says why a class is as it is.

After that, the requests of `business_requests.py`: how many harmless ones are let in, and how many hidden attacks are stopped.
--check: exit 1 when a miss is of no explained class, or one of our own requests ends otherwise than it says.
"""

from __future__ import annotations

import argparse
import base64
import collections
import json
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import quote_plus

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from governance.enrich.attacks import Inspector  # noqa: E402
from runtime_adapters.gateway.applying import GatewayFolder  # noqa: E402
from runtime_adapters.gateway.process import Envoy, envoy_program  # noqa: E402
from runtime_adapters.gateway.state import (  # noqa: E402
    AppRoute,
    Backend,
    DecisionService,
    Endpoint,
    GatewayState,
    Limits,
    Listener,
)
from tests.conformance.business_requests import harmless, hidden  # noqa: E402
from tests.contract.gateways import Upstream  # noqa: E402
from tests.journeys.service import EXAMPLES, Service  # noqa: E402
from tests.ports import free_port  # noqa: E402

_EXPECTED = re.compile(r'id "?(\d{6})')


_RULE = re.compile(r"\b9\d{5,6}\b")
_BELOW = "MISSED: seen and let in"
_STRICTER = "MISSED: stopped though harmless"
EXPLAINED = {
    _BELOW: "the rule matched; its score alone (a notice 2, a warning 3) is below the platform's `attack_score`, as it "
    "is below the set's own default",
    _STRICTER: "version 3 of the library hands XML as it was sent to rules that version 2 gives its values alone: names of "
    "elements count, which some readers of Java turn into objects",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", type=Path)
    parser.add_argument("--root", default="/", help="below which Debian's packages are unpacked")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Gateway(Path(folder), options.root) as gateway:
        unexplained = the_sets_own(gateway, options)
        others = business(gateway)
    sys.exit(1 if options.check and (unexplained or others) else 0)


def the_sets_own(gateway: Gateway, options: argparse.Namespace) -> int:
    """How many misses are of no explained class."""
    levels = levels_of(Path(options.root) / "usr/share/modsecurity-crs/rules")
    inspector = Inspector(options.root)
    counts, misses = collections.Counter(), collections.defaultdict(list)
    for title, wanted, is_match, stage in stages(options.tests):
        if levels.get(wanted) != 1:
            counts["left out: another paranoia level, or no rule of a request"] += 1
            continue
        status, named = gateway.ask(wire(stage))
        result = judged(status, named, wanted, is_match=is_match)
        if result == _BELOW and wanted not in inspector.look(*gateway.arrived())["rules"]:
            result = "passed: the gateway took it away, and the app never saw it"
        counts[result] += 1
        if result.startswith("MISSED"):
            misses[result].append(title)
    asked = sum(number for name, number in counts.items() if not name.startswith("left out"))
    passed = sum(number for name, number in counts.items() if name.startswith("passed"))
    for name, number in sorted(counts.items()):
        print(f"{number:5} {name}")
    print(f"{passed} of {asked} pass ({passed / asked:.1%})")
    for result, titles in sorted(misses.items()):
        print(f"  {result}: {', '.join(titles)}\n    {EXPLAINED.get(result, 'not explained')}")
    return sum(len(titles) for result, titles in misses.items() if result not in EXPLAINED)


def business(gateway: Gateway) -> int:
    """How many of our own requests end otherwise than they say."""
    wrong, let_in, known, stopped = [], 0, collections.Counter(), 0
    for one in harmless():
        status, named = gateway.ask(one.raw)
        let_in += status == 200
        known[one.known] += status != 200 and one.known in named
        if status != (403 if one.known else 200) or (one.known and one.known not in named):
            wrong.append(f"{one.title[:60]} ({status}, {', '.join(sorted(named))})")
    for one in hidden():
        status, named = gateway.ask(one.raw)
        is_stopped = (status == 403 and bool(named)) or status == 400
        stopped += is_stopped
        if not is_stopped:
            wrong.append(f"{one.title[:60]} ({status})")
    asked, attacks = sum(1 for _ in harmless()), sum(1 for _ in hidden())
    print(f"{let_in} of {asked} harmless requests of business apps are let in ({let_in / asked:.1%}); known refusals by rule: "
          + ", ".join(f"{rule} {number}" for rule, number in sorted(known.items()) if rule and number))  # fmt: skip
    print(f"{stopped} of {attacks} attacks hidden where the set does not look by itself are stopped")
    for title in wrong:
        print(f"  otherwise than said: {title}")
    return len(wrong)


def levels_of(folder: Path) -> dict[str, int]:
    """The paranoia level of each rule about requests."""
    found: dict[str, int] = {}
    for file in folder.glob("REQUEST-9*.conf"):
        for block in re.split(r"\n\s*\n", file.read_text()):
            ids = re.findall(r"^[^#\n]*\bid:(\d{6})", block, re.MULTILINE)
            level = re.search(r"paranoia-level/(\d)", block)
            found.update({one: int(level[1]) for one in ids if level is not None})
    return found


def stages(folder: Path):
    for file in sorted(folder.rglob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        for test in document["tests"] if document["meta"].get("enabled", True) else ():
            for row in test["stages"]:
                stage = row["stage"]
                output = stage["output"]
                text, is_match = output.get("log_contains"), True
                if text is None:
                    text, is_match = output.get("no_log_contains", ""), False
                wanted = _EXPECTED.search(str(text))
                if wanted is not None:
                    yield test["test_title"], wanted[1], is_match, stage["input"]


def judged(status: int, named: set[str], wanted: str, *, is_match: bool) -> str:
    if not is_match:
        return "passed: the rule did not match" if wanted not in named else _STRICTER
    if wanted in named:
        return "passed: stopped, and the rule named"
    if status == 403 and named:
        return "passed: stopped by other rules of the set"
    if status in {400, 401, 404, 405, 413, 414, 415, 426, 431, 501, 505}:
        return "passed: refused by the gateway before"
    return _BELOW if status == 200 else f"MISSED: answered with {status}"


class Gateway:
    """Envoy in front of the service, both real; the app behind answers everything."""

    def __init__(self, folder: Path, root: str) -> None:
        self.service = Service(folder / "home", GOVERNANCE_EXT_AUTHZ="app_call", GOVERNANCE_ATTACK_RULES=root)
        self.upstream, self.port, self.folder = Upstream("app"), free_port(), folder

    def __enter__(self) -> Self:
        self.service.start()
        with self.service.client("platform") as client:
            resource = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
            assert (
                client.post("/v1/decisions", json={"kind": "deploy", "resource": resource}).json()["effect"] == "allow"
            )
        # Public, without a list of calls and nearly without a quota, so that nothing but the rule set has a say.
        path = self.service.home / "apps" / "where2eat.json"
        known = json.loads(path.read_text())
        del known["spec"]["api"]
        # Every class is its own, so that nothing is cut out of what it is sent either.
        known["spec"]["data"]["classes"] = ["internal", "personal", "financial", "special"]
        known["spec"].update(audience="public", quotas={"requestsPerDay": 1_000_000, "costEurPerMonth": 50})
        path.write_text(json.dumps(known))
        port = int(self.service.url.rpartition(":")[2])
        asked = DecisionService(Endpoint("127.0.0.1", port), self.service.key("service"), timeout_ms=60_000)
        app = AppRoute(
            "where2eat", "marketing", "d", ("localhost",), (Backend("stable", (self.upstream.endpoint,)),), ("eu",),
            is_public=True, asks=True, limits=Limits(timeout_ms=60_000),
        )  # fmt: skip
        state = GatewayState((Listener("eu", "127.0.0.1", self.port, "eu"),), (app,), service=asked,
                             access_log=str(self.folder / "access.log"))  # fmt: skip
        gateway = GatewayFolder(self.folder / "xds", envoy_program())
        gateway.apply(state)
        self.envoy = Envoy(envoy_program(), gateway.path).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.envoy.stop()
        self.service.stop()
        self.upstream.stop()

    def ask(self, raw: bytes) -> tuple[int, set[str]]:
        """The status, and the rules that a refusal names: in its body, or on record where the answer has none (HEAD)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                connection.sendall(raw)
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
        except OSError:
            return 0, set()
        head, _, body = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        text = body.decode("utf-8", "replace")
        if raw.startswith(b"HEAD ") and found and found[1] == b"403":
            decision = re.search(rb"x-decision-id: (\S+)", head)
            text = self._on_record(decision[1].decode()) if decision else ""
        return (int(found[1]) if found else 0), set(_RULE.findall(text))

    def _on_record(self, decision_id: str) -> str:
        found = [one for one in self.service.records(kind="app_call") if one["public"]["decision_id"] == decision_id]
        return json.dumps(found)

    def arrived(self) -> tuple[str, str, dict[str, str], bytes]:
        """What reached the app last, as the inspector is asked."""
        call = self.upstream.calls[-1]
        return call["method"], call["path"], call["headers"], call["body"].encode("latin-1")


def wire(given: dict) -> bytes:
    """The request as the rule set's own runner sends it, in HTTP/1.1 and to our host."""
    if given.get("encoded_request"):
        return base64.b64decode(given["encoded_request"])
    if given.get("raw_request"):
        return given["raw_request"].encode()
    headers = {str(name): str(value) for name, value in (given.get("headers") or {}).items()}
    data = given.get("data") or ""
    text = "\r\n".join(data) if isinstance(data, list) else str(data)
    lower = {name.lower() for name in headers}
    if text and not given.get("stop_magic"):
        if "content-type" not in lower:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if headers.get("Content-Type") == "application/x-www-form-urlencoded" and "%" not in text and "+" not in text:
            text = "&".join("=".join(quote_plus(part) for part in pair.split("=", 1)) for pair in text.split("&"))
    if text and "content-length" not in lower:
        headers["Content-Length"] = str(len(text.encode()))
    lines = [f"{given.get('method', 'GET')} {given.get('uri', '/')} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {**headers, "Connection": "close"}.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
