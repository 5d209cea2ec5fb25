"""The log's side of witnesses: submits checkpoints, keeps their cosignatures, and hears when a witness has seen more.

A witness that saw a larger tree, or another one of this size, is the one thing that a log's own files cannot fake away: then
the log is not served any more.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.cosignature import cosignatures
from audit.errors import LogRolledBack, LogUnusable
from audit.notes import COSIGNATURE, BadNote, VerifierKey, parse_verifier_key, signature_of
from audit.proofs import Growth
from audit.reader import COSIGNED
from audit.witness import MOST_BYTES, SIZE_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from audit.reader import LogReader

STATE = "witnesses.json"
# Cosigned; expected another size; saw another tree. Each is said only once the signature was found to be good.
_KNOWS_THE_KEY = frozenset({200, 409, 422})


class Peer(NamedTuple):
    """One witness as the log knows it."""

    url: str
    """Submission prefix."""
    key: VerifierKey


class _Disagrees(Exception):
    """A witness saw something that this log is not."""


def parse_peers(text: str) -> list[Peer]:
    """`URL VERIFIER_KEY`, several with commas between; raises BadNote for a key that is no witness's."""
    peers = []
    for part in filter(str.strip, text.split(",")):
        url, _, key = part.strip().partition(" ")
        if not url.startswith(("http://", "https://")):
            raise BadNote(f"{url[:60]!r}: a witness is written as `http(s)://… VERIFIER_KEY`")
        peers.append(Peer(url.rstrip("/"), parse_verifier_key(key, COSIGNATURE)))
    return peers


class Witnesses:
    """All witnesses of one log; belongs to one thread."""

    def __init__(self, home: Path, peers: Sequence[Peer], needed: int, timeout_s: float) -> None:
        """Raises LogUnusable where more are needed than there are."""
        if needed > len(peers):
            raise LogUnusable(f"{needed} witnesses are needed and {len(peers)} are named (GOVERNANCE_WITNESSES)")
        self._folder = home / "audit"
        self._peers, self._needed, self._timeout_s = peers, needed, timeout_s
        self._known: dict[str, int] = {}
        self._state: dict[str, dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._peers)

    def check_start(self, reader: LogReader) -> None:
        """Compare with what the witnesses saw; raises LogRolledBack, or LogUnusable where fewer agree than are needed."""
        agreeing = self.submit(reader)
        if agreeing < self._needed:
            errors = "; ".join(f"{name}: {state['error']}" for name, state in self._state.items() if state["error"])
            raise LogUnusable(f"{agreeing} of the {self._needed} witnesses that are needed agree at start ({errors})")

    def submit(self, reader: LogReader) -> int:
        """Have the newest checkpoint cosigned; returns how many did. Raises LogRolledBack where one disagrees."""
        note = reader.checkpoint()
        lines: list[str] = []
        for peer in self._peers:
            try:
                line, time = self._cosigned(peer, reader, note)
            except _Disagrees as error:
                self._state[peer.key.name] = {"url": peer.url, "error": str(error)}
                self._save_state()
                raise LogRolledBack(f"witness {peer.key.name}: {error}") from error
            except (OSError, BadNote, ValueError) as error:
                before = self._state.get(peer.key.name, {})
                self._state[peer.key.name] = {**before, "url": peer.url, "error": str(error) or type(error).__name__}
                continue
            lines.append(line)
            size = self._known[peer.url]
            self._state[peer.key.name] = {"url": peer.url, "error": "", "size": size, "time": time}
        if lines and len(lines) >= self._needed:
            _write(self._folder / COSIGNED, note + "".join(lines))
        self._save_state()
        return len(lines)

    def _cosigned(self, peer: Peer, reader: LogReader, note: str) -> tuple[str, int]:
        """(signature line, POSIX time). The witness's size is asked for when what we remember of it is not so any more."""
        size = reader.size_of(note)
        old = min(self._known.get(peer.url, 0), size)
        for _ in range(2):
            growth = Growth(old, tuple(reader.consistency(old, size)), note)
            status, kind, body = _post(peer.url, self._timeout_s, growth.text().encode())
            if status == 200:
                time = cosignatures(note + body, [peer.key]).get(peer.key.name)
                if time is None:
                    raise BadNote("it answered without its cosignature")
                self._known[peer.url] = size
                return _line_of(body, peer.key), time
            if status == 409 and kind == SIZE_TYPE and body.strip().isdigit():
                theirs = int(body[:20])
                if size < theirs <= reader.size():
                    # Another replica of this log was faster; what it submitted is ours as well.
                    raise OSError(f"has cosigned a newer checkpoint of {theirs} records meanwhile")
                if theirs > size:
                    raise _Disagrees(f"saw {theirs} records, the log has {size}: an older copy, or its end was lost")
                if theirs == old == size:
                    raise _Disagrees(f"saw another tree of {size} records: the history was rewritten")
                old = theirs
                continue
            if status == 422:
                raise _Disagrees(f"saw a tree of {old} records that this log is not the continuation of")
            break
        raise OSError(f"answered {status}: {body.strip()[:200]}")

    def _save_state(self) -> None:
        _write(self._folder / STATE, json.dumps({"needed": self._needed, "witnesses": self._state}))


def strangers(reader: LogReader, urls: Mapping[str, str], timeout_s: float) -> list[str]:
    """Of the witnesses (name to submission prefix) those that do not take what the log's newest key alone signs, and why.

    Asked with the newest checkpoint: whoever knows the key cosigns it, or answers that it expected another size.
    """
    head = reader.newest()
    note = reader.signing_key.alone().checkpoint(head.size, head.root)
    body = Growth(head.size, (), note).text().encode()
    found = []
    for name, url in sorted(urls.items()):
        try:
            status, _, said = _post(url, timeout_s, body)
        except (OSError, ValueError) as error:
            found.append(f"{name} ({url}) cannot be asked: {error}")
            continue
        if status not in _KNOWS_THE_KEY:
            found.append(f"{name} ({url}) answers {status}: {said.strip()[:100]}")
    return found


def urls_last_used(home: Path) -> dict[str, str]:
    """Name to submission prefix of the witnesses that the log's last service or command named."""
    try:
        state = json.loads((home / "audit" / STATE).read_text("utf-8"))
        return {str(name): str(said["url"]) for name, said in state["witnesses"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _post(url: str, timeout_s: float, body: bytes) -> tuple[int, str, str]:
    """(status, type, text) of a witness's answer."""
    request = urllib.request.Request(f"{url}/add-checkpoint", data=body, method="POST")  # noqa: S310  http(s) checked
    request.add_header("content-type", "text/plain; charset=utf-8")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  http(s) checked
            return answer.status, str(answer.headers.get_content_type()), answer.read(MOST_BYTES).decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read(MOST_BYTES).decode("utf-8", "replace")


def _line_of(body: str, key: VerifierKey) -> str:
    """Of what a witness answered only its own line: others would stand unverified in our checkpoint."""
    for line in filter(None, body.split("\n")):
        name, raw = signature_of(line)
        if (name, raw[:4]) == (key.name, key.key_id):
            return f"{line}\n"
    raise BadNote("it answered without its cosignature")


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
