"""Putting a state in force: looked at by Envoy itself, renamed into the watched folder, and its answer read back.

Order of events: `checks`, Envoy's `--mode validate` on the whole in one file, rename file by file, the statistics of every
running gateway. Whatever fails before the rename leaves no trace; what a running Envoy refuses is taken back, so that the
folder always holds the last good configuration, which is what a restarted Envoy comes up with.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.gateway.admin import statistics, taken
from runtime_adapters.gateway.configuration import (
    ANSWERING,
    CLUSTERS,
    ISSUERS,
    KEYS,
    QUESTION,
    one_of_each,
    render,
    static_configuration,
)
from runtime_adapters.gateway.process import write_private
from runtime_adapters.gateway.state import GatewayRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime_adapters.gateway.state import GatewayState

_VALIDATE_S = 120.0
_TAKEN_S = 30.0
_LOOK_AGAIN_S = 0.02


class Applied(NamedTuple):
    """What a change came to."""

    files: tuple[str, ...]
    """The files that are different now; empty: nothing was."""
    took_s: float
    """From the call until every running gateway said that it took them."""


class GatewayFolder:
    """The folder that one or more Envoys watch; one process may write it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.path = folder
        self._program = program
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def apply(self, state: GatewayState, admin_sockets: Sequence[str] = ()) -> Applied:
        """Make `state` what serves. Raises GatewayRefusal, and then the last good one serves as before."""
        begun = time.monotonic()
        wanted = render(state, str(self.path))
        standing = {name: self._read(name) for name in wanted}
        changed = [name for name, text in wanted.items() if standing[name] != text]
        if not changed:
            return Applied((), time.monotonic() - begun)
        looked_at = one_of_each(state, with_apps=bool(set(changed) - {KEYS, ISSUERS, QUESTION, ANSWERING}))
        self._validate(static_configuration(looked_at))
        before = {path: _told(path, time.monotonic() + _TAKEN_S) for path in admin_sockets}
        if CLUSTERS in changed and standing[CLUSTERS]:
            # While old and new routes follow each other, the clusters of both have to be there.
            write_private(self.path / CLUSTERS, _both(standing[CLUSTERS], wanted[CLUSTERS]))
        try:
            for name in _without(changed, CLUSTERS) if standing[CLUSTERS] else changed:
                write_private(self.path / name, wanted[name])
            self._wait(_without(changed, CLUSTERS), wanted, before)
            if CLUSTERS in changed:
                if self._read(CLUSTERS) != wanted[CLUSTERS]:
                    write_private(self.path / CLUSTERS, wanted[CLUSTERS])
                self._wait([CLUSTERS], wanted, before)
        except (GatewayRefusal, OSError):
            self._put_back(standing)
            raise
        return Applied(tuple(changed), time.monotonic() - begun)

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def _put_back(self, standing: dict[str, str]) -> None:
        for name, text in standing.items():
            if text and self._read(name) != text:
                write_private(self.path / name, text)

    def _validate(self, text: str) -> None:
        # Not below the watched folder: each file that comes and goes there would wake every gateway.
        with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
            file = Path(folder) / "whole.json"
            write_private(file, text)
            argv = [self._program, "--mode", "validate", "-c", str(file), "--log-level", "error"]
            try:
                done = subprocess.run(argv, capture_output=True, timeout=_VALIDATE_S, check=False)
            except subprocess.TimeoutExpired as error:
                raise GatewayRefusal(f"Envoy did not look through it within {_VALIDATE_S:.0f} s") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise GatewayRefusal(f"Envoy refuses it: {said[-800:]}")

    def _wait(self, names: Iterable[str], wanted: dict[str, str], before: dict[str, dict[str, str | int]]) -> None:
        """Until every gateway says the new version of each file, or that it refused one."""
        versions = {name: json.loads(wanted[name][: wanted[name].index(",")] + "}")["version_info"] for name in names}
        deadline = time.monotonic() + _TAKEN_S
        for path, old in before.items():
            while True:
                asked = time.monotonic()
                now = _told(path, deadline)
                refused = [name for name in versions if taken(now, name).rejected > taken(old, name).rejected]
                if refused:
                    raise GatewayRefusal(f"a running gateway refuses {refused[0]}; its log says why ({path})")
                missing = [name for name, version in versions.items() if taken(now, name).version != version]
                if not missing:
                    break
                if time.monotonic() > deadline:
                    raise GatewayRefusal(
                        f"a running gateway did not take {missing[0]} within {_TAKEN_S:.0f} s ({path})"
                    )
                # With many apps an answer is work for the thread that should be taking the change.
                time.sleep(max(_LOOK_AGAIN_S, time.monotonic() - asked))


def _told(path: str, deadline: float) -> dict[str, str | int]:
    """The statistics; who is busy with a change answers later. Raises OSError where it ended, and at `deadline`."""
    while True:
        try:
            return statistics(path)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _without(names: Iterable[str], one: str) -> list[str]:
    return [name for name in names if name != one]


def _both(standing: str, wanted: str) -> str:
    """The wanted clusters and those of the standing ones that are gone; the wanted ones alone where none is."""
    new = json.loads(wanted)
    names = {cluster["name"] for cluster in new["resources"]}
    gone = [cluster for cluster in json.loads(standing)["resources"] if cluster["name"] not in names]
    if not gone:
        return wanted
    return json.dumps({"version_info": new["version_info"] + "+", "resources": [*new["resources"], *gone]})
