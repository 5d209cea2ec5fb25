"""PEM blocks (RFC 7468) out of text, one after the other, as Go's encoding/pem finds them."""

from __future__ import annotations

import re
from typing import NamedTuple

from governance.policy.builtins.base64_text import decode_standard
from governance.policy.builtins.operands import BuiltinError

_BEGIN = re.compile(r"(?:^|\n)-----BEGIN ([^\n]*?)-----[ \t\r]*(?=\n)")


class Block(NamedTuple):
    """One block."""

    kind: str
    """What stands after BEGIN: `CERTIFICATE`, `PUBLIC KEY` …"""
    raw: bytes


def next_block(text: str) -> tuple[Block | None, str]:
    """The first well-formed block and the text after it; (None, text) where there is none."""
    at = 0
    while begin := _BEGIN.search(text, at):
        end = f"\n-----END {begin[1]}-----"
        stop = text.find(end, begin.end())
        if stop < 0:
            at = begin.end()
            continue
        tail = text[stop + len(end) :]
        line, newline, rest = tail.partition("\n")
        raw = _body(text[begin.end() : stop])
        if line.strip() or raw is None:
            at = begin.end()
            continue
        return Block(begin[1], raw), rest if newline else ""
    return None, text


def blocks(text: str) -> list[Block]:
    """Every well-formed block."""
    found: list[Block] = []
    while True:
        block, text = next_block(text)
        if block is None:
            return found
        found.append(block)


def _body(text: str) -> bytes | None:
    """The bytes between the lines, headers (`Proc-Type: …`) skipped; None where it is no Base64."""
    rows = [row.strip() for row in text.strip().splitlines()]
    while rows and ":" in rows[0]:
        rows.pop(0)
    try:
        return decode_standard("".join(rows))
    except BuiltinError:
        return None
