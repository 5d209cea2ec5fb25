"""Consents of several replicas: one document each in the state that they share, sealed there as all of it is.

What a replica goes by is at most a second old; where it cannot be had, no consent is in force. Questions lie together in a few
documents, so that those which nobody answers go with the next one that is asked.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError, NotFound
from governance.platform.oauth.consents import NO_CONSENT, QUESTION_LIVES_S, Consent

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.state.port import State

_FOLDER = "consents"
_LEASED = "leased_until"
# Of a digest: how many documents questions are spread over (256).
_SHARD = 2


class SharedConsents:
    """As the port says, in the replicas' state."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state, self._clock = state, clock
        self._index = _Index(state)

    def ask(self, consent: Consent, state_digest: str) -> None:
        """As the port says."""

        def edit(held: bytes | None) -> bytes:
            if held is not None:
                raise CallerError(f"the consent {consent.id} was asked for before")
            return _written({**consent._asdict(), _LEASED: 0.0})

        self._state.change(_place(consent.id), edit)
        if state_digest:
            now = self._clock()

            def put(held: bytes | None) -> bytes:
                open_ones = {name: one for name, one in _read(held).items() if one[1] > now}
                return _written({**open_ones, state_digest: [consent.id, now + QUESTION_LIVES_S]})

            self._state.change(_questions(state_digest), put)

    def answered(self, state_digest: str) -> Consent | None:
        """As the port says: of two replicas that are answered at once only one finds the question."""
        taken: list[tuple[str, float]] = []

        def take(held: bytes | None) -> bytes | None:
            questions = _read(held)
            taken[:] = [tuple(questions.pop(state_digest))] if state_digest in questions else []
            return _written(questions) if taken else held

        self._state.change(_questions(state_digest), take)
        if not taken or taken[0][1] <= self._clock():
            return None
        self._state.stamp(_FOLDER, newest=True)
        return self.get(taken[0][0])

    def get(self, consent_id: str) -> Consent | None:
        """As the port says. One that is not in force is looked up anew: it may have been given elsewhere a moment ago."""
        found = self._known(consent_id)
        if found is None or found.state == "asked":
            self._state.stamp(_FOLDER, newest=True)
            found = self._known(consent_id)
        return found

    def give(self, consent: Consent) -> bool:
        """As the port says."""
        given = {"state": "given", "scopes": consent.scopes, "given_at": consent.given_at}
        return self._changed(consent.id, lambda row: given if row["state"] == "asked" else None)

    def withdraw(self, consent_id: str, by: str, now: str) -> Consent:
        """As the port says; replicas that do not hear of it within a second let nothing out either."""
        ended = {"state": "withdrawn", "ended_at": now, "ended_by": by}
        self._changed(consent_id, lambda row: ended if row["state"] != "withdrawn" else None)
        self._state.stamp(_FOLDER, newest=True)
        found = self._known(consent_id)
        if found is None:
            raise NotFound(f"there is no consent {consent_id[:64]!r}", hint=NO_CONSENT)
        return found

    def remove(self, consent_id: str) -> None:
        """As the port says; what the database's own log keeps of it is sealed."""
        self._state.change(_place(consent_id), lambda _: None)

    def scrub(self) -> None:
        """Nothing to do: the database's files hold what is sealed, and the certificate says so."""

    def all(self, tenant: str = "", person: str = "") -> list[Consent]:
        """As the port says, without looking at those of others."""
        return self._index.of(tenant, person)

    def lease(self, consent_id: str, seconds: float) -> bool:
        """As the port says. Whoever has it knows what the one before left behind, or DependencyError is raised."""
        now = self._clock()
        is_mine = self._changed(
            consent_id, lambda row: {_LEASED: now + seconds} if row.get(_LEASED, 0.0) <= now else None
        )
        if is_mine:
            self._state.stamp(_FOLDER, newest=True)
        return is_mine

    def release(self, consent_id: str) -> None:
        """As the port says."""
        self._changed(consent_id, lambda _: {_LEASED: 0.0})

    def keep(self, consent: Consent) -> None:
        """Take over a consent as it stands elsewhere; one that is here stays."""
        row = _written({**consent._asdict(), _LEASED: 0.0})
        self._state.change(_place(consent.id), lambda held: row if held is None else held)

    def _known(self, consent_id: str) -> Consent | None:
        raw = self._state.read(_place(consent_id))
        return None if raw is None else _consent(raw)

    def _changed(self, consent_id: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> bool:
        """Whether there was such a consent, and `change` had something to change in it."""
        done = False

        def edit(held: bytes | None) -> bytes | None:
            nonlocal done
            changed = None if held is None else change(_read(held))
            done = changed is not None
            return held if changed is None else _written({**_read(held), **changed})

        self._state.change(_place(consent_id), edit)
        return done


class _Index:
    """Whose consents are whose, in this process: read again is what changed, and looked through what is asked for.

    What the documents hold is sealed in the database, so that nothing there could find them by a person.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._stamp: object = None
        self._held: dict[str, tuple[bytes, Consent]] = {}
        self._names: dict[tuple[str, str], set[str]] = {}
        self._alone = threading.Lock()

    def of(self, tenant: str, person: str) -> list[Consent]:
        """Newest first; empty stands for everybody."""
        with self._alone:
            self._refresh()
            found = [self._held[name][1] for name in self._names.get((tenant, person), ())]
        return sorted(found, key=lambda row: row.id, reverse=True)

    def _refresh(self) -> None:
        stamp = self._state.stamp(_FOLDER)
        if stamp is not None and stamp == self._stamp:
            return
        names = set(self._state.names(_FOLDER))
        for name in names | set(self._held):
            self._take_up(name, self._state.read(name) if name in names else None)
        # Last: where the state went away in between, all of it is done again.
        self._stamp = stamp

    def _take_up(self, name: str, raw: bytes | None) -> None:
        known = self._held.get(name)
        if known is not None and known[0] == raw:
            return
        if known is not None:
            del self._held[name]
            for place in _places(known[1]):
                self._names[place].discard(name)
                if not self._names[place]:  # the name of who was erased must not stay
                    del self._names[place]
        if raw is not None:
            consent = _consent(raw)
            self._held[name] = raw, consent
            for place in _places(consent):
                self._names.setdefault(place, set()).add(name)


def _places(consent: Consent) -> tuple[tuple[str, str], ...]:
    return ("", ""), (consent.tenant, ""), ("", consent.person), (consent.tenant, consent.person)


def _consent(raw: bytes) -> Consent:
    row = _read(raw)
    row.pop(_LEASED, None)
    return Consent(**{**row, "scopes": tuple(row["scopes"])})


def _place(consent_id: str) -> str:
    # An identifier may be whatever an app names.
    return f"{_FOLDER}/{consent_id if consent_id.replace('-', '').isalnum() else ''}.json"


def _questions(digest: str) -> str:
    return f"{_FOLDER}/questions/{digest[:_SHARD]}.json"


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _read(raw: bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw or b"{}")
    return found
