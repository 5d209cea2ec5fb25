"""A host of apps: what it starts is what was decided on, in the state that things are in when it starts."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from governance.entrypoints.cli.runtime_run import hosting
from governance.errors import GovernanceError
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.broker.running import run
from governance.wiring import active_of, directory_of, parts_for
from runtime_adapters import gvisor
from tests.contract.guests import ECHO
from tests.contract.layouts import Layout
from tests.contract.roots import BUSYBOX, archive
from tests.contract.roots import ECHO as ECHO_SCRIPT
from tests.unit.broker.conftest import APP, World

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
        return await run(self.host, name, directory_of(self.settings).app(name), body)

    def call(self, name: str, body: bytes = b"{}"):
        return self.runner.run(self.asked(name, body))

    def kinds(self, name: str) -> list[tuple[str, str]]:
        """(kind, effect or error) of the records about an app, the first first."""
        found = [record for record in self.world.records() if record["public"].get("app", name) == name]
        return [(record["kind"], record["public"].get("error") or record["public"]["effect"]) for record in found]

    def close(self) -> None:
        self.runner.run(self._hosting.__aexit__(None, None, None))
        self.runner.run(self.world.broker.close())
        self.runner.close()
        self.world.double.stop()
        vars(self.world).clear()
        vars(self).clear()


@pytest.fixture
def apps(tmp_path):
    made = Hosted(tmp_path)
    yield made
    made.close()


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
    assert ("runtime_started", "allow") not in apps.kinds("box")


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
    assert ("runtime_started", "allow") not in apps.kinds("box")


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
