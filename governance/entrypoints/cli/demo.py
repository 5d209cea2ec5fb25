"""`governance demo`: the main job on the real files of `deploy/examples/where2eat`, told in words.

Everything here goes through the same line as the service: real rules, a real log in a folder of its own, a real export
that a separate Python process verifies with nothing but the audit room.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from governance.errors import InternalError
from governance.model.request import Source
from governance.settings import Settings, from_environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.pipeline import Pipeline
    from governance.platform.broker.calls import Broker, Called
    from governance.platform.broker.doubles import Double

_LEAD = Source("cli.demo", "marketing-lead")
_PLATFORM = Source("cli.demo", "platform-team")
_HR = "api.hris.example.com"
_PLAIN: Json = {"method": "GET", "url": f"https://{_HR}/scim/v2/Users", "scopes": ["employees:read"]}
_A_MINUTE_S_CALLS = 60


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Exit 0 when every step went as told, 1 otherwise."""
    import argparse
    import tempfile

    parser = argparse.ArgumentParser("governance demo", description="The main job on real files, in words.")
    parser.add_argument(
        "--keep", metavar="DIR", help="keep the log, the fixed manifest and the export in this new folder"
    )
    options = parser.parse_args(argv)
    if options.keep:
        Path(options.keep).mkdir(parents=True)
        return _Demo(Path(options.keep), stdout).run()
    with tempfile.TemporaryDirectory(prefix="governance-demo-") as folder:
        return _Demo(Path(folder), stdout).run()


