"""Apps that are being got ready: beside the loop, one of a kind at a time, and to the end whoever gives up."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from governance.platform.broker.preparing import Preparing
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, NotWhatWasDecided
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract.guests import ECHO, module

PLAN = RuntimePlan("lunch", "marketing", "id-1", "wasm", Caps(1, 16, 20_000, 4), ())


@pytest.fixture
def adapter(tmp_path):
    return WasmAdapter(tmp_path / "code")


def piped(folder, raw: bytes) -> Artifact:
    """An artifact that is read when somebody writes it."""
    path = folder / "module.wasm"
    os.mkfifo(path)
    return Artifact(str(path), hashlib.sha256(raw).hexdigest())


def filed(folder, raw: bytes) -> Artifact:
    path = folder / f"{len(raw)}.wasm"
    path.write_bytes(raw)
    return Artifact(str(path), hashlib.sha256(raw).hexdigest())


def write(artifact: Artifact, raw: bytes) -> None:
    with open(artifact.path, "wb") as pipe:
        pipe.write(raw)


def test_others_go_on_and_who_wants_the_same_waits_even_where_the_first_has_given_up(adapter, tmp_path):
    slow, same, other = piped(tmp_path, ECHO), filed(tmp_path, ECHO), filed(tmp_path, module(""))

    async def run() -> None:
        preparing = Preparing()
        first = asyncio.create_task(preparing.prepared(adapter, PLAN, slow))
        assert (await preparing.prepared(adapter, PLAN, other)).attest().app == "lunch"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(preparing.prepared(adapter, PLAN, same))
        await preparing.prepared(adapter, PLAN, other)
        assert not second.done()
        await asyncio.to_thread(write, slow, ECHO)
        assert (await second).start(lambda *_: b"").call(b"hello").output == b"hello"

    asyncio.run(run())


def test_a_refusal_reaches_whoever_waits(adapter, tmp_path):
    changed = filed(tmp_path, ECHO)._replace(sha256="0" * 64)

    async def run() -> None:
        with pytest.raises(NotWhatWasDecided):
            await Preparing().prepared(adapter, PLAN, changed)

    asyncio.run(run())


def test_many_at_once_are_all_prepared(adapter, tmp_path):
    artifacts = [filed(tmp_path, module("", data="x" * number)) for number in range(3)]

    async def run() -> None:
        preparing = Preparing()
        done = await asyncio.gather(*(preparing.prepared(adapter, PLAN, artifacts[n % 3]) for n in range(30)))
        assert [one.attest().digests["module"] for one in done] == [
            f"sha256:{artifacts[n % 3].sha256}" for n in range(30)
        ]

    asyncio.run(run())
