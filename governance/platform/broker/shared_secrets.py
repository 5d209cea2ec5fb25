"""The credentials of several replicas, in the state that they share: put in at one, used and taken back at all.

As in the embedded store each value is sealed with a key of its own, and that with the store's. The store's key is a file that
the settings name, the same for all replicas; where they name none it is a document of the state, which opens for whoever holds
the log's signing key. So neither the database nor what a process remembers of it holds a value that can be read.
What a replica goes by is at most a second old: no longer does one that was rotated or dropped elsewhere go out.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError, DependencyError, NotFound
from governance.model.moment import utc_now
from governance.platform.broker.secrets import (
    KEY_BYTES,
    NO_SECRET,
    TAKEN,
    About,
    Secret,
    check_secret,
    key_of,
    sealed,
    unsealed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from governance.state.port import State

_FOLDER, _KEY = "secrets", "secrets.key"


class SharedSecrets:
    """As the port says, in the replicas' state."""

    def __init__(self, state: State, key_file: Path | None = None) -> None:
        self._state, self._key_file = state, key_file

    def about(self, name: str) -> About | None:
        """What may be known of a secret."""
        row = self._row(name)
        return None if row is None else _about(name, row)

    def get(self, name: str) -> Secret:
        """The value. Raises NotFound, or DependencyError where the key does not open it."""
        from cryptography.exceptions import InvalidTag

        row = self._row(name)
        if row is None:
            raise NotFound(f"there is no secret {name}", hint=NO_SECRET)
        bound = _bound(name, int(row["version"]))
        try:
            inner = unsealed(self._key(make=False), base64.b64decode(row["key"]), bound)
            return Secret(unsealed(inner, base64.b64decode(row["value"]), bound).decode())
        except (InvalidTag, ValueError) as error:
            raise DependencyError(
                f"the secret {name} does not open with this key",
                hint="all replicas need the same GOVERNANCE_SECRETS_KEY",
            ) from error

    def put(self, name: str, value: str) -> About:
        """Store a value under `tenant/handle`; raises CallerError where the name is taken (`rotate` replaces)."""

        def first(held: About | None) -> About:
            if held is not None:
                raise CallerError(f"the secret {name} exists already", hint=TAKEN)
            return About(name, 1, utc_now())

        return self._write(name, value, first)

    def rotate(self, name: str, value: str) -> About:
        """Replace a value; the old one is gone. Raises NotFound."""

        def following(held: About | None) -> About:
            if held is None:
                raise NotFound(f"there is no secret {name}", hint=NO_SECRET)
            return About(name, held.version + 1, utc_now())

        return self._write(name, value, following)

    def keep(self, about: About, value: str) -> None:
        """Take over a value with its version and age; one that is here stays."""
        if self.about(about.name) is None:
            self._write(about.name, value, lambda held: held or about)

    def drop(self, name: str) -> None:
        """Forget a value, and the key that alone opened it; nothing where there is none."""
        if self._row(name) is not None:
            self._state.change(_place(name), lambda _: None)

    def all(self) -> list[About]:
        """Every secret by name, none with its value."""
        names = [place.removeprefix(f"{_FOLDER}/").removesuffix(".json") for place in self._state.names(_FOLDER)]
        found = [self.about(name.replace(".", "/", 1)) for name in names]
        return sorted(about for about in found if about is not None)

    def close(self) -> None:
        """Nothing is lent here."""

    def _row(self, name: str) -> Any:
        """A document of the state; one that is missing may have been put elsewhere a moment ago."""
        place = _place(name)
        if self._state.read(place) is None:
            self._state.stamp(place, newest=True)
        raw = self._state.read(place)
        return None if raw is None else json.loads(raw)

    def _write(self, name: str, value: str, follows: Callable[[About | None], About]) -> About:
        check_secret(name, value)
        key, written = self._key(make=True), About(name, 0, "")

        def edit(held: bytes | None) -> bytes:
            nonlocal written
            written = follows(None if held is None else _about(name, json.loads(held)))
            inner, bound = os.urandom(KEY_BYTES), _bound(name, written.version)
            row = {"key": sealed(key, inner, bound), "value": sealed(inner, value.encode(), bound)}
            texts = {part: base64.b64encode(raw).decode() for part, raw in row.items()}
            return json.dumps({"version": written.version, "rotated": written.rotated, **texts}).encode()

        self._state.change(_place(name), edit)
        return written

    def _key(self, *, make: bool) -> bytes:
        if self._key_file is not None:
            return key_of(self._key_file)
        if make and self._state.read(_KEY) is None:
            # Of two replicas that make one at once the first one's stays.
            self._state.change(_KEY, lambda held: os.urandom(KEY_BYTES) if held is None else held)
        if self._state.read(_KEY) is None:
            self._state.stamp(_KEY, newest=True)
        key = self._state.read(_KEY)
        if key is None:
            raise DependencyError("the key of the secrets is missing", where=_KEY, hint="restore the database")
        return key


def _place(name: str) -> str:
    # One folder: neither half of a name has a dot.
    return f"{_FOLDER}/{name.replace('/', '.', 1)}.json"


def _bound(name: str, version: int) -> bytes:
    return f"{name}\0{version}".encode()


def _about(name: str, row: Any) -> About:
    return About(name, int(row["version"]), str(row["rotated"]))
