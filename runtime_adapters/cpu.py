"""The cap on processor time, for engines that have none of their own.

Best a control group, whose quota the kernel keeps (`cpu.max` of version 2, `cpu.cfs_quota_us` of version 1): a guest that
spins runs at its share and no faster. Where no group can be made, a watchdog: a guest has a budget of `cpu` times the time
cap of a call, which fills up again at `cpu` cores, and is killed when it is spent. Which one holds is found out by
throttling something, never by looking for a file.
"""

from __future__ import annotations

import contextlib
import math
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters import processes
from runtime_adapters.port import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime_adapters.plan import Caps

# The kernel's own bounds of a period and a quota, in microseconds (kernel documentation, "CFS Bandwidth Control").
_PERIOD, _LONGEST_PERIOD, _SMALLEST_QUOTA = 100_000, 1_000_000, 1000
_PROBE_S = 2.0
_PREFIX = "microapp-"


class Control(NamedTuple):
    """How this host holds a cap."""

    kind: str
    """cgroup-v2 | cgroup-v1 | watchdog"""
    parent: Path | None
    """Where groups are made."""

    def group(self, name: str, cores: float) -> Group | None:
        """A group for one sandbox; None where a watchdog holds the cap. Raises NotAvailable: then nothing may start."""
        period = _PERIOD if cores * _PERIOD >= _SMALLEST_QUOTA else _LONGEST_PERIOD
        if not math.isfinite(cores) or cores * period < _SMALLEST_QUOTA:
            raise NotAvailable(f"a cap of {cores:g} cores cannot be held: the least is 0.001")
        if self.parent is None:
            return None
        group = Group(self.parent / f"{_PREFIX}{name}")
        try:
            group.make(self.kind, round(cores * period), period)
        except OSError as error:
            group.remove()
            raise NotAvailable(
                f"the cap of {cores:g} cores cannot be held: {error.filename or group.path}: {error.strerror or error}"
            ) from error
        return group

    def remove(self, name: str) -> None:
        """The group of a sandbox that is gone."""
        if self.parent is not None:
            Group(self.parent / f"{_PREFIX}{name}").remove()


WATCHDOG = Control("watchdog", None)


class Group:
    """One control group."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, kind: str, quota: int, period: int) -> None:
        """Raises OSError."""
        self.path.mkdir()
        if kind == "cgroup-v2":
            (self.path / "cpu.max").write_text(f"{quota} {period}")
        else:
            (self.path / "cpu.cfs_period_us").write_text(str(period))
            (self.path / "cpu.cfs_quota_us").write_text(str(quota))

    def entering(self) -> list[str]:
        """Put before a command: it is in the group before it runs, or does not run."""
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs")]

    def add(self, process: int) -> None:
        """With all its threads. Raises NotAvailable."""
        try:
            (self.path / "cgroup.procs").write_text(str(process))
        except OSError as error:
            raise NotAvailable(f"the cap on cores cannot be held: {self.path}: {error.strerror or error}") from error

    def throttled(self) -> int:
        """How many periods ended with somebody waiting for the next one."""
        for line in (self.path / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled":
                return int(value)
        return 0

    def remove(self, wait_s: float = 1.0) -> None:
        """Once its processes are gone; the kernel takes a moment to let go of the last one."""
        deadline = time.monotonic() + wait_s
        while self.path.exists():
            with contextlib.suppress(OSError):
                self.path.rmdir()
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)


class Budget:
    """What a watchdog counts: seconds of processor time that a sandbox has left.

    >>> budget = Budget(cores=0.5, timeout_s=2.0, start_s=0.0, now=0.0)
    >>> [budget.is_spent(used_s, now) for used_s, now in ((1.0, 1.0), (2.0, 2.0), (2.1, 2.0))]
    [False, False, True]
    """

    def __init__(self, cores: float, timeout_s: float, start_s: float, now: float) -> None:
        """`start_s`: what the sandbox itself needs to start, on top of the app's own and once."""
        self._cores, self._most = cores, cores * timeout_s
        self._left, self._used, self._at = self._most + start_s, 0.0, now

    def is_spent(self, used_s: float, now: float) -> bool:
        """`used_s`: seconds used since the start. What was saved never adds up to more than one call's budget."""
        full = max(self._most, self._left)
        self._left = min(full, self._left + self._cores * (now - self._at)) - max(0.0, used_s - self._used)
        self._used, self._at = max(used_s, self._used), now
        return self._left < -1e-9


def budget_of(caps: Caps, start_s: float) -> Budget:
    """The budget of one sandbox that starts now."""
    return Budget(caps.cpu, caps.timeout_ms / 1000, start_s, time.monotonic())


def overdrawn(budget: Budget, sandbox: Sequence[int], caps: Caps) -> str:
    """Why a sandbox has to go, or nothing; one whose processor time nobody can read has to go as well."""
    used_ms = processes.cpu_ms(list(sandbox))
    if used_ms < 0:
        return "fuel: its processor time cannot be read"
    if budget.is_spent(used_ms / 1000, time.monotonic()):
        return f"fuel: more than its share of processor time, {caps.cpu:g} cores over {caps.timeout_ms} ms"
    return ""


@cache
def control() -> Control:
    """The strongest that works here."""
    for kind, parent in _places():
        if _throttles(Control(kind, parent)):
            return Control(kind, parent)
    return WATCHDOG


def _throttles(candidate: Control) -> bool:
    """Whether something that spins in a group of a hundredth of a core is made to wait."""
    try:
        group = candidate.group(f"probe-{time.monotonic_ns()}", 0.01)
    except NotAvailable:
        return False
    if group is None:
        return False
    command = [*group.entering(), "/bin/sh", "-c", "while :; do :; done"]
    with subprocess.Popen(  # noqa: S603  the command is our own
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + _PROBE_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if group.throttled() > 0:
                    return True
                time.sleep(0.01)
        except OSError:
            return False
        finally:
            process.kill()
            process.wait()
            group.remove()
    return False


def _places(proc: Path = Path("/proc/self")) -> Iterator[tuple[str, Path]]:
    """Where groups might be made: below our own group, beside it, and at the top of what we see."""
    with contextlib.suppress(OSError):
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
        own = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
        for kind, mount, path in _hierarchies(mounts, own):
            for place in dict.fromkeys((mount / path, (mount / path).parent, mount)):
                if place == mount or mount in place.parents:
                    yield kind, place


def _hierarchies(mounts: Sequence[Sequence[str]], own: Sequence[Sequence[str]]) -> Iterator[tuple[str, Path, str]]:
    """Kind, mount point and our own path within, from `mountinfo` and `cgroup` (proc(5), cgroups(7))."""
    for fields in mounts:
        sort, options = fields[fields.index("-") + 1], fields[-1].split(",")
        for number, controllers, path in own:
            if sort == "cgroup2" and number == "0" and not controllers:
                yield "cgroup-v2", Path(fields[4]), path.lstrip("/")
            elif sort == "cgroup" and "cpu" in options and "cpu" in controllers.split(","):
                yield "cgroup-v1", Path(fields[4]), path.lstrip("/")
