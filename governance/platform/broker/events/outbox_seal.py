"""What the outbox holds of events is sealed: bodies, ids, sources and reasons stand in no file of any database in clear.

So neither free pages nor a write-ahead log, a standby or a backup keeps what was said once it is taken away. It is sealed under
a key that stands in the same database, wrapped under the log's (`governance.state.wrapping`). Events are found, and told apart,
by tags: HMACs under another such key. An erasure makes a new key, seals anew what is left and lets the old key go: once the
log's key has been changed as well, nobody opens what was sealed before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.errors import Damaged, DependencyError
from governance.state.wrapping import Wrapping, opened_with, sealed_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from governance.platform.broker.events.outbox_store import Execute, Store

OUTBOX = b"microapp-governance/events/v1"
"""What the keys are wrapped for."""
_KEY = 32
_TAGS, _FIRST = 0, 1
"""Generations of keys: that of the tags stays, the others seal and follow each other."""
_PAGE = 500
_ALL = "SELECT generation, id, wrapped FROM sealing ORDER BY generation, id"
_KEPT = "INSERT INTO sealing (generation, id, wrapped) VALUES (?, ?, ?) ON CONFLICT (generation, id) DO NOTHING"


class About(NamedTuple):
    """What is remembered of an event when its body is gone."""

    source: str
    id: str
    digest: str
    decision_id: str


class Seal:
    """Seals and opens what stands in the tables, each bound to its place, as of one transaction."""

    def __init__(self, tags: bytes, secrets: Mapping[int, bytes]) -> None:
        self.generation = max(secrets)
        """Of what is sealed now."""
        self._tags = tags
        self._ciphers = {generation: AESGCM(secret) for generation, secret in secrets.items()}

    def tag(self, *said: str) -> str:
        """The same for the same, and says nothing of it; empty where nothing is said."""
        if not any(said):
            return ""
        return hmac.digest(self._tags, json.dumps(said).encode(), hashlib.sha256).hex()

    def about(self, about: About, tag: str) -> bytes:
        """What is remembered of the event with this tag."""
        return self._sealed(json.dumps(about), f"about {tag}")

    def known(self, raw: bytes, generation: int, tag: str) -> About:
        """The inverse; raises Damaged for what nobody here wrote, or that stood elsewhere."""
        text = self._opened(raw, generation, f"about {tag}")
        if not text:
            raise Damaged("an event lost what it was", where="the outbox")
        return About(*json.loads(text))

    def body(self, text: str, tag: str) -> bytes:
        """The body of the event with this tag; an empty one is none."""
        return self._sealed(text, f"body {tag}")

    def said(self, raw: bytes, generation: int, tag: str) -> str:
        """The inverse; raises Damaged."""
        return self._opened(raw, generation, f"body {tag}")

    def reason(self, text: str, number: int) -> bytes:
        """Why a delivery failed."""
        return self._sealed(text, f"reason {number}")

    def why(self, raw: bytes, generation: int, number: int) -> str:
        """The inverse; raises Damaged."""
        return self._opened(raw, generation, f"reason {number}")

    def _sealed(self, text: str, place: str) -> bytes:
        if not text:
            return b""
        plain = text.encode("utf-8", "surrogatepass")
        return sealed_with(self._ciphers[self.generation], plain, _bound(place, self.generation))

    def _opened(self, raw: bytes, generation: int, place: str) -> str:
        if not raw:
            return ""
        try:
            plain = opened_with(self._ciphers[generation], bytes(raw), _bound(place, generation))
        except (KeyError, InvalidTag, ValueError) as error:
            raise Damaged("was not written by this installation", where=f"the outbox, {place[:30]}") from error
        return plain.decode("utf-8", "surrogatepass")


class Keys:
    """The keys of one outbox; may be used from any thread, within a transaction of its store."""

    def __init__(self, seeds: Callable[[], Sequence[bytes]]) -> None:
        """`seeds` of the log's signing keys, the newest first; asked for when a key is made, or one is first seen."""
        self._seeds = seeds
        self._seen: tuple[list[tuple[int, bytes, bytes]], Seal] | None = None

    def seal(self, execute: Execute, *, is_reading: bool = False) -> Seal:
        """As the transaction finds it, which holds off a change of key (`Store.share`); made where one is needed first."""
        rows = _rows(execute)
        if is_reading and not rows:  # nothing is there that any key would open
            return Seal(os.urandom(_KEY), {_FIRST: os.urandom(_KEY)})
        seen = self._seen
        if seen is None or seen[0] != rows:
            seen = self._seen = self._opened(execute, rows)
        return seen[1]

    def wrap(self, execute: Execute, *, is_alone: bool) -> None:
        """Wrap every key for each of the log's that the home's file holds; `is_alone`: and for no other any more."""
        rows = _rows(execute)
        if not rows:
            return
        wrapping = Wrapping(self._seeds(), OUTBOX)
        for generation, secret in self._secrets(wrapping, rows).items():
            _keep(execute, wrapping, generation, secret)
        if is_alone:
            marks = ", ".join("?" for _ in wrapping.ids)
            execute(f"DELETE FROM sealing WHERE id NOT IN ({marks})", wrapping.ids)  # noqa: S608  question marks

    def follow(self, execute: Execute) -> int:
        """Make the key that seals from now on, alone in the outbox; gives its generation."""
        generation = self.seal(execute).generation + 1
        _keep(execute, Wrapping(self._seeds(), OUTBOX), generation, os.urandom(_KEY))
        return generation

    def _opened(
        self, execute: Execute, rows: list[tuple[int, bytes, bytes]]
    ) -> tuple[list[tuple[int, bytes, bytes]], Seal]:
        wrapping = Wrapping(self._seeds(), OUTBOX)
        if not rows:
            for generation in (_TAGS, _FIRST):
                _keep(execute, wrapping, generation, os.urandom(_KEY))
            rows = _rows(execute)  # another replica may have been first
        secrets = self._secrets(wrapping, rows)
        tags = secrets.pop(_TAGS, None)
        if tags is None or not secrets:
            raise DependencyError("a key of the outbox is missing", hint="restore the database")
        return rows, Seal(tags, secrets)

    def _secrets(self, wrapping: Wrapping, rows: list[tuple[int, bytes, bytes]]) -> dict[int, bytes]:
        held: dict[int, dict[bytes, bytes]] = {}
        for generation, key_id, wrapped in rows:
            held.setdefault(generation, {})[key_id] = wrapped
        found = {generation: wrapping.opened(each, _place(generation)) for generation, each in held.items()}
        if None in found.values():
            raise DependencyError(
                "the log's key opens nothing of what the outbox holds",
                hint="give this home the <home>/audit/key that the log is written with",
            )
        return {generation: secret for generation, secret in found.items() if secret is not None}


