"""Programs that adapters start: which one lies on the path, and whether it is new enough to have been tried."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.port import NotAvailable, WrongEngine

if TYPE_CHECKING:
    from runtime_adapters.pipe import Talked

_ANSWER_S = 20.0
# From the end of its output to its own.
_END_S = 1.0
# What runsc ends with when its sandbox got a SIGKILL: its kernel, its file server or the app itself.
_KILLED_WITHIN = 128 + signal.SIGKILL


class Engine(NamedTuple):
    """One program as it lies on disk."""

    path: str
    said: str
    """The first line of what it says about its version."""
    stamp: str
    """Changes when the file does."""


class Program:
    """A program by name. `pattern` finds the numbers of its version, `least` is the oldest that the adapter was tried on."""

    def __init__(self, name: str, package: str, pattern: str, least: tuple[int, ...]) -> None:
        """`package`: Debian's; empty where Debian has none."""
        self._name, self._pattern, self._least = name, re.compile(pattern), least
        self._from = (
            f"Debian: apt-get install {package}" if package else "not in Debian; see runtime_adapters/README.md"
        )
        self._known: Engine | None = None

    def now(self) -> Engine:
        """What lies there now; asked for its version again when the file changed. Raises NotAvailable, WrongEngine."""
        path = shutil.which(self._name)
        if path is None:
            raise NotAvailable(f"there is no {self._name} on the path ({self._from})")
        about = os.stat(path)
        stamp = f"{about.st_dev}-{about.st_ino}-{about.st_mtime_ns}-{about.st_size}"
        if self._known is None or (self._known.path, self._known.stamp) != (path, stamp):
            self._known = Engine(path, self._version(path), stamp)
        return self._known

    def _version(self, path: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603  the engine that the adapter is for
                [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_ANSWER_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotAvailable(f"{path} does not say its version: {error}") from error
        said = done.stdout.partition("\n")[0][:200]
        found = self._pattern.search(said)
        if found is None or tuple(map(int, found.groups())) < self._least:
            least = ".".join(map(str, self._least))
            raise WrongEngine(f"{path} says {said!r}; {self._name} {least} or newer is needed ({self._from})")
        return said


def killed_or(talked: Talked, process: subprocess.Popen[bytes], name: str) -> Talked:
    """What a call came to whose guest is gone: an end of the app's own, or one that somebody else gave the engine."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        if process.wait(_END_S) < 0 or process.returncode == _KILLED_WITHIN:
            said = f"{name}, or what it ran, was killed under the call; the next call starts anew"
            return talked._replace(status="killed", detail=said)
    return talked
