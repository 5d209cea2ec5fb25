"""Waivers of an installation: proposed by one, approved by another, in force until an instant, or revoked.

In the state: waivers/<name>.yaml            in force; the same format as a file in the settings' folder
              waivers/proposed/<name>.json   waits for somebody else's approval, and excuses nothing
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.enrich.scan import without_findings
from governance.errors import CallerError, Forbidden, GovernanceError, NotFound, RuleError
from governance.model.moment import utc_now
from governance.normalise.requests import normalise_document
from governance.policy.waivers import is_expired, waiver_files, waiver_in, waiver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from governance.model.decision import Decision
    from governance.model.request import Json, Request, Source
    from governance.policy.waivers import Waiver
    from governance.state.port import State

FOLDER, HOME = "folder", "home"
"""What records call the folder that the settings name, and that of waivers that were made here."""
API_VERSION = "microapps.internal/v1alpha1"
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
NOBODY = "(nobody yet)"
MADE, _PROPOSED = "waivers", "waivers/proposed"


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
    person: str = ""
    """Whose key the author's is, where that is known."""


class Text(NamedTuple):
    """A waiver as it is written down."""

    label: str
    """Its name in records: the folder's, and that of the file in it."""
    where: str
    read: Callable[[], bytes]

    def waiver(self, rules: Collection[str] | None) -> Waiver:
        """As for `waiver_of`; also raises what reading it raises."""
        return waiver_in(self.read(), self.where, rules)


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

    def approved_spec(self, proposal: Proposal, approver: str, person: str = "") -> dict[str, Json]:
        """The whole specification; raises Forbidden where the author approves their own, Conflict where the name is taken.

        `person`: whose key the approver's is; two keys of one person are one.
        """
        if self._state.read(_path(proposal.name)) is not None:
            raise Conflict(f"a waiver {proposal.name!r} is in force already", hint="revoke it first")
        if person and person == proposal.person:
            raise Forbidden(
                "nobody approves their own waiver", hint="two keys of one person are one; somebody else has to"
            )
        if approver.casefold() in {proposal.author.casefold(), str(proposal.spec.get("owner", "")).strip().casefold()}:
            raise Forbidden("nobody approves their own waiver", hint="somebody else has to, with a key of their own")
        return {**proposal.spec, "approver": approver}

    def add(self, name: str, spec: dict[str, Json]) -> None:
        """Put a waiver in force; workers see it within a second."""
        raw = _written(name, spec)
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
    return f"{MADE}/{_checked(name)}.yaml"


def _place(name: str) -> str:
    return f"{_PROPOSED}/{_checked(name)}.json"


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a waiver {name!r} already", hint="revoke it first, or choose another name")


def _gone(_held: bytes | None) -> None:
    """An edit that removes."""


def _shown(text: Text, source: str) -> dict[str, Any]:
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
    """What a record of a waiver says openly; its reason is sealed. Who answers for it is named, all else is masked."""
    people = {key: str(spec.get(key, "")) for key in ("owner", "approver")}
    known = {key: without_findings(str(spec.get(key, ""))) for key in ("rule", "subject", "expires", "ticket")}
    kind, _, whose = known["subject"].partition(":")
    return {
        "waiver": without_findings(name), **known, **people, "rules": [known["rule"]],
        "app": whose if kind == "app" else "", "tenant": whose if kind == "tenant" else "", **more,
    }  # fmt: skip


def sealed_of(spec: dict[str, Json]) -> dict[str, Json]:
    """What a record of a waiver seals."""
    return {"reason": without_findings(str(spec.get("reason", "")))}


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
        store.check(name, {**whole, "approver": NOBODY}, rules)
    except RuleError as error:
        raise CallerError(error.message, where=error.where, hint=error.hint) from error
    return whole


def question_of(name: str, spec: dict[str, Json], source: Source) -> Request:
    """The question to the policy whether there may be such a waiver."""
    return normalise_document({"kind": "registry_entry", "resource": _document(name, spec)}, source)


def check_allowed(decision: Decision) -> None:
    """Raise Forbidden for a waiver that policy refuses."""
    if not decision.is_allowed:
        why = "; ".join(v.message for v in decision.violations if v.effect == decision.effect) or decision.reason
        hint = f"decision {decision.decision_id} is on record"
        raise Forbidden(f"the policy refuses this waiver: {why}", where="/spec", hint=hint)


def place_of(name: str, spec: dict[str, Json] | None) -> dict[str, Json]:
    """How the record of a waiver of a home names its file, so that the file itself needs none; no `spec`: it is gone."""
    return {"file": f"{HOME}/{name}.yaml", "digest": "" if spec is None else digest_of(_written(name, spec))}


def digest_of(raw: bytes) -> str:
    """How records name the content of a file."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _written(name: str, spec: dict[str, Json]) -> bytes:
    import yaml

    return yaml.safe_dump(_document(name, spec), sort_keys=False, allow_unicode=True).encode()


def _document(name: str, spec: dict[str, Json]) -> dict[str, Json]:
    return {"apiVersion": API_VERSION, "kind": "Waiver", "metadata": {"name": name}, "spec": spec}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NotFound(f"there is no waiver {name[:80]!r}")
    return name


def texts_of(state: State, folder: str) -> list[Text]:
    """Every waiver that is written down: those of the settings' folder, and those that were made here."""
    return [*_in_folder(folder), *_made(state)]


def _in_folder(folder: str) -> list[Text]:
    return [Text(_label(FOLDER, path), path, functools.partial(_read, path)) for path in files_of(folder)]


def _made(state: State) -> list[Text]:
    names = (name for name in state.names(MADE) if name.endswith((".yaml", ".yml")))
    return [Text(_label(HOME, name), name, functools.partial(_held, state, name)) for name in names]


def _label(folder: str, path: str) -> str:
    return f"{folder}/{os.path.basename(path)}"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _held(state: State, name: str) -> bytes:
    return state.read(name) or b""


def files_of(folder: str) -> list[str]:
    """Paths of a folder's waiver files; none where there is no such folder."""
    try:
        return waiver_files(folder) if folder else []
    except OSError:
        return []
