"""A witness: remembers the newest checkpoint of each log it knows, and cosigns another only if the log has only grown.

Protocol: https://c2sp.org/tlog-witness, `add-checkpoint`. What was cosigned is on disk before the answer leaves, so that no
crash makes a witness say yes to two histories. One process owns the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from audit.cosignature import cosigned_message
from audit.errors import LogTorn
from audit.keys import load_or_make
from audit.notes import (
    COSIGNATURE,
    BadNote,
    Checkpoint,
    VerifierKey,
    opened_by_any,
    parse_checkpoint,
    signature_line,
    text_of_note,
    verifier_key,
)
from audit.proofs import parse_growth
from audit.startup import locked
from audit.tree import EMPTY_ROOT, is_consistent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

MOST_BYTES = 64 << 10
SIZE_TYPE = "text/x.tlog.size"


class Answer(NamedTuple):
    """What HTTP says."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


class Witness:
    """One witness; `add_checkpoint` may be called from any thread."""

    def __init__(
        self, folder: Path, name: str, logs: Iterable[VerifierKey], clock: Callable[[], float] = time.time
    ) -> None:
        """`logs`: keys of the logs that are known; several of one name while a log changes its key.

        Raises LogInUse where another process has the folder.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock_file = locked(folder)
        self._key = load_or_make(folder / "key", name, may_make=not list(folder.glob("*.json")))
        self.verifier: VerifierKey = verifier_key(name, self._key.verifier.public, COSIGNATURE)
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)
        self._clock = clock
        self._lock = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one submission."""
        try:
            old, proof, note = parse_growth(body.decode())
            origin = text_of_note(note)[0].split("\n", 1)[0]
        except (BadNote, ValueError) as error:
            return Answer(400, f"{error}\n")
        keys = self._logs.get(origin)
        if keys is None:
            return Answer(404, "this log is not known here\n")
        try:
            text = opened_by_any(note, keys)
        except BadNote as error:
            return Answer(403, f"{error}\n")
        try:
            claimed = parse_checkpoint(text)
        except BadNote as error:
            return Answer(400, f"{error}\n")
        with self._lock:
            return self._judged(old, proof, claimed, text)

    def _judged(self, old: int, proof: Sequence[bytes], claimed: Checkpoint, text: str) -> Answer:
        if old > claimed.size:
            return Answer(400, f"the old size {old} is above the checkpoint's {claimed.size}\n")
        known = self.newest(claimed.origin)
        if old != known.size:
            return Answer(409, f"{known.size}\n", SIZE_TYPE)
        if old == claimed.size and known.root != claimed.root:
            return Answer(409, f"{known.size}\n", SIZE_TYPE)
        is_growth = not proof if old == 0 else is_consistent(old, claimed.size, known.root, claimed.root, proof)
        if not is_growth:
            return Answer(422, "the proof does not show that the log has only grown\n")
        self._remember(claimed)
        now = int(self._clock())
        signature = self._key.sign(cosigned_message(text, now))
        return Answer(200, signature_line(self.verifier, now.to_bytes(8, "big") + signature))

    def newest(self, origin: str) -> Checkpoint:
        """What was cosigned last for a log; size 0 where nothing was. Raises LogTorn for a file that is damaged."""
        path = self._path(origin)
        try:
            said = json.loads(path.read_text("utf-8"))
            return Checkpoint(said["origin"], int(said["size"]), bytes.fromhex(said["root"]))
        except FileNotFoundError:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        except (ValueError, KeyError, TypeError) as error:
            raise LogTorn(f"{path}: damaged; restore it. Without it this witness could cosign two histories") from error

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock_file)

    def _path(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.json"

    def _remember(self, seen: Checkpoint) -> None:
        path = self._path(seen.origin)
        unfinished = path.with_suffix(".new")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({"origin": seen.origin, "size": seen.size, "root": seen.root.hex()}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
