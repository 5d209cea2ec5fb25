"""A host of apps: what it starts is what was decided on, in the state that things are in when it starts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from governance.entrypoints.cli.runtime_run import hosting
from governance.errors import DependencyError, GovernanceError
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.broker.preparing import Preparing
from governance.platform.broker.running import CallerGone, NoRoom, run
from governance.wiring import active_of, parts_for
from runtime_adapters import gvisor
from runtime_adapters.fair_share import Share
from runtime_adapters.pool import Pool
from runtime_adapters.port import Outcome, Usage
from tests.contract.guests import ECHO, asking, module
from tests.contract.layouts import Layout
from tests.contract.roots import BUSYBOX, archive
from tests.contract.roots import ECHO as ECHO_SCRIPT
from tests.unit.broker.conftest import APP, CALL, World

OLD, NEW = (module("(call $say (i32.const 0) (i32.const 3))", data=word) for word in ("old", "new"))
PUTS = asking('{"op":"kv.put","key":"k","value":1}')
STARTED = ("runtime_started", "allow")
TRACE = "cd" * 16
APPROVED = "registry.example.com/approved/app@sha256:"
needs_runsc = pytest.mark.skipif(
    shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
    reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
)


class Hosted:
    """A host of apps in this process, that what is deployed is called at."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.world._opened.__exit__(None, None, None)
        self.root, self.settings, self.runner = folder / "root", self.world.settings, self.world.runner
        self.root.mkdir()
        self._hosting = hosting(self.settings, self.root)
        self.host = self.runner.run(self._hosting.__aenter__())
        active = active_of(self.settings)
        self.line = Pipeline(parts_for(self.settings, lambda: active)._replace(recorder=self.host.recorder))

    def deploy(self, name: str, module: dict, image: str = "", runtime: str = "wasm", **caps: int):
        """The decision on it."""
        manifest = yaml.safe_load(APP.read_text())
        manifest["metadata"]["name"] = name
        spec = manifest["spec"]
        spec["runtime"] = {
            "class": runtime, "module": module, **({"image": image} if image else {}),
            "caps": {"cpu": 0.5, "memoryMiB": 128, "timeoutMs": 20_000, "storageMiB": 16, **caps},
        }  # fmt: skip
        if runtime == "container":
            spec |= {"connectors": [], "egress": [], "secrets": [], "data": {**spec["data"], "classes": ["internal"]}}
            spec["data"].pop("pii")
        source = Source("test", "lead")
        return self.line.decide(normalise_document({"kind": "deploy", "resource": manifest}, source))

    def module(self, name: str, wasm: bytes, **caps: int) -> None:
        (self.root / f"{name}.wasm").write_bytes(wasm)
        decision = self.deploy(name, {"path": f"{name}.wasm", "sha256": hashlib.sha256(wasm).hexdigest()}, **caps)
        assert decision.is_allowed, decision

    async def asked(self, name: str, body: bytes = b"{}"):
        return await run(self.host, name, body)

    def call(self, name: str, body: bytes = b"{}"):
        return self.runner.run(self.asked(name, body))

    @contextmanager
    def busy(self):
        """The one worker has something else to do, until the block says that it may end."""
        held, begun = threading.Event(), threading.Event()

        class Waits:
            def call(self, _request: bytes) -> Outcome:
                begun.set()
                held.wait(60)
                return Outcome("done", b"", "", "")

            def observe(self) -> Usage:
                return Usage(0, 0, 0.0, 0.0, 0, 0)

            def stop(self) -> None:
                pass

        running = self.host.pool.call("other", "other", "1", Waits, b"")
        begun.wait(60)
        try:
            yield held.set
        finally:
            held.set()
            running.result(60)

    def while_queued(self, name: str, happens, **about):
        """The outcome of a call during which `happens()` while it waits for the one worker."""

        async def once():
            with self.busy() as free:
                waiting = asyncio.ensure_future(run(self.host, name, b"{}", TRACE, **about))
                await until(lambda: ("deploy", "allow") in self.kinds(name)[-1:])
                happens()
                if not about:
                    free()
                return await waiting

        return self.runner.run(once())

    def kinds(self, name: str) -> list[tuple[str, str]]:
        """(kind, effect or error) of the records about an app, the first first."""
        found = [record for record in self.world.records() if record["public"].get("app") in {name, "", None}]
        return [(record["kind"], record["public"].get("error") or record["public"]["effect"]) for record in found]

    def close(self) -> None:
        self.runner.run(self._hosting.__aexit__(None, None, None))
        self.runner.run(self.world.broker.close())
        self.runner.close()
        self.world.double.stop()
        vars(self.world).clear()
        vars(self).clear()


