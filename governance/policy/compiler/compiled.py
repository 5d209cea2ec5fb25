"""What the compiler hands to the engine: rewritten modules, data, and which entry points the fast executor may serve.

Bytes and back without compiling, so that a start costs a file read. The framing is our own: a JSON header line, then
the raw parts it names. Nothing in it is executed on reading.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from governance.errors import RuleError

FORMAT = "governance-compiled/2"


class CompiledPolicy(NamedTuple):
    """A policy that may serve."""

    modules: tuple[tuple[str, str], ...]
    """(path, text) for the interpreter."""
    guarded: tuple[tuple[str, str], ...]
    """The same with builtin errors made undefined; used after the plain form raised. Empty in strict mode."""
    data: str
    """JSON text of the base documents."""
    origins: dict[str, list[int]]
    """For each module, the source line of every output line."""
    fast: tuple[str, ...]
    """Entry points proved equal on the fast executor."""
    program: bytes
    """Serialised program for `fast`; empty when there is none."""
    strict: bool
    needs: tuple[str, ...] = ()
    """Names of Python builtins that are called; empty means that none has to be registered."""
    mixed: tuple[tuple[str, str], ...] = ()
    """Strict but for packages whose authors rely on errors being undefined; used after the plain form raised."""

    def to_bytes(self) -> bytes:
        """Header line and parts; the header holds the SHA-256 of what follows."""
        body = json.dumps(
            [self.modules, self.guarded, self.data, self.origins, self.fast, self.strict, self.needs, self.mixed],
            ensure_ascii=False,
        ).encode()
        parts = body + self.program
        header = {"format": FORMAT, "body": len(body), "sha256": hashlib.sha256(parts).hexdigest()}
        return json.dumps(header).encode() + b"\n" + parts

    @classmethod
    def from_bytes(cls, raw: bytes) -> CompiledPolicy:
        """The inverse of `to_bytes`; raises RuleError for anything that was changed or is of another format."""
        head, _, parts = raw.partition(b"\n")
        try:
            header = json.loads(head)
            if header["format"] != FORMAT or header["sha256"] != hashlib.sha256(parts).hexdigest():
                raise RuleError("not a compiled policy of this version", hint="remove the cache folder")
            length = int(header["body"])
            modules, guarded, data, origins, fast, strict, needs, mixed = json.loads(parts[:length])
        except (ValueError, KeyError, TypeError) as error:
            raise RuleError("not a compiled policy", hint="remove the cache folder") from error
        return cls(
            modules=tuple((path, text) for path, text in modules),
            guarded=tuple((path, text) for path, text in guarded),
            data=data,
            origins=origins,
            fast=tuple(fast),
            program=parts[length:],
            strict=bool(strict),
            needs=tuple(needs),
            mixed=tuple((path, text) for path, text in mixed),
        )
