"""Waivers of an installation: proposed by one, approved by another, in force until an instant, or revoked.

In the state: waivers/<name>.yaml            in force; the same format as a file in the settings' folder
              waivers/proposed/<name>.json   waits for somebody else's approval, and excuses nothing
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import CallerError, Forbidden, GovernanceError, NotFound, RuleError
from governance.model.moment import utc_now
from governance.policy.waivers import is_expired, parse_waiver, waiver_files, waiver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from governance.model.request import Json
    from governance.policy.waivers import Waiver
    from governance.state.port import State

API_VERSION = "microapps.internal/v1alpha1"
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NOBODY = "(nobody yet)"
_FOLDER, _PROPOSED = "waivers", "waivers/proposed"


class Conflict(CallerError):
    """A waiver of that name exists."""

    code = "conflict"
    status = 409


class Proposal(NamedTuple):
    """A waiver that somebody else has to approve."""

    name: str
    spec: dict[str, Json]
    """Without its approver."""
    author: str
    proposed_at: str


class _Text(NamedTuple):
    """Where a waiver stands, and how it is read."""

    where: str
    read: Callable[[], bytes]

    def waiver(self, rules: Collection[str] | None) -> Waiver:
        return parse_waiver(self.read(), self.where, rules)


class Excuses:
    """The waivers that count, read again when one changes. One that does not read does not count, and holds up no other."""

    def __init__(self, state: State, folder: str) -> None:
        self._state, self._folder = state, folder
        self._stamp: object = None
        self._pulse: object = None
        self._rules: Mapping[str, object] = {}
        self.valid: tuple[Waiver, ...] = ()
        self.problems: tuple[str, ...] = ()

    def in_force(self) -> tuple[Waiver, ...]:
        """Those that count now. Raises DependencyError where other replicas may have revoked one that nobody here heard of."""
        if self._pulse != self._state.pulse():
            self.refresh(self._rules)
        return self.valid

    def refresh(self, rules: Mapping[str, object]) -> tuple[str, ...]:
        """Read what changed, waivers or rules. Returns the problems where it was read, and nothing where not."""
        self._pulse = self._state.pulse()
        stamp = [_stamp(self._folder), self._state.stamp(_FOLDER)]
        if stamp == self._stamp and rules is self._rules:
            return ()
        self._rules = rules
        found: list[Waiver] = []
        problems: list[str] = []
        for text in [*_in_folder(self._folder), *_made(self._state)]:
            try:
                found.append(text.waiver(rules))
            except (GovernanceError, OSError) as error:
                problems.append(str(error))
        self._stamp, self.valid, self.problems = stamp, tuple(found), tuple(problems)
        return self.problems


class WaiverStore:
    """Making and ending waivers. The caller records each step before it asks for it: `preview`, record, then the step."""

    def __init__(self, state: State) -> None:
        self._state = state

    def check(self, name: str, spec: Json, rules: Collection[str]) -> Waiver:
        """The waiver that this would be; raises CallerError or RuleError for one that must not count."""
        if not _NAME.fullmatch(name):
            raise CallerError(f"{name[:80]!r} is not a name", where="/metadata/name", hint="like moving-to-the-new-api")
        waiver = waiver_of({"kind": "Waiver", "metadata": {"name": name}, "spec": spec}, "/spec", rules)
        if is_expired(waiver, utc_now()):
            raise CallerError(f"{waiver.expires} is over already", where="/spec/expires")
        return waiver

    def check_free(self, name: str) -> None:
        """Raise Conflict where the name is taken."""
        if self._state.read(_path(name)) is not None or self._state.read(_place(name)) is not None:
            raise _taken(name)

    def propose(self, proposal: Proposal) -> None:
        """Keep a proposal; raises Conflict."""
        self.check_free(proposal.name)

        def first(held: bytes | None) -> bytes:
            if held is not None:
                raise _taken(proposal.name)
            return json.dumps(proposal._asdict()).encode()

        self._state.change(_place(proposal.name), first)

    def proposal(self, name: str) -> Proposal:
        """Raises NotFound."""
        try:
            return Proposal(**json.loads(self._state.read(_place(name)) or b""))
        except (OSError, ValueError, TypeError) as error:
            raise NotFound(f"no waiver {name[:80]!r} waits for an approval") from error

    def approved_spec(self, proposal: Proposal, approver: str) -> dict[str, Json]:
        """The whole specification; raises Forbidden where the author approves their own, Conflict where the name is taken."""
        if self._state.read(_path(proposal.name)) is not None:
            raise Conflict(f"a waiver {proposal.name!r} is in force already", hint="revoke it first")
        if approver.casefold() in {proposal.author.casefold(), str(proposal.spec.get("owner", "")).strip().casefold()}:
            raise Forbidden("nobody approves their own waiver", hint="somebody else has to, with a key of their own")
        return {**proposal.spec, "approver": approver}

    def add(self, name: str, spec: dict[str, Json]) -> None:
        """Put a waiver in force; workers see it within a second."""
        import yaml

        document = {"apiVersion": API_VERSION, "kind": "Waiver", "metadata": {"name": name}, "spec": spec}
        raw = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
        self._state.change(_path(name), lambda _: raw)
        self._state.change(_place(name), _gone)

    def held(self, name: str) -> dict[str, Any]:
        """A waiver or a proposal of this home, as it is shown; raises NotFound."""
        for row in self.all():
            if row["name"] == name:
                return row
        raise NotFound(f"there is no waiver {name[:80]!r}", hint="waivers in files are ended by removing the file")

    def revoke(self, name: str) -> None:
        """End a waiver or a proposal."""
        self._state.change(_path(name), _gone)
        self._state.change(_place(name), _gone)

    def all(self) -> list[dict[str, Any]]:
        """Everything that was made here, with its state: `in_force`, `expired`, `proposed` or `unreadable`."""
        rows = [_shown(text, "home") for text in _made(self._state)]
        for document in self._state.names(_PROPOSED):
            with contextlib.suppress(NotFound):
                found = self.proposal(document.removeprefix(f"{_PROPOSED}/").removesuffix(".json"))
                row = {**found.spec, "name": found.name, "author": found.author, "proposed_at": found.proposed_at}
                rows.append({**row, "state": "proposed", "source": "home"})
        return rows


def _path(name: str) -> str:
    return f"{_FOLDER}/{_checked(name)}.yaml"


def _place(name: str) -> str:
    return f"{_PROPOSED}/{_checked(name)}.json"


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a waiver {name!r} already", hint="revoke it first, or choose another name")


def _gone(_held: bytes | None) -> None:
    """An edit that removes."""


def _shown(text: _Text, source: str) -> dict[str, Any]:
    """A waiver as it is listed."""
    try:
        waiver = text.waiver(None)
    except (GovernanceError, OSError) as error:
        name = os.path.basename(text.where).rsplit(".", 1)[0]
        return {"name": name, "state": "unreadable", "source": source, "problem": str(error)}
    state = "expired" if is_expired(waiver, utc_now()) else "in_force"
    return {**waiver._asdict(), "state": state, "source": source}


def listed(state: State, folder: str) -> list[dict[str, Any]]:
    """Every waiver of the settings' folder, and those that were made here."""
    return [*(_shown(text, "file") for text in _in_folder(folder)), *WaiverStore(state).all()]