async def until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


class Delayed(Preparing):
    """Something happens before an app is got ready for the second time."""

    def __init__(self, happens) -> None:
        super().__init__()
        self._happens, self._times = happens, 0

    async def prepared(self, *what):
        self._times += 1
        if self._times == 2:
            await self._happens()
        return await super().prepared(*what)


@pytest.fixture
def apps(tmp_path):
    made = Hosted(tmp_path)
    yield made
    made.close()


def test_what_was_deployed_while_an_app_was_got_ready_again_ends_the_call_that_waited_for_it(apps):
    apps.module("lunch", OLD)

    async def redeployed() -> None:
        (apps.root / "new.wasm").write_bytes(NEW)
        digest = hashlib.sha256(NEW).hexdigest()
        assert apps.deploy("lunch", {"path": "new.wasm", "sha256": digest}).is_allowed

    host = apps.host._replace(fresh_s=0.0, preparing=Delayed(redeployed))
    with pytest.raises(NoRoom, match="changed while"):
        apps.runner.run(run(host, "lunch", b"{}"))
    assert STARTED not in apps.kinds("lunch")
    assert apps.kinds("lunch")[-1] == ("refused", "no_room")
    assert apps.call("lunch").outcome.output == b"new"


@pytest.mark.parametrize("is_gone", [True, False])
def test_nobody_waits_without_end_for_an_app_to_be_got_ready(apps, is_gone):
    apps.module("lunch", OLD)
    apps.call("lunch")

    async def once():
        gone, over = asyncio.get_running_loop().create_future(), asyncio.Event()
        preparing = Delayed(over.wait)
        preparing._times = 1
        host = apps.host._replace(longest_ready_s=60.0 if is_gone else 0.05, preparing=preparing)
        waiting = asyncio.ensure_future(run(host, "lunch", b"{}", gone=gone))
        if is_gone:
            await until(lambda: preparing._times == 2)
            gone.set_result(None)
        try:
            with pytest.raises(CallerGone if is_gone else NoRoom):
                await waiting
        finally:
            over.set()

    apps.runner.run(once())
    assert apps.kinds("lunch")[-1] == ("refused", "caller_gone" if is_gone else "no_room")


@pytest.mark.parametrize("path", ["{root}/../other/theirs.tar", "../other/theirs.tar"])
def test_a_file_outside_the_root_is_refused_for_images_too(apps, path):
    raw = archive(ECHO_SCRIPT)
    (apps.root.parent / "other").mkdir()
    (apps.root.parent / "other" / "theirs.tar").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    decision = apps.deploy("box", {"path": path.format(root=apps.root)}, APPROVED + digest, "container")
    assert [(one.rule, one.path) for one in decision.violations] == [("RUN-003", "/spec/runtime/module/path")]


def test_a_link_out_of_the_root_is_not_followed(apps):
    (apps.root.parent / "theirs.wasm").write_bytes(ECHO)
    (apps.root / "box.wasm").symlink_to(apps.root.parent / "theirs.wasm")
    assert apps.deploy("box", {"path": "box.wasm", "sha256": hashlib.sha256(ECHO).hexdigest()}).is_allowed
    with pytest.raises(GovernanceError, match="leads outside"):
        apps.call("box")
    assert STARTED not in apps.kinds("box")