def sealed_anew(store: Store, keys: Keys) -> None:
    """Seal everything that is there under a new key, a page at a time, and let the older ones go."""
    with store.transaction() as execute:
        store.share(execute, alone=True)
        newest = keys.follow(execute)
    for page in (_events, _deliveries):
        while _moved(store, keys, page):
            pass
    with store.transaction() as execute:
        # Whoever reads holds this off until it has read; whoever wrote since then sealed with the newest.
        store.share(execute, alone=True)
        execute("DELETE FROM sealing WHERE generation > 0 AND generation < ?", (newest,))


def _moved(store: Store, keys: Keys, page: Callable[[Execute, Seal, str], int]) -> int:
    with store.transaction() as execute:
        store.share(execute)
        return page(execute, keys.seal(execute), store.for_update)


def _events(execute: Execute, seal: Seal, for_update: str) -> int:
    older = "SELECT seq, tag, generation, about, body FROM events WHERE generation < ? ORDER BY seq LIMIT ?"
    found = execute(f"{older} {for_update}", (seal.generation, _PAGE))
    for seq, tag, generation, about, body in found:
        anew = seal.about(seal.known(about, generation, tag), tag), seal.body(seal.said(body, generation, tag), tag)
        execute("UPDATE events SET generation = ?, about = ?, body = ? WHERE seq = ?", (seal.generation, *anew, seq))
    return len(found)


def _deliveries(execute: Execute, seal: Seal, for_update: str) -> int:
    older = "SELECT number, generation, reason FROM deliveries WHERE generation < ? ORDER BY number LIMIT ?"
    found = execute(f"{older} {for_update}", (seal.generation, _PAGE))
    for number, generation, reason in found:
        anew = seal.reason(seal.why(reason, generation, number), number)
        execute("UPDATE deliveries SET generation = ?, reason = ? WHERE number = ?", (seal.generation, anew, number))
    return len(found)


def _rows(execute: Execute) -> list[tuple[int, bytes, bytes]]:
    return [(int(generation), bytes(key_id), bytes(wrapped)) for generation, key_id, wrapped in execute(_ALL, ())]


def _keep(execute: Execute, wrapping: Wrapping, generation: int, secret: bytes) -> None:
    for key_id, wrapped in wrapping.wrapped(secret, _place(generation)).items():
        execute(_KEPT, (generation, key_id, wrapped))


def _place(generation: int) -> bytes:
    return b"generation %d" % generation


def _bound(place: str, generation: int) -> bytes:
    return f"{place}\n{generation}".encode()
