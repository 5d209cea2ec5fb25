"""Reading a package in large pieces finds what reading it line by line, and parsing every value, would."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit.canonical import canonical
from audit.errors import BadPackage
from audit.packages import LONGEST_LINE, Checked, File, Package
from audit.sealed_texts import Opening, joined, parsed, split

PIECE = 1 << 18
VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(['},"facts":{"salt":"', '","value":', "}}", '":{"salt":"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["input", "facts", "answer", "a", "salt"])


def lines_of(tmp_path, raw: bytes, *, signed: int | None = None) -> list[bytes]:
    (tmp_path / "f").write_bytes(raw)
    size = len(raw) if signed is None else signed
    file = File(hashlib.sha256(raw[:size]).hexdigest(), size)
    with Package(str(tmp_path)) as package, Checked(package, "f", file) as checked:
        found = list(checked.lines())
        checked.finish()
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0, 1, 7, PIECE - 1, PIECE, PIECE + 1]) | st.integers(0, 200), max_size=6), st.booleans()
)
@example([PIECE - 1, PIECE - 1], True)
@example([2 * PIECE], False)
def test_lines_are_those_of_the_file_wherever_the_pieces_end(tmp_path, lengths, is_whole):
    expected = [b"x" * length + b"\n" for length in lengths]
    raw = b"".join(expected)
    if not is_whole:
        raw = raw[:-1]
    assert lines_of(tmp_path, raw) == raw.splitlines(keepends=True)


def test_what_was_not_signed_is_told_after_the_lines_that_were(tmp_path):
    raw = b"one\ntwo\nthree\n"
    for signed, before in ((8, [b"one\n", b"two\n"]), (6, [b"one\n"]), (0, [])):
        (tmp_path / "f").write_bytes(raw)
        seen = []
        with Package(str(tmp_path)) as package, Checked(package, "f", File("", signed)) as checked:
            lines = checked.lines()
            seen.extend(next(lines) for _ in before)
            with pytest.raises(BadPackage, match=f"longer than the {signed} bytes"):
                next(lines)
            assert seen == before


def test_a_line_that_never_ends_is_not_held(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(LONGEST_LINE + 2 * PIECE)
    size = LONGEST_LINE + 2 * PIECE
    with (
        Package(str(tmp_path)) as package,
        Checked(package, "f", File("", size)) as checked,
        pytest.raises(BadPackage, match="a line is longer"),
    ):
        next(checked.lines())


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.tuples(st.binary(min_size=16, max_size=16), VALUES), min_size=1), st.data())
def test_openings_are_cut_as_they_would_be_parsed(given_openings, data):
    openings = {name: Opening(salt.hex(), canonical(value)) for name, (salt, value) in given_openings.items()}
    commitments = {
        name: hmac.digest(bytes.fromhex(opening.salt), opening.raw, "sha256").hex()
        for name, opening in openings.items()
    }
    text = joined(openings)
    assert split(text, commitments) == openings == parsed(text)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
    try:
        found = split(changed, commitments)
    except ValueError:
        return
    # A name that was changed to another one that was committed to as well could only fit with its own value.
    assert all(opening.fits(commitments[name]) for name, opening in found.items())
    assert found != openings or parsed(changed) == openings


@pytest.mark.parametrize("text", [b"", b"{}", b'{"a":1}}', b'{"a":{"salt":"', b"{}}", b'{"":{"salt":"' + b"0" * 32])
def test_a_text_without_openings_is_refused_or_empty(text):
    try:
        assert split(text, {"a": "0" * 64}) == {}
    except ValueError as error:
        assert "not" in str(error)  # noqa: PT017


@given(st.binary(max_size=70), st.binary(max_size=300))
def test_a_commitment_is_an_hmac_whatever_the_salt(salt, raw):
    assert Opening(salt.hex(), raw).fits(hmac.digest(salt, raw, "sha256").hex())
    assert not Opening(salt.hex(), raw + b"x").fits(hmac.digest(salt, raw, "sha256").hex())