def test_a_checksum_that_is_not_the_image_s_digest_is_refused(apps):
    decision = apps.deploy("box", {"path": "box.tar", "sha256": "ab" * 32}, APPROVED + "0" * 64, "container")
    assert [(one.rule, one.path) for one in decision.violations] == [("RUN-003", "/spec/runtime/module/sha256")]


@needs_runsc
def test_another_file_than_the_image_that_was_decided_on_is_not_started(apps):
    raw = archive(ECHO_SCRIPT)
    (apps.root / "box.tar").write_bytes(raw)
    assert apps.deploy("box", {"path": "box.tar"}, APPROVED + "0" * 64, "container").is_allowed
    with pytest.raises(GovernanceError, match="digest_mismatch"):
        apps.call("box")
    layout = Layout(apps.root / "layout")
    layout.image(raw)
    assert apps.deploy("box", {"path": "layout"}, APPROVED + "0" * 64, "container").is_allowed
    with pytest.raises(GovernanceError, match=r"artifact_refused|digest_mismatch"):
        apps.call("box")
    assert STARTED not in apps.kinds("box")


@needs_runsc
@pytest.mark.parametrize("is_layout", [True, False])
def test_the_image_that_was_decided_on_runs_by_its_digest(apps, is_layout):
    """Of an image layout that of the manifest, of an archive its own."""
    raw = archive(ECHO_SCRIPT)
    (apps.root / "box.tar").write_bytes(raw)
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if is_layout:
        digest = str(Layout(apps.root / "layout").image(raw)["digest"])
    module = {"path": "layout" if is_layout else "box.tar"}
    assert apps.deploy("box", module, APPROVED.replace("sha256:", digest), "container").is_allowed
    assert json.loads(apps.call("box", b'{"a":1}').outcome.output) == {"a": 1}
    start = next(record for record in apps.world.records() if record["kind"] == "runtime_started")
    assert start["public"]["digests"] == {"rootfs": digest}


def test_calls_with_the_same_permission_share_an_instance_and_a_start_is_recorded_once(apps):
    apps.module("words", OLD)
    assert [apps.call("words").outcome.output for _ in range(3)] == [b"old"] * 3
    assert apps.kinds("words")[-4:] == [("deploy", "allow"), STARTED, ("deploy", "allow"), ("deploy", "allow")]


@pytest.mark.parametrize(
    "change", [lambda apps: apps.module("words", NEW), lambda apps: apps.module("words", OLD, memoryMiB=64)]
)
def test_a_redeploy_starts_anew(apps, change):
    apps.module("words", OLD)
    apps.call("words")
    change(apps)
    apps.call("words")
    assert apps.kinds("words").count(STARTED) == 2


def test_an_app_that_was_refused_in_between_starts_anew(apps):
    """What ran under the permission before is ended with it."""
    apps.module("words", OLD)
    apps.call("words")
    stored = apps.settings.home / "apps" / "words.json"
    kept = stored.read_text()
    stored.write_text(kept.replace("employees:read", "employees:write"))
    assert apps.call("words").outcome is None
    stored.write_text(kept)
    assert apps.call("words").outcome.output == b"old"
    assert apps.kinds("words").count(STARTED) == 2


def test_what_a_warm_instance_asks_for_is_told_of_the_call_that_runs(apps):
    apps.module("where2eat", asking(json.dumps({"op": "connector.call", "connector": "hris", **CALL})))
    for trace in ("aa" * 16, "bb" * 16):
        outcome = apps.runner.run(run(apps.host, "where2eat", b"{}", trace)).outcome
        assert json.loads(outcome.output)["ok"]["status"] == 200
    told = [(r["kind"], r["public"]["trace_id"][:2]) for r in apps.world.records() if r["kind"] != "deploy"]
    assert told == [
        ("runtime_started", "aa"), ("connector_call", "aa"), ("data_flow", "aa"), ("connector_call", "bb"), ("data_flow", "bb"),
    ]  # fmt: skip


