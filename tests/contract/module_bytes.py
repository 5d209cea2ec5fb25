"""Modules byte by byte, for what no assembler writes. Format: WebAssembly core specification, "Binary Format"."""

from __future__ import annotations

HEADER = b"\0asm\1\0\0\0"
EMPTY_FUNCTION = b"\0\x0b"


def number(value: int) -> bytes:
    """As modules have it (LEB128)."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def section(kind: int, raw: bytes) -> bytes:
    """A part of a module."""
    return bytes([kind]) + number(len(raw)) + raw


def several(items: list[bytes]) -> bytes:
    """Items behind their number."""
    return number(len(items)) + b"".join(items)


def name(text: str) -> bytes:
    """Text behind its length."""
    raw = text.encode()
    return number(len(raw)) + raw


TYPES = section(1, several([b"\x60\0\0", b"\x60\0\1\x7f"]))
START = name("_start") + b"\0\0"


def built(
    *,
    functions: int = 1,
    body: bytes = EMPTY_FUNCTION,
    imports: bytes = b"",
    between: bytes = b"",
    exports: list[bytes] | None = None,
    after: bytes = b"",
) -> bytes:
    """A module out of its parts; each of its functions is `body`."""
    code = section(10, several([number(len(body)) + body] * functions))
    kinds = section(3, several([b"\0"] * functions))
    return HEADER + TYPES + imports + kinds + between + section(7, several(exports or [START])) + code + after


def heavy(which: int, additions: int = 400_000) -> bytes:
    """One function of so many additions: seconds of a compiler's, and none of anybody else's."""
    code = b"\0\x41" + number(which) + b"\x1a" + b"\x3f\0\x41\1\x6a\x1a" * additions + b"\x0b"
    return built(body=code, between=section(5, b"\1\0\1"))