class _Demo:
    """Scenes; each checks what it tells, so that the story cannot drift from the truth."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        from governance.policy.locations import data_folder

        self._folder = folder
        self._out = out
        self._files = Path(data_folder("deploy")) / "examples" / "where2eat"
        chosen = from_environment(os.environ)
        self._credential = os.urandom(16).hex()
        self._pins = folder / "pins.json"
        own = {"home": str(folder / "home"), "connector_pins": str(self._pins)}
        self._settings = Settings({**chosen.values, **own})

    def run(self) -> int:
        """Every scene in order."""
        from governance.wiring import for_cli

        self._say("Getting ready: compiling the rule pack and proving both executors equal (kept for next time) …\n")
        with for_cli(self._settings) as line:
            self._template(line)
            fixed = self._refused_and_fixed(line)
            self._allowed(line, fixed)
            self._call(line)
            self._flow(line)
        self._gateway()
        with for_cli(self._settings) as line:
            self._too_often(line)
        return self._evidence()

    # -- scenes ------------------------------------------------------------------------------------------------------

    def _template(self, line: Pipeline) -> None:
        self._title("1  The platform team publishes the template 'recommendations'")
        decision = line.decide(self._manifest("template.yaml", _PLATFORM))
        self._expect(decision, "allow")
        self._say(
            f"   Allowed under {len(decision.rules_evaluated)} rules. Apps made from it may use at most what it names.\n"
        )

    def _refused_and_fixed(self, line: Pipeline) -> Path:
        from governance.entrypoints.cli.fixes import fix_file
        from governance.normalise.documents import read_documents
        from governance.normalise.positions import position_of
        from governance.normalise.requests import normalise_manifest

        self._title("2  A marketing lead wants to deploy Where2Eat, with app.yaml as her AI assistant wrote it")
        copy = self._folder / "app.yaml"
        copy.write_bytes((self._files / "app.yaml").read_bytes())
        document = read_documents(copy.read_bytes(), str(copy))[0]
        decision = line.decide(normalise_manifest(document, _LEAD))
        self._expect(decision, "deny")
        self._say(f"   REFUSED: {len(decision.violations)} reasons. Each has a place, a rule and a way out:\n")
        for violation in decision.violations:
            row, _ = position_of(document, violation.path)
            self._say(f"   app.yaml line {row}, {violation.rule}: {violation.message}")
            self._say(f"       {'can be fixed for you' if violation.fix else violation.remediation}")
        self._say(
            "\n   She lets the service apply the fixes. Each was applied, decided again and found to pass before it"
        )
        self._say("   was offered; her comments and the order of the file stay:\n")
        before = document.text.splitlines()
        while (
            step := fix_file(document, decision, lambda d: line.assess(normalise_manifest(d, _LEAD)).decision)
        ) is not None:
            document, decision = step
        self._differences(before, document.text.splitlines())
        return copy

    def _allowed(self, line: Pipeline, fixed: Path) -> None:
        from governance.enforce import plan_of

        self._title("3  She deploys again")
        request = self._manifest(str(fixed), _LEAD)
        decision = line.decide(request)
        self._expect(decision, "allow")
        plan = plan_of(request, decision)
        self._say("   ALLOWED, with obligations that the runtime has to carry out:")
        self._say(f"     runs in       {plan.runtime_class}, not in anything weaker")
        caps = plan.caps
        self._say(
            f"     caps          {caps.cpu:g} cores, {caps.memory_mib} MiB memory, {caps.timeout_ms} ms a call, "
            f"{caps.storage_mib} MiB storage"
        )
        self._say(f"     may reach     {', '.join(plan.egress_allow)}, and nothing else")
        self._say(f"   Recorded as {decision.decision_id} under bundle {decision.revision[:19]}…\n")

    def _call(self, line: Pipeline) -> None:
        from governance.broker_wiring import secrets_of

        self._title("4  The running app asks the HR system who is in the team")
        secrets_of(self._settings).put("marketing/hris", self._credential)
        self._at_the_hr_system(line, "hr", self._asked)
        self._say("")

    def _too_often(self, line: Pipeline) -> None:
        """After the gateway, whose callers would find the minute used up."""
        self._say("   The app goes on asking the HR system, until its minute holds no more:")
        self._at_the_hr_system(line, "hr-again", self._asked_too_often)
        self._say("")

    def _at_the_hr_system(
        self, line: Pipeline, folder: str, scene: Callable[[Broker, Double], Awaitable[None]]
    ) -> None:
        import asyncio

        from governance.broker_wiring import broker_of
        from governance.platform.broker.doubles import Double, hris, write_pins

        double = Double(_HR, self._folder / folder, hris(self._credential)).start()
        write_pins(self._pins, double)

        async def ask() -> None:
            broker = broker_of(self._settings, line)
            try:
                await scene(broker, double)
            finally:
                await broker.close()

        try:
            asyncio.run(ask())
        finally:
            double.stop()

    async def _asked(self, broker: Broker, double: Double) -> None:
        """One call that is allowed, and those that never leave."""
        called = await _called(broker, _PLAIN)
        if called.answer_decision is None:
            raise InternalError(f"the demo expected an answer: {called.call.reason}")
        self._expect(called.answer_decision, "allow")
        seen = called.answer["Resources"][0]
        self._say(
            "   ALLOWED. The broker put the credential on, which the app never sees, and asked over verified TLS (a"
        )
        self._say("   double on this machine answers for the HR system). It decided on the answer as well:")
        for name in ("id", "name", "emails", "department", "dietaryPreference"):
            self._say(f"     {name:<18} {json.dumps(seen[name])}")
        forged = {**_PLAIN, "headers": {"Host": "payroll.intranet.example.com"}}
        computed = {**_PLAIN, "url": "https://hr-mirror.example.net/scim/v2/Users"}
        unlisted = {**_PLAIN, "url": f"https://{_HR}/v1/salaries"}
        broad = {**_PLAIN, "scopes": ["employees:read", "employees:write"]}

        async def refused(words: str, asked: Json) -> None:
            called = await _called(broker, asked)
            self._expect(called.call, "deny")
            self._say(f"   The same call {words}: REFUSED")
            self._say(f"     {called.call.violations[0].rule}: {called.call.violations[0].message}")

        await refused("with a forged Host header", forged)
        await refused("to a host it computed while running", computed)
        await refused("for a path that no operation has", unlisted)
        await refused("with one scope more than it was granted", broad)
        if len(double.asked) != 1:
            raise InternalError(f"the HR system was asked {len(double.asked)} times; one call was allowed")
        self._say("   The HR system heard of one call.")

    async def _asked_too_often(self, broker: Broker, double: Double) -> None:
        """Calls until one is refused, of which the HR system hears nothing."""
        allowed = 0
        while (called := await _called(broker, _PLAIN)).call.is_allowed and allowed < _A_MINUTE_S_CALLS:
            allowed += 1
        self._expect(called.call, "deny")
        if len(double.asked) != allowed:
            raise InternalError(f"the HR system was asked {len(double.asked)} times; {allowed} calls were allowed")
        self._say(f"     {called.call.violations[0].rule}: {called.call.violations[0].message}")

    def _flow(self, line: Pipeline) -> None:
        self._title("5  The app tries to send a list of people to a host nobody approved")
        decision = line.decide(self._native("outgoing-flow.json"))
        self._expect(decision, "deny")
        self._say("   REFUSED:")
        for message in dict.fromkeys(f"   {v.rule}: {v.message}" for v in decision.violations):
            self._say(message)
        self._smuggled(line)

    def _smuggled(self, line: Pipeline) -> None:
        """An allowed call, and the same with a colleague's address hidden in its query string."""
        call = json.loads((self._files / "recommender-call.json").read_bytes())
        self._expect(line.decide(self._document(call)), "allow")
        hidden = base64.b64encode(b"max.mustermann@example.com").decode()
        call["resource"]["url"] += f"&ref={hidden}"
        assessed = line.assess(self._document(call))
        decision = line.decide(self._document(call))
        self._expect(decision, "deny")
        found = next(f for f in assessed.facts.values["pii"] if f.get("decode"))
        self._say(
            f"   It asks the recommendation engine, which it may (ALLOWED), but with &ref={hidden[:12]}… in the address:"
        )
        self._say("   REFUSED:")
        self._say(f"   {decision.violations[0].rule}: {decision.violations[0].message}")
        self._say(f"     found at {found['pointer']}, in {' in '.join(reversed(found['decode']))}\n")

    def _gateway(self) -> None:
        from governance.entrypoints.cli.demo_gateway import Scene, play

        self._title("6  A person calls the app: gateway, sandbox, HR system, each a program of its own")
        play(Scene(self._folder, self._settings, self._files, self._credential, self._say))

    def _evidence(self) -> int:
        from audit.exports.package import Wanted, export
        from audit.store import Filter
        from governance.log_wiring import open_reader
        from governance.model.moment import utc_now

        self._title("7  The compliance officer exports the app's audit trail, and an auditor checks it offline")
        log = open_reader(self._settings)
        wanted = Wanted(Filter(app="where2eat"), ("csv",))
        done = export(log, wanted, self._folder / "export", created=utc_now())
        key = log.verifier_key
        kept = json.dumps([log.record(index) for index in range(log.size())])
        log.close()
        self._say(f"   {done.records} records, with proofs. In a Python process that has only the audit room:")
        first = self._verify(done.path, key)
        self._say("\n   Now somebody changes one byte of one record in the export, and the auditor checks again:")
        records = done.path / "records.jsonl"
        records.write_bytes(records.read_bytes().replace(b"deny", b"denY", 1))
        second = self._verify(done.path, key)
        told_apart = ("mustermann@example.com", "Erika", "DE8937", "bWF4Lm11c3Rlcm1hbm5A")
        leaked = [person for person in told_apart if person in kept]
        told = f"LEAKED: {leaked}" if leaked else "confirmed"
        self._say(f"\n   Nothing of the people in the refused data stands in the log, sealed or not: {told}.")
        good = first == 0 and second == 1 and not leaked
        self._say(
            "\nThat was the main job: refused, fixed, allowed, masked, recorded, proved.\n"
            if good
            else "\nA step failed.\n"
        )
        return 0 if good else 1

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _verify(self, package: Path, key: str) -> int:
        import audit

        root = str(Path(audit.__file__).parents[1])
        done = subprocess.run(  # noqa: S603  our own interpreter and module, arguments as a list
            [sys.executable, "-P", "-m", "audit.verify", str(package), "--key", key],
            capture_output=True, text=True, check=False, cwd=root,
        )  # fmt: skip
        for line in (done.stdout + done.stderr).strip().splitlines():
            self._say(f"     {line.replace(str(package), 'export')}")
        return done.returncode

    def _manifest(self, name: str, source: Source) -> Request:
        from governance.normalise.documents import read_documents
        from governance.normalise.requests import normalise_manifest

        path = self._files / name
        return normalise_manifest(read_documents(path.read_bytes(), str(path))[0], source)

    def _native(self, name: str) -> Request:
        return self._document(json.loads((self._files / name).read_bytes()))

    def _document(self, document: Json) -> Request:
        from governance.normalise.requests import normalise_document

        return normalise_document(document, _LEAD)

    def _differences(self, before: list[str], after: list[str]) -> None:
        import difflib

        for row in difflib.unified_diff(before, after, lineterm="", n=0):
            if row[:1] in "+-" and row[:3] not in {"+++", "---"}:
                self._say(f"   {row}")
        self._say("")

    def _expect(self, decision: Decision, effect: str) -> None:
        if decision.effect != effect:
            raise InternalError(f"the demo expected {effect} and got {decision.effect}: {decision.reason}")

    def _title(self, text: str) -> None:
        self._say(text)
        self._say("-" * len(text))

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


async def _called(broker: Broker, asked: Json) -> Called:
    from governance.platform.broker.tokens import Caller

    app = Caller("where2eat", "marketing", "where2eat-1")
    return await broker.call(app, "hris", asked, entry_point="cli.demo", trace_id=os.urandom(16).hex())
