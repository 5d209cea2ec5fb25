"""A credential is known again in every form that an answer gives it by itself."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.platform.broker.echoes import Echoes, repeats
from tests.leaks import CANARY

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
AROUND = st.binary(max_size=7)


@given(SECRETS, AROUND, AROUND)
def test_every_form_is_found_wherever_it_stands(secret, before, after):
    raw = before + secret.encode() + after
    forms = [
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper(),
        quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower(),
    ]  # fmt: skip
    for form in forms:
        assert repeats({"deep": [f"said {form}."]}, [secret])
        assert repeats({form: 1}, [secret])
    assert repeats(secret, [secret])


@given(SECRETS, st.recursive(st.none() | st.integers() | st.text("xyz", max_size=9), st.lists, max_leaves=5))
def test_what_does_not_hold_it_passes(secret, value):
    assert not repeats(value, ["canary-" + secret])
    assert not repeats(value, ["short"])


@pytest.mark.parametrize(
    "value",
    [
        [CANARY[:10], CANARY[10:]],
        {"first": CANARY[:10], "": CANARY[10:]},
        list(CANARY),
        {CANARY[:12]: CANARY[12:]},
        [[[CANARY[:6]], [CANARY[6:12]]], {"": CANARY[12:]}],
        " ".join(CANARY),
        "\u200b".join(CANARY),
        CANARY.replace("-", "_"),
        CANARY.upper(),
        "".join(f"&#{ord(sign)};" for sign in CANARY),
        "".join(f"&#x{ord(sign):x};" for sign in CANARY),
        "".join(f"&#{ord(sign):0>20};" for sign in CANARY),
        "".join(f"&#X{ord(sign):0>5000x};" for sign in CANARY),
        "&#" + "9" * 5000 + ";" + "".join(f"&#{ord(sign):0>5000}" for sign in CANARY),
        "&#x" + "0" * 5000 + "".join(f";&#{ord(sign)}" for sign in CANARY),
        "".join(f"\\u{ord(sign):04x}" for sign in CANARY),
        "".join(f"\\x{ord(sign):02x}" for sign in CANARY),
        "".join(f"%{ord(sign):02x}" for sign in CANARY),
        json.dumps(json.dumps({"sent": "".join(f"\\u{ord(sign):04x}" for sign in CANARY)})),
        base64.encodebytes(b"x" * 50 + CANARY.encode()).decode(),
    ],
)
def test_taken_apart_or_escaped_it_is_known_again(value):
    assert repeats({"detail": value}, [CANARY])


@given(st.lists(st.integers(1, 9), min_size=3, max_size=26))
def test_wherever_a_stream_cuts_it_the_last_part_is_refused(lengths):
    parts, rest = [], CANARY
    for length in lengths:
        parts, rest = [*parts, rest[:length]], rest[length:]
    echoes = Echoes([CANARY])
    assert True in {echoes.stand_in([{"": part}]) for part in [*parts, rest]}


def test_a_short_credential_is_not_looked_for_in_letters_of_other_words():
    assert not repeats({"a": "pass", "b": "word1 of"}, ["password1"])
    assert repeats({"a": "password1"}, ["password1"])


@pytest.mark.parametrize("sign", ["\\", "\\x", "&", "&#", "&#x", "%", "\n", "\r", "&#0", "\\u00"])
def test_a_run_of_one_sign_holds_up_no_other_call(sign):
    """Processor time, not the clock's: it took five seconds where the time grew with the square of the length."""
    begun = time.process_time()
    assert not repeats({"x": sign * 20_000}, [CANARY])
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("digits", ["9" * 4301, "0" * 4301, "1" * 100_000, "x" + "f" * 100_000])
def test_a_number_that_no_letter_has_is_no_error(digits):
    assert not repeats({"x": f"&#{digits};"}, [CANARY])
    assert repeats({"x": f"&#{digits};{CANARY}"}, [CANARY])