def made_waivers(state: State, rules: Collection[str]) -> tuple[Waiver, ...]:
    """Those that were made here; raises RuleError for one that must not count."""
    return tuple(text.waiver(rules) for text in _made(state))


def public_of(name: str, spec: dict[str, Json], **more: Json) -> dict[str, Json]:
    """What a record of a waiver says openly; its reason is sealed."""
    subject = str(spec.get("subject", ""))
    kind, _, whose = subject.partition(":")
    known = {key: str(spec.get(key, "")) for key in ("rule", "subject", "owner", "approver", "expires", "ticket")}
    return {
        "waiver": name, **known, "rules": [known["rule"]], "app": whose if kind == "app" else "",
        "tenant": whose if kind == "tenant" else "", **more,
    }  # fmt: skip


def spec_without_approver(
    spec: Json, author: str, rules: Collection[str], store: WaiverStore, name: str
) -> dict[str, Json]:
    """A proposal's specification, checked; raises CallerError or RuleError."""
    if not isinstance(spec, dict):
        raise CallerError("has to be an object", where="/spec")
    if "approver" in spec:
        raise CallerError("is whoever approves it", where="/spec/approver", hint="POST /v1/waivers/{name}/approval")
    whole = {"owner": author, **spec}
    try:
        store.check(name, {**whole, "approver": _NOBODY}, rules)
    except RuleError as error:
        raise CallerError(error.message, where=error.where, hint=error.hint) from error
    return whole


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NotFound(f"there is no waiver {name[:80]!r}")
    return name


def _in_folder(folder: str) -> list[_Text]:
    return [_Text(path, functools.partial(_read, path)) for path in _files(folder)]


def _made(state: State) -> list[_Text]:
    names = (name for name in state.names(_FOLDER) if name.endswith((".yaml", ".yml")))
    return [_Text(name, functools.partial(_held, state, name)) for name in names]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _held(state: State, name: str) -> bytes:
    return state.read(name) or b""


def _files(folder: str) -> list[str]:
    try:
        return waiver_files(folder) if folder else []
    except OSError:
        return []


def _stamp(folder: str) -> object:
    rows = []
    for path in _files(folder):
        try:
            status = os.stat(path)
        except OSError:
            continue
        rows.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
    return rows