def test_a_call_that_waited_across_a_redeploy_runs_the_new_code(apps):
    apps.host = apps.host._replace(fresh_s=60)
    apps.module("words", OLD)
    ran = apps.while_queued("words", lambda: apps.module("words", NEW))
    assert ran.outcome.output == b"new"
    assert apps.kinds("words")[-2:] == [("deploy", "allow"), STARTED]


def test_a_call_that_waited_longer_than_a_moment_is_decided_again(apps):
    apps.host = apps.host._replace(fresh_s=0)
    apps.module("words", OLD)
    before = len(apps.kinds("words"))
    ran = apps.while_queued("words", lambda: None)
    assert apps.kinds("words")[before:] == [("deploy", "allow"), ("deploy", "allow"), STARTED]
    assert ran.decision.decision_id == apps.world.records()[-2]["public"]["decision_id"]


def test_a_call_that_is_refused_when_its_turn_comes_is_not_run(apps):
    apps.module("words", PUTS)
    stored = apps.settings.home / "apps" / "words.json"

    def withdraw() -> None:
        stored.write_text(stored.read_text().replace("employees:read", "employees:write") + " ")

    ran = apps.while_queued("words", withdraw)
    assert (ran.outcome, ran.decision.effect) == (None, "deny")
    assert STARTED not in apps.kinds("words")


def test_a_call_that_is_cancelled_says_so(apps):
    apps.module("words", PUTS)

    async def once() -> None:
        with apps.busy():
            waiting = asyncio.ensure_future(run(apps.host, "words", b"{}", TRACE))
            await until(lambda: apps.kinds("words").count(("deploy", "allow")) == 2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    apps.runner.run(once())
    assert apps.kinds("words")[-1] == ("refused", "given_up")
    assert apps.world.records()[-1]["public"]["trace_id"] == TRACE
    assert not (apps.settings.home / "app-storage.db").exists()


def test_a_call_whose_caller_hung_up_is_dropped_and_says_so(apps):
    apps.module("words", PUTS)
    gone = apps.runner.get_loop().create_future()
    with pytest.raises(CallerGone):
        apps.while_queued("words", lambda: gone.set_result(None), gone=gone)
    assert apps.kinds("words")[-2:] == [("deploy", "allow"), ("refused", "caller_gone")]
    assert apps.world.records()[-1]["public"]["trace_id"] == TRACE
    assert not (apps.settings.home / "app-storage.db").exists()


def test_a_call_waits_for_so_long_and_no_longer(apps):
    apps.host = apps.host._replace(longest_wait_s=0.05)
    apps.module("words", PUTS)
    gone = apps.runner.get_loop().create_future()
    with pytest.raises(NoRoom):
        apps.while_queued("words", lambda: None, gone=gone)
    assert apps.kinds("words")[-2:] == [("deploy", "allow"), ("refused", "no_room")]


def test_a_call_that_finds_no_room_leaves_no_record_of_a_start(apps):
    full = Pool(1, Share(most_waiting=0))
    apps.host = apps.host._replace(pool=full)
    apps.module("words", OLD)
    with pytest.raises(NoRoom) as refused:
        apps.call("words")
    full.close()
    assert refused.value.retry_after_s >= 1
    assert apps.kinds("words")[-2:] == [("deploy", "allow"), ("refused", "no_room")]


def test_a_host_that_cannot_write_says_so(apps):
    """Whatever the disk does: here, a file lies where compiled code is kept."""
    apps.module("words", OLD)
    code = apps.settings.home / "runtimes" / "wasm"
    shutil.rmtree(code, ignore_errors=True)
    code.write_text("")
    with pytest.raises(DependencyError):
        apps.call("words")
    assert apps.kinds("words")[-2:] == [("deploy", "allow"), ("refused", "dependency_failed")]
